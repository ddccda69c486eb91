"""Do the tests notice small faults in the code? Mutation testing of the rooms that compute results.

    python -m tests.trust.mutants --count 70 --seed 1          70 mutants of each room, drawn at random; prints the figures
    python -m tests.trust.mutants --rooms lenses --count 20    of this room
    python -m tests.trust.mutants --again --seed 1             the survivors of this seed once more, with the tests of today
    python -m tests.trust.mutants                              the figures only

Needs Python 3.11 and cosmic-ray (`pip install cosmic-ray coverage`), whose operators make the mutants: another operator or
comparison, a number one larger or smaller, `not`, a loop without iterations, ... A place in the code is drawn first, then one
mutant of it. First come the tests that run the line of the mutant, the quickest first, 4 seconds of them; then, for a survivor,
all others of their files, up to a minute. A mutant outside functions is tried in a process that loads the room again, with the
files of these tests and of others of the room, up to a minute. Tests of other rooms and slow tests do not count, nor processes
that tests start. A test that takes 30 seconds and five times as long as usual is a timeout; it counts as killed, and its number
is stated.

One line per mutant is appended to results/mutants.jsonl at once; what is there is not tried again. Survivors that do not matter
are in results/mutants-explained.jsonl, each with its kind (equivalent, harmless, removed, gap) and the reason.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from imblens.base.intervals import wilson

RESULTS = Path(__file__).parent / "results" / "mutants.jsonl"
NO_FAULT = ("equivalent", "harmless", "removed")  # the same result; only looks or speed; the code is gone
KEPT = Path(__file__).resolve().parents[2] / "build" / "mutants"  # which test runs which line
EXPLAINED = RESULTS.with_name("mutants-explained.jsonl")
ROOMS = ("lenses", "resampling", "treatments", "decisions")
BESIDES = {  # tests of a room that are not in its folder
    "lenses": ["tests/laws/test_lenses.py", "tests/report/test_lens_charts.py"],
    "resampling": ["tests/laws/test_samplers.py", "tests/treatments/test_samplers_by_name.py"],
    "treatments": [],
    "decisions": [],
}
LOADED = ("numpy", "scipy.stats", "pandas", "pyarrow.parquet", "sklearn.linear_model", "imblearn", "altair", "torch")


def read(file: Path = RESULTS) -> list[dict[str, Any]]:
    """Every mutant that was tried."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def key(one: dict[str, Any]) -> tuple[Any, ...]:
    """By what a mutant is known: code, not line numbers, which move."""
    return one["file"], one["operator"], one["before"], one["after"]


def trials(*, last: bool) -> list[dict[str, Any]]:
    """The first or last trial of each mutant of each sample."""
    lines = read() if last else read()[::-1]
    return list({(one["seed"], *key(one), one["drawn"]): one for one in lines}.values())


def share(found: list[dict[str, Any]]) -> str:
    """Killed of tried, with a 95% interval."""
    killed = sum(one["outcome"] != "survived" for one in found)
    low, high = wilson(np.array([killed]), np.array([len(found)]))
    return f"{killed} of {len(found)} ({killed / len(found):.0%}, interval {low[0]:.0%} to {high[0]:.0%})"


def figures() -> list[str]:
    """What to print; more than one line where a survivor is not explained."""
    explained = {key(one): one["kind"] for one in read(EXPLAINED)}
    first, now = trials(last=False), trials(last=True)
    lines = [] if first else ["mutants: none tried"]
    for seed in sorted({one["seed"] for one in first}):
        drawn = [one for one in first if one["seed"] == seed]
        real = [one for one in drawn if one["outcome"] != "survived" or explained.get(key(one)) not in NO_FAULT]
        today = [one for one in now if one["seed"] == seed]
        today = [one for one in today if one["outcome"] != "survived" or explained.get(key(one)) not in NO_FAULT]
        slow = Counter(one["outcome"] for one in drawn)["timeout"]
        rooms = [(room, [one for one in today if one["room"] == room]) for room in ROOMS]
        lines += [
            f"mutants, sample {seed}: killed at first {share(drawn)}, {slow} by a timeout;",
            f"  without {len(drawn) - len(real)} that change no result {share(real)}; with the tests of today {share(today)};",
            "  " + ", ".join(f"{room} {share(some)}" for room, some in rooms if some),
        ]
    open_ones = [one for one in now if one["outcome"] == "survived" and key(one) not in explained]
    listed = [
        f"survived, not explained: {one['file']}:{one['line']} {one['before']}  ->  {one['after']}" for one in open_ones
    ]
    return ["\n".join(lines), *listed]


def try_room(room: str, count: int, seed: int, again: bool, work: Path) -> None:
    """Draw mutants of a room and try those that are not in the results."""
    from tests.trust import mutation
    from tests.trust.mutation import OPTIONS, ROOT, Loop, in_child

    files = sorted((ROOT / "src/imblens" / room).rglob("*.py"))
    known = [one for one in trials(last=True) if one["seed"] == seed and one["room"] == room]
    if again:
        no_fault = {key(one) for one in read(EXPLAINED) if one["kind"] in NO_FAULT}
        survived = [one for one in known if one["outcome"] == "survived" and key(one) not in no_fault]
        left = [(one["drawn"], mutant) for one in survived if (mutant := mutation.find(one))]
    else:
        done = {one["drawn"] for one in known}
        mutants = mutation.draw(files, count, random.Random(f"{room} {seed}"))
        left = [(number, one) for number, one in enumerate(mutants) if number not in done]
    print(f"{room}: {len(left)} to try", flush=True)
    if not left:
        return
    tests = [f"tests/{room}", *BESIDES[room], f"src/imblens/{room}"]
    later: list[tuple[int, list[str]]] = []

    def note(number: int, mutant: Any, outcome: str | None, tests: int, start: float) -> None:
        words = "survived" if outcome is None else "timeout" if outcome == mutation.HANGS else "killed"
        line = {"room": room, "seed": seed, "drawn": number, "outcome": words, "by": outcome or "", "tests": tests}
        line |= {name: getattr(mutant, name) for name in ("file", "line", "operator", "occurrence", "before", "after")}
        with RESULTS.open("a") as file:
            file.write(json.dumps(line | {"seconds": round(time.monotonic() - start, 1)}) + "\n")
        print(words, mutant.file, mutant.line, mutant.after, flush=True)

    def in_session(session: Any) -> None:
        ran = KEPT / f"{room}-{mutation.digest(tests)}.json"
        lines = mutation.Lines(room)

        def measure() -> bool:
            session.config.pluginmanager.register(lines)
            lines.coverage.start()
            failed = mutation.run_items(session, session.items)
            lines.coverage.stop()
            if failed is None:
                ran.parent.mkdir(parents=True, exist_ok=True)
                ran.write_text(json.dumps(lines.found()))
            return failed is None or failed

        if not ran.exists() and (fine := in_child(measure, 7200, work / "log")) is not True:
            raise SystemExit(f"{room}: the tests fail without a mutant: {fine}, {(work / 'log').read_text()[-2000:]}")
        found = json.loads(ran.read_text())
        print(f"{room}: {len(found)} tests in {sum(one['seconds'] for one in found.values()):.0f} s", flush=True)
        functions = mutation.functions_by_place()
        for number, mutant in left:
            start = time.monotonic()
            chosen = mutation.choose(found, mutant)
            objects = functions.get((str(ROOT / mutant.file), mutant.function or ""), [])
            outcome: Any = False
            for names in chosen if mutant.function and chosen[0] else ():
                items = [item for name in names for item in session.items if item.nodeid == name]

                def attempt(mutant: Any = mutant, items: Any = items, objects: Any = objects) -> Any:
                    return mutation.run_items(session, items) if mutation.patch(mutant, objects) else False

                outcome = in_child(attempt, mutation.limit(found, names), work / "log")
                if outcome is not None:
                    break
            if outcome is False:
                later.append((number, list(dict.fromkeys(name.split("::")[0] for names in chosen for name in names))))
            else:
                note(number, mutant, outcome, sum(map(len, chosen)), start)
        (work / "later.json").write_text(json.dumps(later))

    def collect() -> int:
        import pytest

        return int(pytest.main([*OPTIONS, *tests], plugins=[Loop(in_session)]))

    code = in_child(collect, 72000, work / "session")
    if not (work / "later.json").exists():
        raise SystemExit(f"{room}: {code}: {(work / 'session').read_text()[-3000:]}")
    for number, names in json.loads((work / "later.json").read_text()):
        mutant, start = dict(left)[number], time.monotonic()
        outcome = in_child(lambda m=mutant, n=names: mutation.fresh(m, n), 300, work / "log") if names else None
        note(number, mutant, outcome, 0, start)


def main() -> int:
    """Try mutants, if asked to, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rooms", default=",".join(ROOMS))
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    if asked.count or asked.again:
        for name in LOADED:
            __import__(name)
        loaded = {name for name in sys.modules if name.split(".")[0] == "imblens"}
        for name in loaded:  # children load the room with the mutant
            del sys.modules[name]
        for room in asked.rooms.split(","):
            with tempfile.TemporaryDirectory() as folder:
                try_room(room, asked.count, asked.seed, asked.again, Path(folder))
    lines = figures()
    print(*lines, sep="\n")
    return int(len(lines) > 1)


if __name__ == "__main__":
    sys.exit(main())
