"""The number of wrong labels among the training instances of each class, judged by test instances with correct labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.intervals import independent_change
from imblens.lenses.diagnosis.noise import label_noise
from imblens.run import Run

Floats = NDArray[np.float64]

LEARNED = 0.05  # accuracy on training instances above that on test instances, from which the network has learned labels


def wrong_labels(run: Run) -> tuple[Floats, Floats, Floats]:
    """Estimate the number of wrong labels among the training instances of each class, with its 95% interval.

    The share is that of the diagnosis (see `label_noise`): training instances that look like another class more often than test
    instances of the class do.

    Returns:
        Estimates and both ends, each (C,). NaN without a test split, and with fewer than 50 training or 30 test instances of
        the class. Upper ends are also NaN if `has_learned`: there may be any number more.
    """
    shares = np.full((3, run.n_classes), np.nan)
    if run.test is not None:
        for label, found in label_noise(run).items():
            shares[:, label] = found.share, found.low, found.high
    if has_learned(run):
        shares[2] = np.nan
    estimated, low, high = shares * run.train.class_counts
    return estimated, low, high


def has_learned(run: Run) -> bool:
    """Whether the network's accuracy on training instances exceeds that on test instances by more than 5 points.

    The mean over classes, each with its share of the training instances, by the lower end of its 95% interval. Such a network
    may have learned wrong labels as well: instances then look like the class of their label.
    """
    test = run.test
    if test is None or not (run.train.has_logits and test.has_logits):
        return False
    counts, tested = run.train.class_counts, test.class_counts
    correct, correct_tested = (
        np.bincount(split.labels[np.asarray(split.correct)], minlength=run.n_classes) for split in (run.train, test)
    )
    both = (counts > 0) & (tested > 0)
    if not both.any():
        return False
    weight = counts[both] / counts[both].sum()
    change = (divide(correct, counts) - divide(correct_tested, tested))[both]
    low = independent_change(correct, counts, correct_tested, tested)[0][both]
    return float(change @ weight - np.sqrt((((change - low) * weight) ** 2).sum())) > LEARNED
