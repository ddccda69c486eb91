"""How the cost of an audit grows: python -m benchmarks.growth [--sizes] [--out docs/images/growth.svg] [--largest 1000000].

N is 10^4 to --largest, D is 64 to 2,048 and C is 10 to 10,000; exact neighbours are searched up to N = 10^5. Runs are as in
`benchmarks.scale`, each audited in a process of its own, step by step. Times are processor seconds, which depend little on what
else the machine does;
memory is the peak resident size above that of the empty process. At 64 features and 100 classes a + b N^p is fitted to every
step, over the sizes at which it takes more than 20 ms. The last table has the exponents that agree with what was measured; with
the lowest of them the constant a, the largest difference from a measurement, and what is expected of 10^6, 10^7 and 10^9
instances; and power laws of D and C, without runs in which a step left its work out (`worked`).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np

from benchmarks.scale import Size, make, peak, reset_peak

EXACT, APPROXIMATE, SUSPECTS = "neighbours, exact", "neighbours, approximate", "label suspects"
LENSES, SAVE, MEMORY, DISK = "other lenses", "tables and report", "peak memory", "tables on disk"
TIMES = (EXACT, APPROXIMATE, SUSPECTS, LENSES, SAVE)
MOST_EXACT = 100_000  # instances up to which exact neighbours are searched
LEAST = 0.02  # seconds below which a step is not fitted: the clock and fixed costs
CLOSE = 0.2  # share by which a law may differ from every measurement: the spread of times on a machine with other work


def sizes(largest: int) -> list[Size]:
    """N at D = 64 and C = 100, to the largest; then D and C, at the second N."""
    rows = [n for n in (10_000, 20_000, 50_000, 100_000, 300_000, 1_000_000) if n < largest]
    by_n = [Size(n, 64, 100) for n in (*rows, largest)]
    by_d = [Size(by_n[:2][-1].rows, dim, 100) for dim in (256, 1_024, 2_048)]
    by_c = [Size(by_n[:2][-1].rows, 64, classes) for classes in (10, 1_000, 10_000)]
    return [*by_n, *by_d, *by_c]


def measure(size: Size) -> dict[str, float]:
    """Processor seconds of each step, peak bytes above the empty process, and bytes of the tables."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "run", size)
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_audited, args=(folder, sender))
        process.start()
        found: dict[str, float] = receiver.recv()
        process.join()
    return found


def _audited(folder: str, sender: Any) -> None:
    from imblens import Run, audit
    from imblens.run import neighbour_graph

    warm = np.random.default_rng(0).normal(size=(2_000, 8)).astype(np.float32)
    neighbour_graph(warm, 5, approximate=True)  # compiles
    small = Run.from_arrays(train=(warm[:60], np.arange(60) % 3), test=(warm[60:90], np.arange(30) % 3))
    audit(small, skip=["embedding_map"]).save(Path(folder) / "small")  # imports
    run = Run.load(Path(folder) / "run")
    base = peak()
    reset_peak()
    found: dict[str, float] = {}
    state = {"step": APPROXIMATE, "start": time.process_time()}

    def step(name: str) -> None:
        done = str(state["step"])
        found[done] = found.get(done, 0.0) + time.process_time() - float(state["start"])
        state.update(step=name, start=time.process_time())

    graph = neighbour_graph(run.train.features, 20, approximate=True)
    if len(run.train) <= MOST_EXACT:
        step(EXACT)
        run.neighbours(20, approximate=False)
    else:
        run.train.use_neighbours(graph)
    step(LENSES)
    result = audit(
        run, skip=["embedding_map"], on_step=lambda name: step(SUSPECTS if name == "label_suspects" else LENSES)
    )
    step(SAVE)
    result.save(Path(folder) / "audit")
    step("")
    found[MEMORY] = (peak() - base) * 2**30
    found[DISK] = float(sum(file.stat().st_size for file in (Path(folder) / "audit" / "tables").iterdir()))
    sender.send(found)


@dataclass(frozen=True)
class Law:
    """a + b (N / 10^4)^p, and the largest share by which it differs from what was measured."""

    a: float
    b: float
    p: float
    off: float

    def __call__(self, rows: float) -> float:
        """The value for that many instances."""
        return self.a + self.b * (rows / 1e4) ** self.p


def laws(rows: list[int], values: list[float]) -> list[Law]:
    """The laws that agree with what was measured: within `CLOSE`, or a tenth above the closest where none is within.

    The constant a, 0 or more, is what does not grow (imports, charts, the page). The exponent is at least 1, since every step
    reads every instance, and at most 2, that of all pairs. Few sizes do not determine it: all that agree are returned, by p.

    >>> [round(law.p, 2) for law in laws([10_000, 20_000, 100_000, 1_000_000], [6.0, 7.0, 15.0, 105.0])][:3]
    [1.0, 1.01, 1.02]
    """
    from scipy.optimize import nnls

    size, measured = np.array(rows) / 1e4, np.array(values)
    found = []
    for p in np.arange(100, 201) / 100:
        columns = np.stack([np.ones_like(measured), size**p], axis=1)
        (a, b), _ = nnls(columns / measured[:, None], np.ones_like(measured))
        off = float(np.abs((a + b * size**p) / measured - 1).max())
        found.append(Law(float(a), float(b), float(p), off))
    most = max(CLOSE, 1.1 * min(law.off for law in found))
    return [law for law in found if law.off <= most]


def worked(step: str, size: Size) -> bool:
    """Whether a step does its work at this size: label suspects fit no head above 10^8 instances times classes."""
    from imblens.lenses.label_suspects.evidence import FITTED, LARGEST

    return step != SUSPECTS or min(size.rows, FITTED) * size.classes <= LARGEST


def slope(sizes_of: list[int], values: list[float]) -> float:
    """Exponent of the power law through several values, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes_of), np.log(values), 1)[0])


def print_laws(measured: list[tuple[Size, dict[str, float]]]) -> None:
    """Print what the cost is at 64 features and 100 classes, what it is expected to be, and how it grows with D and C."""
    by_n = [(size, found) for size, found in measured if (size.dim, size.classes) == (64, 100)]
    middle = by_n[:2][-1][0]
    print("\n| step | p | constant | difference | 10^6 | 10^7 | 10^9 | with D | with C |\n|" + "---|" * 9)
    for step in (*TIMES, MEMORY, DISK):
        known = [(size, found[step]) for size, found in by_n if found.get(step, 0.0) > LEAST]
        if len(known) < 3:
            continue
        agreeing = laws([size.rows for size, _ in known], [value for _, value in known])
        lowest = agreeing[0]
        cells = [unit(step, lowest(rows)) for rows in (1e6, 1e7, 1e9)]
        powers = []
        for of in ("dim", "classes"):
            other = "classes" if of == "dim" else "dim"
            alike = [
                (getattr(size, of), found[step])
                for size, found in measured
                if size.rows == middle.rows
                and getattr(size, other) == getattr(middle, other)
                and worked(step, size)
                and found.get(step, 0.0) > LEAST
            ]
            powers.append(
                f"{of[0].upper()}^{slope(*map(list, zip(*alike, strict=True))):.2f}" if len(alike) > 1 else "–"
            )
        span = f"{agreeing[0].p:.2f} to {agreeing[-1].p:.2f}"
        print(
            f"| {step} | {span} | {unit(step, lowest.a)} | {lowest.off:.0%} | " + " | ".join([*cells, *powers]) + " |"
        )


def unit(step: str, value: float) -> str:
    """Seconds, hours or gigabytes.

    >>> unit(EXACT, 7_200), unit(MEMORY, 5e8)
    ('2.0 h', '0.5 GB')
    """
    if step not in TIMES:
        return f"{value / 1e9:,.1f} GB"
    return f"{value:,.0f} s" if value < 3_600 else f"{value / 3_600:,.1f} h"


def needed(rows: float, dim: int) -> dict[str, tuple[float, float]]:
    """Bytes of what grows with N, by the sizes of its arrays: (on disk, in memory at once)."""
    k = 20  # the most neighbours that a lens asks for
    return {
        "features (mapped)": (4 * rows * dim, 0),
        "features of several parts, copied to TMPDIR": (4 * rows * dim, 0),
        "features, scaled for the search": (0, 4 * rows * (dim + 1)),
        "order of rows in the search": (0, 60 * rows),
        "neighbour graph": (12 * rows * k, 16 * rows * (k + 1)),
        "labels and predictions": (8 * rows, 16 * rows),
        "ids as text": (12 * rows, 60 * rows),
        "evidence on labels, order by content": (0, 48 * rows),
        "bootstrap of a tenth as many test instances": (0, 4 * 60 * rows / 10),
    }


def print_needed(dim: int) -> None:
    print(f"| D = {dim} | 10^6 | 10^7 | 10^9 |\n|---|---|---|---|")
    for name in needed(1, dim):
        cells = [" / ".join(f"{n / 1e9:,.1f}" for n in needed(rows, dim)[name]) for rows in (1e6, 1e7, 1e9)]
        print(f"| {name}, GB on disk / in memory | " + " | ".join(cells) + " |")


def figure(measured: list[tuple[Size, dict[str, float]]], out: Path) -> None:
    """A chart of times and memory by N, D and C, logarithmic axes."""
    import altair as alt
    import pandas as pd

    middle = measured[1][0] if len(measured) > 1 else measured[0][0]
    rows = []
    for size, found in measured:
        varied = [
            name
            for name, same in {
                "instances": (size.dim, size.classes) == (64, 100),
                "features": (size.rows, size.classes) == (middle.rows, 100),
                "classes": (size.rows, size.dim) == (middle.rows, 64),
            }.items()
            if same
        ]
        value = {"instances": size.rows, "features": size.dim, "classes": size.classes}
        rows += [
            {"varied": name, "size": value[name], "step": step, "seconds": max(found[step], 1e-3)}
            for name in varied
            for step in TIMES
            if step in found and worked(step, size)
        ]
    line = alt.Chart(pd.DataFrame(rows)).mark_line(point=True)
    panels = [
        line.transform_filter(alt.datum.varied == name)
        .encode(
            alt.X("size:Q", scale=alt.Scale(type="log"), title=name),
            alt.Y("seconds:Q", scale=alt.Scale(type="log"), title="processor seconds"),
            alt.Color("step:N", sort=list(TIMES), title=None),
        )
        .properties(width=200, height=220)
        for name in ("instances", "features", "classes")
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    alt.hconcat(*panels).save(str(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figure there (.svg)")
    parser.add_argument("--largest", type=int, default=100_000, help="most instances")
    parser.add_argument("--keep", type=Path, help="JSON file of measurements; those that are there are not made again")
    parser.add_argument("--sizes", action="store_true", help="only the sizes of what grows with N; nothing is measured")
    given = parser.parse_args()
    if given.sizes:
        print_needed(64)
        return
    known = json.loads(given.keep.read_text()) if given.keep and given.keep.exists() else {}
    measured = []
    print("| run | " + " | ".join(TIMES) + " | peak memory | tables |\n|---|" + "---|" * (len(TIMES) + 2))
    for size in sizes(given.largest):
        found = known.get(str(size)) or measure(size)
        known[str(size)] = found
        if given.keep:
            given.keep.write_text(json.dumps(known, indent=1))
        measured.append((size, found))
        times = " | ".join(f"{found[step]:.2f} s" if step in found else "–" for step in TIMES)
        print(f"| {size} | {times} | {found[MEMORY] / 1e6:.0f} MB | {found[DISK] / 1e6:.1f} MB |", flush=True)
    print_laws(measured)
    if given.out:
        figure(measured, given.out)


if __name__ == "__main__":
    main()
