"""Regions of a class that training covers less than the held-out split, and clusters of a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imblens.base.threads import at_once
from imblens.errors import NotApplicable
from imblens.lenses.diagnosis.scores import held_out, in_canonical_order
from imblens.run import Run, Split, nearest

Rows = NDArray[np.int64]

NEIGHBOURS, ALONE = 15, 2  # among 15 neighbours from equally many of both splits, 2 or fewer are training instances
MOST, FEWEST = 1000, 50  # instances of a class and split
AROUND = 10  # held-out neighbours that decide whether a place lies in the region of those that lie alone
# share of them, and density of training below which it is absent; the first counts that would hold three instances if thin
DEPTHS = ((0.75, 0.03), (0.5, 0.055))
THIN, EXPECTED = 0.1, 3
MOST_COUNTED = 20_000  # training instances of a class that are counted in a region
CLUSTERS, LINKS = (2, 3, 4, 6, 9), 10
FEWER_CLUSTERS, MANY = (3, 6), 50  # numbers of clusters that are tried where more than 50 classes are searched
MOST_CLUSTERED, FEWEST_CLUSTERED = 800, 60
SMALLEST, LARGEST = 0.02, 0.35  # share of the training instances of a class in a cluster that is called rare
DIMENSIONS = 64
FEWEST_GROUPS = 3  # of instances in a region, where groups are known: one patient who lies apart is not one


@dataclass(frozen=True)
class Region:
    """A part of a class.

    Attributes:
        share: of the held-out instances of the class (of its training instances, where there are none).
        trained: share of its training instances; in a region of `uncovered`, an estimate.
        accuracy, elsewhere: of the held-out instances in the region and of the others; NaN where unknown.
        absent: whether training has practically none of it.
        thin: whether training has some of it, and enough was to be expected for that to be judged.
        cut: links between the cluster and the rest of the class, over those that chance would give; NaN for a region.
    """

    share: float
    trained: float
    accuracy: float
    elsewhere: float
    absent: bool = False
    thin: bool = False
    cut: float = np.nan

    @property
    def harm(self) -> float:
        """Accuracy that instances in the region lack; 0 where unknown."""
        return float(np.nan_to_num(self.elsewhere - self.accuracy))


def uncovered(run: Run) -> dict[int, Region]:
    """Return, for each class with enough instances, the held-out instances that have hardly a training instance nearby.

    As many training as held-out instances of the class are drawn. A held-out instance lies alone where at most two of its
    fifteen nearest others are training instances: if both splits have one distribution, 0.4% do. Training instances are
    counted in the region by their ten nearest held-out instances, deep in it where it is large enough. Where groups are
    known, instances of fewer than three groups are not one.

    Raises:
        NotApplicable: no held-out split.
    """
    return run.remember("uncovered regions", lambda: _uncovered(run))


def _uncovered(run: Run) -> dict[int, Region]:
    split = held_out(run)
    correct = np.asarray(split.correct) if split.has_logits else None
    found = {}
    trained, tested = run.train.class_counts, split.class_counts
    for label in np.flatnonzero(np.minimum(trained, tested) >= FEWEST).tolist():
        rows = in_canonical_order(split, min(trained[label], MOST), label)
        own = in_canonical_order(run.train, MOST_COUNTED, label)
        found[label] = lone_region(run.train, own, split, rows, correct)
    return found


def lone_region(train: Split, own: Rows, split: Split, rows: Rows, correct: NDArray[np.bool_] | None) -> Region:
    """Return the held-out instances that have hardly a training instance nearby; see `uncovered`.

    Args:
        train, own: training instances, as rows in an order that does not depend on that of the split; as many as there
            are held-out ones are searched for neighbours, all are counted.
        split, rows: held-out instances.
        correct: whether each instance of the held-out split is classified correctly; None where unknown.
    """
    n = int(min(len(own), len(rows)))
    rows = rows[:n]
    near = np.asarray(train.features[own], dtype=np.float64)
    test = np.asarray(split.features[rows], dtype=np.float64)
    others = others_of(nearest(np.concatenate([test, near[:n]]), test, NEIGHBOURS + 1)[0], NEIGHBOURS)
    alone = (others >= n).sum(axis=1) <= ALONE
    alone &= of_several_groups(split, rows[alone])
    share = float(alone.mean())
    density, absent = _density(alone, test, near)
    thin = not absent and THIN * share * len(own) >= EXPECTED
    return Region(share, density * share, *_accuracies(correct, rows, alone), absent, thin)


def _density(alone: NDArray[np.bool_], test: NDArray[np.float64], near: NDArray[np.float64]) -> tuple[float, bool]:
    """Return the density of training instances in a region relative to held-out ones, and whether that is next to none."""
    if not alone.any():
        return 1.0, False
    k = min(AROUND, len(test) - 1)
    of_test = alone[others_of(nearest(test, test, k + 1)[0], k)].mean(axis=1)
    of_train = alone[nearest(test, near, k)[0]].mean(axis=1)
    for depth, limit in DEPTHS:
        inside = of_test >= depth
        if inside.any() and (depth == DEPTHS[-1][0] or THIN * inside.mean() * len(near) >= EXPECTED):
            density = float((of_train >= depth).mean() / inside.mean())
            return density, density < limit
    return 1.0, False


def of_several_groups(split: Split, rows: NDArray[np.int64]) -> bool:
    """Whether instances are of at least three groups, where groups are known."""
    return split.groups is None or len(np.unique(split.groups[rows])) >= FEWEST_GROUPS


def others_of(indices: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """(n, k) the nearest others of the first n points, from their k + 1 nearest, among which each finds itself."""
    is_self = indices == np.arange(len(indices))[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    return indices[~is_self].reshape(len(indices), k)


def _accuracies(
    correct: NDArray[np.bool_] | None, rows: NDArray[np.int64], inside: NDArray[np.bool_]
) -> tuple[float, float]:
    if correct is None or not inside.any() or inside.all():
        return np.nan, np.nan
    return float(correct[rows[inside]].mean()), float(correct[rows[~inside]].mean())


def clusters(run: Run) -> dict[int, Region]:
    """Return the rare cluster of each class that is best separated from the rest of the class.

    k-means with 2, 3, 4, 6 and 9 centres (3 and 6 with more than 50 classes). A cluster is judged by the links to its ten
    nearest neighbours that leave it, over those that would leave a random set of its size: about 0.2 for a part of one dense
    cloud, near 0 for a separate cloud.
    Held-out instances belong to the cluster of most of their five nearest training instances. A cluster that they hardly
    enter, with a third of its share in training or less, is not a sub-concept; nor is one of fewer than three groups, where
    groups are known.
    """
    return run.remember("clusters of classes", lambda: _clusters(run))


def _clusters(run: Run) -> dict[int, Region]:
    try:
        split = held_out(run)
    except NotApplicable:
        split = None
    searched = np.flatnonzero(run.train.class_counts >= FEWEST_CLUSTERED).tolist()
    numbers = CLUSTERS if len(searched) <= MANY else FEWER_CLUSTERS
    correct = np.asarray(split.correct) if split is not None and split.has_logits else None
    for one in (run.train, split):
        if one is not None and searched:
            in_canonical_order(one, 1, searched[0])  # remembers the order

    def best_of(label: int) -> Region | None:
        trained = in_canonical_order(run.train, MOST_CLUSTERED, label)
        own = np.asarray(run.train.features[trained], dtype=np.float64)
        rows = np.empty(0, np.int64) if split is None else in_canonical_order(split, MOST, label)
        test = None if not len(rows) or split is None else np.asarray(split.features[rows], dtype=np.float64)
        best = None
        tested = None if test is None else nearest(own, test, 5)[0]
        for inside, cut in _candidates(own, numbers):
            if not of_several_groups(run.train, trained[inside]):
                continue
            region = Region(float(inside.mean()), float(inside.mean()), np.nan, np.nan, cut=cut)
            if tested is not None:
                entered = inside[tested].mean(axis=1) > 0.5
                if entered.mean() <= inside.mean() / 3:
                    continue
                region = Region(
                    float(entered.mean()), float(inside.mean()), *_accuracies(correct, rows, entered), cut=cut
                )
            if best is None or cut < best.cut:
                best = region
        return best

    found = zip(searched, at_once(best_of, searched), strict=True)
    return {label: region for label, region in found if region is not None}


def _candidates(own: NDArray[np.float64], numbers: tuple[int, ...]) -> list[tuple[NDArray[np.bool_], float]]:
    """Return the rare clusters of a class with their cuts."""
    from sklearn.cluster import KMeans

    centred = own - own.mean(axis=0)
    if not centred.any():
        return []
    if centred.shape[1] > DIMENSIONS:
        centred = centred @ np.linalg.svd(centred, full_matrices=False)[2][:DIMENSIONS].T
    links = others_of(nearest(centred, centred, LINKS + 1)[0], LINKS)
    found = []
    distinct = len(np.unique(centred, axis=0))
    for n_clusters in numbers:
        if n_clusters >= distinct:
            break
        of = KMeans(n_clusters, n_init=2, random_state=0).fit_predict(centred)
        for cluster in range(n_clusters):
            inside = of == cluster
            share = float(inside.mean())
            if not SMALLEST <= share <= LARGEST or inside.sum() < 5:
                continue
            leaving = (~inside[links[inside]]).mean() / (1 - share)
            entering = inside[links[~inside]].mean() / share
            found.append((inside, float(leaving + entering) / 2))
    return found
