"""Memory of `Run.from_table` on a Parquet file of 2 GiB: python -m benchmarks.memory.table [--rows N] [--dim D].

The file has one row group, the hardest case. It is made in a process of its own, in the folder for temporary files. Peak
memory is that of the whole process; "anonymous" leaves out pages of mapped files, which the system may drop.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLASSES = (0.6, 0.25, 0.1, 0.05)
STEP = 50_000


def make(path: Path, rows: int, dim: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    schema = pa.schema([("embedding", pa.list_(pa.float32())), ("y", pa.int32()), ("split", pa.string())])
    tables = []
    for low in range(0, rows, STEP):
        n = min(STEP, rows - low)
        labels = rng.choice(len(CLASSES), n, p=CLASSES).astype(np.int32)
        features = rng.normal(size=(n, dim)).astype(np.float32)
        features[np.arange(n), labels] += 2
        offsets = pa.array(np.arange(0, n * dim + 1, dim, dtype=np.int32))
        lists = pa.ListArray.from_arrays(offsets, pa.array(features.ravel()))
        splits = np.array(["train", "test"])[(rng.random(n) < 0.2).astype(int)]
        tables.append(pa.table([lists, labels, splits], schema=schema))
    whole = pa.concat_tables(tables)
    pq.write_table(whole, path, row_group_size=rows, compression="none", use_dictionary=["split"])


def anonymous() -> float:
    """GiB of this process that no file backs (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 2**20


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def read(path: Path) -> None:
    import pyarrow.parquet  # noqa: F401  (counts as the start)

    from imblens import Run, audit

    before, start = peak(), time.perf_counter()
    run = Run.from_table(path, features="embedding", label="y", split="split")
    print(run)
    print(f"from_table: {time.perf_counter() - start:.0f} s, peak {peak():.2f} GiB ({before:.2f} before), ", end="")
    print(f"anonymous {anonymous():.2f} GiB")
    start = time.perf_counter()
    found = audit(run, lenses=["feature_overlap", "generalization_gap"])
    print(f"audit of {', '.join(found.findings)}: {time.perf_counter() - start:.0f} s, peak {peak():.2f} GiB, ", end="")
    print(f"anonymous {anonymous():.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_050_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--file", type=Path, help="only read this file")
    given = parser.parse_args()
    if given.file is not None:
        read(given.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        code = f"from benchmarks.memory.table import make; from pathlib import Path; make(Path({str(path)!r}), "
        subprocess.run([sys.executable, "-c", f"{code}{given.rows}, {given.dim})"], check=True)
        print(f"{path.name}: {path.stat().st_size / 2**30:.2f} GiB, {given.rows:,} rows of {given.dim} float32")
        subprocess.run([sys.executable, "-m", "benchmarks.memory.table", "--file", str(path)], check=True)


if __name__ == "__main__":
    main()
