"""Findings as files: their names, and JSON that every reader accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imblens.lenses import Finding


def file_names(wanted: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Give each (lens, table or chart) a file name of its own: names are data, never paths.

    Args:
        wanted: (lens, name) -> the name to use if it is free and plain.

    Example:
        >>> file_names({("a", "t"): "t", ("b", "t"): "t", ("b", "u"): "../u"})
        {('a', 't'): 't', ('b', 't'): 'b_t', ('b', 'u'): 'u'}
    """
    taken: set[str] = set()
    found: dict[tuple[str, str], str] = {}
    for key, name in wanted.items():
        plain_name = _slug(name) or "table"
        candidates = [plain_name, f"{_slug(key[0])}_{plain_name}"]
        chosen = next((c for c in candidates if c.lower() not in taken), None)
        number = 2
        while chosen is None:
            numbered = f"{candidates[1]}_{number}"
            chosen = numbered if numbered.lower() not in taken else None
            number += 1
        taken.add(chosen.lower())  # some file systems take A and a for one
        found[key] = chosen
    return found


def table_files(findings: Mapping[str, Finding]) -> dict[tuple[str, str], str]:
    """The file name of every table by (lens, table)."""
    return file_names({(lens, name): name for lens, finding in findings.items() for name in finding.tables})


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")[:80]


def sweep(folder: Path, written: set[str], kinds: tuple[str, ...]) -> None:
    """Remove files of those kinds that an earlier report left in a folder."""
    for file in sorted(folder.glob("*")) if folder.is_dir() else []:
        if file.suffix in kinds and file.name not in written:
            file.unlink()
