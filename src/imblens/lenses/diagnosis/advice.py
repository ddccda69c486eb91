"""What to try against a cause, given what is known of the head."""

from __future__ import annotations

import numpy as np

from imblens.errors import NotApplicable
from imblens.lenses.diagnosis.causes import USUAL, Cause
from imblens.lenses.headroom import NOTABLE, headroom
from imblens.run import Run, inputs_name

NO_HEAD = "more varied {inputs}, with the network trained on them (another head cannot help this class)"
NO_VAL = "a threshold of its own, chosen on a validation split (another head cannot help this label)"
OWN_THRESHOLD = "a threshold of its own where you predict (another head cannot help this label)"


def advice(run: Run, cause: Cause, name: str) -> str:
    """Return what to try against a cause in a class: a name for `imblens treat`, or what to do with the data."""
    if " " in cause.treatment:
        return cause.treatment.format(inputs=inputs_name(run))
    if _exhausted(run, name):
        return NO_HEAD.format(inputs=inputs_name(run))
    return cause.treatment


def threshold_advice(run: Run, name: str) -> str:
    """Return what to try where 0.5 does not fit a label: a name for `imblens treat`, or what to do."""
    if not _exhausted(run, name):
        return USUAL[run.task]
    return OWN_THRESHOLD if run.val is not None and run.val.has_logits else NO_VAL


def _exhausted(run: Run, name: str) -> bool:
    """Whether no linear head gains anything notable for a class or label."""
    helped: set[str] | None = run.remember("classes that a head helps", lambda: _helped(run))
    return helped is not None and name not in helped


def _helped(run: Run) -> set[str] | None:
    """Classes for which a linear head gains something notable, or is not known; None where heads are not judged."""
    try:
        table = headroom(run).tables["headroom"]
    except NotApplicable:
        return None
    gain = table[["best_head", "ceiling"]].max(axis=1) - table["accuracy"]
    return set(table.loc[~(np.isfinite(gain) & (gain < NOTABLE)), "class"])
