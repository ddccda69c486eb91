"""Forecasts of the classes that errors go to, from training instances alone; each (C, C), rows over the other classes.

A row sums to 1 over the other classes and is NaN on the diagonal; a row without evidence is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.run import Batch, Run, Statistic

Matrix = NDArray[np.float64]
ENOUGH_ERRORS = 10
RANDOM_ROWS = 100  # rows of random shares, whose mean KL is the paper's baseline
SMOOTHING = 0.001
# together the best on the networks of `python -m benchmarks.science.forecasts`
CLOUD_WRONG = 0.2  # share of the draws that are to be misclassified
CLOUD_WIDEST = 16.0  # beyond, draws carry no information on the class
CLOUD_PRIOR = 50
CLOUD_ERRORS = 50
CLOUD_COUNTS = 0.05
CLOUD_DRAWS = 4000
PAIRS = 0.5  # weight of what classes show of each other pair by pair
SWEEPS = 200
CLOUD_CLASSES = 200  # beyond that, covariances (C, C, C) take too much memory
CLOUD_SEED = 0


class NeighbourClasses:
    """Counts of the classes among the neighbours of each class's instances; see `neighbour_forecast`."""

    def __init__(self, counts: Any, of_errors: NDArray[np.bool_]) -> None:
        """Keep (C, C) sparse counts and which rows count errors only."""
        self.counts = counts
        self.of_errors = of_errors


def neighbour_forecast(run: Run, k: int, least_errors: int = ENOUGH_ERRORS) -> NeighbourClasses:
    """Classes of the k neighbours of the training instances that are misclassified, own class left out.

    With fewer than `least_errors` errors in a class (or without predictions) all its instances count.
    """
    from scipy.sparse import coo_array, csr_array

    labels = run.train.labels
    wrong = ~run.train.correct if run.train.has_logits else np.zeros(len(labels), bool)
    of_errors = (np.bincount(labels[wrong], minlength=run.n_classes) >= least_errors) & run.train.has_logits
    rows = np.flatnonzero(wrong | ~of_errors[labels])
    graph = run.neighbours(k)
    own, near = labels[rows], labels.take(graph.indices.take(rows, axis=0))
    shape = (run.n_classes, run.n_classes)
    if run.n_classes**2 <= near.size:
        pairs = (own[:, None] * run.n_classes + near).ravel()
        dense = np.bincount(pairs, minlength=run.n_classes**2).reshape(shape)
        np.fill_diagonal(dense, 0)
        return NeighbourClasses(csr_array(dense), of_errors)
    own, near = np.repeat(own, graph.k), near.ravel()
    others = own != near
    places = own[others], near[others]
    return NeighbourClasses(coo_array((np.ones(len(places[0]), np.int64), places), shape=shape).tocsr(), of_errors)


class LogitMoments(Statistic[tuple[NDArray[np.int64], Matrix, NDArray[np.float64]]]):
    """Count (C,), mean (C, C) and covariance (C, C, C) of the logits of each class's instances."""

    needs_logits = True
    sums = ("_count", "_sum", "_outer")

    def __init__(self, n_classes: int) -> None:
        self._count = np.zeros(n_classes, dtype=np.int64)
        self._sum = np.zeros((n_classes, n_classes))
        self._outer = np.zeros((n_classes, n_classes, n_classes))

    def update(self, batch: Batch) -> None:
        """Take in a batch."""
        assert batch.logits is not None
        logits = np.asarray(batch.logits, dtype=np.float64)
        logits = logits - logits.mean(axis=1, keepdims=True)  # what is common to all classes does not decide
        members = batch.membership
        for label in range(len(self._count)):
            rows = logits[members.indices[members.indptr[label] : members.indptr[label + 1]]]
            self._count[label] += len(rows)
            self._sum[label] += rows.sum(axis=0)
            self._outer[label] += rows.T @ rows

    def finish(self) -> tuple[NDArray[np.int64], Matrix, NDArray[np.float64]]:
        """Return counts, means and covariances; NaN for a class without instances."""
        count = np.where(self._count > 0, self._count, np.nan)
        mean = self._sum / count[:, None]
        covariance = self._outer / count[:, None, None] - mean[:, :, None] * mean[:, None, :]
        return self._count.copy(), mean, covariance


class MeanSoftmax(Statistic[Matrix]):
    """(C, C) mean softmax probability of each class (column) over the instances of a class (row); NaN without any."""

    needs_logits = True
    sums = ("_count", "_sum")

    def __init__(self, n_classes: int) -> None:
        self._count = np.zeros(n_classes)
        self._sum = np.zeros((n_classes, n_classes))

    def update(self, batch: Batch) -> None:
        """Take in a batch."""
        from scipy.special import softmax

        assert batch.logits is not None
        members = batch.membership
        self._count += np.asarray(members.sum(axis=1)).ravel()
        self._sum += members @ softmax(np.asarray(batch.logits, dtype=np.float64), axis=1)

    def finish(self) -> Matrix:
        """Return the means."""
        return self._sum / np.where(self._count > 0, self._count, np.nan)[:, None]


def cloud_forecast(run: Run) -> Matrix:
    """Predicted classes of draws from widened normal distributions around each class's training logits.

    A class's cloud is a normal distribution with the mean and covariance of its logits, the covariance shrunk towards the
    one pooled over classes as if 50 further instances had been seen there. It is widened until a fifth of its draws are
    misclassified, to represent unseen instances: the network is more confident on training instances, and memorised ones
    are never misclassified. Where more than a fifth are misclassified at its own width, the cloud is not widened.

    One part in twenty goes to the other classes by their training counts: no error is impossible, and large classes
    attract more of them. Misclassified training instances are further evidence: each counts as one error,
    the shares so far as 50. Half of the result is its quasi-symmetric fit (see `quasi_symmetric`): two classes that are
    confused are so in both directions, and what a large class shows of a rare one adds to the little that the rare one shows.

    Where fewer are misclassified even sixteen times as wide, and for all classes where there are more than 200, the mean
    softmax of the class's training instances replaces the cloud's shares.
    """
    otherwise = run.train.reduce(lambda: MeanSoftmax(run.n_classes))
    direct = _direct(run, _cloud_predictions(run, otherwise), slice(0, run.n_classes))
    return shares((1 - PAIRS) * direct + PAIRS * quasi_symmetric(direct))


def softmax_forecast(run: Run, classes: slice) -> Matrix:
    """(n, C) rows of `cloud_forecast` for consecutive classes where there are more than 200."""
    from scipy.special import softmax

    split = run.train
    order = split.remember("rows by class", lambda: np.argsort(split.labels, kind="stable"))
    starts = np.concatenate([[0], np.cumsum(split.class_counts)])
    rows = order[starts[classes.start] : starts[classes.stop]]
    total = np.zeros((classes.stop - classes.start, run.n_classes))
    for block in row_blocks(len(rows), run.n_classes):
        probability = softmax(split.logits_of(rows[block]).astype(np.float64), axis=1)
        own = split.labels[rows[block]] - classes.start  # ascending
        first = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
        total[own[first]] += np.add.reduceat(probability, first, axis=0)
    return _direct(run, divide(total, split.class_counts[classes][:, None]), classes)


def _direct(run: Run, found: Matrix, classes: slice) -> Matrix:
    """Shares of what was found for consecutive classes, of class sizes, and of training errors."""
    errors = run.train.confusion[[*range(classes.start, classes.stop)]].toarray().astype(np.float64)
    counts = np.broadcast_to(run.train.class_counts.astype(np.float64), errors.shape)
    expected = (1 - CLOUD_COUNTS) * shares(found, classes.start) + CLOUD_COUNTS * shares(counts, classes.start)
    return shares(errors + CLOUD_ERRORS * np.nan_to_num(expected), classes.start)


def quasi_symmetric(forecast: Matrix) -> Matrix:
    """The matrix a_i b_j s_ij with s symmetric that is nearest to a forecast (C, C), in rows of shares.

    It has the forecast's sums of rows, of columns and of both directions of every pair, found by scaling in turn.

    References:
        Caussinus 1965, Contribution a l'analyse statistique des tableaux de correlation (quasi-symmetry); Bishop, Fienberg and
        Holland 1975, Discrete multivariate analysis, section 8.2.
    """
    known = np.nan_to_num(forecast)
    np.fill_diagonal(known, 0)
    rows, columns, pairs = known.sum(axis=1, keepdims=True), known.sum(axis=0, keepdims=True), known + known.T
    found = (pairs > 0).astype(np.float64)
    for _ in range(SWEEPS):
        before = found
        found = found * divide(rows, found.sum(axis=1, keepdims=True), otherwise=0)
        found = found * divide(columns, found.sum(axis=0, keepdims=True), otherwise=0)
        found = found * divide(pairs, found + found.T, otherwise=0)
        if np.abs(found - before).max(initial=0) < 1e-12:
            break
    return shares(found)


def _cloud_predictions(run: Run, otherwise: Matrix) -> Matrix:
    """(C, C) how often each other class is predicted for draws from a class's widened cloud, or the row of `otherwise`."""
    count, mean, covariance = run.train.reduce(lambda: LogitMoments(run.n_classes))
    known = np.flatnonzero(count)
    pooled = np.tensordot(count[known] / count.sum(), covariance[known], axes=1)  # (C, C)
    standard = np.random.default_rng(CLOUD_SEED).standard_normal((CLOUD_DRAWS, run.n_classes))
    found = np.full(mean.shape, np.nan)
    for label in known:
        shrink = CLOUD_PRIOR / (CLOUD_PRIOR + count[label])
        order = np.argsort(-mean[label])  # so that the same draws fall to the same class however classes are numbered
        cloud = (1 - shrink) * covariance[label] + shrink * pooled
        scatter = standard @ _root(cloud[np.ix_(order, order)])
        width = wrong_width(mean[label][order], scatter, int(np.flatnonzero(order == label)[0]))
        if width > CLOUD_WIDEST:
            found[label] = otherwise[label]
            continue
        predicted = order[(mean[label][order] + width * scatter).argmax(axis=1)]
        found[label] = np.bincount(predicted[predicted != label], minlength=run.n_classes)
    return found


def wrong_width(mean: NDArray[np.float64], scatter: Matrix, label: int) -> float:
    """The width, 1 or more, from which a fifth of `mean + width * scatter` (n, C) is largest elsewhere than at `label`.

    It lies midway to the width at which one more would be, so that rounding decides nothing; infinite where none does.

    Example:
        >>> steps = np.array([[0.0, step] for step in range(10)])
        >>> wrong_width(np.array([3.0, 0.0]), steps, 0), wrong_width(np.array([56.0, 0.0]), steps, 0)
        (1.0, 7.5)
    """
    rise = scatter - scatter[:, [label]]  # (n, C) how fast the others gain on the label as the cloud widens
    lead = mean[label] - mean  # (C,)
    with np.errstate(divide="ignore", invalid="ignore"):
        overtaken = np.where(rise > 0, lead / rise, np.where((lead < 0) & (rise >= 0), -np.inf, np.inf))
    overtaken[:, label] = np.inf
    enough = max(1, round(CLOUD_WRONG * len(scatter)))
    least, more = np.sort(overtaken.min(axis=1))[enough - 1 : enough + 1]
    return 1.0 if least <= 1 else float(least + more) / 2


def _root(covariance: Matrix) -> Matrix:
    """Return the symmetric square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root: Matrix = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def shares(values: Any, start: int = 0) -> Matrix:
    """Rows as shares over the other classes: diagonal NaN; a row without mass is NaN.

    Args:
        values: (n, C), for n consecutive classes of C.
        start: number of the first of them.
    """
    matrix = np.array(values, dtype=np.float64)
    at = np.arange(len(matrix))
    matrix[at, start + at] = np.nan
    total = np.nansum(matrix, axis=1, keepdims=True)
    return divide(matrix, total)


def divergence(observed: Matrix, forecast: Matrix) -> float | None:
    """Mean over rows of KL(observed, forecast) in nats; None where no class has an observed error.

    Each row is normalised over the other classes, 0.001 is added to every entry, and it is normalised again. A row that the
    forecast does not know is uniform.
    """
    found = divergences(observed, forecast)
    return float(np.mean(found)) if len(found) else None


def divergences(observed: Matrix, forecast: Matrix, start: int = 0) -> NDArray[np.float64]:
    """KL(observed, forecast) of the rows with observed errors, as `divergence` averages them; see `shares` for `start`."""
    n_others = observed.shape[1] - 1
    whole, level = _smoothed(n_others)
    found = []
    for rows, at, p in _observed(observed, start):
        q = np.nan_to_num(forecast[rows])
        q[np.arange(len(rows)), start + rows] = 0
        total = q.sum(axis=1, keepdims=True)
        q = divide(q, total, otherwise=0.0) + SMOOTHING
        q /= np.where(total > 0, whole, SMOOTHING * n_others)
        apart = np.log(
            np.divide(level, q, out=q), out=q
        )  # log of the share without an observed error over the forecast
        apart[np.arange(len(rows)), start + rows] = 0
        beyond = (p - level) * apart[at] + p * np.log(p / level)  # where errors were observed
        found.append(level * apart.sum(axis=1) + np.bincount(at[0], weights=beyond, minlength=len(rows)))
    return np.maximum(np.concatenate([np.empty(0), *found]), 0.0)


def sampling_floor(counts: Any) -> float | None:
    """What the true shares would score in `divergence`, since a class's test errors are a sample; None without errors.

    Estimated by drawing each class's errors 200 times from its observed shares.

    Args:
        counts: (C, C), dense or sparse, test instances of a class (row) by prediction; the diagonal does not count.
    """
    from scipy.sparse import coo_array

    known = coo_array(counts)
    off = (known.row != known.col) & (known.data > 0)
    row, errors = known.row[off], known.data[off]
    order = np.lexsort((errors, row))  # the same draws however classes are numbered
    found = []
    for own in np.split(errors[order], np.flatnonzero(np.diff(row[order])) + 1) if len(row) else ():
        n = int(own.sum())
        rng = np.random.default_rng(CLOUD_SEED)
        whole = 1 + SMOOTHING * (counts.shape[0] - 1)  # classes without an error have the same share in both and add 0
        p = (rng.multinomial(n, own / n, size=200) / n + SMOOTHING) / whole
        found.append(float((p * np.log(p * whole / (own / n + SMOOTHING))).sum(axis=1).mean()))
    return float(np.mean(found)) if found else None


def random_divergences(observed: Matrix, start: int = 0) -> NDArray[np.float64]:
    """KL(observed, random shares) of the rows with observed errors, mean over 100 random rows of shares.

    Shares are uniform random numbers divided by their sum, smoothed as forecasts are. The logarithm is averaged over
    classes too, so that their order changes nothing.
    """
    n_others = observed.shape[1] - 1
    _, level = _smoothed(n_others)
    found = []
    for rows, at, p in _observed(observed, start):
        seen = np.bincount(at[0], weights=p * np.log(p), minlength=len(rows))
        unseen = n_others - np.bincount(at[0], minlength=len(rows))
        found.append(seen + unseen * level * np.log(level) - _random_level(n_others))
    return np.concatenate([np.empty(0), *found])


@lru_cache(maxsize=4)
def _random_level(n_others: int) -> float:
    """Mean logarithm of smoothed random shares among a number of other classes."""
    drawn = np.random.default_rng(0).random((RANDOM_ROWS, n_others))
    drawn = drawn / drawn.sum(axis=1, keepdims=True) + SMOOTHING
    return float(np.log(drawn / drawn.sum(axis=1, keepdims=True)).mean())


def _smoothed(n_others: int) -> tuple[float, float]:
    """Sum of smoothed shares of a number of other classes, and the share of one without an error."""
    whole = 1 + SMOOTHING * n_others
    return whole, SMOOTHING / whole


def _observed(observed: Matrix, start: int) -> Iterator[tuple[NDArray[np.int64], Any, Matrix]]:
    """Blocks of rows with observed errors: row numbers, places (in the block) of errors, and smoothed shares there."""
    whole, _ = _smoothed(observed.shape[1] - 1)
    with_errors = np.flatnonzero(np.nansum(observed, axis=1) > 0)
    for block in row_blocks(len(with_errors), observed.shape[1]):
        rows = with_errors[block]
        mass = np.nan_to_num(observed[rows])
        mass[np.arange(len(rows)), start + rows] = 0
        at = np.nonzero(mass)
        yield rows, at, (mass[at] / mass.sum(axis=1)[at[0]] + SMOOTHING) / whole
