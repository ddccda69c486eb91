"""The number of wrong labels among the training instances of each class, judged by test instances with correct labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.intervals import independent_change
from imblens.lenses.diagnosis.label_noise import WrongValues, wrong_values
from imblens.lenses.diagnosis.noise import label_noise
from imblens.run import Run, Split

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LEARNED = 0.05  # accuracy on training instances above that on test instances, from which the network has learned labels


def wrong_labels(run: Run) -> tuple[Floats, Floats, Floats]:
    """Estimate the number of wrong labels among the training instances of each class, with its 95% interval.

    The share is that of the diagnosis (see `label_noise`): training instances that look like another class more often than test
    instances of the class do.

    In multi-label runs the numbers of wrong positives and of wrong negatives of a label are added up (see `wrong_values`), and
    so are the ends of their intervals.

    Returns:
        Estimates and both ends, each (C,). NaN without a test split, and with fewer than 50 training or 30 test instances of
        the class (with each value, of a label; of ten groups, where known). Upper ends are also NaN if `has_learned`: there
        may be any number more.
    """
    numbers = np.full((3, run.n_classes), np.nan)
    if run.test is not None and run.task == "multilabel":
        for label, values in wrong_values(run).items():
            if len(values) == 2:
                numbers[:, label] = np.sum([_number(run.train, label, one) for one in values], axis=0)
    elif run.test is not None:
        for label, found in label_noise(run).items():
            numbers[:, label] = np.array([found.share, found.low, found.high]) * run.train.class_counts[label]
    if has_learned(run):
        numbers[2] = np.nan
    estimated, low, high = numbers
    return estimated, low, high


def _number(train: Split, label: int, value: WrongValues) -> Floats:
    """(3,) number of wrong values among the training instances with a value, and the ends of its interval."""
    with_value = (train.labels[:, label].astype(bool) == value.present) & train.known[:, label]
    return np.array([value.share, value.low, value.high]) * np.count_nonzero(with_value)


def estimate_notes(run: Run) -> list[str]:
    """That the number is not estimated, or a lower limit."""
    if run.test is None:
        return ["The number of wrong labels is not estimated: it is a comparison with test instances."]
    if has_learned(run):
        return [
            "Estimated numbers of wrong labels are lower limits: the network is more accurate on its training instances than "
            "on test instances, so it may have learned wrong labels, and these are not seen."
        ]
    return []


def has_learned(run: Run) -> bool:
    """Whether the network's accuracy on training instances exceeds that on test instances by more than 5 points.

    The mean over classes, each with its share of the training instances (of labels: sensitivity at 0.5, by their positives), by
    the lower end of its 95% interval. Such a network may have learned wrong labels as well: instances then look like the class
    of their label.
    """
    test = run.test
    if test is None or not (run.train.has_logits and test.has_logits):
        return False
    counts, tested = run.train.class_counts, test.class_counts
    correct, correct_tested = (_correct(split) for split in (run.train, test))
    both = (counts > 0) & (tested > 0)
    if not both.any():
        return False
    weight = counts[both] / counts[both].sum()
    change = (divide(correct, counts) - divide(correct_tested, tested))[both]
    low = independent_change(correct, counts, correct_tested, tested)[0][both]
    return float(change @ weight - np.sqrt((((change - low) * weight) ** 2).sum())) > LEARNED


def _correct(split: Split) -> Counts:
    """(C,) correct instances of each class; of labels, positives that are predicted."""
    if split.multilabel:
        return np.asarray((split.membership & split.known & np.asarray(split.correct)).sum(axis=0), dtype=np.int64)
    return np.bincount(split.labels[np.asarray(split.correct)], minlength=split.n_classes).astype(np.int64)
