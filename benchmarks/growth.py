"""How the cost of an audit grows: python -m benchmarks.growth [--sizes] [--out docs/images/growth.svg] [--largest 1000000].

N is 10^4 to --largest, D is 64 to 2,048 and C is 10 to 10,000; exact neighbours are searched up to N = 10^5. Runs are as in
`benchmarks.scale`, each audited in a process of its own, step by step. Times are processor seconds, which depend little on
what else the machine does; memory is the peak resident size above that of the empty process. A power law a N^p D^q C^r is
fitted to every step by least squares of logarithms, over the sizes at which the step takes more than 20 ms. The last table
applies the laws to 10^7 and 10^9 instances.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
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


def fitted(measured: list[tuple[Size, dict[str, float]]], step: str) -> tuple[float, float, float, float]:
    """a, p, q, r of a N^p D^q C^r; the exponents are at least 0."""
    from scipy.optimize import nnls

    kept = [(size, found[step]) for size, found in measured if step not in TIMES or found.get(step, 0.0) > LEAST]
    rows = np.array(
        [[1, -1, *np.log([size.rows, size.dim, size.classes])] for size, _ in kept]
    )  # the constant has both signs
    solution, _ = nnls(rows, np.log([max(value, 1e-9) for _, value in kept]))
    return float(np.exp(solution[0] - solution[1])), *map(float, solution[2:])  # type: ignore[return-value]


def law(laws: dict[str, tuple[float, ...]], step: str, rows: float, dim: float, classes: float) -> float:
    """The value of a law at a size."""
    scale, *powers = laws[step]
    return float(scale * np.prod(np.power([rows, dim, classes], powers)))


def needed(rows: float, dim: int) -> dict[str, tuple[float, float]]:
    """Bytes of what grows with N, by the sizes of its arrays: (on disk, in memory at once)."""
    k = 20  # the most neighbours that a lens asks for
    return {
        "features (mapped)": (4 * rows * dim, 0),
        "features, scaled for the search": (0, 4 * rows * (dim + 1)),
        "order of rows in the search": (0, 60 * rows),
        "neighbour graph": (12 * rows * k, 16 * rows * (k + 1)),
        "labels and predictions": (8 * rows, 16 * rows),
        "ids as text": (12 * rows, 60 * rows),
        "evidence on labels, order by content": (0, 48 * rows),
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
            if step in found
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
    laws: dict[str, tuple[float, ...]] = {step: fitted(measured, step) for step in (*TIMES, MEMORY, DISK)}
    print("\n| step | grows with |\n|---|---|")
    for step, (_, *powers) in laws.items():
        print(f"| {step} | " + " ".join(f"{n}^{p:.2f}" for n, p in zip("NDC", powers, strict=True)) + " |")
    print("\n| step | 10^6 | 10^7 | 10^9 |\n|---|---|---|---|")
    for step in laws:
        values = [law(laws, step, rows, 64, 1_000) for rows in (1e6, 1e7, 1e9)]
        unit = [f"{v / 3600:,.2f} h" if step in TIMES else f"{v / 1e9:,.1f} GB" for v in values]
        print(f"| {step} | " + " | ".join(unit) + " |")
    if given.out:
        figure(measured, given.out)


if __name__ == "__main__":
    main()
