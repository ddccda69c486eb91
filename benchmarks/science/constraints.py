"""python -m benchmarks.science.constraints ARRAYS.npz ...: do thresholds keep the recall that was asked for?

For each network, 200 random draws take 50 or 100 test instances of each class as a validation split; the rest is the test.
On the validation split probabilities are calibrated and the threshold of each class is chosen to keep a recall of 0.8 or
0.9 with a chance of 95%, as `imblens predict --min-recall` does. "kept": in how many draws and classes the recall on the
test is at least what was asked for. "plain" takes the largest threshold that keeps the recall on the validation split
itself. Recall and precision are means on the test, where class shares are equal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imblens.decisions import fit_calibration, recall_threshold
from imblens.run import Run

DRAWS, SIZES, RECALLS = 200, (50, 100), (0.8, 0.9)
WHAT = ("kept", "recall", "precision")
Floats = NDArray[np.float64]


def plain_threshold(probability: Floats, recall: float) -> float:
    """The largest threshold that keeps the recall on these instances."""
    ordered = np.sort(probability)[::-1]
    return float(ordered[int(np.ceil(recall * len(ordered))) - 1])


def main(paths: list[str]) -> int:
    """Print one row per network, recall and size of the validation split."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    columns = ("network", "asked", "instances of a class", *(f"{what}{of}" for what in WHAT for of in ("", ", plain")))
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for path in paths:
        run = Run.load(Path(path))
        assert run.test is not None
        logits, labels = np.asarray(run.test.logits), run.test.labels
        for size in SIZES:
            rows: dict[float, list[list[float]]] = {recall: [] for recall in RECALLS}
            for seed in range(DRAWS):
                order = np.random.default_rng(seed).permutation(len(labels))
                chosen = np.concatenate([order[labels[order] == c][:size] for c in range(run.n_classes)])
                rest = np.setdiff1d(order, chosen)
                calibration = fit_calibration(logits[chosen], labels[chosen])
                p, q = calibration(logits[chosen]), calibration(logits[rest])
                for recall in RECALLS:
                    for c in range(run.n_classes):
                        own, mine = p[labels[chosen] == c, c], labels[rest] == c
                        row: list[float] = []
                        for threshold in (recall_threshold(own, recall), plain_threshold(own, recall)):
                            taken = q[:, c] >= threshold
                            found = float(taken[mine].mean())
                            row += [float(found >= recall), found, float(mine[taken].mean()) if taken.any() else np.nan]
                        rows[recall].append(row)
            for recall, values in rows.items():
                means = 100 * np.nanmean(values, axis=0).reshape(2, 3).T.ravel()
                cells = " | ".join(f"{mean:.1f}%" for mean in means)
                print(f"| {Path(path).stem} | {100 * recall:.0f}% | {size} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
