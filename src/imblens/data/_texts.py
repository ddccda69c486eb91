"""Safe reading of CSV, JSON and XML files from other programs, with one clear message on failure."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from imblens.errors import InputError

_LIMIT = 512 * 2**20  # bytes of one file


def read_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, stripped fields) of a CSV file, empty lines left out.

    Raises:
        InputError: it is not text, or not CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max((",", ";", "\t"), key=first.count)  # of column names, which seldom hold one themselves
            reader = csv.reader(file, delimiter=delimiter)
            for row in reader:
                if any(row):
                    yield reader.line_num, [field.strip() for field in row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as CSV: {error}.", hint="Save it as UTF-8 text with commas."
        ) from error


def read_table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of a table, its column names first: CSV, or one JSON object on each line (.jsonl).

    Lists in JSON become names joined by |.

    Raises:
        InputError: it is not text, or not of that kind.
    """
    if path.suffix.lower() != ".jsonl":
        yield from read_csv(path)
        return
    try:
        with path.open(encoding="utf-8-sig") as file:
            records = [(n, json.loads(line)) for n, line in enumerate(file, start=1) if line.strip()]
        header = list(dict.fromkeys(key for _, record in records for key in record))
        yield 0, header
        for number, record in records:
            yield number, [_cell(record.get(key)) for key in header]
    except (OSError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be read as lines of JSON: {error}.", hint="Write one object on each line."
        ) from error


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(map(str, value))
    return "" if value is None else str(value)


def read_json_file(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is too large, no text, no JSON, or nested beyond reason.
    """
    _refuse_large(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}.", hint="Download or write it again.") from error


def read_xml_file(path: Path) -> ElementTree.Element:
    """Read an XML file that declares no entities: those can grow without end, or name other files.

    Raises:
        InputError: it declares some, is too large, or no XML.
    """
    _refuse_large(path)
    try:
        text = path.read_bytes()
        if b"<!ENTITY" in text or b"\x00" in text:  # zeros: UTF-16, in which the declaration could hide
            raise InputError(
                f"{path} declares entities, or is not UTF-8.",
                hint="Annotations need no entities, which can grow without end: do not read the file unless you made it.",
            )
        return ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError, LookupError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as XML: {error}.", hint="Download or write it again.") from error


def corners(values: Any, where: str) -> tuple[float, float, float, float]:
    """Return four finite numbers; an error names the place of others."""
    try:
        x0, y0, x1, y1 = (float(value) for value in values)
        if all(map(math.isfinite, (x0, y0, x1, y1))):
            return x0, y0, x1, y1
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{where}: a box holds {values!r}.", hint="A box is four finite numbers of pixels.")


def _refuse_large(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the file.") from error
    if size > _LIMIT:
        raise InputError(f"{path} is larger than {_LIMIT >> 20} MiB.", hint="Split it into smaller files.")
