"""Rows of `benchmarks.speed` that have a target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from benchmarks.speed.__main__ import quartiles, shown
from benchmarks.targets._row import Row

LIMITS = ("limit of", "budget")  # how the peer of a row begins that is a limit in the row's own unit


def of_module(name: str) -> Iterator[Row]:
    """The rows of a module that have a target."""
    return with_targets(import_module(f"benchmarks.speed.{name}").rows())


def with_targets(rows: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """Rows of the table of targets from those of the table of speeds."""
    for row in rows:
        sign, _, number = row["target"].partition(" ")
        if sign in ("<=", ">=") and number != "-":
            yield as_row(row, sign, float(number))


def as_row(row: dict[str, Any], sign: str, target: float) -> Row:
    """One row; `sign` and `target` are of its ratio."""
    met = row["ratio"] <= target if sign == "<=" else row["ratio"] >= target
    what, ours, peer = f"{row['operation']}, {row['size']}", shown(row, "ours_s"), shown(row, "peer_s")
    if row["peer"].startswith(LIMITS):
        spread = None if row["spread"] is None else tuple(share * row["peer_s"] for share in row["spread"])
        given = [shown({**row, "value": value}, "value") for value in spread or ()]
        return Row(what, f"<= {peer}", ours, " to ".join(given) or "–", met)
    return Row(
        f"{what}: {row['peer']}", f"{sign} {target:g}x", f"{row['ratio']:.3g}x ({ours})", quartiles(row["spread"]), met
    )


def report() -> Iterator[Row]:
    """The report of 100 classes and 100,000 instances with images: its size, and how long it takes to open."""
    from benchmarks.speed import report

    opened = False
    for row in report.rows(["images"]):
        if row["operation"] == "page":
            yield from with_targets([row])
        if row["operation"] == "charts near the first screen live":
            opened = True
            yield from with_targets([row])
    if not opened:
        yield Row(
            "report of 100 classes and 100,000 instances opens", "<= 2 s", "Chromium or playwright is not installed"
        )


def large_graph() -> Iterator[Row]:
    """The exact neighbour graph of half a million instances."""
    from benchmarks.speed import neighbours

    return with_targets(neighbours.compare_large(500_000, 64, 3))


def graph_alone() -> Callable[[], object]:
    """What is looked at where a neighbour graph is too slow."""
    from benchmarks.speed.neighbours import K, clusters
    from imblens.run import neighbour_graph

    features = clusters(12_406, 64)
    return lambda: [neighbour_graph(features, K) for _ in range(5)]


def audit_alone() -> Callable[[], object]:
    """What is looked at where the audit of arrays is too slow: the same in this process."""
    import tempfile

    from benchmarks.speed.report import long_tail
    from imblens import audit

    run = long_tail(10, 12_406, 10_000)

    def call() -> None:
        with tempfile.TemporaryDirectory() as folder:
            audit(run, skip=["embedding_map"]).save(folder)

    return call
