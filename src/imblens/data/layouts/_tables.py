"""CSV tables of labels: NIH ChestX-ray14, CheXpert, and other tables of images and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imblens.data._assemble import SPLITS
from imblens.data._boxes import BOX_FILES, read_boxes
from imblens.data._entries import Entry, Uncertain, read_entries
from imblens.data._images import ImageSet
from imblens.data._texts import read_csv
from imblens.errors import InputError

_IMAGE = ("image index", "image", "image_id", "path", "file", "filename", "file_name", "file name", "image")
_LABELS = ("finding labels", "labels", "label", "findings", "tags", "class", "classid", "class_id", "target")
_PATIENT = ("patient id", "patient_id", "patient", "subject_id", "subject")
_SPLIT = ("split", "set", "partition", "fold")
_NONE = ("", "no finding", "none", "nan")
_VALUES = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1, "": 0, "nan": 0}  # blank: not mentioned
_NIH = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
_NIH_LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
_CHEXPERT_PATIENT = re.compile(r"(?:^|/)(patient\d+)/")


def table_files(root: Path) -> dict[str, Path]:
    """Return the label tables of a folder by split: train.csv, val.csv, ...; or one table under ""."""
    if not root.is_dir():
        return {}
    tables = sorted(path for path in root.glob("*.csv") if not BOX_FILES.match(path.name))
    named = {SPLITS[path.stem.lower()]: path for path in tables if path.stem.lower() in SPLITS}
    if "train" in named:
        return named
    whole = [p for p in tables if re.match(r"(data_entry|labels|annotations|metadata)", p.stem, re.IGNORECASE)]
    return {"": whole[0]} if len(whole) == 1 else {}


def read_tables(root: Path, tables: dict[str, Path], *, seed: int | None, uncertain: Uncertain) -> ImageSet:
    """Read tables that name images and their labels; images lie anywhere below the folder.

    A table has a column for the image, and either one column of label names joined by | ("No Finding" is none of
    them), or a column for each label: 1, 0, blank (not mentioned: 0) or -1 (uncertain). Columns for the patient and the
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
        found, names = _read_table(path)
        if split:
            found = [replace(entry, split=split) for entry in found]
        classes = tuple(dict.fromkeys([*classes, *names]))
        entries += found
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
        root, entries, classes, layout="NIH" if nih else "table", seed=seed, uncertain=uncertain, notes=notes
    )


def _read_table(path: Path) -> tuple[list[Entry], tuple[str, ...]]:
    lines = read_csv(path)
    _, header = next(lines, (0, []))
    columns = [name.lower() for name in header]
    image = _column(columns, _IMAGE)
    if image is None:
        raise InputError(
            f"{path} has no column that names images; its columns: {', '.join(header) or 'none'}.",
            hint="Call it image, and the other labels (names joined by |), or give each label a column of 0 and 1.",
        )
    rows = list(lines)
    for number, row in rows:
        if (len(row) > len(header) and any(row[len(header) :])) or len(row) <= image:
            raise InputError(
                f"{path} line {number} has {len(row)} fields for {len(header)} columns.", hint="Correct that line."
            )
    if path.name.lower().startswith("data_entry") and "finding labels" not in columns:
        raise InputError(
            f"{path} has no column 'Finding Labels'; its columns: {', '.join(header)}.",
            hint="Give NIH's table as it is published.",
        )
    patient, split, joined = (_column(columns, names) for names in (_PATIENT, _SPLIT, _LABELS))
    if joined is not None:
        given = [frozenset(n for n in _names(_at(row, joined)) if n.lower() not in _NONE) for _, row in rows]
        names = tuple(sorted(frozenset().union(*given)))
        unknown = [frozenset[str]()] * len(rows)
    else:
        places = _label_columns(path, header, rows, {image, patient, split})
        names = tuple(header[c] for c in places)
        given = [frozenset(header[c] for c in places if _VALUES[_at(row, c).lower()] == 1) for _, row in rows]
        unknown = [frozenset(header[c] for c in places if _VALUES[_at(row, c).lower()] == -1) for _, row in rows]
    entries = []
    for (number, row), labels, open_ in zip(rows, given, unknown, strict=True):
        file = row[image]
        whom = _at(row, patient) if patient is not None else None
        chexpert = _CHEXPERT_PATIENT.search(file)
        where = _at(row, split).lower() if split is not None else None
        if where and where not in SPLITS:
            if where.isdecimal():  # the number of a fold of cross-validation
                where = None
            else:
                raise InputError(f"{path} line {number} has the split {where!r}.", hint="Known: train, val, test.")
        entries.append(
            Entry(
                file=file,
                labels=labels,
                unknown=open_,
                patient=whom or (chexpert[1] if chexpert else None),
                split=SPLITS[where] if where else None,
            )
        )
    return entries, names


def _label_columns(
    path: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]], taken: set[int | None]
) -> list[int]:
    """Return the columns that hold label values only: 1, 0, -1 or blank, not all blank. "No Finding" is no label."""
    found = []
    for c, name in enumerate(header):
        if c in taken or not name or name.lower() in _NONE:
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
        raise InputError(
            f"{path} has no labels: neither a column `labels` nor columns of 0 and 1; its columns: {', '.join(header)}.",
            hint="Call one labels (names joined by |), or give each label a column of 0 and 1.",
        )
    return found


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split("|")]


def _column(columns: Sequence[str], known: Sequence[str]) -> int | None:
    return next((columns.index(name) for name in known if name in columns), None)


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
