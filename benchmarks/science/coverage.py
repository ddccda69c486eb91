"""Coverage of the 95% intervals in simulation, with independent and with grouped instances, and false flags of a report.

    python -m benchmarks.science.coverage [--draws 1000]

For each number of groups it simulates many test splits whose truth is known, and counts how often the interval that reports
show contains it: recall (`group_effects` and Wilson), the change of recall between two predictions of the same instances
(Agresti and Min), the AUROC (`auroc_interval`). Groups have equal or very unequal sizes (mean 8 instances), and the
correlation of correctness within a group is 0, 0.1, 0.3 or 0.6; shares are 0.5, 0.8 and 0.9. "by instance" is what the same
intervals cover when groups are ignored. The last lines count classes that a report flags though all are equally accurate,
and labels that are called weak though their AUROC is 0.8.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from imblens.base.groups import design_effects
from imblens.base.intervals import paired_change, wilson
from imblens.lenses.ranking import auroc_interval, outcome

N_GROUPS, MEAN_SIZE = (5, 10, 20, 30), 8
SHARES, ALIKE, SIZES = (0.5, 0.8, 0.9), (0.0, 0.1, 0.3, 0.6), ("equal", "unequal")
Floats = NDArray[np.float64]


def group_sizes(rng: np.random.Generator, n: int, kind: str) -> NDArray[np.int64]:
    """Instances of each group: all 8, or log-normal with a standard deviation of 1 around that mean."""
    if kind == "equal":
        return np.full(n, MEAN_SIZE)
    return np.maximum(1, rng.lognormal(np.log(MEAN_SIZE) - 0.5, 1.0, n).astype(np.int64))


def group_shares(rng: np.random.Generator, n: int, share: float, alike: float) -> Floats:
    """Share of each group, beta distributed with that mean; `alike` is the correlation within a group."""
    if alike == 0:
        return np.full(n, share)
    k = (1 - alike) / alike
    return np.asarray(rng.beta(share * k, (1 - share) * k, n))


def recall_cell(rng: np.random.Generator, draws: int, n: int, kind: str, share: float, alike: float) -> Floats:
    """Coverage of the interval of a recall: by group, by instance."""
    hits = np.zeros(2)
    for _ in range(draws):
        group = np.repeat(np.arange(n), group_sizes(rng, n, kind))
        correct = rng.random(len(group)) < group_shares(rng, n, share, alike)[group]
        effects = (design_effects(np.zeros(len(group), np.int64), group, correct, 1)[0], 1.0)
        for place, worth in enumerate(effects):
            low, high = wilson(np.array(correct.sum() / worth), np.array(len(group) / worth))
            hits[place] += low <= share <= high
    return hits / draws


def change_cell(rng: np.random.Generator, draws: int, n: int, kind: str, share: float, alike: float) -> Floats:
    """Coverage of the interval of a paired change of recall, whose truth is 0.1: by group, by instance."""
    hits = np.zeros(2)
    after = min(share + 0.1, 0.98)
    for _ in range(draws):
        group = np.repeat(np.arange(n), group_sizes(rng, n, kind))
        before, now = (group_shares(rng, n, p, alike)[group] for p in (share, after))
        then, since = rng.random(len(group)) < before, rng.random(len(group)) < now
        gained, lost = int((since & ~then).sum()), int((then & ~since).sum())
        turned = since.astype(np.int64) - then
        zero = np.zeros(len(group), np.int64)
        effects = (design_effects(zero, group, turned, 1, events=np.array([gained + lost]))[0], 1.0)
        for place, worth in enumerate(effects):
            low, high = paired_change(*(np.array(count / worth) for count in (gained, lost, len(group))))
            hits[place] += low <= after - share <= high
    return hits / draws


def auroc_cell(rng: np.random.Generator, draws: int, n: int, kind: str, auroc: float, alike: float) -> Floats:
    """Coverage of the interval of an AUROC: by group, by instance.

    Scores are normal: a part that the instances of a group share, and one of their own. Half of the groups are positive.
    """
    hits, counted = np.zeros(2), 0
    apart = np.sqrt(2) * norm.ppf(auroc)
    while counted < draws:
        group = np.repeat(np.arange(n), group_sizes(rng, n, kind))
        own = (np.arange(n) % 2 == 0)[group]
        scores = apart * own + np.sqrt(alike) * rng.normal(size=n)[group]
        scores += np.sqrt(1 - alike) * rng.normal(size=len(group))
        counted += 1
        for place, whose in enumerate((group, None)):
            low, high = auroc_interval(own, scores, whose)
            hits[place] += low <= auroc <= high
    return hits / draws


KINDS = {
    "recall": (recall_cell, SHARES),
    "change of recall": (change_cell, SHARES),
    "AUROC": (auroc_cell, (0.6, 0.8, 0.9)),
}


def coverage(draws: int, seed: int = 0, n_groups: tuple[int, ...] = N_GROUPS) -> Iterator[tuple[str, int, Floats]]:
    """Yield quantity, number of groups and the coverage of every cell, (cells, 2)."""
    for place, (name, (cell, values)) in enumerate(KINDS.items()):
        for n in n_groups:
            rng = np.random.default_rng([seed, place, n])
            cells = [cell(rng, draws, n, *options) for options in product(SIZES, values, ALIKE)]
            yield name, n, np.array(cells)


def flagged_classes(draws: int, n_classes: int = 20, n: int = 50, share: float = 0.8, seed: int = 0) -> float:
    """Mean number of classes whose 95% interval ends below the mean accuracy, though all are equally accurate."""
    rng = np.random.default_rng([seed, 7])
    correct = rng.binomial(n, share, (draws, n_classes))
    _, high = wilson(correct, np.full_like(correct, n))
    return float((high < correct.mean(axis=1, keepdims=True) / n).sum(axis=1).mean())


def called_weak(draws: int, n_positive: int = 40, n_negative: int = 200, seed: int = 0) -> float:
    """Share of labels with an AUROC of 0.8 that are called weak or below chance."""
    rng = np.random.default_rng([seed, 8])
    own = np.arange(n_positive + n_negative) < n_positive
    weak = 0
    for _ in range(draws):
        scores = np.sqrt(2) * norm.ppf(0.8) * own + rng.normal(size=len(own))
        low, high = auroc_interval(own, scores)
        weak += outcome((low + high) / 2, low, high) in ("weak", "below chance")
    return weak / draws


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    print(
        "| interval of | groups | coverage by group: mean over settings | lowest setting | by instance: mean | lowest |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, n, cells in coverage(draws):
        by_group, by_instance = 100 * cells.T
        print(
            f"| {name} | {n} | {by_group.mean():.1f}% | {by_group.min():.1f}% | {by_instance.mean():.1f}% | "
            f"{by_instance.min():.1f}% |",
            flush=True,
        )
    print(
        f"\nclasses flagged of 20 equally accurate ones with 50 test instances each: {flagged_classes(20 * draws):.2f}"
    )
    print(f"labels with an AUROC of 0.8 (40 positives) called weak or below chance: {100 * called_weak(draws):.1f}%")


if __name__ == "__main__":
    main()
