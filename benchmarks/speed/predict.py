"""`imblens predict` of 1,000,000 x 64 features with 10 classes, whole process: seconds and peak memory against the limits."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed._measure import row
from imblens.run import Run

N, DIM, N_CLASSES = 1_000_000, 64, 10
LIMIT_S, LIMIT_GIB = 60.0, 2.0
COMMAND = "from imblens.cli import main; main()"


def rows() -> list[dict[str, Any]]:
    """Return one row per limit."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(N_CLASSES, DIM))

    def split(n: int) -> tuple[Any, Any]:
        labels = rng.integers(N_CLASSES, size=n)
        return (0.6 * middles[labels] + rng.normal(size=(n, DIM))).astype(np.float32), labels

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Run.from_arrays(train=split(12_406), val=split(5000), head=(0.6 * middles, np.zeros(N_CLASSES)))
        run.save(folder / "run")
        np.savez(folder / "new.npz", features=split(N)[0])
        words = ["predict", str(folder / "run"), str(folder / "new.npz"), "--out", str(folder / "out.parquet")]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", COMMAND, *words], check=True, capture_output=True)
        taken = time.perf_counter() - start
    gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    size = f"{N:,} x {DIM}, {N_CLASSES} classes"
    return [
        row("predict to Parquet", size, taken, "limit of 60 s", LIMIT_S, "<= 1"),
        {**row("predict, peak memory", size, gib, "limit of 2 GiB", LIMIT_GIB, "<= 1"), "unit": "GiB"},
    ]
