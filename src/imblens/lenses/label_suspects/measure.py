"""Outliers of large classes, most suspect first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.wording import number
from imblens.errors import InputError
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments
from imblens.lenses.archetypes.measure import OUTLIER, instance_archetypes
from imblens.lenses.label_suspects.chart import charts
from imblens.lenses.label_suspects.text import lines
from imblens.run import Run

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@lens("Which training instances may be mislabelled?", order=150, needs=("multiclass",), lines=lines, charts=charts)
def label_suspects(run: Run, *, k: int = 5, per_class: int = 50, limit: int = 500) -> Finding:
    """Outliers of large classes (none of their neighbours shares their label), most suspect first.

    score = mean of (1 - p(label)) and d(label) / (d(label) + d(nearest other class))

    p(label) is the softmax probability the network gives the label it was trained with; d the squared Euclidean
    distance to a class's mean feature. Without logits only the second part is used. 0: nothing unusual; 1: network
    and features both favour another class. The score orders instances for inspection; it is not a probability.

    A class is large when it has at least as many training instances as the median class. Outliers of smaller classes
    are counted, not listed: instances of a rare class are easily outliers.

    A network that has memorised its training labels gives wrong labels a high probability too: then the first part of the
    score is 0 for all, and fewer wrong labels are outliers.

    Args:
        run: single-label.
        k: neighbours, 1 or more.
        per_class: most rows of one class in the table.
        limit: most rows in the table.

    Returns:
        Tables `label_suspects` (id, class, suggested, score, neighbours, neighbour_classes, predicted), highest score
        first: suggested is the commonest class of the neighbours (the nearer on ties), neighbours their ids, nearest
        first, joined by spaces, predicted the network's prediction or None; and `label_suspect_counts` (class, count,
        suspects, share, often), one row per large class, often being the commonest suggestion or None. Summary:
        suspects (all, listed or not), listed, outliers_of_rare_classes, large_from (instances that make a class large).

    Raises:
        NotApplicable: a multi-label run.
        InputError: an option is less than 1.

    References:
        IML, section III-C and IV-C: outliers of the majority class may be noise. The score is ours; Northcutt, Jiang and
        Chuang 2021, Confident learning, rank by the probability of the given label, out of sample.
    """
    for name, value in (("k", k), ("per_class", per_class), ("limit", limit)):
        if value < 1:
            raise InputError(
                f"label_suspects: {name}={value} must be at least 1.", hint="Leave it out for the default."
            )
    train = run.train
    suspects, large_from, n_rare = _suspects(run, k)
    neighbours = run.neighbours(k).indices[suspects]  # (S, k)
    suggested = _commonest(train.labels[neighbours])
    score = suspect_scores(run, k=k)[suspects]
    rows = _listed(score, train.labels[suspects], per_class, limit)
    table = _table(run, suspects[rows], neighbours[rows], suggested[rows], score[rows])
    summary = {
        "suspects": len(suspects),
        "listed": len(rows),
        "outliers_of_rare_classes": n_rare,
        "large_from": number(large_from),
        "k": run.neighbours(k).k,
    }
    notes = [
        f"Classes of {large_from:.0f} training instances or more count as large. {summary['outliers_of_rare_classes']:,} "
        "outliers of smaller classes are not listed: there they are more likely rare sub-concepts than wrong labels."
    ]
    if len(rows) < len(suspects):
        notes.append(
            f"The table lists {len(rows):,} of {len(suspects):,} suspects, those with the highest scores in each class."
        )
    if not train.has_logits:
        notes.append("Predictions are unknown: scores use the features only.")
    tables = {"label_suspects": table, "label_suspect_counts": _counts(run, suspects, suggested, large_from)}
    return Finding(tables, summary, notes=tuple(notes))


def suspect_scores(run: Run, *, k: int = 5) -> Floats:
    """(N,) the score of every training instance that is suspect, NaN for all others; computed once per run and k."""

    def compute() -> Floats:
        found = np.full(len(run.train), np.nan)
        suspects, _, _ = _suspects(run, k)
        found[suspects] = _score(run, suspects)
        return found

    return run.remember(("suspect scores", k), compute)


def _suspects(run: Run, k: int) -> tuple[Places, float, int]:
    """Rows of the suspects, the count from which a class is large, and how many outliers smaller classes have."""
    counts = run.train.class_counts
    large_from = float(np.median(counts[counts > 0]))
    outliers = np.flatnonzero(instance_archetypes(run, k=k) == OUTLIER)
    is_large = counts[run.train.labels[outliers]] >= large_from
    return outliers[is_large], large_from, int(np.count_nonzero(~is_large))


def _commonest(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S,) commonest of each row's k classes; the first on ties."""
    same = classes[:, :, None] == classes[:, None, :]  # (S, k, k)
    return np.asarray(classes[np.arange(len(classes)), same.sum(axis=2).argmax(axis=1)])


def _score(run: Run, rows: Places) -> Floats:
    """(S,) in [0, 1], from features and, where known, the probability of the label."""
    from scipy.special import softmax

    means = class_moments(run).mean  # (C, D), NaN for classes without instances
    found = np.empty(len(rows))
    for block in row_blocks(len(rows), run.n_classes * run.dim):
        chosen = rows[block]
        labels = run.train.labels[chosen]
        own = np.arange(run.n_classes) == labels[:, None]  # (s, C)
        features = np.asarray(run.train.features[chosen], dtype=np.float64)
        distance = ((features[:, None] - means) ** 2).sum(axis=2)  # (s, C)
        to_own = distance[own]
        to_other = np.nanmin(np.where(own, np.nan, distance), axis=1)
        total = to_own + to_other
        score = np.divide(to_own, total, out=np.full(len(chosen), 0.5), where=total > 0)
        if run.train.has_logits:
            probability = softmax(np.asarray(run.train.logits[chosen], dtype=np.float64), axis=1)
            score = (score + 1 - probability[own]) / 2
        found[block] = score
    return found


def _listed(score: Floats, labels: NDArray[np.int64], per_class: int, limit: int) -> Places:
    """Rows to list, highest score first: at most `per_class` of one class and `limit` in all."""
    order = np.argsort(-score, kind="stable")
    by_class = np.argsort(labels[order], kind="stable")
    sizes = np.unique(labels, return_counts=True)[1]
    within = np.empty(len(order), np.int64)
    within[by_class] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[within < per_class][:limit]


def _table(run: Run, rows: Places, neighbours: Places, suggested: NDArray[np.int64], score: Floats) -> pd.DataFrame:
    import pandas as pd

    names = np.array(run.classes, dtype=object)
    ids = run.train.ids
    predicted: Any = None
    if run.train.has_logits:
        predicted = names[run.train.predictions[rows]]
    return pd.DataFrame(
        {
            "id": ids[rows],
            "class": names[run.train.labels[rows]],
            "suggested": names[suggested],
            "score": score,
            "neighbours": [" ".join(map(str, ids[near])) for near in neighbours],
            "neighbour_classes": [", ".join(names[run.train.labels[near]]) for near in neighbours],
            "predicted": predicted,
        }
    )


def _counts(run: Run, suspects: Places, suggested: NDArray[np.int64], large_from: float) -> pd.DataFrame:
    import pandas as pd

    counts = run.train.class_counts
    pairs = np.zeros((run.n_classes, run.n_classes), np.int64)
    np.add.at(pairs, (run.train.labels[suspects], suggested), 1)
    large = np.flatnonzero((counts > 0) & (counts >= large_from))
    found = pairs[large].sum(axis=1)
    return pd.DataFrame(
        {
            "class": [run.classes[label] for label in large],
            "count": counts[large],
            "suspects": found,
            "share": found / counts[large],
            "often": [run.classes[pairs[label].argmax()] if pairs[label].any() else None for label in large],
        }
    )
