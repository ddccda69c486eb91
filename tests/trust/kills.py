"""Jobs that are killed at a random moment, started again, and compared with an undisturbed one.

    python -m tests.trust.kills --count 200        kill until results/kills.jsonl holds 200 trials; prints the figures
    python -m tests.trust.kills --count 40 --jobs merge,treat      of these jobs
    python -m tests.trust.kills                    the figures only

Each job runs in a child that is forked from this process after all imports, so that the moment falls into the work. After
the kill (SIGKILL), what a reader would take for a whole result must be the whole result; the job is then started again, the
way a user would, and must end with the same result as an undisturbed one. One line per trial is appended at once,
so that this harness itself can be killed and started again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import imblens
from imblens.errors import ImblensError, MissingError
from imblens.run import Run, merge
from tests.trust.inputs import BIAS, FEATURES, LABELS, NAMES, TEST_FEATURES, TEST_LABELS, WEIGHT

RESULTS = Path(__file__).parent / "results" / "kills.jsonl"
LONGEST = 900.0  # seconds after which a start counts as hanging: the machine may be busy with other work
STUDY = """
question = "Is it the same?"
treatments = ["none", "crt"]
measures = ["accuracy", "gap"]
seeds = [0]
[[data]]
name = "digits"
source = "digits"
[train]
arch = "smallnet"
epochs = 1
loss = ["ce"]
"""


def digest(folder: Path, *patterns: str) -> str:
    """SHA-256 over names and bytes of the files of `folder` that match."""
    found = hashlib.sha256()
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}):
        found.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def of_run(folder: Path) -> str | None:
    """Digest of a run's arrays and head, None where there is no whole run."""
    try:
        Run.load(folder)
    except ImblensError:
        return None
    return digest(folder, "**/*.npy", "**/*.parquet", "head.safetensors")


def of_report(folder: Path) -> str | None:
    """Digest of an audit, None where there is no report."""
    return digest(folder, "*", "tables/*") if (folder / "report.html").exists() else None


def of_predictions(folder: Path) -> str | None:
    """Digest of a table of predictions."""
    return digest(folder, "p.csv") if (folder / "p.csv").exists() else None


def of_study(folder: Path) -> str | None:
    """Digest of the tables of a study without the times that were measured, None where there is no table of all."""
    if not (folder / "table.md").exists():
        return None
    tables = [pd.read_csv(table) for table in sorted((folder / "tables").iterdir())]
    same = [table.loc[:, ~table.columns.str.contains("seconds|minutes")].to_csv() for table in tables]
    return hashlib.sha256("".join(same).encode()).hexdigest()


def of_training(folder: Path) -> str | None:
    """Digest of the weights of a finished training."""
    return digest(folder, "model.safetensors") if (folder / "model.safetensors").exists() else None


def a_run(scale: int = 1) -> Run:
    """Return a small run."""
    rows = np.tile(FEATURES, (scale, 1)), np.tile(LABELS, scale)
    return Run.from_arrays(
        train=rows,
        test=(TEST_FEATURES, TEST_LABELS),
        val=(TEST_FEATURES + 0.25, TEST_LABELS),
        head=(WEIGHT, BIAS),
        classes=NAMES,
    )


def capture(out: Path, given: Path, again: bool) -> None:
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    rows = torch.tensor(np.tile(FEATURES, (60, 1)), dtype=torch.float32), torch.tensor(np.tile(LABELS, 60))
    train = torch.utils.data.TensorDataset(*rows)
    imblens.capture(network, train=train, test=train, classes=NAMES, batch_size=32, out=out, force=again)


def join(out: Path, given: Path, again: bool) -> None:
    merge([given / "part0", given / "part1"], out, force=again)


def audit(out: Path, given: Path, again: bool) -> None:
    found = imblens.audit(Run.load(given / "run"), skip=["embedding_map", "diagnosis", "headroom"])
    found.save(out, force=again, figures=False)


def treat(out: Path, given: Path, again: bool) -> None:
    imblens.treat(Run.load(given / "run"), "eos", k_neighbors=5).save(out, force=again)


def predict(out: Path, given: Path, again: bool) -> None:
    from imblens.decisions import Unlabelled, write_decisions

    rules = imblens.Decision.load(given / "rules.safetensors")
    out.mkdir(exist_ok=True)
    write_decisions(rules, Unlabelled(np.tile(FEATURES, (400, 1))), out / "p.csv", force=again)


def study(out: Path, given: Path, again: bool) -> None:
    from imblens.studies import find_study, run_study

    run_study(find_study(str(given / "study.toml")), out, force=again, progress=lambda line: None, workers=1)


def train(out: Path, given: Path, again: bool) -> None:
    from imblens.data import digits
    from imblens.training import TrainingPlan
    from imblens.training import train as fit

    plan = TrainingPlan(arch="smallnet", epochs=3, batch_size=128)
    try:
        fit(digits(), plan, out=out, resume=again, progress=False)
    except MissingError:  # killed before the first epoch ended
        fit(digits(), plan, out=out, force=True, progress=False)


@dataclass(frozen=True)
class Work:
    """A job, and the digest of its result, None where a reader would find none."""

    do: Callable[[Path, Path, bool], None]
    result: Callable[[Path], str | None]


JOBS = {
    "capture": Work(capture, of_run),
    "merge": Work(join, of_run),
    "audit": Work(audit, of_report),
    "treat": Work(treat, of_run),
    "predict": Work(predict, of_predictions),
    "study": Work(study, of_study),
    "train": Work(train, of_training),
}


def prepare(given: Path) -> None:
    """Write what the jobs read."""
    a_run(20).save(given / "run")
    imblens.Decision.fit(a_run()).save(given / "rules.safetensors")
    (given / "study.toml").write_text(STUDY)
    whole = np.tile(FEATURES, (400, 1)), np.tile(LABELS, 400)
    for i in range(2):
        rows = whole[0][i::2], whole[1][i::2]
        shard = {"index": i, "of": 2, "instances": {"train": len(whole[0])}}
        Run.from_arrays(train=rows, head=(WEIGHT, BIAS), classes=NAMES, meta={"shard": shard}).save(given / f"part{i}")


def child(work: Work, out: Path, given: Path, again: bool) -> int:
    """Fork, do the job in the child, and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()  # so that a kill reaches its workers, too
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work.do(out, given, again)
        code = 0
    finally:
        os._exit(code)


def ended(pid: int, seconds: float) -> int | None:
    """Wait for a child; its exit status, or None where it did not end in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.005)
    return None


def killed(pid: int) -> None:
    """Kill a child and what it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def trial(name: str, number: int, given: Path, seconds: float, right: str) -> dict[str, Any]:
    """Kill one job at a random moment and start it again."""
    work = JOBS[name]
    moment = float(np.random.default_rng([number, *name.encode()]).uniform(0, 1.05 * seconds))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        pid = child(work, out, given, again=False)
        status = ended(pid, moment)
        if status is None:
            killed(pid)
        found = work.result(out)
        before = "nothing" if not out.exists() else "unfinished" if found is None else "whole"
        torn = found not in (None, right)
        pid = child(work, out, given, again=True)
        code = ended(pid, LONGEST)
        if code is None:
            killed(pid)
        same = code == 0 and work.result(out) == right
        left = sorted(str(file.relative_to(folder)) for file in Path(folder).rglob(".imblens-tmp-*"))
    return {
        "job": name,
        "trial": number,
        "after": round(moment, 3),
        "killed": status is None,
        "found": before,
        "half read as whole": torn,
        "same": same,
        **({"code": code} if code else {} if code == 0 else {"hung": True}),
        **({"left": left} if left else {}),
    }


def read() -> list[dict[str, Any]]:
    """Return the trials that were written."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text().splitlines()]


def figures() -> list[str]:
    """Sentences on the trials that were written."""
    trials = [one for one in read() if one["killed"]]
    bad = [one for one in trials if not one["same"] or one["half read as whole"]]
    jobs = {name: sum(one["job"] == name for one in trials) for name in JOBS}
    found = {kind: sum(one["found"] == kind for one in trials) for kind in ("nothing", "unfinished", "whole")}
    return [
        f"kills: {len(trials) - len(bad)} of {len(trials)} survived ("
        + ", ".join(f"{name} {n}" for name, n in jobs.items())
        + f"); found then: {', '.join(f'{kind} {n}' for kind, n in found.items())}; temporary files still there: "
        + str(sum("left" in one for one in trials)),
        *(f"not survived: {json.dumps(one)}" for one in bad),
    ]


def run_trials(count: int, names: list[str]) -> None:
    """Kill until there are `count` trials whose kill came before the end."""
    import imblens.decisions
    import imblens.report  # before the fork

    if {"capture", "study", "train"} & set(names):
        import torch

        import imblens.studies
        import imblens.training  # noqa: F401

        torch.set_num_threads(1)
    known = read()
    have, number = sum(one["killed"] for one in known), max((one["trial"] for one in known), default=-1) + 1
    RESULTS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder)
        prepare(given)
        usual: dict[str, tuple[float, str]] = {}
        for name in names:
            work = JOBS[name]
            start = time.monotonic()
            if ended(child(work, given / f"whole-{name}", given, again=False), LONGEST) != 0:
                raise SystemExit(f"{name} fails undisturbed.")
            right = work.result(given / f"whole-{name}")
            assert right is not None
            usual[name] = time.monotonic() - start, right
            print(f"{name}: {usual[name][0]:.2f} s undisturbed", flush=True)
        while have < count:
            name = names[number % len(names)]
            one = trial(name, number, given, *usual[name])
            with RESULTS.open("a") as file:
                file.write(json.dumps(one) + "\n")
            have, number = have + one["killed"], number + 1


def main() -> int:
    """Run trials, if asked to, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--jobs", default=",".join(JOBS))
    asked = parser.parse_args()
    if asked.count:
        run_trials(asked.count, asked.jobs.split(","))
    lines = figures()
    print(*lines, sep="\n")
    return int(len(lines) > 1)


if __name__ == "__main__":
    sys.exit(main())
