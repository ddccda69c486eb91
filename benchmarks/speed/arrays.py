"""`imblens audit ARRAYS.npz` of 12,406 + 10,000 x 64, whole process without the map: against the limit of 5 s.

Beside it what others take for one of its steps: a process that imports scikit-learn, reads the same file and finds the five
nearest neighbours of the training instances. Processor seconds are those of a process and of all that it started, which other
work on the machine disturbs less. A checkout is measured as an installed package is: with compiled modules, and with the
bundle of scripts that a wheel holds. `python -m benchmarks.speed arrays --profile` prints where the processor seconds go.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import imblens
from benchmarks.speed._measure import Times, in_turns, row
from benchmarks.speed._stages import DRAWING, table
from benchmarks.speed.report import long_tail
from imblens.run import Run

LIMIT_S = 5.0
REPEATS = 5
NEIGHBOURS = """
import sys
import numpy as np
from sklearn.neighbors import NearestNeighbors
with np.load(sys.argv[1]) as arrays:
    NearestNeighbors(n_neighbors=5).fit(arrays["train_features"]).kneighbors()
"""

READY = "from imblens.report import _ahead; _ahead._get_ready(); import imblens.lenses"


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison."""
    with tempfile.TemporaryDirectory() as name:
        file, out, run = written(Path(name))
        assert run.test is not None
        environment = installed(Path(name))
        used: dict[str, list[float]] = {"ours": [], "theirs": []}

        def process(of: str, *words: str) -> None:
            before = processors()
            subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment)
            used[of].append(processors() - before)

        words = ["-m", "imblens", *audit_of(file, out)]
        mine, theirs = in_turns(
            [lambda: process("ours", *words), lambda: process("theirs", "-c", NEIGHBOURS, str(file))], REPEATS
        )
    size = f"{len(run.train):,} + {len(run.test):,} x {run.train.dim}"
    audit, peer = "audit of arrays, report and tables written", "scikit-learn, neighbours alone"
    mine_used, theirs_used = (Times(tuple(used[of][1:])) for of in ("ours", "theirs"))
    return [
        row(audit, size, mine, "limit of 5 s", LIMIT_S, "<= 1"),
        row(audit, size, mine, peer, theirs, "<= -"),
        {**row(f"{audit}, processors", size, mine_used, peer, theirs_used, "<= -"), "unit": "s of processors"},
    ]


def profile() -> str:
    """Where the processor seconds of the same audit go, with one thread of the BLAS, as a table."""
    with tempfile.TemporaryDirectory() as name:
        file, out, _ = written(Path(name))
        environment = {**installed(Path(name)), "OMP_NUM_THREADS": "1"}
        found = Path(name) / "seconds.json"
        words = ["-m", "benchmarks.speed._stages", str(found), *audit_of(file, out)]
        for _ in range(2):  # the first compiles modules
            subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment)
        before = processors()
        subprocess.run([sys.executable, "-c", READY], check=True, env=environment)
        ready = processors() - before
        seconds = json.loads(found.read_text(encoding="utf-8"))
    seconds[DRAWING] -= ready
    return table({**seconds, "start the process that draws: imports, Vega": ready})


def audit_of(file: Path, out: Path) -> list[str]:
    """Words of the command."""
    return ["audit", str(file), "--out", str(out), "--force", "--no-map"]


def written(folder: Path) -> tuple[Path, Path, Run]:
    """An archive of arrays, where the audit goes, and the run that the arrays are of."""
    run = long_tail(10, 12_406, 10_000)
    assert run.test is not None and run.head is not None
    file = folder / "arrays.npz"
    splits = {
        f"{split}_{key}": getattr(found, key)
        for split, found in (("train", run.train), ("test", run.test))
        for key in ("features", "labels")
    }
    np.savez(file, head_weight=run.head.weight, head_bias=run.head.bias, **splits)
    return file, folder / "audit", run


def installed(folder: Path) -> dict[str, str]:
    """The environment under which a checkout runs as an installed package does."""
    bundled()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**environment, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def processors() -> float:
    """Seconds of processors that ended child processes have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def bundled() -> None:
    """Make the bundle of scripts that a wheel holds, where a checkout lacks it."""
    target = Path(imblens.__file__).with_name("report") / "vega.js"
    if not target.exists():
        import vl_convert

        target.write_text(vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;"), encoding="utf-8")
