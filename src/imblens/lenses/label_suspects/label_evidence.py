"""Out-of-sample evidence on every label of every training instance of a multi-label run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.threads import at_once
from imblens.lenses._content_order import content_keys
from imblens.lenses.label_suspects.evidence import (
    DOUBTFUL,
    FEWEST,
    FITTED,
    FOLDS,
    HEAD_WEIGHT,
    ITERATIONS,
    LARGEST,
    NEIGHBOURS,
    SMALLEST,
    TOLERANCE,
    WORK,
)
from imblens.run import Run

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class LabelEvidence:
    """What training instances show about each label: G(given value), and how many were fitted."""

    own: Floats  # (N, C) in [0, 1]; NaN where the label is uncertain or has too few of either value to judge
    n_fitted: int  # 0: neighbours only
    iterations: int


def label_evidence(run: Run) -> LabelEvidence:
    """G = normalised Q^0.75 K^0.25 of the given value of every label; computed once per run."""
    return run.remember("evidence on labels of several", lambda: _compute(run))


def _compute(run: Run) -> LabelEvidence:
    from sklearn.exceptions import ConvergenceWarning

    train, n = run.train, len(run.train)
    given, known = train.labels.astype(bool), train.known
    keys = content_keys(train.features, np.arange(n))
    order = np.argsort(keys, kind="stable")
    near = run.neighbours(NEIGHBOURS).indices if n > 1 else np.empty((n, 0), np.int64)
    sample = order[:FITTED] if n * run.n_classes <= LARGEST else order[:0]
    iterations = int(np.clip(WORK / max(1, len(sample) * run.dim * run.n_classes), 20, ITERATIONS))
    own = np.full((n, run.n_classes), np.nan)
    fitted = 0
    standard = _standardised(train.features, sample)

    def judge(c: int) -> int:
        judged = _judged(standard, given[:, c], known[:, c], order, sample, near, iterations)
        if judged is None:
            return 0
        own[:, c], used = judged
        return used

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = max(at_once(judge, range(run.n_classes), copied=standard.nbytes), default=0)
    return LabelEvidence(own, fitted, iterations)


def _standardised(features: NDArray[Any], sample: Integers) -> Floats:
    values = np.asarray(features, dtype=np.float64)
    if not len(sample):
        return values[:, :0]
    mean, spread = values[sample].mean(axis=0), values[sample].std(axis=0)
    return (values - mean) / np.where(spread > 1e-12 * np.maximum(1.0, np.abs(mean)), spread, 1.0)


def _judged(
    standard: Floats,
    given: NDArray[np.bool_],
    known: NDArray[np.bool_],
    order: Integers,
    sample: Integers,
    near: Integers,
    iterations: int,
) -> tuple[Floats, int] | None:
    """(N,) G of the given value of one label, NaN where it is uncertain; None with too few positives or negatives."""
    if min((given & known).sum(), (~given & known).sum()) < FEWEST:
        return None
    fold = np.zeros(len(given), np.int64)
    for value in (False, True):  # folds have the same share of positives, and no order of the instances changes them
        rows = order[(given == value)[order]]
        fold[rows] = np.arange(len(rows)) % FOLDS
    prior = given[known].mean()
    usual = np.where(given, prior, 1 - prior)
    doubtful = np.log(2 * DOUBTFUL * usual)  # else most positives of a rare label are left out
    kept = known.copy()
    log_q, rows = np.zeros((len(given), 2)), sample[known[sample]]
    if len(rows):
        for _ in range(2):  # the second time without doubtful instances
            log_q = _probabilities(standard, given, fold, rows[kept[rows]], iterations)
            of_given = log_q[np.arange(len(given)), given.astype(np.int64)]
            kept = known & ((of_given == log_q.max(axis=1)) | (of_given >= doubtful))
    among = (kept[near] * given[near]).sum(axis=1) + prior
    share = among / (kept[near].sum(axis=1) + 1.0)
    log_k = np.log(np.maximum(np.stack([1 - share, share], axis=1), SMALLEST))
    log_g = HEAD_WEIGHT * log_q + (1 - HEAD_WEIGHT) * log_k if len(rows) else log_k
    g = np.exp(log_g - log_g.max(axis=1, keepdims=True))
    own = g[np.arange(len(given)), given.astype(np.int64)] / g.sum(axis=1)
    return np.where(known, own, np.nan), len(rows)


def _probabilities(
    standard: Floats, given: NDArray[np.bool_], fold: Integers, rows: Integers, iterations: int
) -> Floats:
    """(N, 2) log of the probability of absence and presence, by the head that was not fitted to the instance's fold."""
    from sklearn.linear_model import LogisticRegression

    found = np.full((len(given), 2), np.log(0.5))
    for number in range(FOLDS):
        chosen, at = rows[fold[rows] != number], np.flatnonzero(fold == number)
        if not len(at) or len(np.unique(given[chosen])) < 2:
            continue
        model = LogisticRegression(max_iter=iterations, tol=TOLERANCE)
        model.fit(standard[chosen], given[chosen])
        with np.errstate(divide="ignore"):  # a probability of 0 counts as the smallest
            found[at] = np.maximum(model.predict_log_proba(standard[at]), np.log(SMALLEST))
    return found
