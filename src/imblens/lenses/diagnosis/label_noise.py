"""Wrong labels in multi-label runs: positives that score like negatives, or the reverse, beyond what test instances do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.groups import design_effects
from imblens.base.wording import FEW
from imblens.lenses.diagnosis.label_scores import scored_labels
from imblens.lenses.diagnosis.noise import FEWEST_HELD_OUT, FEWEST_TRAINED, TINY
from imblens.lenses.diagnosis.noise_share import FACTORS, profile, share_with_interval
from imblens.lenses.diagnosis.scores import held_out, split_groups
from imblens.run import Run

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

STRATA = (0.25, 0.5, 0.75)  # quantiles of the scores of the other value that part contradicted instances
SHARES = np.concatenate([[0.0], np.geomspace(0.002, 1.0, 24)])  # of wrong values that are tried
ABOVE_Z = 1.2  # evidence counts from so far above that on other labels
PERMUTATIONS, HIGH = 400, 0.975  # of training and test, and their quantile that evidence has to exceed


@dataclass(frozen=True)
class WrongValues:
    """Evidence on one given value of a label.

    Attributes:
        present: whether the value is "present"; the instances look as if it were absent.
        z: square root of the likelihood ratio between wrong values and none.
        permuted: its 97.5% quantile where training and held-out instances with this value (their groups) are permuted. NaN
            where z is at most 1.2, which is never named.
        share: estimated share of wrong values among the training instances with this value.
        low, high: its 95% interval. Where groups are known, counts are divided by design effects.
        trained: training instances with this value.
    """

    present: bool
    z: float
    permuted: float
    share: float
    low: float
    high: float
    trained: int


def wrong_values(run: Run) -> dict[int, list[WrongValues]]:
    """Return the evidence on both values of each label with enough instances; computed once per run.

    Training instances with a value that score on the other value's side are counted in strata, which the quartiles of
    held-out instances with the other value part. Held-out instances with the value give the counts without wrong values, up
    to a factor of at most 1 (a network knows its training instances better); those with the other value show what theirs
    would add: training counts ~ Poisson(n (factor held-out share + share of wrong values x share of the other value)), as in
    `noise.label_noise`.

    Raises:
        NotApplicable: no held-out split.
    """
    return run.remember("wrong values of labels", lambda: _wrong_values(run))


def _wrong_values(run: Run) -> dict[int, list[WrongValues]]:
    splits = (run.train, held_out(run))
    scored = scored_labels(run)
    given = [split.labels[rows].astype(bool) for split, (rows, _) in zip(splits, scored, strict=True)]
    known = [split.known[rows] & np.isfinite(scores) for split, (rows, scores) in zip(splits, scored, strict=True)]
    found: dict[int, list[WrongValues]] = {}
    for c in range(run.n_classes):
        scores = [own[known[at][:, c], c] for at, (_, own) in enumerate(scored)]
        present = [given[at][known[at][:, c], c] for at in range(2)]
        groups = [
            split_groups(split, rows[known[at][:, c]])
            for at, (split, (rows, _)) in enumerate(zip(splits, scored, strict=True))
        ]
        values = [_judged(scores, present, groups, value) for value in (True, False)]
        judged = [one for one in values if one is not None]
        if judged:
            found[c] = judged
    return found


def _judged(
    scores: list[Floats], present: list[NDArray[np.bool_]], groups: list[Counts], value: bool
) -> WrongValues | None:
    """Evidence on the training instances with a value; None where it, or the other one, has too few instances or groups."""
    sign = 1.0 if value else -1.0
    own = [sign * scores[at][present[at] == value] for at in range(2)]
    whose = [groups[at][present[at] == value] for at in range(2)]
    other = sign * scores[1][present[1] != value]
    few = min(len(np.unique(one)) for one in (*whose, groups[1][present[1] != value])) < FEW
    if few or len(own[0]) < FEWEST_TRAINED or min(len(own[1]), len(other)) < FEWEST_HELD_OUT:
        return None
    contradicted = other[other < 0]
    if not len(contradicted):
        return None
    edges = np.quantile(contradicted, STRATA)
    n_cells = len(STRATA) + 1
    shape = np.bincount(np.searchsorted(edges, contradicted), minlength=n_cells) / len(other)
    tables = [_by_group(one, of, edges) for one, of in zip(own, whose, strict=True)]
    counts = [table.sum(axis=0) for table in tables]
    z = float(_z(counts[0][None], counts[1][None], shape)[0])
    permuted = np.nan
    if z > ABOVE_Z:
        permuted = float(np.quantile(_z(*_permuted(tables, len(own[1])), shape), HIGH, method="higher"))
    worth = _effect([one < 0 for one in own], whose)
    trained, held = (count[:-1] / worth for count in counts)
    estimated = share_with_interval(trained, held, shape[None], len(own[0]) / worth, len(own[1]) / worth)
    return WrongValues(value, z, permuted, *estimated, len(own[0]))


def _effect(contradicted: list[NDArray[np.bool_]], groups: list[Counts]) -> float:
    """Design effect of the share of contradicted instances; 1 where every instance is a group.

    The mean of those of both splits by the variation in each, as in `noise`: wrong labels, which make the splits differ, do
    not count.
    """
    above = below = 0.0
    for value, group in zip(contradicted, groups, strict=True):
        weight = float(value.var() + TINY) * len(value)
        above += weight * float(design_effects(np.zeros(len(value), np.int64), group, value, 1, prior=0.0)[0])
        below += weight
    return above / below


def _by_group(scores: Floats, groups: Counts, edges: Floats) -> Counts:
    """(G, J + 1) instances of each group in each stratum, the last for those that are not contradicted."""
    cell = np.where(scores < 0, np.searchsorted(edges, scores), len(edges) + 1)
    _, of = np.unique(groups, return_inverse=True)
    width = len(edges) + 2
    return np.bincount(of * width + cell, minlength=(of.max() + 1) * width).reshape(-1, width)


def _permuted(tables: list[Counts], held: int) -> tuple[Counts, Counts]:
    """(P, J + 1) counts of training and of held-out instances where their groups are exchanged at random."""
    rng = np.random.default_rng(0)
    table = np.concatenate(tables)
    total = table.sum(axis=0)
    if (table.sum(axis=1) == 1).all():
        left = rng.multivariate_hypergeometric(total, held, size=PERMUTATIONS)
    else:
        table = table[np.lexsort(table.T)]  # an order of groups that does not depend on that of instances
        chosen = np.zeros((PERMUTATIONS, len(table)))
        for one in chosen:
            one[rng.permutation(len(table))[: len(tables[1])]] = 1
        left = (chosen @ table).astype(np.int64)
    return total - left, left


def _z(trained: Counts, held: Counts, shape: Floats) -> Floats:
    """(P,) root of twice the gain in log-likelihood over no wrong values, for counts (P, J + 1) of both splits.

    The model is that of `share_with_interval`: base shares are fitted to both splits, so few held-out instances are not
    taken for wrong values.
    """
    n, m = (counts.sum(axis=1).astype(np.float64)[:, None, None, None] for counts in (trained, held))
    x, y = (counts[:, None, None, :-1].astype(np.float64) for counts in (trained, held))
    factor, added = FACTORS[:, None], (SHARES[:, None] * shape)[:, None, :]
    best = np.full((len(trained), len(SHARES)), -np.inf)
    for rows in row_blocks(len(trained), added.size * len(FACTORS)):
        best[rows] = profile(x[rows], y[rows], n[rows], m[rows], factor, added)
    return np.asarray(np.sqrt(np.maximum(2 * (best.max(axis=1) - best[:, 0]), 0.0)))
