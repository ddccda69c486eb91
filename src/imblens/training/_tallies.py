"""What is counted while an epoch runs, and the figure per class that it comes to."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Tally(Protocol):
    """Sees the answers of an epoch, batch by batch.

    Attributes:
        figure: what `figures` gives, as a word in column names; its mean over classes is `mean`.
        mean: the column of that mean.
    """

    figure: ClassVar[str]
    mean: ClassVar[str]

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take in a batch: logits (B, C), labels (B,) or (B, C)."""
        ...

    def figures(self) -> NDArray[np.float64]:
        """Return (C,), NaN where nothing can be said."""
        ...


class Recalls:
    """The share of each class that is answered right."""

    figure: ClassVar[str] = "accuracy"
    mean: ClassVar[str] = "balanced_accuracy"

    def __init__(self, n_classes: int) -> None:
        """Start with nothing seen."""
        self.n_classes = n_classes
        self._confusion: Tensor | None = None

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the largest logit of each instance as its answer."""
        places = labels * self.n_classes + logits.argmax(dim=1)
        seen = torch.bincount(places, minlength=self.n_classes**2)
        self._confusion = seen if self._confusion is None else self._confusion + seen

    def figures(self) -> NDArray[np.float64]:
        """Return (C,) recalls; NaN for a class that was not seen."""
        if self._confusion is None:
            return np.full(self.n_classes, np.nan)
        confusion = self._confusion.cpu().numpy().reshape(self.n_classes, self.n_classes)
        seen = confusion.sum(axis=1)
        return np.where(seen > 0, np.diagonal(confusion) / np.maximum(seen, 1), np.nan)


class Aurocs:
    """For each label, the probability that an instance that has it gets a larger logit than one that has not."""

    figure: ClassVar[str] = "auroc"
    mean: ClassVar[str] = "auroc"

    def __init__(self, n_classes: int) -> None:
        """Start with nothing seen."""
        self.n_classes = n_classes
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Keep the answers."""
        self._logits.append(logits.float())
        self._labels.append(labels)

    def figures(self) -> NDArray[np.float64]:
        """Return (C,); NaN for a label without known yeses or without known noes, and where a logit is not finite."""
        from sklearn.metrics import roc_auc_score

        found = np.full(self.n_classes, np.nan)
        if not self._logits:
            return found
        logits, labels = torch.cat(self._logits).cpu().numpy(), torch.cat(self._labels).cpu().numpy()
        for c in range(self.n_classes):
            known = labels[:, c] >= 0
            answers, scores = labels[known, c], logits[known, c]
            if len(np.unique(answers)) == 2 and np.isfinite(scores).all():
                found[c] = roc_auc_score(answers, scores)
        return found
