"""CSV tables of labels: NIH ChestX-ray14, CheXpert, and other tables of images and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imblens.data._assemble import SPLITS, split_of
from imblens.data._boxes import BOX_FILES, read_boxes
from imblens.data._entries import Entry, read_entries
from imblens.data._images import ImageSet
from imblens.data._texts import read_csv, read_table
from imblens.data.layouts._columns import (
    FLAGS,
    IMAGE,
    LABEL,
    PATIENT,
    SPLIT,
    ColumnNames,
    ReadOptions,
    find_column,
    in_order,
    plain_name,
    read_splits,
    split_column,
)
from imblens.errors import InputError

_SUFFIXES = (".csv", ".tsv", ".jsonl")
_KNOWN = re.compile(r"(data_entry|labels|annotations|metadata)", re.IGNORECASE)
_NONE = ("", "no finding", "none", "nan")
_VALUES = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1, "": 0, "nan": 0}  # blank: not mentioned
_NIH = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
_NIH_LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
_CHEXPERT_PATIENT = re.compile(r"(?:^|/)(patient\d+)/")


def table_files(root: Path, columns: ColumnNames | None = None) -> dict[str, Path]:
    """Return the label tables of a folder by split: train.csv, val.csv, ...; or one table under "".

    A table of labels has a column that names images; others are passed over, unless their name is that of a split.
    """
    if not root.is_dir():
        return {}
    columns = columns or ColumnNames()
    files = sorted(path for path in root.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    files = [path for path in files if not BOX_FILES.match(path.name) and not path.name.startswith(".")]
    exact = {SPLITS[path.stem.lower()]: path for path in files if path.stem.lower() in SPLITS}
    if "train" in exact:
        return exact
    named = [path for path in files if split_of(path.stem) and names_images(path, columns)]
    splits = {str(split_of(path.stem)): path for path in named}
    if "train" in splits and len(splits) == len(named):
        return splits
    whole = [path for path in files if _KNOWN.match(path.stem)]
    inside = {
        split: table
        for folder in sorted(root.iterdir())
        if (split := SPLITS.get(folder.name.lower())) and folder.is_dir()
        for table in sorted(folder.glob("metadata.*"))
        if table.suffix.lower() in _SUFFIXES
    }
    if "train" in inside and not whole:
        return inside
    if len(whole) > 1:
        whole = [path for path in whole if names_images(path, columns)]
    return {"": whole[0]} if len(whole) == 1 else {}


def other_tables(root: Path, columns: ColumnNames) -> list[Path]:
    """Return the tables of a folder that name images, whatever they are called."""
    files = sorted(path for path in root.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    return [p for p in files if not BOX_FILES.match(p.name) and p.name[0] != "." and names_images(p, columns)]


def names_images(path: Path, columns: ColumnNames) -> bool:
    """Return whether a table has a column that names images; False for one that cannot be read."""
    try:
        _, header = next(read_table(path), (0, []))
        return find_column(header, IMAGE, columns.image, str(path)) is not None
    except InputError:
        return False


def read_tables(root: Path, tables: dict[str, Path], options: ReadOptions) -> ImageSet:
    """Read tables that name images and their labels; images lie anywhere below the folder.

    A table has a column for the image, and either one column of label names joined by | ("No Finding" is none of
    them), or a column for each label: 1, 0, blank (not mentioned: 0) or -1 (uncertain). Where no row joins names, every
    name is a class as it is written ("none", "007"), and rows without one are left out. ColumnNames for the patient and the
    split are used if present; the split may also come from the tables' names, or from NIH's lists.

    Raises:
        InputError: no such columns, or a value that is not a label value; the message names file and line.
        MissingError: none of the images is there.
    """
    lists = _nih_lists(root)
    entries: list[Entry] = []
    classes: tuple[str, ...] = ()
    notes: list[str] = []
    for split, path in tables.items():
        try:
            found, names, remarks = _read_table(path, options.columns)
        except _NoLabelsError as error:
            if split in ("", "train"):
                raise
            notes.append(f"{path.name} was not read: {error.message}")
            continue
        if split:
            found = [replace(entry, split=split) for entry in found]
        if path.parent != root:
            folder = path.parent.relative_to(root).as_posix()
            found = [replace(entry, file=f"{folder}/{entry.file}") for entry in found]
        classes = tuple(dict.fromkeys([*classes, *names]))
        entries += found
        notes += remarks
    if {name for entry in entries for name in entry.labels} == set(classes) and len(tables) > 1:
        classes = tuple(in_order(classes)[0]) if all(name.isdecimal() for name in classes) else classes
    nih = any(path.name.lower().startswith("data_entry") for path in tables.values())
    if nih and lists:
        entries = [replace(entry, split=lists.get(entry.file, entry.split)) for entry in entries]
        unlisted = sum(entry.file not in lists for entry in entries)
        if unlisted:
            notes.append(f"Images that neither of NIH's lists names, taken as train: {unlisted:,}.")
    if nih and set(classes) <= set(_NIH):
        classes = _NIH
    boxes = sorted(path for path in root.glob("*.csv") if BOX_FILES.match(path.name))
    if boxes:
        drawn = read_boxes(boxes[0])
        notes += drawn.notes
        facts = drawn.match([entry.file for entry in entries])
        entries = [replace(entry, **fact) for entry, fact in zip(entries, facts, strict=True)]
        drawn_boxes, taken = sum(map(len, drawn.boxes.values())), sum(len(entry.boxes) for entry in entries)
        if taken < drawn_boxes:
            more = f"{drawn_boxes - taken:,} of {drawn_boxes:,}"
            notes.append(f"{boxes[0].name} has boxes of images that the table does not list: {more}.")
    return read_entries(
        root,
        entries,
        classes,
        layout="NIH" if nih else "table",
        seed=options.seed,
        uncertain=options.uncertain,
        notes=notes,
        group=options.columns.group,
    )


class _NoLabelsError(InputError):
    """A table names images, but has no column of labels."""


def _read_table(path: Path, columns: ColumnNames) -> tuple[list[Entry], tuple[str, ...], list[str]]:
    """Return the entries of a table, its classes in order, and notes."""
    lines = read_table(path)
    _, header = next(lines, (0, []))
    image = find_column(header, IMAGE, columns.image, str(path))
    if image is None:
        raise InputError(
            f"{path} has no column that names images; its columns: {', '.join(header) or 'none'}.",
            hint="Call it image or name it (--image-column); labels need one column, or a column of 0 and 1 each.",
        )
    rows = list(lines)
    for number, row in rows:
        if (len(row) > len(header) and any(row[len(header) :])) or len(row) <= image:
            raise InputError(
                f"{path} line {number} has {len(row)} fields for {len(header)} columns.", hint="Correct that line."
            )
    nih = path.name.lower().startswith("data_entry")
    if nih and "finding_labels" not in map(plain_name, header):
        raise InputError(
            f"{path} has no column 'Finding Labels'; its columns: {', '.join(header)}.",
            hint="Give NIH's table as it is published.",
        )
    patient = find_column(header, PATIENT, columns.group, str(path))
    split, held_out = split_column(header, columns.split, str(path))
    joined = find_column(header, LABEL, columns.label, str(path))
    notes: list[str] = []
    given: list[frozenset[str]]
    unknown = [frozenset[str]()] * len(rows)
    if joined is not None:
        cells = [_at(row, joined) for _, row in rows]
        apart, remarks = _apart(cells, header[joined])
        if apart is not None:
            given = [frozenset(n for n in names if n.lower() not in _NONE) for names in apart]
            names, notes = tuple(sorted(frozenset().union(*given))), remarks
        else:
            rows, cells, notes = _labelled(rows, cells, path)
            given, unknown = [frozenset([cell]) for cell in cells], [frozenset[str]()] * len(rows)
            ordered, remarks = in_order(cells)
            names = tuple(ordered)
            notes += remarks
    else:
        places = _label_columns(path, header, rows, {image, patient, split})
        names = tuple(header[c] for c in places)
        given = [frozenset(header[c] for c in places if _VALUES[_at(row, c).lower()] == 1) for _, row in rows]
        unknown = [frozenset(header[c] for c in places if _VALUES[_at(row, c).lower()] == -1) for _, row in rows]
    where: list[str | None] = [None] * len(rows)
    if split is not None and rows:
        values = [_at(row, split) for _, row in rows]
        stated = columns.split is not None
        lines_of = [number for number, _ in rows]
        where, remarks = read_splits(
            values, header[split], test=held_out, stated=stated, at=lambda i: f"{path} line {lines_of[i]}"
        )
        notes += remarks
    entries = []
    for (_, row), labels, open_, part in zip(rows, given, unknown, where, strict=True):
        file = row[image]
        whom = _at(row, patient) if patient is not None else None
        chexpert = _CHEXPERT_PATIENT.search(file)
        named = whom or (chexpert[1] if chexpert else None)
        entries.append(Entry(file=file, labels=labels, unknown=open_, patient=named, split=part))
    return entries, names, notes


def _labelled(
    rows: list[tuple[int, list[str]]], cells: list[str], path: Path
) -> tuple[list[tuple[int, list[str]]], list[str], list[str]]:
    """Leave out the rows of one label each that have none: blank, or -1 among class numbers; a note counts them."""
    numbers = all(cell.lstrip("-").isdecimal() for cell in cells if cell)
    kept = [i for i, cell in enumerate(cells) if cell and not (numbers and cell == "-1")]
    if not kept:
        raise _NoLabelsError(f"{path} has no label in any row.", hint="Label the images, or state --label-column.")
    left = len(cells) - len(kept)
    notes = [f"Rows of {path.name} without a label, left out: {left:,}."] if left else []
    return [rows[i] for i in kept], [cells[i] for i in kept], notes


def _label_columns(
    path: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]], taken: set[int | None]
) -> list[int]:
    """Return the columns that hold label values only: 1, 0, -1 or blank, not all blank. "No Finding" is not a label."""
    found = []
    for c, name in enumerate(header):
        if c in taken or not name or name.lower() in _NONE or plain_name(name) in (*FLAGS, *SPLIT):
            continue
        values = {_at(row, c).lower() for _, row in rows}
        if values <= _VALUES.keys() and values & {"0", "0.0", "1", "1.0", "-1", "-1.0"}:
            found.append(c)
        elif values & {"-1", "-1.0", "1.0", "0.0"} and not all(_is_number(v) for v in values):
            number, odd = next((n, _at(row, c)) for n, row in rows if _at(row, c).lower() not in _VALUES)
            raise InputError(
                f"{path} line {number} has {odd!r} under {name!r}.",
                hint="A label value is 1, 0, blank, or -1 (uncertain).",
            )
    if not found:
        raise _NoLabelsError(
            f"{path} has no labels: neither a column `labels` nor columns of 0 and 1; its columns: {', '.join(header)}.",
            hint="Call one labels or name it (--label-column), or give each label a column of 0 and 1.",
        )
    return found


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def _apart(cells: Sequence[str], column: str) -> tuple[list[list[str]] | None, list[str]]:
    """Return the labels of each cell where cells join several, and a note; None where each cell is one label.

    Labels are joined by |; or written as a list, ['a', 'b']; or joined by commas, semicolons, or under `tags` blanks, if
    every part is also the only label of a cell.
    """
    if any("|" in cell for cell in cells) or plain_name(column) == "finding_labels":
        return [[name.strip() for name in cell.split("|")] for cell in cells], []
    filled = [cell.strip() for cell in cells if cell.strip()]
    if filled and all(cell[0] == "[" and cell[-1] == "]" for cell in filled):
        lists = [[part.strip().strip("'\"") for part in cell.strip()[1:-1].split(",")] for cell in cells]
        return lists, [f"Cells of {column!r} are lists of labels: read as multi-label."]
    for sign in (",", ";", *((" ",) if plain_name(column) == "tags" else ())):
        several = [cell for cell in filled if sign in cell]
        alone = {cell for cell in filled if sign not in cell}
        if several and all(part.strip() in alone for cell in several for part in cell.split(sign)):
            name = {",": "commas", ";": "semicolons", " ": "blanks"}[sign]
            note = f"Cells of {column!r} join labels by {name}: read as multi-label."
            return [[part.strip() for part in cell.split(sign)] for cell in cells], [note]
    return None, []


def _at(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _nih_lists(root: Path) -> dict[str, str]:
    """Return the split of every image in NIH's lists; none where the lists are not there."""
    found: dict[str, str] = {}
    for name, split in _NIH_LISTS.items():
        path = root / name
        if path.is_file():
            found |= {fields[0]: split for _, fields in read_csv(path)}
    return found
