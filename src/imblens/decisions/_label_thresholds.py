"""A threshold for each label of a multi-label run, chosen on held-out instances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.operating_point import MEASURES, best_threshold
from imblens.base.wording import FEW, listed
from imblens.decisions._calibration import Calibration
from imblens.errors import InputError
from imblens.run import Split, class_groups

NAMES = {"f1": "F1", "balanced": "mean of sensitivity and specificity"}


def label_thresholds(
    calibration: Calibration, split: Split, classes: tuple[str, ...], measure: str
) -> tuple[NDArray[np.float64], list[str]]:
    """(C,) thresholds of calibrated probabilities with the largest measure, NaN without a positive; and notes.

    Raises:
        InputError: an unknown measure, or a single-label run.
    """
    if measure not in MEASURES:
        raise InputError(f"thresholds {measure!r} are not known.", hint=f"One of: {', '.join(MEASURES)}.")
    if not split.multilabel:
        raise InputError(
            "a threshold for each label is for multi-label runs; this one is single-label.",
            hint="State min_recall of the classes that matter, or costs.",
        )
    found = np.full(len(classes), np.nan)
    for column in range(len(classes)):
        known = split.known[:, column]
        p = np.asarray(split.logit_columns(slice(column, column + 1))[:, 0], dtype=np.float64)[known]
        p = 1 / (1 + np.exp(-(p / calibration.temperature + calibration.bias[column])))
        found[column] = best_threshold(split.labels[known, column].astype(bool), p, measure)
    notes = [f"Each label has the threshold of the largest {NAMES[measure]} on the {split.name} split."]
    few = [name for name, n in zip(classes, class_groups(split), strict=True) if n < FEW]
    if few:
        groups = "" if split.groups is None else " or groups of them"
        notes.append(
            f"Fewer than {FEW} positives{groups} chose the threshold of {listed(few, 5)}: another sample may give quite "
            "another."
        )
    return found, notes
