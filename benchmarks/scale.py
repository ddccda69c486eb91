"""Audits of large runs: python -m benchmarks.scale [--rows N --dim D --classes C] [--lenses] [--keep DIR].

Without sizes, the four of the targets in turn. Each run is made in the folder for temporary files, in parts of 100,000
instances; then `imblens audit RUN` runs as a process of its own, and its time, processor time and peak memory are those that
the operating system counted (pages of mapped files included). Two of the reports have a target for their opening, and are
opened in Chromium, where it is installed. --lenses gives seconds and memory of each lens instead (Linux). The exit code is 1
where a target is missed.

Features are clusters around class means, with noise whose spectrum falls as that of trained networks does (the standard
deviation of direction i is proportional to i^-0.5); the head is the class means. Class sizes fall as a power of their rank.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imblens.run import Head, Part, Run, Split, seal, staged, write_part

PART = 100_000
ROWS = 20_000  # of a table that are written at a time
TEST_SHARE = 0.1
GIB = 2**30


@dataclass(frozen=True)
class Size:
    """A run and what its audit may take."""

    rows: int
    dim: int
    classes: int
    gib: float | None = None
    minutes: float | None = None
    table_mb: float | None = None
    report_mb: float = 10.0
    opens: float | None = None
    exact: bool = False

    def __str__(self) -> str:
        return f"{self.rows:,} x {self.dim:,}, {self.classes:,} classes{', exact neighbours' if self.exact else ''}"


SIZES = (
    Size(1_000_000, 64, 1_000, gib=4, minutes=10, table_mb=100, opens=2),
    Size(1_000_000, 64, 1_000, gib=4, minutes=30, table_mb=100, exact=True),
    Size(60_000, 64, 10_000, gib=6, minutes=10, opens=2),
    Size(100_000, 2_048, 1_000, gib=6),
)


def make(folder: Path, size: Size, seed: int = 0) -> Path:
    """Write a run of `size.rows` training instances, and a tenth as many test instances, part by part."""
    rng = np.random.default_rng(seed)
    classes = tuple(f"class {i:05d}" for i in range(size.classes))
    means = rng.normal(size=(size.classes, size.dim)).astype(np.float32)
    basis = np.linalg.qr(rng.normal(size=(size.dim, size.dim)))[0]
    spread = (np.arange(1, size.dim + 1) ** -0.5)[:, None] * basis
    noise = (2.4 * spread * np.sqrt(size.dim / 64)).astype(np.float32)
    head = Head(means, (-(means.astype(np.float64) ** 2).sum(axis=1) / 2).astype(np.float32))
    weights = 1 / (np.arange(size.classes) + 0.05 * size.classes)
    files: list[Path] = []
    splits: dict[str, Split] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with staged(folder) as stage:
        for name, rows in (("train", size.rows), ("test", int(size.rows * TEST_SHARE))):
            labels = np.concatenate(
                [np.arange(size.classes), rng.choice(size.classes, rows, p=weights / weights.sum())]
            )
            labels = rng.permutation(labels[:rows])
            parts = []
            for number, low in enumerate(range(0, rows, PART)):
                own = labels[low : low + PART]
                features = means[own] + rng.normal(size=(len(own), size.dim)).astype(np.float32) @ noise
                part = Part(features, own)
                files += write_part(stage / name / f"part-{number:05d}", part, start=low)
                parts.append(Part(np.broadcast_to(np.float32(0), features.shape), own))
            splits[name] = Split(tuple(parts), classes, name, head)
        run = Run(splits["train"], splits["test"], head, classes, meta={"data": {"source": "benchmarks.scale"}})
        seal(stage, run, files)
    return folder


COLUMNS = ("--features", "features", "--label", "label", "--split", "split", "--logits", "logits")


def write_table(run_path: Path, file: Path) -> Path:
    """Write the features, logits, labels and splits of a run to a Parquet file, some thousand rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = Run.load(run_path)
    lists = pa.list_(pa.float32())
    schema = pa.schema([("features", lists), ("logits", lists), ("label", pa.int32()), ("split", pa.string())])
    with pq.ParquetWriter(file, schema, compression="none") as writer:
        for name, split in run.splits.items():
            for low in range(0, len(split), ROWS):
                rows = np.arange(low, min(low + ROWS, len(split)))
                columns = [
                    pa.ListArray.from_arrays(
                        np.arange(len(values) + 1, dtype=np.int32) * values.shape[1], np.float32(values).ravel()
                    )
                    for values in (split.features[rows], split.logits_of(rows))
                ]
                labels, names = pa.array(split.labels[rows], pa.int32()), pa.array([name] * len(rows))
                writer.write_table(pa.table([*columns, labels, names], schema=schema))
    return file


def audited(run: Path, out: Path, *options: str) -> dict[str, Any]:
    """What the operating system counted of `imblens audit` of a run or a table, and what it wrote."""
    if run.is_dir():
        (run / "neighbours.npz").unlink(missing_ok=True)  # of another search
    start = time.perf_counter()
    with (out.parent / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "imblens", "audit", str(run), "--out", str(out), "--force", *options],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the audit ended with {status}: {(out.parent / 'log').read_text()[-2000:]}")
    tables = [path for path in out.glob("tables/*") if path.is_file()]
    return {
        "seconds": time.perf_counter() - start,
        "processor": usage.ru_utime + usage.ru_stime,
        "gib": usage.ru_maxrss / 2**20,
        "table_mb": sum(path.stat().st_size for path in tables) / 1e6,
        "report_mb": (out / "report.html").stat().st_size / 1e6,
        "recall": recall(run),
    }


def opening(report: Path) -> float | None:
    """Seconds until the charts near the first screen of a report are live in Chromium; None where that is not installed."""
    from benchmarks.speed.report import opened

    seen = opened(report.read_text(encoding="utf-8"))
    return None if seen is None else seen["allLive"].median / 1_000


def recall(run: Path) -> float | None:
    """Recall of an approximate neighbour graph, which the audit kept in the run; None of an exact one."""
    file = run / "neighbours.npz"
    if not file.exists():
        return None
    with np.load(file) as arrays:
        found = float(arrays["recall"])
    return None if np.isnan(found) else found


def of_lenses(run_path: Path) -> None:
    """Print seconds, processor seconds and peak GiB of each lens, and of writing the audit."""
    from imblens import Run, audit

    run = Run.load(run_path)
    state: dict[str, Any] = {"name": ""}

    def step(name: str) -> None:
        if state["name"]:
            taken, used = time.perf_counter() - state["start"], time.process_time() - state["used"]
            print(f"{state['name']:22} {taken:8.1f} s {used:8.1f} s of processors {peak():6.2f} GiB", flush=True)
        reset_peak()
        state.update(name=name, start=time.perf_counter(), used=time.process_time())

    step("neighbours")
    run.neighbours(20)
    result = audit(run, on_step=step, skip=["embedding_map"])
    step("save")
    with tempfile.TemporaryDirectory() as folder:
        result.save(folder)
        step("end")
        for path in sorted(Path(folder).rglob("*"), key=lambda path: -path.stat().st_size)[:12]:
            print(f"  {path.relative_to(folder)} {path.stat().st_size / 1e6:.1f} MB")


def peak() -> float:
    """Peak resident GiB of this process since the last reset (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def verdict(value: float, target: float | None = None, unit: str = "", *, least: float | None = None) -> str:
    """The value beside its target: the most that it may be, or the least."""
    shown = f"{value:,.3f}" if least is not None else f"{value:,.2f} {unit}"
    if least is not None:
        return f"{shown} ({'>=' if value >= least else 'BELOW'} {least:g})"
    return shown if target is None else f"{shown} ({'<=' if value <= target else 'ABOVE'} {target:g})"


def missed(text: str) -> bool:
    """Whether a verdict in a printed line misses its target."""
    return "(ABOVE " in text or "(BELOW " in text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--lenses", action="store_true", help="seconds and peak memory of each lens")
    parser.add_argument("--exact", action="store_true", help="exact neighbours at any size")
    parser.add_argument("--keep", type=Path, help="folder for runs and audits; a run that is there is used again")
    given = parser.parse_args()
    sizes = SIZES if given.rows is None else (Size(given.rows, given.dim, given.classes, exact=given.exact),)
    misses = 0
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            place = (given.keep or Path(temporary)) / f"{size.rows}x{size.dim}x{size.classes}"
            if not (place / "run" / "run.json").exists():
                make(place / "run", size)
            print(f"{size}:", flush=True)
            if given.lenses:
                of_lenses(place / "run")
                continue
            found = audited(place / "run", place / "audit", *(["--exact"] if size.exact else []))
            minutes = verdict(found["seconds"] / 60, size.minutes, "minutes")
            recall = "" if found["recall"] is None else f", recall {verdict(found['recall'], least=0.95)}"
            used = f"{found['processor'] / 60:,.2f} minutes of processors"
            tables = verdict(found["table_mb"], size.table_mb, "MB")
            opens = ""
            if size.opens is not None:
                seconds = opening(place / "audit" / "report.html")
                opens = (
                    f" opens in {verdict(seconds, size.opens, 's')}"
                    if seconds is not None
                    else " was not opened: no Chromium"
                )
            lines = (
                f"  {minutes}, {used}, peak {verdict(found['gib'], size.gib, 'GiB')}{recall}",
                f"  tables {tables}, report {verdict(found['report_mb'], size.report_mb, 'MB')}{opens}",
            )
            print("\n".join(lines), flush=True)
            misses += missed("".join(lines))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
