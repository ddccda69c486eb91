"""Statistics over instances that can be computed in pieces: update with batches, merge, finish.

One code path serves arrays in memory, files larger than memory and parts captured by many workers: every part gets a
statistic of its own, and the parts are merged. `merge` is associative and, but for
`Predictions`, which keeps the order of instances, commutative (floats to rounding).

Class membership is a sparse (C, b) matrix, so that the same sums serve single-label and multi-label runs: in a
multi-label run an instance belongs to every class it is positive for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from imblens.base.memory import cores

Floats = NDArray[np.floating[Any]]
Result = TypeVar("Result")
PIECE = 2**20  # values that one thread sorts at a time
GROUPED = 8  # columns of which only the largest value is compared at first, where there are many columns


@dataclass(frozen=True)
class Batch:
    """Consecutive instances of one split, as statistics see them.

    Attributes:
        start: position of the first instance in the split.
        features: (b, D) float32.
        labels: (b,) int64, or (b, C) uint8 multi-hot.
        logits: (b, C) float32, or None where neither logits nor a head are known.
        n_classes: C.
    """

    start: int
    features: Floats
    labels: NDArray[Any]
    logits: Floats | None
    n_classes: int

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def membership(self) -> Any:
        """(C, b) sparse float64 matrix, 1 where the instance belongs to the class."""
        from scipy.sparse import csr_array

        if self.labels.ndim == 2:
            return csr_array(self.labels.T.astype(np.float64))
        ones = np.ones(len(self))
        columns = np.arange(len(self))
        return csr_array((ones, (self.labels, columns)), shape=(self.n_classes, len(self)))

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """(b,) class of the largest logit; the first of equal ones."""
        if self.logits is None:
            raise ValueError("this batch has no logits")
        return np.asarray(self.logits).argmax(axis=1).astype(np.int64)


class Statistic(ABC, Generic[Result]):
    """A quantity computed from batches of instances.

    `needs_logits` states whether batches need logits, `sums` which attributes add up over instances: then `merge` need not
    be written. `update` receives every instance once.
    """

    needs_logits: bool = False
    sums: tuple[str, ...] = ()

    @abstractmethod
    def update(self, batch: Batch) -> None:
        """Add a batch."""

    def merge(self, other: Self) -> Self:
        """Add the instances of `other`; return self."""
        if not self.sums:
            raise NotImplementedError(f"{type(self).__name__} states no sums, and has no merge of its own.")
        for name in self.sums:
            mine = getattr(self, name)
            mine += getattr(other, name)
            setattr(self, name, mine)
        return self

    @abstractmethod
    def finish(self) -> Result:
        """Return the result; the statistic stays usable."""


@dataclass(frozen=True)
class Moments:
    """Count (C,), mean (C, D) and population variance (C, D); NaN for a class without instances."""

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


class ClassMoments(Statistic[Moments]):
    """Per-class count, mean and variance of the features, merged with Chan's pairwise update."""

    def __init__(self, n_classes: int, dim: int) -> None:
        self._count = np.zeros(n_classes)
        self._mean = np.zeros((n_classes, dim))
        self._squares = np.zeros((n_classes, dim))  # sum of squared deviations from the mean

    def update(self, batch: Batch) -> None:
        """Add a batch."""
        members = batch.membership
        count = np.diff(members.indptr).astype(np.float64)
        mean, squares = np.zeros_like(self._mean), np.zeros_like(self._squares)
        for label in np.flatnonzero(count):
            rows = members.indices[members.indptr[label] : members.indptr[label + 1]]
            wide = batch.features[rows].astype(np.float64)  # (n, D)
            origin = wide[0].copy()
            wide -= origin  # what is constant in a class then has exactly that mean, and variance 0
            centre = wide.mean(axis=0)
            wide -= centre
            mean[label], squares[label] = origin + centre, np.einsum("nd,nd->d", wide, wide)
        self._combine(count, mean, squares)

    def merge(self, other: Self) -> Self:
        """Add the instances of `other`; return self."""
        self._combine(other._count, other._mean, other._squares)
        return self

    def finish(self) -> Moments:
        """Return counts, means and variances."""
        count = self._count[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(count > 0, self._mean, np.nan)
            variance = np.where(count > 0, self._squares / count, np.nan)
        return Moments(self._count.astype(np.int64), mean, variance)

    def _combine(self, count: Floats, mean: Floats, squares: Floats) -> None:
        total = self._count + count
        share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)[:, None]
        step = mean - self._mean
        self._squares += squares + step**2 * (self._count[:, None] * share)
        self._mean += step * share
        self._count = total


class ClassRange(Statistic["Range"]):
    """Per-class smallest and largest value of each feature.

    Args:
        n_classes: C.
        dim: D.
        keep: "all", "correct" or "misclassified": which instances count.
    """

    def __init__(self, n_classes: int, dim: int, keep: str = "all") -> None:
        self.needs_logits = keep != "all"
        self._keep = keep
        self._low = np.full((n_classes, dim), np.inf)
        self._high = np.full((n_classes, dim), -np.inf)
        self._count = np.zeros(n_classes, dtype=np.int64)

    def update(self, batch: Batch) -> None:
        """Add a batch."""
        members = batch.membership
        for label in range(len(self._count)):
            rows = members.indices[members.indptr[label] : members.indptr[label + 1]]
            if self._keep != "all":
                correct = _predicted(batch, rows, label)
                rows = rows[correct if self._keep == "correct" else ~correct]
            if rows.size:
                values = batch.features[rows]
                np.minimum(self._low[label], values.min(axis=0), out=self._low[label])
                np.maximum(self._high[label], values.max(axis=0), out=self._high[label])
                self._count[label] += rows.size

    def merge(self, other: Self) -> Self:
        """Add the instances of `other`; return self."""
        np.minimum(self._low, other._low, out=self._low)
        np.maximum(self._high, other._high, out=self._high)
        self._count += other._count
        return self

    def finish(self) -> Range:
        """Return counts and ranges; NaN for a class without instances."""
        seen = self._count[:, None] > 0
        return Range(self._count.copy(), np.where(seen, self._low, np.nan), np.where(seen, self._high, np.nan))


@dataclass(frozen=True)
class Range:
    """Count (C,), low (C, D) and high (C, D); NaN for a class without instances."""

    count: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Predictions(Statistic[NDArray[np.int64]]):
    """Class of the largest logit of every instance, in their order: (N,); the first of equal ones."""

    needs_logits = True
    sums = ("_found",)

    def __init__(self) -> None:
        self._found: list[NDArray[np.int64]] = []

    def update(self, batch: Batch) -> None:
        """Add a batch."""
        self._found.append(batch.predictions)

    def finish(self) -> NDArray[np.int64]:
        """Return the predictions."""
        return np.concatenate(self._found)


class TopKCounts(Statistic[NDArray[np.int64]]):
    """In how many instances of each class a feature is among the instance's own k largest: (C, D) counts.

    Of equal features the one with the lower index comes first.
    """

    sums = ("_counts",)

    def __init__(self, n_classes: int, dim: int, k: int) -> None:
        self._k = min(k, dim)
        self._counts = np.zeros((n_classes, dim), dtype=np.int64)

    def update(self, batch: Batch) -> None:
        """Add a batch."""
        members = batch.membership
        n_classes, dim = self._counts.shape
        step = max(1, PIECE // dim)
        pieces = [batch.features[low : low + step] for low in range(0, len(batch), step)]
        with ThreadPoolExecutor(cores()) as pool:  # NumPy sorts and compares outside the interpreter's lock
            each = (pool.map if len(pieces) > 1 else map)(
                lambda piece: top_k_columns(np.asarray(piece), self._k), pieces
            )
            columns = np.concatenate(list(each))
        of_class = np.repeat(np.arange(n_classes), np.diff(members.indptr))
        at = of_class[:, None] * dim + columns[members.indices]
        self._counts += np.bincount(at.ravel(), minlength=n_classes * dim).reshape(n_classes, dim)

    def finish(self) -> NDArray[np.int64]:
        """Return the counts."""
        return self._counts.copy()


def top_k_mask(values: Floats, k: int) -> NDArray[np.bool_]:
    """(n, D) whether a value is among the k largest of its row; of equal values the lower column comes first.

    Example:
        >>> top_k_mask(np.array([[1.0, 3.0, 2.0, 2.0]]), 2)
        array([[False,  True,  True, False]])
    """
    least = np.partition(values, values.shape[1] - k, axis=1)[:, values.shape[1] - k, None]  # (n, 1)
    among = values >= least
    tied = np.flatnonzero(among.sum(axis=1) > k)
    if tied.size:
        above = values[tied] > least[tied]
        equal = values[tied] == least[tied]
        wanted = k - above.sum(axis=1, keepdims=True)
        among[tied] = above | (equal & (np.cumsum(equal, axis=1) <= wanted))
    return among


def top_k_columns(values: Floats, k: int) -> NDArray[np.int64]:
    """(n, k) columns of the k largest values of each row, in ascending order; of equal values the lower column comes first.

    Example:
        >>> top_k_columns(np.array([[1.0, 3.0, 2.0, 2.0]]), 2)
        array([[1, 2]])
    """
    n, dim = values.shape
    if dim % GROUPED == 0 and dim >= 5 * GROUPED * k:
        columns = _columns_by_groups(values, k)
        if columns is not None:
            return columns
    chosen = np.flatnonzero(_at_least_kth(values, k))
    if len(chosen) > n * k:  # equal values
        chosen = np.flatnonzero(top_k_mask(values, k))
    return (chosen % dim).reshape(n, k)


def _columns_by_groups(values: Floats, k: int) -> NDArray[np.int64] | None:
    """The same, of many columns without a pass that sorts them all; None where equal values leave open which are meant.

    Column j is in group j modulo D / 8. The k groups with the largest maxima hold the k largest values: each of them holds
    one that is above all values of the other groups.
    """
    n, dim = values.shape
    n_groups = dim // GROUPED
    largest = values[:, :n_groups].copy()
    for low in range(n_groups, dim, n_groups):
        np.maximum(largest, values[:, low : low + n_groups], out=largest)
    groups = np.flatnonzero(_at_least_kth(largest, k))
    if len(groups) != n * k:
        return None
    row = np.repeat(np.arange(n), k)
    group = groups - row * n_groups
    first, every = row * dim + group, np.ascontiguousarray(values).reshape(-1)
    candidates = np.empty((n, GROUPED, k), dtype=values.dtype)  # in a row, columns ascend
    for level in range(GROUPED):
        candidates[:, level] = every.take(first + level * n_groups).reshape(n, k)
    chosen = np.flatnonzero(_at_least_kth(candidates.reshape(n, -1), k))
    if len(chosen) != n * k:
        return None
    place = chosen - row * (GROUPED * k)
    level_of = place // k
    columns: NDArray[np.int64] = group[row * k + place - level_of * k] + level_of * n_groups
    return columns.reshape(n, k)


def _at_least_kth(values: Floats, k: int) -> NDArray[np.bool_]:
    """(n, D) whether a value is at least the k-th largest of its row."""
    place = values.shape[1] - k
    reached: NDArray[np.bool_] = values >= np.partition(values, place, axis=1)[:, place, None]
    return reached


def _predicted(batch: Batch, rows: NDArray[Any], label: int) -> NDArray[np.bool_]:
    """Whether `label` is predicted for those rows: it has the largest logit, or a positive one in a multi-label run."""
    if batch.labels.ndim == 2:
        assert batch.logits is not None
        return np.asarray(batch.logits)[rows, label] > 0
    predicted: NDArray[np.bool_] = batch.predictions[rows] == label
    return predicted


def confusion_summary(counts: Any) -> dict[str, float]:
    """Measures over all classes, from (C, C) counts of predictions (columns) for the instances of each class (rows).

    Counts may be sparse. Classes without instances are left out of every mean. accuracy; balanced_accuracy = macro
    sensitivity (mean recall); geometric_mean = sqrt(macro sensitivity x macro specificity); macro_f1.

    Example:
        >>> counts = np.array([[8, 2], [1, 1]])
        >>> {name: round(value, 3) for name, value in confusion_summary(counts).items()}
        {'accuracy': 0.75, 'balanced_accuracy': 0.65, 'geometric_mean': 0.65, 'macro_f1': 0.621}
    """
    total = counts.sum()
    correct = counts.diagonal().astype(np.float64)
    positives, predicted = counts.sum(axis=1), counts.sum(axis=0)
    seen = positives > 0
    recall = correct[seen] / positives[seen]
    specificity = 1 - (predicted - correct)[seen] / np.maximum(total - positives, 1)[seen]
    f1 = 2 * correct[seen] / (positives + predicted)[seen]
    return {
        "accuracy": float(correct.sum() / total),
        "balanced_accuracy": float(recall.mean()),
        "geometric_mean": float(np.sqrt(recall.mean() * specificity.mean())),
        "macro_f1": float(f1.mean()),
    }
