"""python -m benchmarks.science.priors ARRAYS.npz ...: are planted class shares recovered without labels?

The test split of each network is halved at random, three times; the first half is the validation split. 750 instances of the
second are drawn, none twice, with planted class shares: those of training (100 to 1), the same in reverse, equal
shares, and three draws of a Dirichlet distribution (concentration 1). `imblens estimate` recovers them: EM (Saerens et al.
2002), with 95% intervals, and black-box shift estimation (Lipton et al. 2018) beside it.

Errors are mean absolute errors of a share in points, over classes; "as in validation" takes the shares of the
validation split; "largest": the mean over trials of the largest error of a class; "covered": share of the intervals
that contain the share of the drawn instances.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imblens.decisions import estimate
from imblens.run import Run

SEEDS = range(3)
COUNT, DRAWS = 750, 100
Floats = NDArray[np.float64]


def planted(counts: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Floats]:
    """Class shares by name."""
    training = counts / counts.sum()
    return {
        "as in training": training,
        "reversed": training[::-1],
        "equal": np.full(len(counts), 1 / len(counts)),
        **{f"Dirichlet {i}": rng.dirichlet(np.ones(len(counts))) for i in range(3)},
    }


def main(paths: list[str]) -> int:
    """Print the table; see the module."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    found: dict[str, list[list[float]]] = {}
    for path in paths:
        run = Run.load(Path(path))
        assert run.test is not None and run.head is not None
        x, y = np.asarray(run.test.features), run.test.labels
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            one, two = np.array_split(rng.permutation(len(y)), 2)
            train = (run.train.features, run.train.labels)
            seen = Run.from_arrays(train=train, val=(x[one], y[one]), head=run.head, classes=run.classes)
            before = np.bincount(y[one], minlength=run.n_classes) / len(one)
            for name, shares in planted(run.train.class_counts, rng).items():
                pools = [rng.permutation(two[y[two] == place]) for place in range(run.n_classes)]
                counts = rng.multinomial(COUNT, shares)
                rows = np.concatenate([pool[:n] for pool, n in zip(pools, counts, strict=True)])
                truth = np.bincount(y[rows], minlength=run.n_classes) / len(rows)
                table = estimate(seen, unlabelled=x[rows], seed=seed, draws=DRAWS).tables["priors"]
                errors = [np.abs(table[column].to_numpy() - truth) for column in ("share", "black_box")]
                inside = (table["share_low"] <= truth) & (truth <= table["share_high"])
                values = [100 * value for error in errors for value in (error.mean(), error.max())]
                kind = name.split()[0] if name.startswith("Dirichlet") else name
                as_before = 100 * float(np.abs(before - truth).mean())
                found.setdefault(kind, []).append([*values, as_before, 100 * float(inside.mean())])
    print("| planted shares | trials | EM: error | largest | black-box: error | largest | as in validation | covered |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, rows_of in found.items():
        *errors_of, covered = np.mean(rows_of, axis=0)
        print(f"| {kind} | {len(rows_of)} | {' | '.join(f'{v:.2f}' for v in errors_of)} | {covered:.0f}% |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
