"""Out-of-sample evidence on the label of every training instance: a cross-validated head and the nearest neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.threads import at_once, single_threaded_blas
from imblens.errors import NotApplicable
from imblens.lenses._content_order import canonical_order, content_keys
from imblens.lenses.label_suspects.quick_head import QuickHead
from imblens.run import Run

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FOLDS = 5
NEIGHBOURS = 20
HEAD_WEIGHT = 0.75  # exponent of the head's probability; the neighbours have the rest
DOUBTFUL = 0.1  # an instance of lower probability that is predicted otherwise is not fitted the second time
FITTED = 50_000  # most instances that the head is fitted to
ITERATIONS = 300
TOLERANCE = 1e-3  # a third of the time of 1e-4, for the same order
WORK = 3e10  # iterations x instances x features x classes: from there on fewer iterations, and `QuickHead`
LARGEST = 10**8  # instances x classes from which no head is fitted
FEWEST = 3  # instances of a class that the head can judge out of sample
SMALLEST = 1e-12


@dataclass(frozen=True)
class Evidence:
    """What training instances show about each label: G(label), the likeliest class, and how many were fitted."""

    own: Floats  # (N,) in [0, 1], NaN for the only instance of a class
    suggested: Integers  # (N,)
    n_fitted: int  # 0: neighbours only
    iterations: int  # most of one fit


def evidence(run: Run) -> Evidence:
    """G = normalised Q^0.75 K^0.25 of every training instance; computed once per run."""
    return run.remember("evidence on labels", lambda: _compute(run))


def _compute(run: Run) -> Evidence:
    train = run.train
    labels, n = train.labels, len(train)
    counts = train.class_counts
    heads, is_kept, near = _prepared(run)
    prior = counts / n
    own, suggested = np.full(n, np.nan), labels.copy()
    alone = counts[labels] == 1
    if not heads.n_fitted:
        pair = counts[labels] < FEWEST
        for rows in row_blocks(n, 8 * NEIGHBOURS):
            own[rows], suggested[rows] = _from_neighbours(labels, rows, near[rows], prior)
            of_pair = np.flatnonzero(pair[rows]) + rows.start
            own[of_pair], suggested[of_pair] = _from_neighbours(labels, of_pair, near[of_pair, :1], prior)
        own[alone], suggested[alone] = np.nan, labels[alone]
        return Evidence(own, suggested, 0, heads.iterations)

    def judge(rows: slice) -> None:
        log_g = _log_g(run, heads, is_kept, near, rows)
        local, at = labels[rows], np.arange(len(log_g))
        best, of_label = log_g.argmax(axis=1), log_g[at, local]
        suggested[rows] = np.where(of_label == 0, local, best)  # the label itself on ties
        np.exp(log_g, out=log_g)
        own[rows] = log_g[at, local] / log_g.sum(axis=1)

    at_once(judge, row_blocks(n, run.n_classes + run.dim))
    own[alone], suggested[alone] = np.nan, labels[alone]
    return Evidence(own, suggested, heads.n_fitted, heads.iterations)


def class_evidence(run: Run) -> Iterator[tuple[slice, Floats]]:
    """Yield blocks of training instances and their (S, C) G of every class, rows that sum to 1; heads are fitted again.

    Raises:
        NotApplicable: no head was fitted, so that there are only neighbours.
    """
    heads, is_kept, near = _prepared(run)
    if not heads.n_fitted:
        raise NotApplicable("no head can be cross-validated on this run, so no probabilities out of sample are known.")
    for rows in row_blocks(len(run.train), run.n_classes + run.dim):
        with single_threaded_blas():
            g = np.exp(_log_g(run, heads, is_kept, near, rows).astype(np.float64))
        yield rows, g / g.sum(axis=1, keepdims=True)


def _prepared(run: Run) -> tuple[_Heads, NDArray[np.bool_], Integers]:
    """Fitted heads, (N,) whether an instance is not doubtful, (N, k) neighbours."""
    train = run.train
    order, rank = canonical_order(train.features, train.labels)
    heads = _Heads(run, order, rank)
    with single_threaded_blas():  # sums do not depend on the number of threads
        is_kept = heads.fit()
    n = len(train)
    near = run.neighbours(NEIGHBOURS).indices if n > 1 else np.empty((n, 0), np.int64)
    return heads, is_kept, near


def _log_g(run: Run, heads: _Heads, is_kept: NDArray[np.bool_], near: Integers, rows: slice) -> NDArray[Any]:
    """(S, C) log G of every class for a block of training instances, with 0 as the largest of a row."""
    labels, counts, n = run.train.labels, run.train.class_counts, len(run.train)
    prior = counts / n
    shares = log_shares if heads.quick else lambda *given: np.log(neighbour_shares(*given))
    log_g = shares(labels, near[rows], is_kept, prior)
    pair = counts[labels[rows]] < FEWEST
    if pair.any():  # among 20 neighbours, the one other instance of the class could never be more than a few
        log_g[pair] = shares(labels, near[rows][pair][:, :1], np.ones(n, bool), prior)
    judged = slice(None) if not pair.any() else np.flatnonzero(~pair)
    from_head = heads.log_probability(np.arange(rows.start, rows.stop)[judged])
    from_head *= HEAD_WEIGHT
    if isinstance(judged, slice):
        log_g *= 1 - HEAD_WEIGHT
        log_g += from_head
    else:
        log_g[judged] = from_head + (1 - HEAD_WEIGHT) * log_g[judged]
    log_g -= log_g.max(axis=1, keepdims=True)
    return log_g


def neighbour_shares(labels: Integers, near: Integers, is_kept: NDArray[np.bool_], prior: Floats) -> Floats:
    """(S, C) share of each class among the kept neighbours, with one more count spread as the classes are.

    Args:
        labels: (N,) of all instances.
        near: (S, k) rows of the neighbours.
        is_kept: (N,) others count 0.
        prior: (C,) class shares.

    Example:
        >>> labels, prior = np.array([0, 0, 1, 1]), np.array([0.5, 0.5])
        >>> neighbour_shares(labels, np.array([[1, 2, 3]]), np.array([True, True, True, False]), prior).round(3)
        array([[0.5, 0.5]])
    """
    size, n_classes = len(near), len(prior)
    key = np.arange(size)[:, None] * n_classes + labels[near]
    counts = np.bincount(key.ravel(), weights=is_kept[near].ravel().astype(np.float64), minlength=size * n_classes)
    shares = counts.reshape(size, n_classes) + np.maximum(prior, SMALLEST)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def log_shares(labels: Integers, near: Integers, is_kept: NDArray[np.bool_], prior: Floats) -> NDArray[np.float32]:
    """Return the logarithm of `neighbour_shares` in float32, which is computed for the classes among the neighbours alone.

    Example:
        >>> labels, prior = np.array([0, 0, 1, 1]), np.array([0.5, 0.5])
        >>> np.exp(log_shares(labels, np.array([[1, 2, 3]]), np.array([True, True, True, False]), prior)).round(3)
        array([[0.5, 0.5]], dtype=float32)
    """
    spread = np.maximum(prior, SMALLEST)
    kept = is_kept[near]
    total = np.log(kept.sum(axis=1) + spread.sum())
    found = (np.log(spread)[None, :] - total[:, None]).astype(np.float32)
    key = (np.arange(len(near))[:, None] * len(prior) + labels[near])[kept]
    cells, number_of = np.unique(key, return_counts=True)
    row, label = np.divmod(cells, len(prior))
    found[row, label] = np.log(number_of + spread[label]) - total[row]
    return found


def _from_neighbours(labels: Integers, rows: Any, near: Integers, prior: Floats) -> tuple[Floats, Integers]:
    """G(label) and the likeliest class of some rows from their neighbours (S, k) alone; see `neighbour_shares`.

    Only the classes among the neighbours are counted: where there are many classes, all others have no more than their
    prior, and a class with a neighbour has more.
    """
    local, among = labels[rows], np.sort(labels[near], axis=1)
    spread = np.maximum(prior, SMALLEST)
    total = near.shape[1] + spread.sum()
    mine = (among == local[:, None]).sum(axis=1) + spread[local]
    if not near.shape[1]:
        best = np.full(len(local), prior.argmax())
        return mine / total, np.where(spread[local] == spread.max(), local, best)
    counts = np.stack([(among == column[:, None]).sum(axis=1) for column in among.T], axis=1)  # (S, k)
    value = counts + spread[among]
    best = among[np.arange(len(local)), value.argmax(axis=1)]
    return mine / total, np.where(mine >= value.max(axis=1), local, best)


class _Heads:
    """One multinomial logistic regression per fold, fitted to the other folds."""

    def __init__(self, run: Run, order: Integers, rank: Integers) -> None:
        self.train, self.n_classes = run.train, run.n_classes
        labels, counts, n = run.train.labels, run.train.class_counts, len(run.train)
        first = np.zeros(
            self.n_classes, np.int64
        )  # folds of a class begin where its content decides, so that none is largest
        begins = order[np.r_[True, np.diff(labels[order]) != 0]] if n else order
        keys = content_keys(run.train.features, begins)
        first[labels[begins]] = (keys >> np.uint64(32)).astype(np.int64) % FOLDS
        self.fold = (rank + first[labels]) % FOLDS
        quota = np.maximum(np.floor(counts * min(1.0, FITTED / max(n, 1))), np.minimum(counts, 2 * FOLDS))
        sample = order[
            rank[order] < quota[labels[order]]
        ]  # in canonical order: sums do not depend on that of instances
        enough = np.count_nonzero(counts) > 1 and counts.max(initial=0) >= FEWEST
        self.n_fitted = len(sample) if enough and len(sample) * self.n_classes <= LARGEST else 0
        self.sample = sample
        self.models: list[Any] = [None] * FOLDS
        work = max(1, len(sample) * run.dim * self.n_classes)
        self.iterations = int(np.clip(WORK / work, 20, ITERATIONS))
        self.quick = self.iterations < ITERATIONS

    def fit(self) -> NDArray[np.bool_]:
        """Fit twice, the second time without doubtful instances; (N,) whether an instance is not doubtful."""
        labels = self.train.labels
        is_kept = np.ones(len(labels), bool)
        if not self.n_fitted:
            return is_kept
        standard: NDArray[Any] = np.asarray(
            self.train.features[self.sample], dtype=np.float32 if self.quick else np.float64
        )
        self.mean = standard.mean(axis=0, dtype=np.float64)
        if self.quick:  # no copy of a large matrix
            standard -= self.mean
            squares = sum((standard[rows].astype(np.float64) ** 2).sum(axis=0) for rows in row_blocks(*standard.shape))
            spread = np.sqrt(squares / len(standard))
        else:
            spread = standard.std(axis=0)
            standard = standard - self.mean
        self.spread = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(self.mean)), spread, 1.0)
        standard /= self.spread
        self._fit_folds(standard, is_kept)

        def judge(rows: slice) -> None:
            found = self.log_probability(np.arange(rows.start, rows.stop))
            own = found[np.arange(len(found)), labels[rows]]
            is_kept[rows] = (own == found.max(axis=1)) | (own >= np.log(DOUBTFUL))

        at_once(judge, row_blocks(len(labels), self.n_classes + self.train.dim))
        self._fit_folds(standard, is_kept)
        return is_kept

    def _fit_folds(self, standard: NDArray[Any], is_kept: NDArray[np.bool_]) -> None:
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            copied = 0 if self.quick else standard.nbytes
            at_once(lambda number: self._fit_fold(number, standard, is_kept), range(FOLDS), copied=copied)

    def _fit_fold(self, number: int, standard: NDArray[Any], is_kept: NDArray[np.bool_]) -> None:
        from sklearn.linear_model import LogisticRegression

        labels = self.train.labels[self.sample]
        chosen = np.flatnonzero((self.fold[self.sample] != number) & is_kept[self.sample])
        present = np.unique(labels[chosen])
        model = self.models[number]
        if len(present) < 2:
            self.models[number] = None
            return
        if model is None or len(model.classes_) != len(present):
            new = QuickHead if self.quick else partial(LogisticRegression, warm_start=True)
            model = new(max_iter=self.iterations, tol=TOLERANCE)
        if self.quick:
            self.models[number] = model.fit(standard, labels, chosen)
        else:
            self.models[number] = model.fit(standard[chosen], labels[chosen])

    def log_probability(self, rows: Integers) -> NDArray[Any]:
        """(S, C) log of the probability of each class, by the head that was not fitted to the instance's fold."""
        found = np.full((len(rows), self.n_classes), np.log(SMALLEST), np.float32 if self.quick else np.float64)
        fold = self.fold[rows]
        for number, model in enumerate(self.models):
            at = np.flatnonzero(fold == number)
            if not len(at):
                continue
            if model is None:  # a single class was left to fit: no evidence
                found[at] = -np.log(self.n_classes)
                continue
            features = np.asarray(self.train.features[rows[at]], dtype=np.float64)
            with np.errstate(divide="ignore"):  # a probability of 0 counts as the smallest
                log_p = model.predict_log_proba((features - self.mean) / self.spread)
            np.maximum(log_p, np.log(SMALLEST), out=log_p)
            if len(model.classes_) == self.n_classes:
                found[at] = log_p
            else:
                found[np.ix_(at, model.classes_)] = log_p
        return found
