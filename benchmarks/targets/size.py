"""Audits of many instances and of many classes, of a run folder and of a table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.scale import COLUMNS, Size, audited, make, write_table
from benchmarks.targets._row import Row

MILLION = Size(1_000_000, 64, 1_000, gib=4, minutes=10, table_mb=100)
CLASSES = Size(60_000, 64, 10_000, gib=6, minutes=10)
OPENS_MS, REPORT_MB, RECALL = 2_000.0, 10.0, 0.95


def of_size(size: Size) -> Iterator[Row]:
    """What the operating system counts of one audit, and whether its report opens."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        make(place / "run", size)
        found = audited(place / "run", place / "audit")
        what = f"audit of {size}"
        yield from counted(what, size, found)
        if found["recall"] is not None:
            recall = found["recall"]
            yield Row(f"{what}: neighbours found", f">= {RECALL:g}", f"{recall:.3f}", met=recall >= RECALL)
        yield opening(what, (place / "audit" / "report.html").read_text(encoding="utf-8"))


def of_parquet(size: Size) -> Iterator[Row]:
    """The same of a Parquet file with features, logits, labels and splits of the run."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        table = write_table(make(place / "run", size), place / "table.parquet")
        shutil.rmtree(place / "run")
        yield from counted(f"audit of {size}, from Parquet", size, audited(table, place / "audit", *COLUMNS))


def counted(what: str, size: Size, found: dict[str, Any]) -> Iterator[Row]:
    """Memory, time and sizes beside what is allowed."""
    for name, key, most, unit in (
        ("peak memory", "gib", size.gib, "GiB"),
        ("time", "seconds", None if size.minutes is None else 60 * size.minutes, "s"),
        ("tables", "table_mb", size.table_mb, "MB"),
        ("report", "report_mb", REPORT_MB, "MB"),
    ):
        if most is not None:
            value = found[key]
            yield Row(f"{what}: {name}", f"<= {most:g} {unit}", f"{value:.3g} {unit}", met=value <= most)


def opening(what: str, text: str) -> Row:
    """How long a report takes to open in Chromium: the median of five openings."""
    from benchmarks.speed.report import opened

    seen, target = opened(text), f"<= {OPENS_MS / 1000:g} s"
    if seen is None:
        return Row(f"{what}: report opens", target, "Chromium or playwright is not installed")
    times = seen["allLive"]
    spread = f"{min(times.rounds) / 1000:.2f} to {max(times.rounds) / 1000:.2f} s"
    return Row(f"{what}: report opens", target, f"{times.median / 1000:.2f} s", spread, times.median <= OPENS_MS)
