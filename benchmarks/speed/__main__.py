"""python -m benchmarks.speed [NAME ...]: print the comparisons of those modules (all of them, without a name).

python -m benchmarks.speed arrays --profile: print where the processor seconds go instead.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import sys
from typing import Any

import benchmarks.speed as here


def main(names: list[str]) -> int:
    """Measure and print a Markdown table; rows appear as they are measured."""
    known = sorted(module.name for module in pkgutil.iter_modules(here.__path__) if not module.name.startswith("_"))
    profiled = "--profile" in names
    names = [name for name in names if name != "--profile"]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"error: no benchmark {unknown[0]!r}\nhint: known: {', '.join(known)}", file=sys.stderr)
        return 2
    if profiled and names != ["arrays"]:
        print("error: --profile is of arrays alone\nhint: python -m benchmarks.speed arrays --profile", file=sys.stderr)
        return 2
    if profiled:
        print(importlib.import_module("benchmarks.speed.arrays").profile())
        return 0
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}\n")
    print("| operation | size | imblens | other | other's time | ratio | quartiles | target |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names or known:
        for row in importlib.import_module(f"benchmarks.speed.{name}").rows():
            print(
                f"| {row['operation']} | {row['size']} | {shown(row, 'ours_s')} | {row['peer']} "
                f"| {shown(row, 'peer_s')} | {row['ratio']:.3g}x | {quartiles(row['spread'])} | {row['target']} |",
                flush=True,
            )
    return 0


def shown(row: dict[str, Any], key: str) -> str:
    """A value of a row with its unit, seconds unless the row says otherwise."""
    return seconds(row[key]) if "unit" not in row else f"{row[key]:,.4g} {row['unit']}".strip()


def quartiles(spread: tuple[float, float] | None) -> str:
    """Quartiles of the ratio over rounds; a dash of a single round."""
    return "–" if spread is None else f"{spread[0]:.3g}x to {spread[1]:.3g}x"


def seconds(value: float) -> str:
    """A time with three digits, in the unit that reads best."""
    return f"{value:.3g} s" if value >= 0.1 else f"{1000 * value:.3g} ms"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
