"""Counts during an epoch, and the metric per class that they give."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imblens.base.arrays import divide


class Tally(Protocol):
    """Collects the predictions of an epoch, batch by batch.

    Attributes:
        metric: what `values` gives, as in column names.
        mean: the column of its mean over classes.
    """

    metric: ClassVar[str]
    mean: ClassVar[str]

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (B, C), labels (B,) or (B, C)."""

    def values(self) -> NDArray[np.float64]:
        """Return (C,), NaN where undefined."""


class Recalls:
    """Recall of each class."""

    metric: ClassVar[str] = "accuracy"
    mean: ClassVar[str] = "balanced_accuracy"

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._counts: Tensor | None = None  # (2, C): correct instances of each class, and all

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the largest logit of each instance as its prediction."""
        correct = labels[logits.argmax(dim=1) == labels]
        counts = torch.stack([torch.bincount(of, minlength=self.n_classes) for of in (correct, labels)])
        self._counts = counts if self._counts is None else self._counts + counts

    def values(self) -> NDArray[np.float64]:
        """Return (C,) recalls; NaN for a class without instances."""
        if self._counts is None:
            return np.full(self.n_classes, np.nan)
        return divide(*self._counts.cpu().numpy())


class Aurocs:
    """AUROC of each label: the probability that a positive instance gets a larger logit than a negative one."""

    metric: ClassVar[str] = "auroc"
    mean: ClassVar[str] = "auroc"

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Keep logits and labels."""
        self._logits.append(logits.float())
        self._labels.append(labels)

    def values(self) -> NDArray[np.float64]:
        """Return (C,); NaN for a label without known positives or negatives, and where a logit is not finite."""
        from sklearn.metrics import roc_auc_score

        aurocs = np.full(self.n_classes, np.nan)
        if not self._logits:
            return aurocs
        logits, labels = torch.cat(self._logits).cpu().numpy(), torch.cat(self._labels).cpu().numpy()
        for c in range(self.n_classes):
            known = labels[:, c] >= 0
            targets, scores = labels[known, c], logits[known, c]
            if len(np.unique(targets)) == 2 and np.isfinite(scores).all():
                aurocs[c] = roc_auc_score(targets, scores)
        return aurocs
