"""A run from a table: rows are read twice in batches, first labels and splits, then features, which are never all in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from imblens.base.split_names import SPLITS
from imblens.base.wording import listed
from imblens.errors import InputError, MissingError, ShapeError
from imblens.run._arrays import Checked, Classes, splits_of
from imblens.run._conventions import labelled_rows, left_out_note
from imblens.run._rounding import Extent, Storing, is_exact
from imblens.run._spool import Spool
from imblens.run._table_columns import PREVIEW, numbers, texts
from imblens.run._table_labels import LabelColumn
from imblens.run._table_source import Table, found_columns, open_table

ORDER = ("train", "val", "test")
HELD_OUT = {"eval": "test", "evaluation": "test", "holdout": "test", "held-out": "test", "held_out": "test"}
NUMBERS = 2**22  # numbers of one batch
FEWEST, MOST = 64, 2**16  # rows of one batch


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what; see `Run.from_table`."""

    features: str | Sequence[str]
    label: str | Sequence[str] | None
    split: str | None = None
    logits: str | Sequence[str] | None = None
    id: str | None = None
    group: str | None = None
    preview: str | None = None

    @property
    def feature_list(self) -> list[str]:
        """The columns of features."""
        return _names(self.features)

    @property
    def label_list(self) -> list[str]:
        """The columns of labels."""
        return _names(self.label)

    @property
    def logit_list(self) -> list[str]:
        """The columns of logits."""
        return _names(self.logits)

    def described(self) -> dict[str, Any]:
        """Return the columns as plain JSON values."""
        values = {key: getattr(self, key) for key in self.__dataclass_fields__}
        return {
            key: value if isinstance(value, str) else list(value) for key, value in values.items() if value is not None
        }


def read_table(
    source: Any, columns: Columns, *, head: Any | None, classes: Classes | None, task: str | None
) -> tuple[Checked, dict[str, Any]]:
    """Read a table; return what `Run.from_table` needs: the splits, and the meta of the run."""
    table = open_table(source)
    _check_columns(table, columns)
    width = _width(table, columns.feature_list)
    wide_logits = _width(table, columns.logit_list) if columns.logits is not None else None
    rows = int(np.clip(NUMBERS // max(width, wide_logits or 1), FEWEST, MOST))
    label = LabelColumn(columns.label_list)
    codes, frame, notes = _first_pass(table, columns, label, rows)
    values, names, remarks = label.finish(
        classes,
        named=_schema_names(table, columns.label_list),
        outputs=wide_logits if head is None else _outputs(head),
        task=task,
    )
    notes += remarks
    labels = {name: values[codes == k] for k, name in enumerate(ORDER) if (codes == k).any()}
    labels, codes, held = _settle_splits(labels, codes, columns, table)
    notes += held
    for name, labelled in labelled_rows(labels).items():
        notes.append(left_out_note(name, labelled))
        codes[np.flatnonzero(codes == ORDER.index(name))[~labelled]] = -1
        labels[name] = labels[name][labelled]
    feature_names = columns.feature_list if width == len(columns.feature_list) and width > 1 else None
    features, storing = _features(table, columns.feature_list, codes, width, rows, feature_names)
    logits = _matrices(table, columns.logit_list, codes, wide_logits, rows, None) if wide_logits is not None else None
    arrays: dict[str, Any] = {
        name: (features[name], labels[name]) if logits is None else (features[name], labels[name], logits[name])
        for name in ("train", "test", "val")
        if name in labels
    }
    centre = storing.centre if storing is not None and storing.centre.any() else None
    checked = splits_of(arrays, head=head, classes=names, task=task, read=True, centre=centre)
    notes += [*(storing.notes(feature_names) if storing is not None else ()), *checked.notes]
    splits = {
        name: replace(split, parts=(replace(split.parts[0], table=_rows_of(frame, codes == ORDER.index(name))),))
        for name, split in checked.splits.items()
    }
    meta: dict[str, Any] = {
        "data": {
            "source": Path(source).name if isinstance(source, (str, Path)) else table.name,
            "layout": "table",
            "columns": columns.described(),
            **({} if columns.group is None else {"group": columns.group}),
        }
    }
    if feature_names is not None:
        meta["feature_names"] = list(feature_names)
    return replace(checked, splits=splits, notes=notes, centre=centre), meta


def _names(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(name) for name in value]  # numbers name columns of frames, too


def _check_columns(table: Table, columns: Columns) -> None:
    """Refuse columns that were not named or do not exist, in one sentence that lists those found."""
    found = found_columns(table.columns)
    if not columns.feature_list:
        raise MissingError(f"no column of features was named for {table.name}.", hint=f"Pass features=. {found}")
    if not columns.label_list:
        raise MissingError(f"no column of labels was named for {table.name}.", hint=f"Pass label=. {found}")
    single = [name for name in (columns.split, columns.id, columns.group, columns.preview) if name is not None]
    table.check([*columns.feature_list, *columns.label_list, *columns.logit_list, *single])
    twice = set(columns.feature_list) & {*columns.label_list, *columns.logit_list, *single}
    if twice:
        raise InputError(
            f"the column {min(twice)!r} is named as a feature and as something else.", hint="Name other features."
        )
    if columns.split is None and not any(piece.split for piece in table.pieces):
        raise MissingError(
            f"no split column was named for {table.name}, and accuracy needs held-out rows.",
            hint=f"Pass split=, a column with train, test and val. {found}",
        )


def _width(table: Table, columns: list[str]) -> int:
    """D, from the first row."""
    for piece in table.pieces:
        for batch in piece.batches(columns, 1):
            return sum(numbers(array, name, 0).shape[1] for name, array in zip(columns, batch.columns, strict=True))
    raise ShapeError(f"{table.name} has no rows.", hint="Give at least two instances of two classes.")


def _rows(table: Table, columns: list[str], rows: int) -> Iterator[tuple[int, str | None, pa.RecordBatch]]:
    """Batches with the number of their first row and the split that the name of their file means."""
    start = 0
    for piece in table.pieces:
        for batch in piece.batches(columns, rows):
            if batch.num_rows:
                yield start, piece.split, batch
                start += batch.num_rows


def _first_pass(
    table: Table, columns: Columns, label: LabelColumn, rows: int
) -> tuple[NDArray[np.int8], dict[str, Any], list[str]]:
    """Read everything but features and logits: the split of every row, its labels, and the columns that are kept."""
    kept = {key: name for key in ("id", "group", "preview") if (name := getattr(columns, key)) is not None}
    first = [*columns.label_list, *([columns.split] if columns.split is not None else [])]
    wanted = list(dict.fromkeys([*first, *kept.values()]))
    codes: list[NDArray[np.int8]] = []
    texts_of: dict[str, list[pa.Array]] = {key: [] for key in kept}
    spelled: dict[str, int] = {}
    total = 0
    for start, split, batch in _rows(table, wanted, rows):
        total += batch.num_rows
        label.add([batch.column(name) for name in columns.label_list], start)
        if columns.split is None:
            codes.append(np.full(batch.num_rows, ORDER.index(_split(split or "", "its file name")), np.int8))
        else:
            codes.append(_codes(batch.column(columns.split), columns.split, start, spelled))
        for key, name in kept.items():
            texts_of[key].append(texts(batch.column(name), name, start, most=PREVIEW if key == "preview" else None))
    if not codes:
        raise ShapeError(f"{table.name} has no rows.", hint="Give at least two instances of two classes.")
    frame: dict[str, Any] = {key: pa.chunked_array(arrays, pa.string()) for key, arrays in texts_of.items()}
    if "id" not in frame:
        frame = {"id": pa.array(np.arange(total)).cast(pa.string()), **frame}
    return np.concatenate(codes), frame, _eval_note(spelled)


def _codes(array: pa.Array, name: str, row: int, spelled: dict[str, int]) -> NDArray[np.int8]:
    """The split of every row as its place in `ORDER`."""
    encoded = texts(array, name, row).dictionary_encode()
    places = []
    for value in encoded.dictionary.to_pylist():
        places.append(ORDER.index(_split(value, f"the column {name!r}")))
        spelled[str(value).strip().lower()] = places[-1]
    return np.asarray(places, np.int8)[encoded.indices.to_numpy(zero_copy_only=False)]


def _split(value: str, where: str) -> str:
    word = value.strip().lower()
    found = HELD_OUT.get(word) or SPLITS.get(word)
    if found is None:
        raise InputError(
            f"{where} names the split {value!r}." if value else f"{where} names no split.",
            hint="Known: train (training), val (valid, validation, dev), test (testing, eval).",
        )
    return found


def _eval_note(spelled: Mapping[str, int]) -> list[str]:
    both = sorted(set(spelled) & set(HELD_OUT))
    if both and any(word in spelled for word in ("test", "testing")):
        return [f"Rows of the splits test and {', '.join(both)} are both taken as test."]
    return []


def _settle_splits(
    labels: dict[str, NDArray[Any]], codes: NDArray[np.int8], columns: Columns, table: Table
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int8], list[str]]:
    """Require training and held-out rows; without test, val is held out."""
    where = f"the column {columns.split!r} of {table.name}" if columns.split else f"the files of {table.name}"
    if "train" not in labels:
        raise MissingError(f"{where} names no training rows, only {listed(list(labels))}.", hint="Name them train.")
    if len(labels) == 1:
        raise MissingError(
            f"{where} names no held-out rows, only train.", hint="Accuracy needs rows of a split test or val."
        )
    if "test" in labels:
        return labels, codes, []
    codes = np.where(codes == ORDER.index("val"), np.int8(ORDER.index("test")), codes)
    return (
        {"train": labels["train"], "test": labels["val"]},
        codes,
        ["There is no test split: val is the held-out split."],
    )


def _features(
    table: Table, columns: list[str], codes: NDArray[np.int8], width: int, rows: int, names: list[str] | None
) -> tuple[dict[str, NDArray[np.float32]], Storing | None]:
    """Read the features of every split; again, where columns have to be centred."""
    extents = {name: Extent(width) for k, name in enumerate(ORDER) if (codes == k).any()}
    features = _matrices(table, columns, codes, width, rows, extents)
    if all(extent.empty for extent in extents.values()):
        return features, None
    storing = Storing(extents, names)
    if not storing.needed:
        return features, None
    del features
    return _matrices(table, columns, codes, width, rows, None, storing), storing


def _matrices(
    table: Table,
    columns: list[str],
    codes: NDArray[np.int8],
    width: int,
    rows: int,
    extents: Mapping[str, Extent] | None,
    storing: Storing | None = None,
) -> dict[str, NDArray[np.float32]]:
    """(n, width) float32 of every split."""
    with ExitStack() as stack:
        spools = {}
        for k, name in enumerate(ORDER):
            if (codes == k).any():
                spools[name] = Spool(int((codes == k).sum()), width)
                stack.callback(spools[name].close)
        for start, _, batch in _rows(table, columns, rows):
            blocks = [numbers(array, name, start) for name, array in zip(columns, batch.columns, strict=True)]
            block = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
            if block.shape[1] != width:
                raise ShapeError(
                    f"{', '.join(columns[:3])}: {block.shape[1]} values in row {start}, {width} in row 0.",
                    hint="Every row needs the same number of values.",
                )
            own = codes[start : start + len(block)]
            for name, spool in spools.items():
                chosen = own == ORDER.index(name)
                if not chosen.any():
                    continue
                part = block if chosen.all() else block[chosen]
                if extents is not None and not is_exact(part.dtype):
                    extents[name].update(part)
                with np.errstate(over="ignore"):  # refused by `Storing`
                    spool.append(part if storing is None else storing.stored(part, name))
        return {name: spool.matrix() for name, spool in spools.items()}


def _rows_of(frame: Mapping[str, Any], mask: NDArray[np.bool_]) -> pd.DataFrame:
    """The kept columns of some rows."""
    if all(len(values) == mask.sum() for values in frame.values()):
        chosen = dict(frame)
    else:
        chosen = {name: values.filter(pa.array(mask)) for name, values in frame.items()}
    return pd.DataFrame({name: pd.Series(pd.arrays.ArrowExtensionArray(values)) for name, values in chosen.items()})


def _schema_names(table: Table, columns: list[str]) -> list[str] | None:
    """Class names that Hugging Face `datasets` writes into the schema, for one column of labels."""
    metadata = getattr(table.pieces[0].schema, "metadata", None) or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names = features[columns[0]].get("names") or features[columns[0]]["feature"]["names"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return [str(name) for name in names] if len(columns) == 1 and isinstance(names, list) else None


def _outputs(head: Any) -> int | None:
    weight = getattr(head, "weight", None)
    if weight is None and isinstance(head, (tuple, list)) and head:
        weight = head[0]
    shape = tuple(np.shape(weight)) if weight is not None else ()
    return int(shape[0]) if len(shape) == 2 else None
