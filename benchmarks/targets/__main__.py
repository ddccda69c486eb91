"""Every target of the project in one table: python -m benchmarks.targets [NAME ...] [--arrays PATH ...] [--data SET ...].

Without a NAME, what takes minutes is measured, and what takes longer is a row that names what to add; `all` measures
everything. --arrays are ARRAYS.npz with head and test split, or folders of them, of networks that nothing was chosen on;
--data are image sets (NAME=FOLDER), in which causes are planted. What fails is a row that says so, and counts as missed.
Of several rounds or openings the median is shown and judged. The spread is that over rounds (quartiles), networks, causes or
openings (lowest and highest), or a 95% interval. Of a target that is missed, the functions that take most of the time are named
below the table. The exit code is 1 where a target is missed, 2 where what was given cannot be used.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.targets import science, size, speed
from benchmarks.targets._profile import hottest
from benchmarks.targets._row import HEAD, Row


@dataclass(frozen=True)
class Target:
    """What one name measures.

    Attributes:
        what, target: of the row that stands for it where it is not measured.
        rows: gives its rows; of what it needs.
        long: whether it takes more than some minutes.
        needs: what it has to be given: "arrays", "data" or nothing.
        profile: makes a call whose time is looked at where the target is missed; or words on where else to look.
    """

    what: str
    target: str
    rows: Callable[..., Iterable[Row]]
    long: bool = False
    needs: str = ""
    profile: Callable[[], Callable[[], object]] | str | None = None


def of_speed(name: str, what: str, target: str, **more: Any) -> Target:
    """The rows of a module of `benchmarks.speed`; where one is missed, they are measured again and looked at."""
    more.setdefault("profile", lambda: lambda: list(speed.of_module(name)))
    return Target(what, target, partial(speed.of_module, name), **more)


def of_arrays(what: str, target: str, rows: Callable[..., Iterable[Row]], command: str) -> Target:
    """Rows of networks; `command` prints one for each."""
    profile = f"`{command}` prints a row for every network"
    return Target(what, target, rows, long=True, needs="arrays", profile=profile)


FAILED = "failed"
LENSES = "`python -m benchmarks.scale --lenses` gives seconds and memory of each lens"
TARGETS = {
    "startup": of_speed(
        "startup", "start-up: imblens --help", "<= 0.3 s", profile="`python -X importtime -m imblens --help`"
    ),
    "neighbours": of_speed(
        "neighbours",
        "exact neighbour graph, 12,406 to 50,000 instances",
        ">= 2x scikit-learn, <= 1.5x the matrix product",
        profile=speed.graph_alone,
    ),
    "class_lenses": of_speed(
        "class_lenses", "archetypes, adversary matrix, density", ">= 80x, 8x, 15x and 80x the loop"
    ),
    "eos": of_speed("eos", "EOS sampling", ">= 80x the loop"),
    "colours": of_speed("colours", "class colours", ">= 10x one image at a time, <= 1.2x two forward passes"),
    "arrays": of_speed("arrays", "audit of 12,406 + 10,000 x 64 arrays", "<= 5 s", profile=speed.audit_alone),
    "report": Target("report of 100 classes and 100,000 instances", "<= 10 MB, opens in 2 s", speed.report, long=True),
    "graph-500k": Target(
        "exact neighbour graph, 500,000 instances",
        ">= 2x scikit-learn, <= 1.5x the matrix product",
        speed.large_graph,
        long=True,
    ),
    "audit-million": Target(
        f"audit of {size.MILLION}",
        "<= 4 GiB, 10 minutes, 100 MB",
        partial(size.of_size, size.MILLION),
        True,
        profile=LENSES,
    ),
    "audit-classes": Target(
        f"audit of {size.CLASSES}",
        "<= 6 GiB, 10 minutes, report opens",
        partial(size.of_size, size.CLASSES),
        True,
        profile=LENSES,
    ),
    "audit-parquet": Target(
        f"audit of {size.MILLION}, from Parquet",
        "<= 4 GiB, 10 minutes, 100 MB",
        partial(size.of_parquet, size.MILLION),
        True,
        profile=LENSES,
    ),
    "diagnosis": of_arrays(
        "diagnosis, causes planted in features",
        ">= 0.8 on average, none below 0.6, <= 0.1 harmless",
        science.diagnosis,
        "imblens study diagnosis --quick --seeds 1,2 --arrays FILE ...",
    ),
    "diagnosis-images": Target(
        "diagnosis, causes planted in images",
        ">= 0.8 on average, none below 0.6",
        science.in_images,
        True,
        needs="data",
        profile="`imblens study diagnosis --quick --data NAME=FOLDER ...` prints a row for every cause",
    ),
    "label_suspects": of_arrays(
        "label_suspects, noise of 2, 5, 10%",
        "average precision above cleanlab's",
        science.label_suspects,
        "python -m benchmarks.science.label_suspects FILE ...",
    ),
    "best": of_arrays(
        "treat --with best",
        "mean regret <= 0.3 points, never below the untreated head",
        science.best,
        "python -m benchmarks.science.choosing FILE ...",
    ),
    "soft": of_arrays(
        "soft forecast of test errors",
        "<= 0.045 nats",
        science.soft,
        "python -m benchmarks.science.forecasts FOLDER FILE ...",
    ),
}


def arrays_of(paths: Sequence[Path]) -> list[Path]:
    """The .npz files that were given, those of folders by name."""
    return [file for path in paths for file in (sorted(path.glob("*.npz")) if path.is_dir() else [path])]


def of_labels(files: Sequence[Path]) -> list[str]:
    """Names of the files that are multi-label: a row of 0 and 1 for every instance."""
    found = []
    for file in files:
        with np.load(file) as arrays:
            found += [file.name] * ("train_labels" in arrays and arrays["train_labels"].ndim > 1)
    return found


def rows_of(name: str, chosen: bool, given: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a name, or one that states what it needs, or that it failed."""
    target = TARGETS[name]
    if target.needs and not given[target.needs]:
        yield Row(target.what, target.target, f"give --{target.needs}")
    elif not chosen:
        yield Row(target.what, target.target, f"takes long: add {name}")
    else:
        try:
            yield from target.rows(given[target.needs]) if target.needs else target.rows()
        except Exception as error:
            traceback.print_exc()
            yield Row(target.what, target.target, f"{FAILED}: {type(error).__name__}", met=False)


def image_set(word: str) -> tuple[str, str]:
    """NAME and FOLDER of NAME=FOLDER."""
    name, sign, folder = word.partition("=")
    if not (name and sign and folder):
        raise argparse.ArgumentTypeError(f"{word} is not NAME=FOLDER")
    return name, folder


def main(words: Sequence[str] | None = None) -> int:
    """Print the table, a row as soon as it is measured, and where the time goes of what was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(TARGETS)}")
    parser.add_argument(
        "--arrays", nargs="+", type=Path, default=[], metavar="PATH", help="ARRAYS.npz or folders of them"
    )
    parser.add_argument("--data", nargs="+", type=image_set, default=[], metavar="NAME=FOLDER", help="image sets")
    given = parser.parse_args(words)
    if unknown := [name for name in given.names if name not in {"all", *TARGETS}]:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    files = arrays_of(given.arrays)
    if missing := [str(path) for path in given.arrays if not arrays_of([path]) or not path.exists()]:
        parser.error(f"there are no arrays at {', '.join(missing)}")
    if found := of_labels(files):
        parser.error(
            f"{', '.join(found)} is multi-label, and these targets are of single-label networks; leave it out, or plant causes "
            "in labels with: imblens study diagnosis --arrays FILE"
        )
    everything, needed = "all" in given.names, {"arrays": files, "data": dict(given.data)}
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}\n\n{HEAD}")
    missed: dict[str, bool] = {}  # whether it was measured
    for name in TARGETS if everything or not given.names else dict.fromkeys(given.names):
        for row in rows_of(name, everything or name in given.names or not TARGETS[name].long, needed):
            print(row, flush=True)
            if row.met is False:
                missed[name] = not row.measured.startswith(FAILED)
    for name, measured in missed.items():
        profile = TARGETS[name].profile
        if profile is not None and measured:
            print(f"\n{name} is missed: {profile if isinstance(profile, str) else hottest(profile())}.", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
