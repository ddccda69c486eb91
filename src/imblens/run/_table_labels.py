"""Labels of a table: text, integers, bool, lists, or one column per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from imblens.base.wording import listed
from imblens.errors import InputError
from imblens.run._arrays import Classes, as_indices
from imblens.run._conventions import classes_of_mapping
from imblens.run._table_columns import labels, multi_hot, numbers
from imblens.run._validation import class_names, numeric_order


class LabelColumn:
    """Collects the labels of a table batch by batch."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Collect those columns; several are one column of 0 and 1 per class."""
        self._columns = list(columns)
        self._kind = ""
        self._arrays: list[NDArray[Any]] = []
        self._lists: list[list[Any]] = []
        self._values: dict[Any, int] = {}

    def add(self, arrays: Sequence[pa.Array], row: int) -> None:
        """Add the columns of a batch whose first row has the number `row`."""
        if len(arrays) > 1:
            self._is("columns", row)
            blocks = [numbers(array, name, row) for name, array in zip(self._columns, arrays, strict=True)]
            self._arrays.append(np.concatenate(blocks, axis=1))
            return
        found = labels(arrays[0], self._columns[0], row)
        if isinstance(found, list):
            self._is("lists", row)
            self._lists += found
        elif isinstance(found, np.ndarray):
            self._is("bool" if found.dtype.kind == "b" else "numbers", row)
            self._arrays.append(found.astype(np.int64))
        else:
            self._is("text", row)
            encoded = found.dictionary_encode()
            codes = [self._values.setdefault(value, len(self._values)) for value in encoded.dictionary.to_pylist()]
            self._arrays.append(np.asarray(codes, np.int64)[encoded.indices.to_numpy(zero_copy_only=False)])

    def finish(
        self, classes: Classes | None, *, named: list[str] | None, outputs: int | None, task: str | None = None
    ) -> tuple[NDArray[Any], Classes | None, list[str]]:
        """Return labels (N,) or (N, C), class names where they are known, and notes.

        Args:
            classes: what the user passed.
            named: class names of the schema, for integers.
            outputs: number of logit columns or head rows, or None.
            task: "multiclass" keeps names that are joined by | as they are.

        Raises:
            InputError: text labels that are not class names, or of classes whose order is unknown.
        """
        name = self._columns[0]
        if self._kind == "columns":
            return np.concatenate(self._arrays), self._columns if classes is None else classes, []
        if self._kind == "lists":
            return self._of_lists(classes, named, outputs)
        values = np.concatenate(self._arrays)
        joined = self._kind == "text" and task != "multiclass" and any("|" in name for name in self._values)
        if joined and not (classes is not None and set(self._values) <= set(map(str, classes))):
            parts = [[part.strip() for part in name.split("|") if part.strip()] for name in self._values]
            self._lists = [parts[code] for code in values]
            return self._of_lists(classes, named, outputs)
        if self._kind == "text":
            return self._of_text(values, classes, outputs)
        if classes is not None:
            return values, classes, []
        if self._kind == "bool":
            return values, ("False", "True"), [f"Classes are the values of {name!r}: False, True."]
        if named is not None:
            return values, named, [f"Classes are named by the schema of the table: {listed(named)}."]
        return values, None, []

    def _of_text(
        self, codes: NDArray[Any], classes: Classes | None, outputs: int | None
    ) -> tuple[NDArray[Any], Classes, list[str]]:
        distinct = np.array(list(self._values))
        if isinstance(classes, Mapping):
            names, renamed = classes_of_mapping(classes, {"the": distinct})
            note = [f"Classes are in the order of the keys of classes: {listed(names)}."]
            return as_indices(renamed["the"], names, named=True)[codes], names, note
        if classes is not None:
            names = class_names(classes, None)
            return as_indices(distinct, names, named=True)[codes], names, []
        names = tuple(sorted(self._values))
        names = tuple(names[k] for k in numeric_order(names))
        if outputs is not None:
            raise InputError(
                f"the labels are text ({distinct[0]!s}), and the order of the {outputs} classes in logits or head is "
                "unknown.",
                hint="Pass classes=[...] in the order of the logit columns.",
            )
        note = [f"Classes are the values of {self._columns[0]!r}, in sorted order: {listed(names)}."]
        return as_indices(distinct, names, named=True)[codes], names, note

    def _of_lists(
        self, classes: Classes | None, named: list[str] | None, outputs: int | None
    ) -> tuple[NDArray[Any], Classes, list[str]]:
        """Multi-hot labels of lists of 0 and 1, or of lists of classes."""
        hot = multi_hot(self._lists)
        if hot is not None:
            return hot, classes if classes is not None else named or [str(k) for k in range(hot.shape[1])], []
        found = sorted({value for values in self._lists for value in values})
        if not found:
            raise InputError(f"the label column {self._columns[0]!r} holds empty lists only.", hint="Name another.")
        if isinstance(classes, Mapping):
            names, renamed = classes_of_mapping(classes, {"the": np.asarray(found)})
            places = as_indices(renamed["the"], names, named=True)
        elif isinstance(found[0], str):
            if classes is None and outputs is not None:
                return self._of_text(np.zeros(0, np.int64), None, outputs)
            names = class_names(found if classes is None else classes, None)
            places = as_indices(np.asarray(found), names, named=True)
        else:
            count = outputs if classes is None and named is None else None
            names = class_names(
                classes if classes is not None else named if named is not None else range(count) if count else found,
                None,
            )
            own = classes is None and named is None and not count
            places = np.arange(len(found)) if own else np.asarray(found)
            if places.min() < 0 or places.max() >= len(names):
                raise InputError(
                    f"the label column {self._columns[0]!r} holds class {found[-1]}, but there are {len(names)} classes.",
                    hint="Number the classes from 0.",
                )
        place = dict(zip(found, places.tolist(), strict=True))
        hot = np.zeros((len(self._lists), len(names)), np.uint8)
        for row, values in enumerate(self._lists):
            hot[row, [place[value] for value in values]] = 1
        return hot, names, [f"Lists of classes were taken as multi-label: {listed(names)}."]

    def _is(self, kind: str, row: int) -> None:
        if self._kind not in ("", kind):
            raise InputError(
                f"the label column {self._columns[0]!r} holds {self._kind} before row {row}, then {kind}.",
                hint="Give all labels in one kind.",
            )
        self._kind = kind
