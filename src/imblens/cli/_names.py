"""Names of outputs that a line `next:` can give, since nothing has them yet."""

from __future__ import annotations

import re
from pathlib import Path

FILES = (".parquet", ".csv", ".safetensors")  # what commands write as one file


def unused(out: str | Path) -> Path:
    """Return `out`, or where something has that name, the first of OUT-2, OUT-3, ... that nothing has.

    >>> unused("no-such-folder").as_posix()
    'no-such-folder'
    """
    out = Path(out)
    ending = out.suffix if out.suffix in FILES else ""
    base, number = _numbered(out.name.removesuffix(ending))
    found = out
    while found.exists():
        number += 1
        found = out.with_name(f"{base}-{number}{ending}")
    return found


def following(source: Path) -> Path:
    """Return where the treated form of a run goes: RUN-2 beside RUN, RUN-3 beside RUN-2, or the next that nothing has.

    >>> following(Path("runs/first")).as_posix(), following(Path("arrays-2.npz")).as_posix()
    ('runs/first-2', 'arrays-3')
    """
    source = source if source.name else source.resolve()
    base, number = _numbered(source.name if source.is_dir() else source.stem)
    return unused(source.with_name(f"{base}-{number + 1}"))


def _numbered(name: str) -> tuple[str, int]:
    """A name without the number at its end, and the number; 1 where it has none."""
    found = re.fullmatch(r"(.+)-(\d{1,3})", name)
    return (found[1], int(found[2])) if found else (name, 1)
