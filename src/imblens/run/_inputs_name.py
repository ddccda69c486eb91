"""What the instances of a run are called in advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imblens.run._run import Run

NAMES = {"image": "images", "text": "texts", "waveform": "recordings", "values": "rows"}  # by kind of preview


def inputs_name(run: Run) -> str:
    """Return "images", "texts", "recordings" or "rows", from what the run keeps of its instances; else "instances".

    Example:
        >>> import numpy as np
        >>> from imblens.run import Run
        >>> inputs_name(Run.from_arrays(train=(np.eye(2), [0, 1])))
        'instances'
    """
    kind = run.train.preview_kind
    if kind is None and "band_count" in run.train.columns:  # images, without thumbnails
        kind = "image"
    if kind is None and (run.meta.get("value_names") or run.meta.get("feature_names")):
        kind = "values"
    return NAMES.get(kind or "", "instances")
