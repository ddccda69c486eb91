"""The labelled instances on which rules are chosen: never those of the test split unless the user asks for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.wording import counted
from imblens.errors import InputError, MissingError, did_you_mean
from imblens.run import Run, Split, row_by_row

CHOICES = ("val", "test")
MOST_SHARED = 0.5  # share of validation instances that may have a twin in the test split


def held_out_split(run: Run, choose_on: str) -> tuple[Split, list[str]]:
    """Return the split to choose rules on, and what to state about it.

    Args:
        run: the run.
        choose_on: "val" or "test".

    Raises:
        MissingError: another name.
        InputError: no such split, no predictions on it, or a validation split of test instances.
    """
    if choose_on not in CHOICES:
        raise MissingError(f"rules cannot be chosen on {choose_on!r}.", hint=did_you_mean(choose_on, CHOICES))
    split = run.val if choose_on == "val" else run.test
    if split is None or not len(split):
        hint = "Add val_features and val_labels."
        if choose_on == "val" and run.test is not None:
            hint = (
                "Capture a validation split, or choose on the test split (choose_on='test', --choose-on test): accuracy "
                "on it is then optimistic for these rules."
            )
        raise InputError(f"the run has no {choose_on} split to choose rules on.", hint=hint)
    if not split.has_logits:
        raise InputError(f"the run has no predictions on its {choose_on} split.", hint="Add logits or a head.")
    if choose_on == "val" and run.test is not None:
        shared = shared_rows(split, run.test)
        if shared > MOST_SHARED:
            raise InputError(
                f"{100 * shared:.0f}% of the validation instances are in the test split too.",
                hint="Nothing may be chosen on the test split: give other instances as val.",
            )
    notes = [f"Rules were chosen on {counted(len(split), 'instance')} of the {choose_on} split."]
    if choose_on == "test":
        notes.append("Accuracy on this test split is optimistic for these rules.")
    return split, notes


def shared_rows(first: Split, second: Split) -> float:
    """Share of the instances of `first` whose features are those of an instance of `second`."""
    if first.dim != second.dim:
        return 0.0

    def rows(split: Split) -> set[bytes]:
        features = np.ascontiguousarray(split.features, dtype=np.float32)
        return {row.tobytes() for row in features}

    others = rows(second)
    mine = np.ascontiguousarray(first.features, dtype=np.float32)
    return float(np.mean([row.tobytes() in others for row in mine]))


def centred(features: Any, centre: Any) -> Any:
    """Subtract from features what was subtracted from those of the run; as they are where nothing was, or widths differ."""
    if features is None or centre is None or np.ndim(features) != 2 or np.shape(features)[1] != len(centre):
        return features
    middle = np.asarray(centre, dtype=np.float64)
    if isinstance(features, np.memmap):
        return row_by_row(
            features, lambda rows: np.asarray(rows, np.float64) - middle, np.float64, "centred features need"
        )
    return np.asarray(features, dtype=np.float64) - middle
