"""python -m benchmarks.science.choosing_validation RUN ...: how well does `--with best` choose on a validation split?

Half of each class's test instances become the validation split, on which `best` chooses; the other half judges it, by the
regret that `benchmarks.science.choosing` measures: points of balanced accuracy below the best candidate there. Three halvings
(seeds 0 to 2) for each run; the spread over them is stated, and that over networks below. Beside it stands `best` without a
validation split on the same judging halves. Nothing about the choice on a validation split was tuned.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.science.choosing import CHOSEN_ON, Judged, judged, measured

from imblens.errors import ImblensWarning
from imblens.run import Run, Split
from imblens.treatments import treat

SEEDS = (0, 1, 2)


def halves(run: Run, seed: int) -> tuple[Split, Split]:
    """Halves of the test split, of each class."""
    assert run.test is not None
    rng = np.random.default_rng(seed)
    first = np.zeros(len(run.test), bool)
    for label in np.unique(run.test.labels):
        own = rng.permutation(np.flatnonzero(run.test.labels == label))
        first[own[: len(own) // 2]] = True
    return part(run.test, first), part(run.test, ~first)


def part(split: Split, kept: np.ndarray) -> Split:
    """Some instances of a split."""
    arrays = (np.asarray(split.features)[kept], split.labels[kept], np.asarray(split.logits)[kept])
    return Run.from_arrays(train=arrays, classes=[str(i) for i in range(arrays[2].shape[1])]).train


def regrets(run: Run, seed: int) -> tuple[float, float, str]:
    """Regret with and without a validation split, in points, and what is applied with one."""
    validation, judging = halves(run, seed)
    without = replace(run, val=None, test=judging)
    one: Judged = judged(without)
    chosen = treat(replace(without, val=validation), "best")
    found, _, _ = measured(without, replace(chosen, val=None))
    top = one.top()[1]
    return 100 * (top - found), 100 * (top - one.found), str(chosen.meta["treatment"]["facts"]["winner"])


def main(paths: list[str]) -> int:
    """Print a row per run, and means."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    print("| network | with validation | without | applied with validation |\n|---|---|---|---|")
    means: dict[str, tuple[float, float]] = {}
    for path in paths:
        run, name = Run.load(Path(path)), Path(path).stem
        found = [regrets(run, seed) for seed in SEEDS]
        columns = [np.array([one[k] for one in found]) for k in range(2)]
        means[name] = (float(columns[0].mean()), float(columns[1].mean()))
        cells = [f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" for values in columns]
        print(f"| {name} | {' | '.join(cells)} | {', '.join(sorted({one[2] for one in found}))} |", flush=True)
    print("\n| networks | number | with validation | without |\n|---|---|---|---|")
    for what, names in (
        ("all", list(means)),
        ("that the rule without validation was not chosen on", [name for name in means if name not in CHOSEN_ON]),
    ):
        if names:
            values = np.array([means[name] for name in names])
            spread = values.std(axis=0, ddof=1) if len(names) > 1 else (float("nan"),) * 2
            row = " | ".join(f"{mean:.2f} ± {sd:.2f}" for mean, sd in zip(values.mean(axis=0), spread, strict=True))
            print(f"| {what} | {len(names)} | {row} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
