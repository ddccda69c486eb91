"""Which study of planted causes: in drawn shapes, images, or stored features of single-label or multi-label networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imblens.errors import InputError
from imblens.run import Run
from imblens.studies import _planted, _planted_arrays, _planted_images, _planted_labels


def planting(arrays: Sequence[str | Path], data: Mapping[str, str]) -> Any:
    """Return the module with the jobs, tables and text of the study.

    Raises:
        InputError: two networks have one name, or some are single-label and some multi-label.
    """
    if not arrays:
        return _planted_images if data else _planted
    several = [Run.load(path).task == "multilabel" for path in _planted_arrays.absolute(arrays)]
    if any(several) and not all(several):
        raise InputError(
            "single-label and multi-label features cannot be combined.", hint="Run two studies, one with each."
        )
    return _planted_labels if any(several) else _planted_arrays
