"""Coverage of the 95% intervals in simulation, with independent and with grouped instances, and false flags of a report.

    python -m benchmarks.science.coverage [--draws 1000] [--means] [--flags]

For each number of groups it simulates many test splits whose truth is known, and counts how often the interval that reports
show contains it: recall (`group_effects` and Wilson), the change of recall between two predictions of the same instances
(Agresti and Min), the AUROC (`auroc_interval`). Groups have equal or very unequal sizes (mean 8 instances), and the
correlation of correctness within a group is 0, 0.1, 0.3 or 0.6; shares are 0.5, 0.8 and 0.9. "by instance" is what the same
intervals cover when groups are ignored.

The second table is on means over classes. The change of balanced accuracy between two predictions of the same instances: of
8 labels of 200 instances, of 4 classes whose instances are spread over groups, and of 8 labels of instances in groups;
correctness of one instance's labels (of one group's instances) is correlated with 0, 0.3 or 0.9. And the mean AUROC of
two labels, each the negation of the other, of instances in groups. "classes independent" is what the interval covers when it
is combined from those of the classes as if they were independent. The last lines count classes that a report flags though all
are equally accurate, and labels that are called weak though their AUROC is 0.8.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from imblens.base.groups import design_effects
from imblens.base.intervals import mean_change, paired_change, wilson
from imblens.comparison import changes_alike, class_changes
from imblens.lenses.ranking import auroc_interval, outcome, ranking
from imblens.run import Run

N_GROUPS, MEAN_SIZE = (5, 10, 20, 30), 8
SHARES, ALIKE, SIZES = (0.5, 0.8, 0.9), (0.0, 0.1, 0.3, 0.6), ("equal", "unequal")
ALIKE_WIDE = (0.0, 0.3, 0.9)
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


def changed_runs(rng: np.random.Generator, n: int, grouped: bool, multilabel: bool, alike: float) -> tuple[Run, Run]:
    """Two runs on the same test instances, whose classes are all 0.7 and 0.8 accurate.

    Args:
        rng: generator of random numbers.
        n: groups of 8 instances each, or instances.
        grouped: whether there are groups.
        multilabel: 8 labels for each instance, or one of 4 classes.
        alike: correlation of correctness within a group (an instance).
    """
    unit = np.repeat(np.arange(n), MEAN_SIZE if grouped else 1)
    shape = (len(unit), 8) if multilabel else (len(unit),)
    labels = rng.random(shape) < 0.3 if multilabel else rng.integers(0, 4, shape)
    features, whose = np.arange(len(unit))[:, None] + 0.1, {"test": unit} if grouped else None
    runs = []
    for share in (0.7, 0.8):
        at = group_shares(rng, n, share, alike)[unit]
        right = rng.random(shape) < (at[:, None] if multilabel else at)
        if multilabel:
            logits = np.where(labels == right, 1.0, -1.0)
        else:
            logits = np.eye(4)[np.where(right, labels, (labels + rng.integers(1, 4, shape)) % 4)]
        test = (features, labels.astype(np.int64), logits)
        task = "multilabel" if multilabel else "multiclass"
        train = (features[:50], labels[:50].astype(np.int64))
        runs.append(Run.from_arrays(train=train, test=test, task=task, groups=whose))
    return runs[0], runs[1]


def mean_change_cell(
    rng: np.random.Generator, draws: int, n: int, grouped: bool, multilabel: bool, alike: float
) -> Floats:
    """Coverage of the interval of a change of balanced accuracy, whose truth is 0.1: as reported, classes independent."""
    hits = np.zeros(2)
    for _ in range(draws):
        before, after = changed_runs(rng, n, grouped, multilabel, alike)
        rows = (np.arange(len(after.test or ())),) * 2
        found = class_changes(before, after, after.classes, rows)
        ends = [found[name] for name in ("change_low", "change_high", "change")]
        for place, shared in enumerate((changes_alike(before, after, after.classes, rows), 1.0)):
            low, high = mean_change(*ends, shared)
            hits[place] += low <= 0.1 <= high
    return hits / draws


def macro_auroc_cell(rng: np.random.Generator, draws: int, n: int, alike: float) -> Floats:
    """Coverage of the interval of a mean AUROC of 0.8, by group; labels are a whole group's: as reported, independent."""
    hits = np.zeros(2)
    for _ in range(draws):
        group = np.repeat(np.arange(n), MEAN_SIZE)
        own = group % 2
        scores = np.sqrt(2) * norm.ppf(0.8) * own + np.sqrt(alike) * rng.normal(size=n)[group]
        scores += np.sqrt(1 - alike) * rng.normal(size=len(group))
        labels, logits = np.stack([own, 1 - own], axis=1), np.stack([scores, -scores], axis=1)
        test = (scores[:, None], labels, logits)
        found = ranking(
            Run.from_arrays(train=test[:2], test=test, task="multilabel", groups={"train": group, "test": group})
        )
        table = found.tables["ranking"]
        ends = [table[name].to_numpy() for name in ("auroc_low", "auroc_high", "auroc")]
        reported = found.summary["macro_auroc_low"], found.summary["macro_auroc_high"]
        for place, (low, high) in enumerate((reported, mean_change(*ends))):
            hits[place] += low <= 0.8 <= high
    return hits / draws


def means(draws: int, seed: int = 0) -> Iterator[tuple[str, str, Floats]]:
    """Yield quantity, how many units and the coverage for each correlation, (3, 2)."""
    change = "change of balanced accuracy"
    cases = [(f"{change}, labels", 200, False, True)]
    cases += [(f"{change}, classes by group", n, True, False) for n in N_GROUPS]
    cases += [(f"{change}, labels by group", n, True, True) for n in N_GROUPS]
    for place, (name, n, grouped, multilabel) in enumerate(cases):
        rng = np.random.default_rng([seed, 9, place])
        cells = [mean_change_cell(rng, draws, n, grouped, multilabel, alike) for alike in ALIKE_WIDE]
        yield name, f"{n} groups" if grouped else f"{n} instances", np.array(cells)
    for n in (6, *N_GROUPS[1:]):
        rng = np.random.default_rng([seed, 10, n])
        yield (
            "mean AUROC, labels by group",
            f"{n} groups",
            np.array([macro_auroc_cell(rng, draws, n, alike) for alike in ALIKE_WIDE]),
        )


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


def flagged_by_group(
    draws: int,
    n_groups: int = 30,
    n_classes: int = 20,
    n: int = 50,
    share: float = 0.8,
    alike: float = 0.3,
    seed: int = 0,
) -> Floats:
    """The same where instances are spread over groups whose instances are alike: by group, by instance."""
    rng = np.random.default_rng([seed, 11])
    label, flagged = np.repeat(np.arange(n_classes), n), np.zeros(2)
    for _ in range(draws):
        group = rng.integers(0, n_groups, len(label))
        correct = (
            rng.random(len(label)) < group_shares(rng, n_groups * n_classes, share, alike)[label * n_groups + group]
        )
        hits = np.bincount(label, weights=correct)
        effects = design_effects(label, group, correct, n_classes), np.ones(n_classes)
        for place, worth in enumerate(effects):
            flagged[place] += (wilson(hits / worth, n / worth)[1] < hits.mean() / n).sum()
    return flagged / draws


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
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--means", action="store_true", help="print only the table of means over classes")
    parser.add_argument("--flags", action="store_true", help="print only the false flags")
    options = parser.parse_args()
    (print_means if options.means else print_flags if options.flags else print_all)(options.draws)


def print_all(draws: int) -> None:
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
    print()
    print_means(draws)
    print()
    print_flags(draws)


def print_flags(draws: int) -> None:
    print("classes flagged of 20 equally accurate ones (a report states 0.5):")
    for n, share in product((10, 50, 200), SHARES[1:]):
        print(
            f"{n} test instances each, {100 * share:.0f}% accurate: {flagged_classes(20 * draws, n=n, share=share):.2f}"
        )
    for n in (10, 20, 30):
        by_group, by_instance = flagged_by_group(draws, n)
        print(
            f"50 test instances each in {n} groups, correlation 0.3: {by_group:.2f} by group, {by_instance:.2f} by instance"
        )
    print(f"labels with an AUROC of 0.8 (40 positives) called weak or below chance: {100 * called_weak(draws):.1f}%")


def print_means(draws: int) -> None:
    print("| interval of | units | as reported: mean | lowest setting | classes independent: mean | lowest |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, units, cells in means(draws):
        shared, apart = 100 * cells.T
        print(
            f"| {name} | {units} | {shared.mean():.1f}% | {shared.min():.1f}% | {apart.mean():.1f}% | {apart.min():.1f}% |",
            flush=True,
        )


if __name__ == "__main__":
    main()
