"""Coverage of the 95% intervals of AUROC, average precision, their changes, and recall and precision at thresholds.

    python -m benchmarks.science.coverage_ranking [--draws 1000]

Each draw is two runs on the same test split of six labels, as `imblens compare` takes them, and a validation split that
chooses thresholds. Scores are normal, with an AUROC of 0.75 and 0.85, or 0.95 and 0.97; half of the variance of the scores is
common to both runs, and half of that to all labels. 5% or 30% of the instances are positive. Groups (mean 20 instances) have
very unequal sizes; three kinds: instances are independent; 0.6 of the variance of scores is that of groups; and, besides, the
share of positives differs between groups (correlation 0.5). Rows of instances have no groups. The truth is that of new groups.

An interval is counted where the label has a positive. "whole" is the share of intervals that hold all possible values: of
labels whose positives are one instance, or of one group.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from imblens.lenses.ranking import ranking, ranking_changes
from imblens.run import Run

N_GROUPS, N_INSTANCES, MEAN_SIZE, N_LABELS = (5, 10, 20, 30), (40, 100, 200, 400), 20, 6
SHARES, AREAS = (0.05, 0.3), ((0.75, 0.85), (0.95, 0.97))
KINDS = ((0.0, 0.0), (0.0, 0.6), (0.5, 0.6))  # correlation within a group: of labels, of scores
Floats = NDArray[np.float64]
Tally = dict[str, list[tuple[bool, bool]]]  # whether each interval holds the truth, and whether it is the whole range


def split_of(
    rng: np.random.Generator, n: int, grouped: bool, share: float, areas: tuple[float, float], kind: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], list[Floats]]:
    """Group (N,), labels (N, 6) and scores before and after, (N, 6) each."""
    sizes = np.maximum(1, rng.lognormal(np.log(MEAN_SIZE) - 0.5, 1.0, n).astype(np.int64)) if grouped else 1
    group = np.repeat(np.arange(n), sizes)
    own = rng.random((len(group), N_LABELS)) < group_shares(rng, n, share, kind[0])[group]
    noise = [np.sqrt(kind[1]) * of_group[group] for of_group in related(rng, n)]
    alone = [np.sqrt(1 - kind[1]) * of_one for of_one in related(rng, len(group))]
    apart = [np.sqrt(2) * norm.ppf(area) for area in areas]
    return group, own, [d * own + a + b for d, a, b in zip(apart, noise, alone, strict=True)]


def group_shares(rng: np.random.Generator, n: int, share: float, alike: float) -> Floats:
    """(n, 6) share of positives in each group, beta distributed with that mean and correlation."""
    if alike == 0:
        return np.full((n, N_LABELS), share)
    k = (1 - alike) / alike
    return np.asarray(rng.beta(share * k, (1 - share) * k, (n, N_LABELS)))


def related(rng: np.random.Generator, n: int) -> list[Floats]:
    """Two arrays (n, 6) of standard normal numbers with correlation 0.5, of which labels share a half."""

    def draw() -> Floats:
        return np.sqrt(0.5) * rng.normal(size=(n, 1)) + np.sqrt(0.5) * rng.normal(size=(n, N_LABELS))

    common = draw()
    return [np.sqrt(0.5) * common + np.sqrt(0.5) * draw() for _ in range(2)]


def true_precision(area: float, share: float) -> float:
    """Average precision of normal scores with this AUROC, by integration."""
    apart = np.sqrt(2) * norm.ppf(area)
    at = np.linspace(-9.0, 9.0 + apart, 20_001)
    hits, alarms = share * norm.sf(at - apart), (1 - share) * norm.sf(at)
    return float(np.trapezoid(hits / np.maximum(hits + alarms, 1e-300) * norm.pdf(at - apart), at))


def two_runs(
    rng: np.random.Generator, n: int, grouped: bool, share: float, areas: tuple[float, float], kind: tuple[float, float]
) -> list[Run]:
    """Runs before and after, with a test split and a validation split of other groups."""
    test, val = (split_of(rng, n, grouped, share, areas, kind) for _ in range(2))
    runs = []
    for place in range(2):
        features = [np.arange(len(one[0]))[:, None] + 0.1 for one in (test, val)]
        labels = [one[1].astype(np.int64) for one in (test, val)]
        whose = {"test": test[0], "val": val[0] + n} if grouped else None
        runs.append(
            Run.from_arrays(
                train=(features[1], labels[1]),
                val=(features[1], labels[1], val[2][place]),
                test=(features[0], labels[0], test[2][place]),
                task="multilabel",
                groups=whose,
            )
        )
    return runs


def add(tally: Tally, name: str, ends: tuple[float, float], truth: float, widest: tuple[float, float] = (0, 1)) -> None:
    if np.isfinite(ends).all():
        tally.setdefault(name, []).append((ends[0] <= truth <= ends[1], ends[0] <= widest[0] and ends[1] >= widest[1]))


def count_draw(tally: Tally, runs: list[Run], areas: tuple[float, float], share: float) -> None:
    """Count the intervals of one draw."""
    before, after = (run.test for run in runs)
    assert before is not None and after is not None
    precisions = [true_precision(area, share) for area in areas]
    truth = {"auroc": areas, "average_precision": precisions}
    titles = {"auroc": "AUROC", "average_precision": "average precision"}
    found = ranking(runs[0])
    table, rows = found.tables["ranking"], np.arange(len(before))
    changes = ranking_changes(before, after, rows, rows, [(k, k) for k in range(N_LABELS)])
    for name, (then, now) in truth.items():
        for row in table.to_dict("records"):
            add(tally, titles[name], (row[f"{name}_low"], row[f"{name}_high"]), then)
        for ends in zip(changes.low[name], changes.high[name], strict=True):
            add(tally, f"change of {titles[name]}", ends, now - then, (-1, 1))
        if table[name].notna().all():
            ends = found.summary[f"macro_{name}_low"], found.summary[f"macro_{name}_high"]
            add(tally, f"mean {titles[name]}", ends, then)
            add(tally, f"change of mean {titles[name]}", changes.mean[name][1:], now - then, (-1, 1))
    apart = np.sqrt(2) * norm.ppf(areas[0])
    for row in found.tables["ranking_thresholds"].to_dict("records"):
        if not 0 < row["threshold"] < 1:
            continue
        at = np.log(row["threshold"] / (1 - row["threshold"]))
        recall, alarms = norm.sf(at - apart), norm.sf(at)
        precision = share * recall / (share * recall + (1 - share) * alarms)
        add(tally, "recall at the threshold", (row["recall_low"], row["recall_high"]), recall)
        add(tally, "precision at the threshold", (row["precision_low"], row["precision_high"]), precision)


def cell(
    draws: int, seed: list[int], n: int, grouped: bool, share: float, areas: tuple[float, float], kind: int
) -> Tally:
    """All intervals of one setting."""
    rng, tally = np.random.default_rng(seed), Tally()
    for _ in range(draws):
        count_draw(tally, two_runs(rng, n, grouped, share, areas, KINDS[kind]), areas, share)
    return tally


def rows_of(draws: int, n: int, grouped: bool, seed: int = 0) -> Iterator[tuple[str, float, float, float]]:
    """Yield quantity, mean coverage, that of the lowest setting, and the share of whole ranges."""
    kinds = range(len(KINDS)) if grouped else (0,)
    cells = [
        cell(draws, [seed, n, int(grouped), place], n, grouped, *options)
        for place, options in enumerate(product(SHARES, AREAS, kinds))
    ]
    for name in cells[0]:
        held = [np.mean(one[name], axis=0) for one in cells if one.get(name)]
        yield (
            name,
            *(float(value) for value in (np.mean(held, axis=0)[0], np.min(held, axis=0)[0], np.mean(held, axis=0)[1])),
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    print("| interval of | units | coverage: mean over settings | lowest setting | whole |")
    print("| --- | --- | --- | --- | --- |")
    for grouped, units in ((True, N_GROUPS), (False, N_INSTANCES)):
        for n in units:
            for name, mean, low, whole in rows_of(draws, n, grouped):
                numbers = " | ".join(f"{100 * value:.1f}%" for value in (mean, low, whole))
                print(f"| {name} | {n} {'groups' if grouped else 'instances'} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
