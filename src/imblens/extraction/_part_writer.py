"""From batches to stored parts: bounded memory, list columns, thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.extraction._alignment import thumbnail
from imblens.extraction._forward import Output
from imblens.extraction._input_batch import InputBatch
from imblens.run import UNKNOWN, Head, Part, list_column, may_leave_out, read_part, write_part

PART_ROWS = 100_000
PART_BYTES = 2**29


class PartWriter:
    """Collects batches of one split; with a folder, writes a part whenever it is full."""

    def __init__(self, folder: Path | None, n_classes: int, head: Head | None) -> None:
        """Collect in memory, or under `folder` (a split's folder in a run); logits that `head` gives are left out."""
        self._folder, self._n_classes, self._head = folder, n_classes, head
        self._rows: list[tuple[Output, NDArray[Any], dict[str, Sequence[Any]]]] = []
        self._n = self._bytes = 0
        self.parts: list[Part] = []
        self.files: list[Path] = []

    def add(self, output: Output, labels: NDArray[Any], given: InputBatch) -> None:
        """Add a batch."""
        columns: dict[str, Sequence[Any]] = {"id": given.ids}
        if given.originals is not None:
            images = given.originals
            columns["thumbnail"] = [image if isinstance(image, bytes) else thumbnail(image) for image in images]
            self._bytes += sum(map(len, columns["thumbnail"]))
        lists = {name: values for name, values in given.previews.items() if isinstance(values, np.ndarray)}
        columns |= {name: values for name, values in given.previews.items() if name not in lists}
        output = replace(output, columns={**lists, **output.columns})
        if given.unknown is not None:
            output = replace(output, columns={**output.columns, UNKNOWN: given.unknown.astype(np.uint8)})
        if output.by_head and may_leave_out(labels, self._n_classes):
            output = replace(output, logits=None)
        self._rows.append((output, labels, columns))
        self._n += len(labels)
        arrays = (output.features, output.logits, *output.columns.values())
        self._bytes += sum(array.nbytes for array in arrays if array is not None)
        if self._folder is not None and (self._n >= PART_ROWS or self._bytes >= PART_BYTES):
            self.flush()

    def moved(self, stage: Path, folder: Path) -> None:
        """Update paths after the files of `stage` moved to `folder`."""
        self.files = [folder / file.relative_to(stage) for file in self.files]
        self.parts = [read_part(place, self._n_classes) for place in sorted({file.parent for file in self.files})]

    def flush(self) -> None:
        """Close the part that is being collected."""
        if not self._rows:
            return
        part = _part(self._rows, self._head)
        self._rows, self._n, self._bytes = [], 0, 0
        if self._folder is not None:
            folder = self._folder / f"part-{len(self.parts):05d}"
            self.files += write_part(folder, part)
            part = read_part(folder, self._n_classes)
        self.parts.append(part)


def _part(rows: list[tuple[Output, NDArray[Any], dict[str, Sequence[Any]]]], head: Head | None) -> Part:
    import pandas as pd

    def joined(get: Callable[[Output], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([get(output) for output, _, _ in rows])

    def logits_of(output: Output) -> NDArray[Any]:
        if output.logits is not None:
            return output.logits
        assert head is not None  # else nothing was left out
        return head(output.features)

    table: dict[str, Any] = {}
    for name in rows[0][2]:
        table[name] = pd.Series([value for _, _, columns in rows for value in columns[name]], dtype=object)
    for name in rows[0][0].columns:
        values = joined(lambda output, name=name: output.columns[name])  # type: ignore[misc]
        table[name] = values if values.ndim == 1 else list_column(values)
    return Part(
        joined(lambda output: output.features),
        np.concatenate([labels for _, labels, _ in rows]),
        joined(logits_of) if any(output.logits is not None for output, _, _ in rows) else None,
        table=pd.DataFrame(table),
    )
