"""python -m benchmarks.science.remedies ARRAYS.npz|RUN ...: does advice that asks for other data lift the class?

Wrong labels, rare sub-concepts and uncovered ranges are planted in stored features as `imblens study diagnosis --arrays`
does. Where the first cause of the planted class is one of these three, what the diagnosis advises is done:

- wrong labels: as many instances of the class as are estimated to be wrong, those with the highest scores of `label_suspects`,
  are left out;
- the other two: up to 100 instances are added that lie nearest to misclassified test instances of the class, of those that the
  plant removed from training.

Another remedy is done for comparison: `eos` on the head; and, for the last two, as many new instances of the whole class at
random, from the half of its test instances that chooses. The head is trained again each time. Half of the class's test
instances choose what is added, and its accuracy is that of the other half. Seeds are 1 and 2.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.intervals import mean_with_interval
from imblens.errors import ImblensWarning, NotApplicable
from imblens.lenses import diagnosis
from imblens.lenses.label_suspects import suspect_scores, wrong_labels
from imblens.run import Run, nearest
from imblens.studies import Arrays, planted_in
from imblens.studies._plants import PLANTS, Plant
from imblens.treatments import treat

CAUSES = ("label_noise", "sub_concepts", "uncovered_range")
SEEDS = (1, 2)
MOST = 100  # instances that are collected
Rows = NDArray[np.int64]


def tried(arrays: Arrays, network: str, name: str, seed: int) -> Iterator[dict[str, object]]:
    """One row for each remedy; none where the first cause of the planted class is not one of the three."""
    try:
        plant = planted_in(arrays, name, seed, network)
    except NotApplicable:
        return
    run = plant.arrays.fitted(seed)
    found = diagnosis(run).tables["diagnosis"]
    cause = str(found.loc[found["class"] == plant.planted[0], "cause"].iloc[0])
    if cause not in CAUSES:
        return
    label = run.classes.index(plant.planted[0])
    own = np.random.default_rng(seed).permutation(plant.arrays.test_rows(label))
    chosen_on, judged = own[: len(own) // 2], own[len(own) // 2 :]
    assert run.test is not None
    before = run.test.correct[judged].mean()
    key = {"network": network, "plant": name, "seed": seed, "class": plant.planted[0], "cause": cause}
    for remedy, better in remedies(run, plant, label, cause, chosen_on, seed):
        assert better.test is not None
        yield key | {"remedy": remedy, "lift": float(better.test.correct[judged].mean() - before)}


def remedies(run: Run, plant: Plant, label: int, cause: str, chosen_on: Rows, seed: int) -> Iterator[tuple[str, Run]]:
    """Name of each remedy, and the run after it."""
    arrays = plant.arrays
    yield "eos on the head", treat(run, "eos", random_state=seed)
    own = arrays.rows(label)
    if cause == "label_noise":
        wrong = int(np.nan_to_num(wrong_labels(run)[0][label]).round())
        suspects = own[np.argsort(-np.nan_to_num(suspect_scores(run)[own]), kind="stable")[:wrong]]
        yield "advised", arrays.without(suspects).fitted(seed)
        return
    whole = plant.cured.train[plant.cured.rows(label)]
    known = {row.tobytes() for row in arrays.train[own]}
    missing = np.array([row for row in whole if row.tobytes() not in known])
    if not len(missing):
        return
    assert run.test is not None
    failed = chosen_on[~run.test.correct[chosen_on]]
    n = min(MOST, len(missing), len(chosen_on))  # as many for both
    order = nearest(missing, arrays.test[failed], n)[0].T.ravel() if len(failed) else np.arange(len(missing))
    taken = missing[pd.unique(order)[:n]]
    yield "advised", _with(arrays, taken, label).fitted(seed)
    random = np.random.default_rng(seed).choice(chosen_on, n, replace=False)
    yield "as many at random", _with(arrays, arrays.test[random], label).fitted(seed)


def _with(arrays: Arrays, rows: NDArray[np.float32], label: int) -> Arrays:
    """Add training instances of a class."""
    labels = np.full(len(rows), label)
    return replace(
        arrays,
        train=np.concatenate([arrays.train, rows]),
        train_labels=np.concatenate([arrays.train_labels, labels]),
    )


def table(rows: pd.DataFrame) -> str:
    """Mean lift of each remedy by diagnosed cause; intervals (Student's t) are over different classes of networks."""
    lines = ["| diagnosed | remedy | trials | classes | better | mean lift | low | high |", "|" + "---|" * 8]
    for (cause, remedy), mine in rows.groupby(["cause", "remedy"], sort=False):
        means = mine.groupby(["network", "class"])["lift"].mean().to_numpy()
        n, mean, low, high = (column[0] for column in mean_with_interval(means[:, None]))
        shown = " | ".join(f"{value:.3f}" for value in ((mine["lift"] > 0).mean(), mean, low, high))
        lines.append(f"| {cause} | {remedy} | {len(mine)} | {int(n)} | {shown} |")
    return "\n".join(lines)


def main(paths: list[str]) -> int:
    """Print the table."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    rows: list[dict[str, object]] = []
    for path in paths:
        arrays = Arrays.of(Run.load(path))
        for name in [name for name, (cause, _) in PLANTS.items() if cause in CAUSES]:
            for seed in SEEDS:
                rows += tried(arrays, Path(path).stem, name, seed)
    print(table(pd.DataFrame(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
