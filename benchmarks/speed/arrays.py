"""`imblens audit ARRAYS.npz` of 12,406 + 10,000 x 64, whole process without the map: against the limit of 5 s.

Beside it what others take for one of its steps: a process that imports scikit-learn, reads the same file and finds the five
nearest neighbours of the training instances.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed._measure import in_turns, row
from benchmarks.speed.report import long_tail

LIMIT_S = 5.0
REPEATS = 5
NEIGHBOURS = """
import sys
import numpy as np
from sklearn.neighbors import NearestNeighbors
with np.load(sys.argv[1]) as arrays:
    NearestNeighbors(n_neighbors=5).fit(arrays["train_features"]).kneighbors()
"""


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison."""
    run = long_tail(10, 12_406, 10_000)
    assert run.test is not None and run.head is not None
    with tempfile.TemporaryDirectory() as name:
        file, out = Path(name) / "arrays.npz", Path(name) / "audit"
        splits = {
            f"{split}_{key}": getattr(found, key)
            for split, found in (("train", run.train), ("test", run.test))
            for key in ("features", "labels")
        }
        np.savez(file, head_weight=run.head.weight, head_bias=run.head.bias, **splits)

        def ours() -> None:
            words = ["audit", str(file), "--out", str(out), "--force", "--no-map"]
            subprocess.run([sys.executable, "-m", "imblens", *words], check=True, capture_output=True)

        def neighbours() -> None:
            subprocess.run([sys.executable, "-c", NEIGHBOURS, str(file)], check=True)

        mine, theirs = in_turns([ours, neighbours], REPEATS)
    size = f"{len(run.train):,} + {len(run.test):,} x {run.train.dim}"
    return [
        row("audit of arrays, report and tables written", size, mine, "limit of 5 s", LIMIT_S, "<= 1"),
        row("audit of arrays, report and tables written", size, mine, "scikit-learn, neighbours alone", theirs, "-"),
    ]
