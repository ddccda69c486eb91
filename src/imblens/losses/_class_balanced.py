"""Losses weighted by the effective number of instances."""

from __future__ import annotations

from collections.abc import Sequence

from imblens.losses._base import effective_number_weights
from imblens.losses._cross_entropy import CrossEntropy
from imblens.losses._focal import Focal


def class_balanced_ce(class_counts: Sequence[int], beta: float = 0.9999) -> CrossEntropy:
    """Cross-entropy where a class of n instances weighs (1 - beta) / (1 - beta^n); beta = 0 is cross-entropy.

    Args:
        class_counts: (C,) training instances of each class.
        beta: from 0 to below 1.

    References:
        Cui et al. 2019, Class-Balanced Loss Based on Effective Number of Samples, eq. 9; how the weights are scaled
        differs, see `effective_number_weights`.
    """
    return CrossEntropy(class_counts, effective_number_weights(class_counts, beta))


def class_balanced_focal(class_counts: Sequence[int], beta: float = 0.9999, gamma: float = 2.0) -> Focal:
    """Focal loss where a class of n instances weighs (1 - beta) / (1 - beta^n); beta = gamma = 0 is cross-entropy.

    Args:
        class_counts: (C,) training instances of each class.
        beta: from 0 to below 1.
        gamma: of the focal loss, 0 or more.

    References:
        Cui et al. 2019, eq. 13. They sum sigmoid terms over the classes; here the softmax is used, as in `focal`.
    """
    return Focal(class_counts, gamma, effective_number_weights(class_counts, beta))
