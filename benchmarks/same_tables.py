"""Whether two audits hold the same tables: `python -m benchmarks.same_tables BEFORE AFTER`.

BEFORE and AFTER are folders that `imblens audit`, `compare` or `demo` wrote. Every CSV under a `tables` folder is
compared: columns and rows with their order, text equal, numbers equal (`--tolerance` relaxes this).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd


def tables(folder: Path) -> dict[str, Path]:
    """CSV files by their path below the folder."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("tables/*.csv"))}


def difference(before: pd.DataFrame, after: pd.DataFrame, tolerance: float) -> str:
    """The first difference in words, "" where there is none."""
    if list(before.columns) != list(after.columns):
        missing = [name for name in before.columns if name not in after.columns]
        return f"columns differ: missing {missing}, added {[n for n in after.columns if n not in before.columns]}"
    if len(before) != len(after):
        return f"{len(before)} rows became {len(after)}"
    for name in before.columns:
        first, second = before[name], after[name]
        if first.dtype.kind in "biuf" and second.dtype.kind in "biuf":
            same = np.isclose(first.astype(float), second.astype(float), rtol=tolerance, atol=tolerance, equal_nan=True)
        else:
            same = (first.fillna("").astype(str) == second.fillna("").astype(str)).to_numpy()
        if not same.all():
            row = int(np.flatnonzero(~same)[0])
            return (
                f"{name}: {int((~same).sum())} of {len(same)} differ, row {row}: {first[row]!r} became {second[row]!r}"
            )
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.0)
    given = parser.parse_args()
    first, second = tables(given.before), tables(given.after)
    found = [f"{name}: only in one of them" for name in sorted(set(first) ^ set(second))]
    for name in sorted(set(first) & set(second)):
        text = difference(pd.read_csv(first[name]), pd.read_csv(second[name]), given.tolerance)
        if text:
            found.append(f"{name}: {text}")
    print("\n".join([*found, f"{len(set(first) & set(second))} tables compared, {len(found)} differ"]))
    return 1 if found or not first else 0


if __name__ == "__main__":
    sys.exit(main())
