"""Which column of a table is what: by the names that people use, or as stated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from imblens.base.wording import listed
from imblens.data._assemble import split_of
from imblens.data._decode import PixelRange
from imblens.data._entries import Uncertain
from imblens.errors import InputError, MissingError, did_you_mean

IMAGE = (
    "image_index", "image", "images", "img", "image_id", "image_path", "img_path", "image_name", "image_file", "path",
    "file", "filename", "file_name", "file_path", "filepath", "id",
)  # fmt: skip
LABEL = (
    "finding_labels", "labels", "label", "findings", "tags", "class", "class_name", "classname", "category",
    "label_name", "target", "targets", "classid", "class_id", "y",
)  # fmt: skip
PATIENT = ("patient_id", "patient", "subject_id", "subject")
SPLIT = ("split", "set", "partition", "subset", "phase", "fold")
FLAGS = {
    "is_test": "test",
    "is_valid": "val",
    "is_val": "val",
    "is_validation": "val",
    "is_train": "train",
    "train": "train",
}
_TRUE, _FALSE = ("1", "true", "yes", "1.0"), ("0", "false", "no", "0.0", "")


@dataclass(frozen=True)
class ColumnNames:
    """ColumnNames that the user stated; None where the usual names decide. `split` may be NAME=VALUE: that value is test."""

    image: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None

    @property
    def stated(self) -> list[str]:
        """The options that were given, in words of the command line."""
        given = (
            ("--image-column", self.image),
            ("--label-column", self.label),
            ("--split-column", self.split),
            ("--group", self.group),
        )
        return [option for option, name in given if name is not None]


@dataclass(frozen=True)
class ReadOptions:
    """How files are read: the seed of the hold-out (None: nothing is held out), uncertain labels, range, columns."""

    seed: int | None
    uncertain: Uncertain = "ignore"
    pixel_range: PixelRange | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)

    def refuse_columns(self, data: object) -> None:
        """Refuse columns that were stated for data without columns."""
        if self.columns.stated:
            raise InputError(
                f"{' and '.join(self.columns.stated)} name columns of a table, and {data} has none.",
                hint="They go with a CSV, TSV, .jsonl or Parquet table of images.",
            )


def plain_name(name: str) -> str:
    """Return a column name without case, spaces and hyphens.

    >>> plain_name("Image Index"), plain_name("file-name")
    ('image_index', 'file_name')
    """
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def find_column(header: Sequence[str], known: Iterable[str], stated: str | None, where: str) -> int | None:
    """Return the place of the stated column, else of the first known name, else None.

    Raises:
        MissingError: the stated column is not there.
    """
    if stated is not None:
        if stated in header:
            return list(header).index(stated)
        raise MissingError(
            f"{where} has no column {stated!r}; its columns: {', '.join(header) or 'none'}.",
            hint=did_you_mean(stated, list(header)),
        )
    names = [plain_name(name) for name in header]
    return next((names.index(name) for name in known if name in names), None)


def split_column(header: Sequence[str], stated: str | None, where: str) -> tuple[int | None, str | None]:
    """Return the place of the column of splits, and the value that means test where NAME=VALUE was stated."""
    if stated is not None and stated not in header and "=" in stated:
        name, _, value = stated.partition("=")
        return find_column(header, (), name, where), value
    return find_column(header, (*SPLIT, *FLAGS), stated, where), None


def read_splits(
    values: Sequence[str], name: str, *, test: str | None, stated: bool, at: Callable[[int], str]
) -> tuple[list[str | None], list[str]]:
    """Return the split of each row (None: not given) and notes.

    Words are read as in names of folders; `is_test` and `is_valid` hold true and false. Numbers of folds, and columns
    without any word for a split, are not used unless `test` states which value is held out; a note states it. `at`
    returns how messages name the file and a row.

    Raises:
        MissingError: some values are splits and others not, or a stated column holds none.
    """
    cells = [value.strip() for value in values]
    if test is not None:
        if test not in cells:
            raise MissingError(
                f"{at(0)}: column {name!r} has no value {test!r}.", hint=f"It has {', '.join(sorted(set(cells))[:10])}."
            )
        return ["test" if cell == test else "train" for cell in cells], []
    flag = FLAGS.get(plain_name(name))
    if flag is not None and all(cell.lower() in (*_TRUE, *_FALSE) for cell in cells):
        other = "test" if flag == "train" else "train"
        return [flag if cell.lower() in _TRUE else other for cell in cells], []
    found = {cell: split_of(cell) for cell in dict.fromkeys(cells) if cell}
    odd = [cell for cell, split in found.items() if split is None]
    if not odd:
        blank = cells.count("")
        note = f"Rows without a value under {name!r}, taken as train: {blank:,}."
        return [found.get(cell) for cell in cells], [note] if blank and found else []
    sure = stated or plain_name(name) == SPLIT[0]
    if len(odd) == len(found) and (not sure or all(cell.isdecimal() for cell in odd)):
        return [None] * len(cells), [
            f"Column {name!r} names no split ({listed(sorted(odd), 5)}), so it is not used. "
            f"--split-column {name}={sorted(odd)[0]} holds those rows out."
        ]
    raise MissingError(
        f"{at(cells.index(odd[0]))} has the split {odd[0]!r} under {name!r}.",
        hint=f"Known: train, val, test; or --split-column {name}=VALUE, whose rows are held out.",
    )


def in_order(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return class names sorted, numbers by value, and a note where that differs from the order of text.

    >>> in_order(["10", "9", "2"])[0], in_order(["b", "a"])
    (['2', '9', '10'], (['a', 'b'], []))
    """
    found = sorted(set(names))
    if not all(name.isascii() and name.isdecimal() for name in found):
        return found, []
    numeric = sorted(found, key=lambda name: (int(name), name))
    note = "Class names are numbers: classes are in numeric order, so '10' follows '9'."
    return numeric, [note] if numeric != found else []
