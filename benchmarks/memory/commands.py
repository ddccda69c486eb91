"""Peak memory of each command on a run of many classes: python -m benchmarks.memory.commands [NAME ...].

The run is that of `benchmarks.scale`, by default 60,000 x 64 with 10,000 classes and 6,000 test instances. Each command is a
process of its own, whose peak memory is that which the operating system counted (pages of mapped files included). Without a
NAME all commands are measured, in an order in which later ones read what earlier ones wrote; `merge` joins four shards of it,
`capture` is `imblens.capture` of its features with a linear network. A command that takes longer
than --minutes is stopped, and its peak so far is printed. The exit code is 1 where a command took more memory than its target.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Timer

from benchmarks.memory.prepare import SHARDS, shards
from benchmarks.scale import Size, make, missed, verdict

LIMIT_GIB = 6.0


def commands(place: Path) -> dict[str, list[str]]:
    """Words of each command by name."""
    run, treated = str(place / "run"), str(place / "treated")
    treat = ["treat", run, "--force", "--with"]
    return {
        "treat --with logit_adjustment": [*treat, "logit_adjustment", "--set", "tau=1", "--out", treated],
        "treat --with lws": [*treat, "lws", "--out", str(place / "lws")],
        "treat --with ncm": [*treat, "ncm", "--out", str(place / "ncm")],
        "treat --with crt": [*treat, "crt", "--out", str(place / "crt")],
        "treat --with tau_norm": [*treat, "tau_norm", "--out", str(place / "tau_norm")],
        "treat --with eos": [*treat, "eos", "--set", "k_neighbors=10", "--out", str(place / "eos")],
        "treat --with refit": [*treat, "refit", "--out", str(place / "refit")],
        "treat --with best --set candidates=crt,ncm": [
            *treat, "best", "--set", "candidates=crt,ncm", "--out", str(place / "best"),
        ],
        "predict": ["predict", run, treated, "--choose-on", "test", "--out", str(place / "new.parquet"), "--force"],
        "gate": ["gate", treated, "--against", run],
        "compare": ["compare", run, treated, "--out", str(place / "comparison"), "--force"],
        "collect --pool": ["collect", run, "--pool", treated, "--out", str(place / "collect"), "--force"],
        "audit": ["audit", run, "--out", str(place / "audit"), "--force"],
        "estimate": ["estimate", run, "--unlabelled", treated, "--choose-on", "test"],
        "merge": ["merge", *(str(place / f"shard-{i}") for i in range(SHARDS)), "--out", str(place / "merged"), "--force"],
        "capture": [run, str(place / "captured")],
    }  # fmt: skip


def measured(words: list[str], log: Path, minutes: float, module: str = "imblens") -> str:
    """Run one command; the cells of its row."""
    start = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", module, *words], stdout=file, stderr=subprocess.STDOUT)
        timer = Timer(60 * minutes, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        stopped = not timer.is_alive()
        timer.cancel()
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 3) and not stopped:  # 3: a gate that failed
        raise SystemExit(f"{module} {words[0]} ended with {code}: {log.read_text()[-1000:]}")
    taken, used = (time.perf_counter() - start) / 60, (usage.ru_utime + usage.ru_stime) / 60
    peak = verdict(usage.ru_maxrss / 2**20, LIMIT_GIB, "GiB")
    return f"{taken:.1f}{' (stopped)' if stopped else ''} | {used:.1f} | {peak}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="commands or treatments; all by default")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=30.0, help="after which a command is stopped")
    parser.add_argument(
        "--keep", type=Path, help="folder for the run and what commands write; a run that is there is used again"
    )
    given = parser.parse_args()
    known = {part for name in commands(Path()) for part in name.split()}
    if unknown := sorted(set(given.names) - known):
        parser.error(f"there is no command or treatment {', '.join(unknown)}; there are {', '.join(commands(Path()))}")
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        size = Size(given.rows, given.dim, given.classes)
        if not (place / "run" / "run.json").exists():
            make(place / "run", size)
        print(f"{size}\n\n| command | minutes | processor minutes | peak memory |\n|---|---|---|---|", flush=True)
        misses = 0
        for name, words in commands(place).items():
            if not given.names or any(part in given.names for part in name.split()):
                if name == "merge":
                    shards(place / "run", place)
                module = "benchmarks.memory.prepare" if name == "capture" else "imblens"  # a network of its own
                row = f"| `{name}` | {measured(words, place / 'log', given.minutes, module)} |"
                print(row, flush=True)
                misses += missed(row)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
