"""python -m benchmarks.science.estimate ARRAYS.npz ...: how far are estimated recalls from the truth?

The test split of each network is halved at random, three times. The truth is the recall of each class on the whole second
half. Labels come from the first half, instances without labels from the second:

- "100 to 1, natural": labels with the class shares of training, 100 of the largest class; unlabelled likewise, 450.
- "10 per class", "50 per class": labels of every class; all of the second half unlabelled.
- "10 per class, natural": labels of every class; unlabelled with the class shares of training, so class shares differ.
- "validation split": the first half is the validation split, no other labels; unlabelled as in "natural".

Errors are mean absolute errors in points, over classes and over the rarest third. "labels alone": recall of the labelled
instances (a class without labels is left out). "covered": share of 95% intervals that contain the truth.

The second table changes the features of the unlabelled half (validation split as above, equal class shares), and counts
verdicts beside the error that an estimate would have had.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imblens.decisions import Shift, estimate
from imblens.run import Run

SEEDS = range(3)
DRAWS = 100
Rows = NDArray[np.int64]


def first_of(labels: Rows, rows: Rows, counts: NDArray[np.float64]) -> Rows:
    """The first rows of each class, as many as wanted."""
    return np.concatenate([rows[labels[rows] == c][: int(n)] for c, n in enumerate(counts)])


CASES: dict[str, tuple[str, str]] = {  # labels, unlabelled
    "100 to 1, natural": ("natural", "natural"),
    "10 per class": ("10", "all"),
    "50 per class": ("50", "all"),
    "10 per class, natural": ("10", "natural"),
    "validation split": ("val", "natural"),
}
SHIFTS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "none": lambda x, sd, rng: x,
    "noise, 0.25 sd": lambda x, sd, rng: x + 0.25 * sd * rng.normal(size=x.shape),
    "noise, 0.5 sd": lambda x, sd, rng: x + 0.5 * sd * rng.normal(size=x.shape),
    "noise, 1 sd": lambda x, sd, rng: x + sd * rng.normal(size=x.shape),
    "features times 0.8": lambda x, sd, rng: 0.8 * x,
    "features times 1.25": lambda x, sd, rng: 1.25 * x,
    "moved by 0.5 sd": lambda x, sd, rng: x + 0.5 * sd * rng.choice([-1, 1], x.shape[1]),
}


def recalls(predicted: Rows, labels: Rows, n_classes: int) -> NDArray[np.float64]:
    """Recall of each class; NaN without instances."""
    return np.array([(predicted[labels == c] == c).mean() if (labels == c).any() else np.nan for c in range(n_classes)])


def main(paths: list[str]) -> int:
    """Print both tables."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", RuntimeWarning)
    found: dict[str, list[list[float]]] = {}
    shifts: dict[str, list[tuple[str, float]]] = {}
    for path in paths:
        run = Run.load(Path(path))
        assert run.test is not None and run.head is not None
        x, y = np.asarray(run.test.features, dtype=np.float64), run.test.labels
        share = run.train.class_counts / run.train.class_counts.max()
        rare = np.argsort(run.train.class_counts, kind="stable")[: run.n_classes // 3]
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            rows = rng.permutation(len(y))
            one, two = np.array_split(rows, 2)
            truth = recalls(run.head(x[two]).argmax(axis=1), y[two], run.n_classes)
            with_val = Run.from_arrays(
                train=(run.train.features, run.train.labels), val=(x[one], y[one]), head=run.head, classes=run.classes
            )
            for case, (kind, new) in CASES.items():
                counts = {"natural": np.maximum(1, np.round(100 * share)), "val": share}.get(kind)
                known = first_of(y, one, np.full(len(share), int(kind)) if counts is None else counts)
                pool = two if new == "all" else first_of(y, two, np.maximum(1, np.floor(450 * share)))
                labels = None if kind == "val" else (x[known], y[known])
                table = estimate(
                    with_val if kind == "val" else run, unlabelled=x[pool], labels=labels, seed=seed, draws=DRAWS
                ).tables["estimate"]
                error = np.abs(table["recall"].to_numpy() - truth)
                basis = one if kind == "val" else known
                alone = np.abs(recalls(run.head(x[basis]).argmax(axis=1), y[basis], run.n_classes) - truth)
                covered = (table["recall_low"] <= truth) & (truth <= table["recall_high"])
                values = [error.mean(), error[rare].mean(), np.nanmean(alone), np.nanmean(alone[rare])]
                found.setdefault(case, []).append([*values, covered.mean(), covered[rare].mean()])
            for name, change in SHIFTS.items():
                changed = change(x[two], x.std(axis=0), rng)
                real = recalls(run.head(changed).argmax(axis=1), y[two], run.n_classes)
                verdict, table = ignoring_verdict(with_val, changed, seed)
                shifts.setdefault(name, []).append((verdict, float(np.abs(table - real).mean())))
    print("| labels | error | rarest third | labels alone: error | rarest third | covered | rarest third |")
    print("|---|---|---|---|---|---|---|")
    for case, values in found.items():
        mean = 100 * np.nanmean(values, axis=0)
        print(f"| {case} | {' | '.join(f'{v:.1f}' for v in mean[:4])} | {mean[4]:.0f}% | {mean[5]:.0f}% |")
    print("\n| change of the features | shown | hedged | refused | error it would have had |\n|---|---|---|---|---|")
    for name, pairs in shifts.items():
        verdicts = [verdict for verdict, _ in pairs]
        cells = [str(verdicts.count(kind)) for kind in ("shown", "hedged", "refused")]
        print(f"| {name} | {' | '.join(cells)} | {100 * np.mean([error for _, error in pairs]):.1f} |")
    return 0


def ignoring_verdict(run: Run, features: NDArray[np.float64], seed: int) -> tuple[str, NDArray[np.float64]]:
    """The verdict, and the recalls that would have been stated had the verdict been another."""
    verdict = estimate(run, unlabelled=features, seed=seed, draws=2).verdict
    usual = Shift.verdict
    Shift.verdict = property(lambda self: "shown")  # type: ignore[assignment, method-assign]
    try:
        table = estimate(run, unlabelled=features, seed=seed, draws=2).tables["estimate"]
    finally:
        Shift.verdict = usual  # type: ignore[method-assign]
    return verdict, table["recall"].to_numpy()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
