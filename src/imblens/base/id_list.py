"""Lists of instances that a report downloads, or that users write: CSV with a column `id`."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Container
from pathlib import Path

from imblens.errors import InputError, MissingError

GUARDED = ("'=", "'+", "'-", "'@", "'\t", "'\r")  # cells that a spreadsheet would otherwise run as formulas


def read_ids(path: Path, option: str) -> tuple[list[str], str]:
    """Read the column `id`, each id once, and the file's SHA-256.

    Args:
        path: of the CSV.
        option: that named it, for messages: "--drop".

    Raises:
        MissingError: no such file.
        InputError: not a CSV with a column `id`, or no id in it.
    """
    try:
        raw = path.read_bytes()
        rows = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        if "id" not in (rows.fieldnames or ()):
            found = ", ".join(map(repr, (rows.fieldnames or ())[:5])) or "nothing"
            raise InputError(
                f"{option} {path} has no column 'id'; its first line is {found}.",
                hint="Give the CSV that the report's list of label suspects downloads, or one with a column id.",
            )
        ids = list(dict.fromkeys(row["id"] for row in rows if row["id"]))
    except FileNotFoundError as error:
        raise MissingError(f"{option} {path}: there is no such file.", hint="Give a CSV with a column id.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{option} {path} cannot be read: {error}.", hint="Give a CSV in UTF-8 with a column id."
        ) from error
    if not ids:
        raise InputError(
            f"{option} {path} lists no instance.", hint=f"Leave {option} out, or tick instances in the report."
        )
    return ids, hashlib.sha256(raw).hexdigest()


def unguarded(name: str, known: Container[str]) -> str:
    """Return the id that a cell means: without the quote that a report puts before what a spreadsheet would run.

    >>> unguarded("'=1", {"=1"}), unguarded("'=1", {"'=1"}), unguarded("'a", set())
    ('=1', "'=1", "'a")
    """
    return name[1:] if name not in known and name.startswith(GUARDED) else name
