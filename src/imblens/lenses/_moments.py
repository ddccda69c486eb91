"""Means of features per class, which several lenses read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.run import ClassMoments, Moments, Run


def class_moments(run: Run) -> Moments:
    """Count, mean and variance of the training features of each class, computed once per run."""
    return run.train.statistic(ClassMoments, run.n_classes, run.dim)


def strongest_features(moments: Moments, top: int) -> NDArray[np.int64]:
    """(C, K) features of largest class mean, strongest first; of equal ones the lower index first."""
    order = np.argsort(-moments.mean, axis=1, kind="stable")
    return order[:, : min(top, moments.mean.shape[1])]
