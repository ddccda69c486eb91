"""Causes planted in features; what is planted and where is decided by a random state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from imblens.errors import NotApplicable
from imblens.run import Run
from imblens.treatments import train_head

Rows = NDArray[np.int64]
LARGE, TESTED = 200, 40  # training and test instances that a class needs for a plant
GROUPS = 4  # parts that a class is cut into; one of them is thinned or removed
THINNED = 0.1  # share of a part that is left where it becomes a rare sub-concept
RARE = {"merged": (0.05, None), "merged alike": (0.1, 0.1)}  # share of the rare class in training and test
FEW, FEWEST = 0.01, 10  # share of the largest class's instances that are left of a class, and least
NEAR = 0.1  # standard deviations between an instance and its near duplicate


@dataclass(frozen=True)
class Arrays:
    """Features and labels of a training and a test split, without a head: planting changes them.

    Attributes:
        train, test: (N, D) features.
        train_labels, test_labels: (N,).
        classes: names.
        index, test_index: (N,) which instances of a set these are; None where nothing else is kept of them.
        free: names of the classes that may be changed; None: all.
    """

    train: NDArray[np.float32]
    train_labels: Rows
    test: NDArray[np.float32]
    test_labels: Rows
    classes: tuple[str, ...]
    index: Rows | None = None
    test_index: Rows | None = None
    free: tuple[str, ...] | None = None

    @classmethod
    def of(cls, run: Run) -> Arrays:
        """Copy those of a run.

        Raises:
            NotApplicable: a multi-label run, or one without a test split.
        """
        if run.task == "multilabel" or run.test is None:
            raise NotApplicable("causes are planted in single-label arrays with a test split.")
        train, test = run.train, run.test
        return cls(
            np.array(train.features), train.labels.copy(), np.array(test.features), test.labels.copy(), run.classes
        )

    def rows(self, label: int) -> Rows:
        """Training rows of a class."""
        return np.flatnonzero(self.train_labels == label)

    def test_rows(self, label: int) -> Rows:
        """Test rows of a class."""
        return np.flatnonzero(self.test_labels == label)

    def without(self, rows: Rows, test_rows: Rows | None = None) -> Arrays:
        """Leave rows out."""
        test_rows = np.empty(0, np.int64) if test_rows is None else test_rows
        train, train_labels = np.delete(self.train, rows, axis=0), np.delete(self.train_labels, rows)
        test, test_labels = np.delete(self.test, test_rows, axis=0), np.delete(self.test_labels, test_rows)
        kept = replace(self, train=train, train_labels=train_labels, test=test, test_labels=test_labels)
        if self.index is None or self.test_index is None:
            return kept
        return replace(kept, index=np.delete(self.index, rows), test_index=np.delete(self.test_index, test_rows))

    @property
    def free_classes(self) -> Rows:
        """Labels of the classes that may be changed and have training instances."""
        used = np.unique(self.train_labels)
        return used if self.free is None else used[[self.classes[label] in self.free for label in used]]

    def named(self) -> Arrays:
        """Leave out the names of classes without any instance."""
        used = np.union1d(self.train_labels, self.test_labels)
        place = np.full(len(self.classes), -1)
        place[used] = np.arange(len(used))
        names = tuple(self.classes[label] for label in used)
        return replace(self, train_labels=place[self.train_labels], test_labels=place[self.test_labels], classes=names)

    def fitted(self, seed: int) -> Run:
        """Return a run with a head trained on these features and labels, as `crt` trains one, but on every row once."""
        head = train_head(self.train, self.train_labels, len(self.classes), seed=seed)
        run = Run.from_arrays(
            train=(self.train, self.train_labels),
            test=(self.test, self.test_labels),
            head=(head.weight, head.bias),
            classes=self.classes,
        )
        return run.with_head(head)


@dataclass(frozen=True)
class Plant:
    """Arrays with a planted cause.

    Attributes:
        arrays: the changed ones.
        cured: the arrays that the diagnosed class would have without it; the test instances are the same.
        planted: names of the classes that have the cause.
        touched: names of other classes that the planting changed too much to count as unplanted.
    """

    arrays: Arrays
    cured: Arrays
    planted: tuple[str, ...]
    touched: tuple[str, ...] = ()


def _noise(share: float, *, one: bool) -> Callable[[Arrays, np.random.Generator], Plant]:
    """Give instances of one other class, or of all, the name of a class: `share` of its instances are then mislabelled."""

    def plant(arrays: Arrays, rng: np.random.Generator) -> Plant:
        counts = np.bincount(arrays.train_labels, minlength=len(arrays.classes))
        wanted = np.maximum(1, np.rint(share / (1 - share) * counts)).astype(np.int64)
        sources = counts[None, :] >= 4 * wanted[:, None]  # of class by row, the classes that have enough
        np.fill_diagonal(sources, False)
        sources &= np.isin(np.arange(len(counts)), arrays.free_classes)
        enough = np.intersect1d(large(arrays), np.flatnonzero(sources.any(axis=1)))
        label = int(rng.choice(_some(enough, "a class, and another one four times as large as its wrong labels")))
        source = int(rng.choice(np.flatnonzero(sources[label])))
        pool = arrays.rows(source) if one else np.flatnonzero(arrays.train_labels != label)
        labels = arrays.train_labels.copy()
        labels[rng.choice(pool, wanted[label], replace=False)] = label
        touched = (arrays.classes[source],) if one else ()
        return Plant(replace(arrays, train_labels=labels), arrays, (arrays.classes[label],), touched)

    return plant


def _merged(kind: str) -> Callable[[Arrays, np.random.Generator], Plant]:
    """Merge two classes under the name of one; the other is thinned to a small share, in training or in both splits."""

    def plant(arrays: Arrays, rng: np.random.Generator) -> Plant:
        share, tested = RARE[kind]
        label, other = _two(arrays, rng)
        n, n_test = len(arrays.rows(label)), len(arrays.test_rows(label))
        gone = _beyond(arrays.rows(other), share, n, rng)
        test_gone = None if tested is None else _beyond(arrays.test_rows(other), tested, n_test, rng)
        kept = _as_one(arrays.without(gone, test_gone), label, other)
        return Plant(kept, _as_one(arrays.without(gone[:0], test_gone), label, other), (arrays.classes[label],))

    return plant


def _two(arrays: Arrays, rng: np.random.Generator) -> tuple[int, int]:
    """Two classes to merge, a large one first."""
    if len(arrays.classes) < 3 or len(arrays.free_classes) < 2:
        raise NotApplicable("two classes are merged, and a third is needed.")
    label = int(rng.choice(_some(large(arrays), "a class")))
    return label, int(rng.choice(np.setdiff1d(arrays.free_classes, [label])))


def _as_one(arrays: Arrays, label: int, other: int) -> Arrays:
    """Give a class the name of another."""
    train_labels, test_labels = arrays.train_labels.copy(), arrays.test_labels.copy()
    train_labels[train_labels == other] = label
    test_labels[test_labels == other] = label
    return replace(arrays, train_labels=train_labels, test_labels=test_labels).named()


def _beyond(rows: Rows, share: float, n: int, rng: np.random.Generator) -> Rows:
    """Rows beyond those that are `share` of the union with `n` others."""
    return rng.permutation(rows)[max(FEWEST, round(share / (1 - share) * n)) :]


def _thinned(left: float) -> Callable[[Arrays, np.random.Generator], Plant]:
    """Leave a share of one part of a class in training; the test split keeps all of it."""

    def plant(arrays: Arrays, rng: np.random.Generator) -> Plant:
        label = int(rng.choice(_some(large(arrays), "a class")))
        own = arrays.rows(label)
        inside = rng.permutation(own[part_of(arrays.train[own], rng)])
        kept = arrays.without(inside[round(left * len(inside)) :])
        return Plant(kept, arrays, (arrays.classes[label],))

    return plant


def part_of(own: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which of (n, D) features lie in one of their parts: a cluster, or an end of a principal axis, by chance."""
    from sklearn.cluster import KMeans

    own = np.asarray(own, dtype=np.float64)
    if rng.random() < 0.5:
        found = KMeans(GROUPS, n_init=4, random_state=int(rng.integers(2**31))).fit_predict(own)
        sizes = np.bincount(found, minlength=GROUPS)
        return np.asarray(found == rng.choice(np.flatnonzero(sizes >= 0.1 * len(own))))
    centred = own - own.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:GROUPS]
    values = centred @ axes[rng.integers(len(axes))] * rng.choice([-1, 1])
    return np.asarray(values >= np.quantile(values, 1 - 1 / GROUPS))


def _group_absent(arrays: Arrays, rng: np.random.Generator) -> Plant:
    """Merge two classes in the test split; the training split has instances of one of them only."""
    label, other = _two(arrays, rng)
    absent = _as_one(arrays.without(arrays.rows(other)), label, other)
    return Plant(absent, _as_one(arrays, label, other), (arrays.classes[label],))


def _split_names(arrays: Arrays, rng: np.random.Generator) -> Plant:
    """Split a class at random into two of equal size."""
    label = int(rng.choice(_some(large(arrays), "a class")))
    train_labels, test_labels = arrays.train_labels.copy(), arrays.test_labels.copy()
    for labels, rows in ((train_labels, arrays.rows(label)), (test_labels, arrays.test_rows(label))):
        labels[rng.permutation(rows)[: len(rows) // 2]] = len(arrays.classes)
    new = f"{arrays.classes[label]} (2)"
    changed = replace(arrays, train_labels=train_labels, test_labels=test_labels, classes=(*arrays.classes, new))
    return Plant(changed, arrays, (arrays.classes[label], new))


def _duplicates(arrays: Arrays, rng: np.random.Generator) -> Plant:
    """Repeat half of a class's instances, a little changed, under another name."""
    label = int(rng.choice(_some(large(arrays), "a class")))
    spread = NEAR * arrays.train[arrays.rows(label)].std(axis=0)

    def repeated(
        features: NDArray[np.float32], labels: Rows, rows: Rows, which: Rows | None
    ) -> tuple[NDArray[np.float32], Rows, Rows | None]:
        own = rng.permutation(rows)[: len(rows) // 2]
        new = features[own] + rng.normal(size=(len(own), features.shape[1])) * spread
        added = np.concatenate([labels, np.full(len(own), len(arrays.classes))])
        again = None if which is None else np.concatenate([which, which[own]])
        return np.concatenate([features, new.astype(np.float32)]), added, again

    train, train_labels, index = repeated(arrays.train, arrays.train_labels, arrays.rows(label), arrays.index)
    test, test_labels, test_index = repeated(
        arrays.test, arrays.test_labels, arrays.test_rows(label), arrays.test_index
    )
    new = f"{arrays.classes[label]} (2)"
    changed = Arrays(train, train_labels, test, test_labels, (*arrays.classes, new), index, test_index, arrays.free)
    one = _as_one(changed, label, len(arrays.classes))
    return Plant(changed, one, (arrays.classes[label], new))


def _few(arrays: Arrays, rng: np.random.Generator) -> Plant:
    """Leave few instances of a class, 1% of the largest one's."""
    label = int(rng.choice(_some(large(arrays), "a class")))
    counts = np.bincount(arrays.train_labels)
    counts[label] = 0
    left = max(FEWEST, round(FEW * int(counts.max())))
    kept = arrays.without(rng.permutation(arrays.rows(label))[left:])
    return Plant(kept, arrays, (arrays.classes[label],))


def _nothing(arrays: Arrays, rng: np.random.Generator) -> Plant:
    """Change nothing."""
    del rng
    return Plant(arrays, arrays, ())


def large(arrays: Arrays) -> Rows:
    """Classes that a plant shows in."""
    counts, tested = (
        np.bincount(labels, minlength=len(arrays.classes)) for labels in (arrays.train_labels, arrays.test_labels)
    )
    return np.intersect1d(np.flatnonzero((counts >= LARGE) & (tested >= TESTED)), arrays.free_classes)


def _some(labels: Rows, what: str) -> Rows:
    if not len(labels):
        raise NotApplicable(f"{what} with {LARGE} training and {TESTED} test instances is needed.")
    return labels


# plant -> (cause as the diagnosis calls it, what changes the arrays)
PLANTS: dict[str, tuple[str, Callable[[Arrays, np.random.Generator], Plant]]] = {
    **{
        f"{percent}% from {'one' if one else 'all'}": ("label_noise", _noise(percent / 100, one=one))
        for one in (True, False)
        for percent in (2, 5, 10)
    },
    **{kind: ("sub_concepts", _merged(kind)) for kind in RARE},
    "part thinned": ("sub_concepts", _thinned(THINNED)),
    "split": ("overlap", _split_names),
    "near duplicates": ("overlap", _duplicates),
    "part absent": ("uncovered_range", _thinned(0.0)),
    "group absent": ("uncovered_range", _group_absent),
    "few": ("few_examples", _few),
    "nothing": ("", _nothing),
}


def planted_in(arrays: Arrays, plant: str, seed: int, network: str = "") -> Plant:
    """Plant a cause.

    Args:
        arrays: as stored.
        plant: one of `PLANTS`.
        seed, network: decide, together with the plant, the classes and instances.

    Raises:
        NotApplicable: no class is large enough.
    """
    rng = np.random.default_rng([seed, list(PLANTS).index(plant), crc32(network.encode())])
    return PLANTS[plant][1](arrays, rng)
