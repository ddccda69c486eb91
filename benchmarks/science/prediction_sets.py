"""python -m benchmarks.science.prediction_sets ARRAYS.npz ...: coverage and size of prediction sets, per kind.

The test split of each network is divided at random 100 times: thresholds from one half, coverage and size on the other.
"natural" draws both halves with the class shares of the training split, so that rare classes have few instances in the
half that thresholds are from; "balanced" keeps the shares of the test split. Coverage promised: 90%. The rarest third is
the classes with the fewest training instances. "lowest class" is the mean coverage of the class of lowest mean coverage.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imblens.decisions import SET_METHODS, fit_sets
from imblens.run import Run

SPLITS = 100
COVERAGE = 0.9


def draw(
    labels: NDArray[np.int64], shares: NDArray[np.float64] | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two disjoint halves of the rows, both with the given class shares."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(labels))
    if shares is not None:
        counts = np.bincount(labels)
        wanted = np.floor(shares * (counts / shares).min()).astype(int)
        rows = rng.permutation(
            np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(wanted)])
        )
    return rows[::2], rows[1::2]


def main(paths: list[str]) -> int:
    """Print one row per network, class shares and kind of set."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    columns = "coverage | mean over classes | rarest third | lowest class | size | size, rarest third"
    print(f"| network | shares | sets | {columns} |\n|{'---|' * 9}")
    for path in paths:
        run = Run.load(path)
        assert run.test is not None
        logits, labels, trained = np.asarray(run.test.logits), run.test.labels, run.train.class_counts
        rare = np.argsort(trained, kind="stable")[: run.n_classes // 3]
        for shares in ("natural", "balanced"):
            for method in SET_METHODS:
                found = []
                for seed in range(SPLITS):
                    a, b = draw(labels, trained / trained.sum() if shares == "natural" else None, seed)
                    sets = fit_sets(logits[a], labels[a], method=method, coverage=COVERAGE, prior=trained)(logits[b])
                    covered, size, y = sets[np.arange(len(b)), labels[b]], sets.sum(axis=1), labels[b]
                    of_class = [covered[y == c].mean() if (y == c).any() else np.nan for c in range(run.n_classes)]
                    few = np.isin(y, rare)
                    found.append(
                        [
                            covered.mean(),
                            np.nanmean(of_class),
                            covered[few].mean(),
                            size.mean(),
                            size[few].mean(),
                            *of_class,
                        ]
                    )
                mean = np.nanmean(found, axis=0)
                shown = [f"{100 * v:.1f}%" for v in (*mean[:3], mean[5:].min())] + [f"{v:.2f}" for v in mean[3:5]]
                print(f"| {Path(path).stem} | {shares} | {method} | {' | '.join(shown)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
