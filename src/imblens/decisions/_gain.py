"""How much a class would gain from more instances: heads refitted on subsamples, and their recall extrapolated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import some_rows
from imblens.base.logistic import fit_logistic
from imblens.base.progress import tracked
from imblens.base.random_state import random_state_kept
from imblens.base.wording import listed
from imblens.errors import InputError
from imblens.run import Run, Split, as_run

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Hits = list[NDArray[np.bool_]]  # per kind of held-out instance (heads, m): whether it is classified correctly
SHARES = (0.25, 0.5)  # of the instances of a class that a head is refitted on, besides all
REPEATS = 4  # subsamples of each share
# training instances of a class that heads are fitted on: at most; where classes are many, at least
MOST, FEWEST = 200, 50
WORK = 5e9  # training instances x classes x features of one head, at most
MOST_HELD_OUT = 500  # held-out instances of a class that they are measured on
GROUPS = 10  # single-label: at most so many groups of classes, whose classes are thinned at the same time
LEAST = 8  # training instances below which no curve can be drawn
FACTORS = (2, 4)  # how many times as many instances
POWERS = (0.3, 1.0)  # of the power law
DRAWS = 400
L2 = 0.1


def collection_gain(run: Run, *, seed: int = 0, draws: int = DRAWS) -> tuple[pd.DataFrame, list[str]]:
    """How much recall of each class a head on these features would gain from two and four times as many instances.

    Heads (cross-entropy with L2 on the stored features, then minus the logarithm of the class shares) are refitted on 25%
    and 50% of the training instances of a class, four times each, and on all of them; the other classes stay whole. Recall
    on held-out instances is then extrapolated by  recall(n) = a - b n^-g.  Held-out is the validation split, else the test
    split: nothing is chosen here. In multi-label runs the positives of a label are thinned, and balanced accuracy, the mean
    of recall and specificity, is used in place of recall.

    Intervals (95%) are percentiles over draws of the held-out instances, of the subsamples and of g, uniform in [0.3, 1],
    since three points do not determine it. Features stay as they are: retraining the whole network with the new instances
    usually gains more, above all where it has memorised its training instances.

    Of a class, at most 200 training and 500 held-out instances are used. Where instances x classes x features would exceed
    5e9, fewer training instances of the large classes are used, at least 50. Where these are too many still, there are no
    gains, as a note states.

    Args:
        run: with labelled training features and a validation or test split.
        seed: of subsamples and draws.
        draws: their number.

    Returns:
        Columns: class, train_count, count (held-out instances), recall (of the head refitted on all instances), gain_2,
        gain_4 (shares) with _low and _high. NaN with fewer than 8 training instances or without held-out ones. And notes.

    Raises:
        InputError: neither a validation nor a test split, or fewer than two classes with training instances.

    References:
        Hestness et al. 2017, Deep learning scaling is predictable, empirically (power laws of the error). Thinning one class
        at a time, and the interval over g, are ours.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def some(*n):
        ...     y = np.repeat([0, 1, 2], n)
        ...     return rng.normal(size=(len(y), 20)) + 1.5 * np.eye(3, 20)[y], y
        >>> run = Run.from_arrays(train=some(200, 200, 20), val=some(100, 100, 100), classes=["ant", "bee", "cat"])
        >>> table, _ = collection_gain(run)
        >>> int(table["gain_4"].idxmax())  # the rare class gains most
        2
    """
    run = as_run(run, "collection_gain")
    split = _held_out(run)
    if (run.train.class_counts > 0).sum() < 2:
        raise InputError("collect: one class alone has training instances.", hint="Gains need two classes.")
    with random_state_kept():
        rng = np.random.default_rng(seed)
        most = MOST if split.multilabel else _most(run)
        curves: dict[int, Hits] = {}
        if most:
            curves = _label_curves(run, split, rng) if split.multilabel else _class_curves(run, split, rng, most)
        places = tracked(range(run.n_classes), "intervals of gains")
        rows = [_row(curves.get(place), float(run.train.class_counts[place]), most, rng, draws) for place in places]
    first = pd.DataFrame({"class": run.classes, "train_count": run.train.class_counts, "count": split.class_counts})
    return pd.concat([first, pd.DataFrame(rows)], axis=1), _notes(run, split, curves, most)


def _held_out(run: Run) -> Split:
    split = run.val if run.val is not None and len(run.val) else run.test
    if split is None or not len(split):
        raise InputError(
            "collect: the run has no held-out instances to measure gains on.",
            hint="Capture a validation or test split, or leave out the gains (--no-gain, gain=False).",
        )
    return split


def _most(run: Run) -> int:
    """Training instances of a class that heads are fitted on, so that their work is bounded; 0 where that is too few."""
    for most in range(MOST, FEWEST - 1, -1):
        if float(np.minimum(run.train.class_counts, most).sum()) * run.n_classes * run.dim <= WORK:
            return most
    return 0


def _notes(run: Run, split: Split, curves: dict[int, Hits], most: int) -> list[str]:
    measure = "balanced accuracy" if split.multilabel else "recall"
    notes = [
        f"Gains are those of {measure} by a head refitted on the stored features, measured on the {split.name} split. "
        "Retraining the whole network usually gains more."
    ]
    few = [name for place, name in enumerate(run.classes) if place not in curves]
    if not most:
        notes = [
            f"No gains: {run.n_classes:,} classes and {run.dim:,} features are too many to refit heads on {FEWEST} "
            "instances of each class in bounded time."
        ]
    elif few:
        notes.append(f"No gain for {listed(few, 10)}: fewer than {LEAST} training instances, or no held-out ones.")
    return notes


def _row(hits: Hits | None, real: float, most: int, rng: np.random.Generator, draws: int) -> dict[str, float]:
    """Recall and gains of a class of `real` instances, of which at most `most` were used."""
    row = dict.fromkeys(["recall", *(f"gain_{k}{end}" for k in FACTORS for end in ("", "_low", "_high"))], np.nan)
    if hits is None:
        return row
    n = min(real, most) * np.array([*SHARES, 1.0])
    middle = float(np.mean(POWERS))
    means = np.mean([kind.mean(axis=1) for kind in hits], axis=0)  # (heads,)
    found = _gains(_of_shares(means), n, real, middle)
    drawn = np.empty((draws, len(FACTORS)))
    for draw in range(draws):
        weights = [rng.multinomial(kind.shape[1], np.full(kind.shape[1], 1 / kind.shape[1])) for kind in hits]
        means = np.mean([kind @ w / w.sum() for kind, w in zip(hits, weights, strict=True)], axis=0)
        drawn[draw] = _gains(_of_shares(means, rng), n, real, rng.uniform(*POWERS))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    row["recall"] = float(np.mean([kind[-1].mean() for kind in hits]))
    for k, factor in enumerate(FACTORS):
        values = {"": found[k], "_low": min(low[k], found[k]), "_high": max(high[k], found[k])}
        row |= {f"gain_{factor}{end}": float(value) for end, value in values.items()}
    return row


def _of_shares(means: Floats, rng: np.random.Generator | None = None) -> Floats:
    """(heads,) recalls to one for each share of the instances; with `rng`, a draw of the subsamples.

    The head on all instances has no second sample. Its spread is that between subsamples of half: with variance ~ 1 / n,
    a half drawn without replacement varies as the whole does.
    """
    grid = means[:-1].reshape(len(SHARES), REPEATS)
    if rng is None:
        return np.append(grid.mean(axis=1), means[-1])
    drawn = [row[rng.integers(0, REPEATS, REPEATS)].mean() for row in grid]
    return np.append(drawn, means[-1] + rng.normal(0, grid[-1].std(ddof=1)))


def _gains(recalls: Floats, n: Floats, real: float, power: float) -> Floats:
    """(factors,) a - b n^-g fitted to recalls at n, and what it gains from `real` to a multiple of it; within [0, 1].

    Example:
        >>> n = np.array([10.0, 20.0, 40.0])
        >>> _gains(0.9 - 2 / n, n, 40, 1.0).round(4)  # 2 / 40 - 2 / 80, 2 / 40 - 2 / 160
        array([0.025 , 0.0375])
    """
    x = n**-power
    slope, top = np.polyfit(x, recalls, 1)
    now = np.clip(top + slope * real**-power, 0, 1)
    return np.array([np.clip(top + slope * (k * real) ** -power, 0, 1) - now for k in FACTORS])


def _balanced_head(features: Any, labels: Rows, n_classes: int) -> tuple[Floats, Floats]:
    """Weight and bias of a refitted head for equal class shares; a class without instances is never predicted."""
    counts = np.bincount(labels, minlength=n_classes)
    present = np.flatnonzero(counts)
    weight, bias = np.zeros((n_classes, features.shape[1])), np.full(n_classes, -np.inf)
    weight[present], found = fit_logistic(
        features, np.searchsorted(present, labels), len(present), l2=L2, iterations=60
    )
    bias[present] = found - np.log(counts[present])
    return weight, bias


def _class_curves(run: Run, split: Split, rng: np.random.Generator, most: int) -> dict[int, Hits]:
    """Held-out instances that each head classifies correctly, for every class that has enough of both."""
    labels, held_out = run.train.labels, split.labels
    own = [some_rows(np.flatnonzero(labels == place), most, rng) for place in range(run.n_classes)]
    tested = [some_rows(np.flatnonzero(held_out == place), MOST_HELD_OUT, rng) for place in range(run.n_classes)]
    usable = [p for p in range(run.n_classes) if run.train.class_counts[p] >= LEAST and len(tested[p])]
    features = np.asarray(run.train.features[np.concatenate(own)])
    starts = np.concatenate([[0], np.cumsum([len(rows) for rows in own])])
    of_row = np.repeat(np.arange(run.n_classes), [len(rows) for rows in own])
    x = {place: np.asarray(split.features[tested[place]]) for place in usable}  # float32; products are float64

    def judged(kept: NDArray[np.bool_], places: Any) -> dict[int, NDArray[np.bool_]]:
        weight, bias = _balanced_head(features[kept], of_row[kept], run.n_classes)
        return {place: (x[place] @ weight.T + bias).argmax(axis=1) == place for place in places}

    found: dict[int, list[NDArray[np.bool_]]] = {place: [] for place in usable}
    groups = np.array_split(rng.permutation(usable), max(1, min(GROUPS, len(usable))))
    heads = [(group, share) for group in groups for share in SHARES for _ in range(REPEATS)]
    for group, share in tracked(heads, "refitting heads on fewer instances"):
        kept = np.ones(len(features), dtype=bool)
        for place in group:
            kept[starts[place] : starts[place + 1]] = _thinned(len(own[place]), share, rng)
        for place, hits in judged(kept, group).items():
            found[place].append(hits)
    for place, hits in judged(np.ones(len(features), dtype=bool), usable).items():
        found[place].append(hits)
    return {place: [np.array(hits)] for place, hits in found.items()}


def _thinned(count: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    kept = np.zeros(count, dtype=bool)
    kept[rng.choice(count, max(1, round(share * count)), replace=False)] = True
    return kept


def _label_curves(run: Run, split: Split, rng: np.random.Generator) -> dict[int, Hits]:
    """The same for the positives and the negatives of each label."""
    found: dict[int, Hits] = {}
    for place in tracked(range(run.n_classes), "refitting heads on fewer instances"):
        known = run.train.known[:, place]
        parts = [np.flatnonzero(known & (run.train.labels[:, place] == value)) for value in (1, 0)]
        tested = [np.flatnonzero(split.known[:, place] & (split.labels[:, place] == value)) for value in (1, 0)]
        if len(parts[0]) < LEAST or not len(parts[1]) or not all(len(rows) for rows in tested):
            continue
        positive, negative = (some_rows(rows, most, rng) for rows, most in zip(parts, (MOST, 4 * MOST), strict=True))
        features = np.asarray(run.train.features[np.concatenate([positive, negative])], dtype=np.float64)
        labels = np.repeat([1, 0], [len(positive), len(negative)])
        x = [np.asarray(split.features[some_rows(rows, MOST_HELD_OUT, rng)], dtype=np.float64) for rows in tested]
        hits: list[list[NDArray[np.bool_]]] = [[], []]
        for share in [*np.repeat(SHARES, REPEATS), 1.0]:
            kept = np.concatenate([_thinned(len(positive), share, rng), np.ones(len(negative), dtype=bool)])
            weight, bias = _balanced_head(features[kept], labels[kept], 2)
            for kind, values in enumerate(x):
                hits[kind].append((values @ (weight[1] - weight[0]) + bias[1] - bias[0] > 0) == (kind == 0))
        found[place] = [np.array(kind) for kind in hits]
    return found
