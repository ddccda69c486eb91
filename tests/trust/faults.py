"""Faults of the machine under which commands run: each command either ends as ever or refuses, and nothing is lost.

    python -m tests.trust.faults --run             every command with every fault; adds to results/faults.jsonl
    python -m tests.trust.faults --run --jobs merge,treat --faults "disk full"
    python -m tests.trust.faults                       the figures only

Each command runs in a child that is forked from this process. It must end with exit code 0 and the usual result, or with
exit code 2 (130 after Ctrl-C) and one error with a hint on stderr; what a reader would take for a whole result must be one.
Then the fault is removed and the command started again, which must end with the usual result.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import io
import json
import os
import resource
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from imblens.base.files import release
from tests.trust import kills
from tests.trust.kills import LONGEST, ended, killed

RESULTS = Path(__file__).parent / "results" / "faults.jsonl"
NETWORK = """
import torch
def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                               torch.nn.Flatten(), torch.nn.Linear(4, 10))
"""
CAPABILITIES_3 = 0x20080522  # version of the interface of capset(2)
OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@dataclass(frozen=True)
class Job:
    """A command, what is typed to start it again, and the digest of its result."""

    words: tuple[str, ...]
    again: str
    result: Callable[[Path], str | None]


JOBS = {
    "merge": Job(("merge", "part0", "part1", "--out", "OUT"), "--force", kills.of_run),
    "treat": Job(("treat", "run", "--with", "eos", "--set", "k_neighbors=5", "--out", "OUT"), "--force", kills.of_run),
    "predict": Job(("predict", "rules.safetensors", "rows.npy", "--out", "OUT/p.csv"), "--force", kills.of_predictions),
    "audit": Job(
        ("audit", "run", "--lens", "archetypes", "--lens", "class_accuracy", "--no-map", "--out", "OUT"),
        "--force",
        kills.of_report,
    ),
    "capture": Job(("capture", "digits", "--model", "net.py:make", "--out", "OUT"), "--force", kills.of_run),
    "train": Job(("train", "digits", "--epochs", "1", "--out", "OUT"), "--force", kills.of_training),
    "study": Job(("study", "study.toml", "--workers", "1", "--out", "OUT"), "", kills.of_study),
}
READS = {"merge": "part1", "treat": "run", "predict": "rows.npy", "audit": "run", "study": "study.toml"}


def prepare(given: Path) -> None:
    """Write what the commands read."""
    import numpy as np

    kills.prepare(given)
    np.save(given / "rows.npy", np.tile(kills.FEATURES, (400, 1)))
    (given / "net.py").write_text(NETWORK)


def opens(event: str, given: tuple[Any, ...], where: Path) -> bool:
    """Whether an event is the opening of a file at or below `where`."""
    return (
        event == "open"
        and isinstance(given[0], (str, bytes))
        and Path(os.fsdecode(given[0])).absolute().is_relative_to(where)
    )


def opening_fails(where: Path, what: int, at: int) -> None:
    """The `at`-th opening of a file below `where` fails with that number of error; those before and after it do not."""
    seen = 0

    def fail(event: str, given: tuple[Any, ...]) -> None:
        nonlocal seen
        if opens(event, given, where):
            seen += 1
            if seen == at:
                raise OSError(what, os.strerror(what), os.fsdecode(given[0]))

    sys.addaudithook(fail)  # the process is a child that ends


def failing(function: str, what: int, at: int = 1) -> None:
    """The `at`-th call of a function of `os` fails."""
    usual, seen = getattr(os, function), 0

    def fail(*given: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == at:
            raise OSError(what, os.strerror(what), str(given[0]))
        return usual(*given, **options)

    setattr(os, function, fail)


def disk_full(out: Path, reads: Path | None) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with EFBIG, as Python has it


def no_space(out: Path, reads: Path | None) -> None:
    failing("fsync", errno.ENOSPC)


def read_only(out: Path, reads: Path | None) -> None:
    out.parent.chmod(0o555)
    libc = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    sets[0] &= ~OVERRIDES  # with these, root may write everywhere
    libc.capset(header, sets)


def vanishes(out: Path, reads: Path | None) -> None:
    """Files that the command reads are gone when the second of them is opened."""
    assert reads is not None
    seen = 0

    def gone(event: str, given: tuple[Any, ...]) -> None:
        nonlocal seen
        if opens(event, given, reads):
            seen += 1
            if seen == (2 if reads.is_dir() else 1):
                shutil.rmtree(reads) if reads.is_dir() else reads.unlink()

    sys.addaudithook(gone)


def reading_fails(out: Path, reads: Path | None) -> None:
    assert reads is not None
    opening_fails(reads, errno.EIO, 2 if reads.is_dir() else 1)


def sync_fails(out: Path, reads: Path | None) -> None:
    failing("fsync", errno.EIO)


def renaming_fails(out: Path, reads: Path | None) -> None:
    failing("replace", errno.ESTALE)


def interrupted_calls(out: Path, reads: Path | None) -> None:
    """A signal every few milliseconds, as from a flaky mount: system calls end early with EINTR and short reads."""
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.siginterrupt(signal.SIGALRM, True)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)


def slow(out: Path, reads: Path | None) -> None:
    usual = os.fsync
    os.fsync = lambda file: (time.sleep(0.05), usual(file))[1]


def clock_back(out: Path, reads: Path | None) -> None:
    """The clock goes back an hour with every look at it; what is read is of the year 2100."""
    start, seen = time.time(), 0

    def back() -> float:
        nonlocal seen
        seen += 1
        return start - 3600 * (seen % 1000)

    time.time = back
    if reads is not None:
        for file in [reads, *reads.rglob("*")]:
            os.utime(file, (4102444800, 4102444800))


def little_memory(out: Path, reads: Path | None) -> None:
    import_module(f"imblens.cli.{sys.argv[1]}")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, resource.RLIM_INFINITY))


def nothing(out: Path, reads: Path | None) -> None:
    """For faults that come from outside the process."""


@dataclass(frozen=True)
class Fault:
    """What is done in the child, whether it needs an input, and with which exit codes the command may end."""

    do: Callable[[Path, Path | None], None]
    needs_input: bool = False
    codes: tuple[int, ...] = (0, 2)


FAULTS = {
    "disk full": Fault(disk_full, codes=(2,)),
    "no space when flushed": Fault(no_space, codes=(2,)),
    "read-only folder": Fault(read_only, codes=(2,)),
    "input vanishes": Fault(vanishes, True),
    "error while reading": Fault(reading_fails, True, codes=(2,)),
    "error while flushing": Fault(sync_fails, codes=(2,)),
    "error while renaming": Fault(renaming_fails, codes=(2,)),
    "interrupted system calls": Fault(interrupted_calls, codes=(0,)),
    "slow disk": Fault(slow, codes=(0,)),
    "clock goes back": Fault(clock_back, codes=(0,)),
    "little memory": Fault(little_memory),
    "Ctrl-C": Fault(nothing, codes=(0, 130)),
    "two at once": Fault(nothing, codes=(0, 2)),
}


def typed(job: Job, out: Path, again: bool) -> list[str]:
    """The words of a command."""
    words = [word.replace("OUT", str(out)) for word in job.words]
    return [*words, job.again] if again and job.again else words


def start(words: list[str], given: Path, said: Path, before: Callable[[], None]) -> int:
    """Fork; the child runs the command and writes its stderr into `said`. Returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        os.chdir(given)
        with said.open("w") as stderr, open(os.devnull, "w") as stdout:
            os.dup2(stderr.fileno(), 2)
            os.dup2(stdout.fileno(), 1)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", 0, closefd=False), write_through=True)
        sys.argv = ["imblens", *words]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            before()
            from imblens.cli import main

            try:
                main()
            except SystemExit as stop:
                code = int(stop.code or 0)
    except BaseException as error:
        os.write(2, f"raised {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def finished(pid: int) -> int | None:
    """Exit code of a child, None where it hangs."""
    status = ended(pid, LONGEST)
    if status is None:
        killed(pid)
        return None
    return os.waitstatus_to_exitcode(status)


def trial(name: str, fault: str, given: Path, usual: float, right: str) -> dict[str, Any]:
    """Run a command under a fault, then without it; what was found."""
    job, kind = JOBS[name], FAULTS[fault]
    with tempfile.TemporaryDirectory() as folder:
        inputs, out, said = Path(folder) / "given", Path(folder) / "place" / "out", Path(folder) / "said"
        shutil.copytree(given, inputs)
        out.parent.mkdir()
        for place in (Path(folder), inputs, *inputs.rglob("*")):
            place.chmod(0o755 if place.is_dir() else 0o644)
        said.touch()
        said.chmod(0o666)
        reads = inputs / READS[name] if name in READS else None
        pid = start(typed(job, out, False), inputs, said, lambda: kind.do(out, reads))
        other = None
        if fault == "Ctrl-C":
            status = ended(pid, usual * 0.5)
            if status is None:
                os.kill(pid, signal.SIGINT)
        elif fault == "two at once":
            (Path(folder) / "other").touch()
            other = start(typed(job, out, True), inputs, Path(folder) / "other", lambda: None)
        code = finished(pid) if fault != "Ctrl-C" or status is None else os.waitstatus_to_exitcode(status)
        codes = [code] if other is None else [code, finished(other)]
        out.parent.chmod(0o755)
        text = said.read_text(errors="replace").strip()
        found = job.result(out)
        whole = found in (None, right)
        shutil.rmtree(inputs)
        shutil.copytree(given, inputs)
        after = finished(start(typed(job, out, out.exists()), inputs, said, lambda: None))
        same = after == 0 and job.result(out) == right
    errors = [line for line in text.splitlines() if line.startswith(("error: ", "stopped: "))]
    clear = code == 0 or (len(errors) == 1 and "Traceback" not in text and "bug in imblens" not in text)
    fine = all(one in kind.codes for one in codes) and clear and whole and (code != 0 or found == right or bool(other))
    return {
        "job": name,
        "fault": fault,
        "codes": codes,
        "fine": fine,
        "half read as whole": not whole,
        "same afterwards": same,
        "said": text[-300:].replace(f"{sysconfig.get_path('purelib')}/", ""),  # no path of this machine
        **({} if same else {"then": after}),
    }


def read() -> list[dict[str, Any]]:
    """Return the trials that were written, the last of each kind."""
    if not RESULTS.exists():
        return []
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return list({(one["job"], one["fault"]): one for one in lines}.values())


def figures() -> list[str]:
    """Sentences on the trials that were written."""
    trials = read()
    bad = [one for one in trials if not one["fine"] or not one["same afterwards"]]
    refused = sum(one["codes"][0] == 2 for one in trials)
    return [
        f"faults: {len(trials) - len(bad)} of {len(trials)} pairs of {len({one['job'] for one in trials})} commands and "
        f"{len({one['fault'] for one in trials})} faults: {refused} refused in one sentence, "
        f"{sum(one['codes'][0] == 0 for one in trials)} done as ever, {sum(130 in one['codes'] for one in trials)} stopped",
        *(f"not withstood: {json.dumps(one)}" for one in bad),
    ]


def table() -> list[str]:
    """A row per fault, a column per command: exit codes, with `!` where something was wrong."""
    known = {(one["job"], one["fault"]): one for one in read()}
    rows = [f"{'':26}" + "".join(f"{job:>9}" for job in JOBS)]
    for fault in FAULTS:
        cells = []
        for job in JOBS:
            one = known.get((job, fault))
            wrong = one is not None and not (one["fine"] and one["same afterwards"])
            cells.append("-" if one is None else "/".join(map(str, one["codes"])) + ("!" if wrong else ""))
        rows.append(f"{fault:26}" + "".join(f"{cell:>9}" for cell in cells))
    return rows


def run_trials(jobs: list[str], faults: list[str]) -> None:
    """Try the commands with the faults and append a line each."""
    import imblens.decisions
    import imblens.report
    import imblens.treatments

    if {"capture", "study", "train"} & set(jobs):
        import torch

        import imblens.studies
        import imblens.training  # noqa: F401

        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given"
        given.mkdir()
        prepare(given)
        release()  # this process made folders, which are no concern of its children
        for name in jobs:
            begun, out, said = time.monotonic(), Path(folder) / f"whole-{name}", Path(folder) / "said"
            if name == "predict":
                out.mkdir()
            code = finished(start(typed(JOBS[name], out, False), given, said, lambda: None))
            right = JOBS[name].result(out)
            if code != 0 or right is None:
                raise SystemExit(f"{name} fails undisturbed: {said.read_text()}")
            usual = time.monotonic() - begun
            for fault in faults:
                if FAULTS[fault].needs_input and name not in READS:
                    continue
                one = trial(name, fault, given, usual, right)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(one) + "\n")
                if not (one["fine"] and one["same afterwards"]):
                    print(json.dumps(one), flush=True)


def main() -> int:
    """Run trials, if asked to, and print the table and the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--faults", default=",".join(FAULTS))
    asked = parser.parse_args()
    if asked.run:
        run_trials(asked.jobs.split(","), asked.faults.split(","))
        print(*table(), sep="\n")
    lines = figures()
    print(*lines, sep="\n")
    return int(len(lines) > 1)


if __name__ == "__main__":
    sys.exit(main())
