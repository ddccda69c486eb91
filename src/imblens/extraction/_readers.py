"""One split as the network receives it: images, a data set, a loader or arrays become batches of inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.data import ImageSplit, one_ahead, resize
from imblens.errors import InputError, ShapeError
from imblens.extraction._alignment import thumbnail
from imblens.extraction._input_batch import InputBatch
from imblens.extraction._inputs import LABEL_KEYS, Inputs, divide_batch, labels_array
from imblens.extraction._loaders import length_of, loader_of, with_batch_size
from imblens.extraction._preprocessing import Pixels, Preprocessing
from imblens.extraction._previews import Previews
from imblens.extraction._rules import BatchRules

PATHS = ("samples", "imgs", "paths", "files", "filenames", "image_paths", "image_files")  # attributes of data sets
SAMPLE = 16  # instances on which network and probes are tried


class SplitReader(ABC):
    """One split.

    Attributes:
        name: "train" or "test".
        labels: all labels where they are known before the images are read, else None.
        boxed: whether any image has a box.
        notes: what was assumed of the data.
        value_names: of the inputs' values, where they are rows of a table.
        groups: the group (patient, source image, site) of every instance, where it is known before the images are read.
        n_entries: of a batch that is a sequence, where no label was stated.
    """

    name: str
    labels: NDArray[Any] | None = None
    boxed: bool = False
    notes: list[str] = []  # noqa: RUF012 - replaced, never changed
    value_names: list[str] | None = None
    groups: Sequence[Any] | None = None
    n_entries: int = 2

    def use_labels(self, labels: NDArray[Any]) -> None:
        """Read with other labels, which are known before the images are read."""
        self.labels = labels

    @abstractmethod
    def __len__(self) -> int:
        """Return N."""

    @abstractmethod
    def batches(self, size: int) -> Generator[InputBatch, None, None]:
        """Yield all instances in order."""

    @abstractmethod
    def sample(self) -> InputBatch:
        """Return the first instances."""


class ImageReader(SplitReader):
    """Images of the data room."""

    def __init__(
        self, images: ImageSplit, name: str, preprocessing: Preprocessing, *, originals: bool, labels: Any = None
    ) -> None:
        """Read `images`; make thumbnails of the stored ones where `originals`; `labels` instead of theirs."""
        self.name = name
        self.labels: NDArray[Any] = images.labels if labels is None else labels
        self.given_labels = labels is not None
        self._preprocessing = preprocessing
        self._images = images
        self._scaled = images if preprocessing.size is None else images.resized(preprocessing.size)
        self._originals = originals
        self.boxes = images.boxes
        self.boxed = any(len(boxes) for boxes in images.boxes or ())
        self.groups = None if images.patients is None else images.patients.tolist()

    def __len__(self) -> int:
        return len(self._images)

    def batches(self, size: int) -> Generator[InputBatch, None, None]:
        """Yield all instances in order."""
        return self.some(np.arange(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def some(self, blocks: Iterable[NDArray[np.int64]]) -> Generator[InputBatch, None, None]:
        """Yield instances at those positions; while the network has one batch, the next is decoded in a thread."""
        with closing(one_ahead(self._decoded, blocks)) as decoded:
            for rows, pixels, thumbnails in decoded:
                yield self._batch(rows, pixels, thumbnails)

    def sample(self) -> InputBatch:
        """Return the first instances."""
        return self._batch(*self._decoded(np.arange(min(SAMPLE, len(self)))))

    def _decoded(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Pixels, list[bytes] | None]:
        """The rows, their images as the network sees them, and thumbnails of the stored ones."""
        size = self._preprocessing.size
        if size is None or not self._originals:
            pixels = self._scaled.stack(rows)
            return rows, pixels, [thumbnail(image) for image in pixels] if self._originals else None
        both = self._images.images(rows, lambda image: (resize(image, size), thumbnail(image)))  # decoded once
        return rows, np.stack([image for image, _ in both]), [small for _, small in both]

    def _batch(self, rows: NDArray[np.int64], pixels: Pixels, thumbnails: list[bytes] | None) -> InputBatch:
        boxes = self._scaled.boxes
        return InputBatch(
            Inputs((self._preprocessing.apply(pixels),)),
            self.labels[rows],
            self._images.ids[rows].tolist(),
            pixels,
            thumbnails,
            None if boxes is None else [boxes[i] for i in rows],
            None if self._images.unknown is None else self._images.unknown[rows],
        )


class BatchReader(SplitReader):
    """A data set, a loader or arrays: batches are divided into inputs and labels, and fed unchanged."""

    def __init__(
        self, source: Any, name: str, rules: BatchRules, *, n: int | None, labels: Any = None, value_names: Any = None
    ) -> None:
        """Read `source`, a torch Dataset or DataLoader, or with `labels` (nested) arrays of inputs.

        `value_names`: of the columns of a table, where `source` was one.
        """
        self.name = name
        self._value_names = value_names
        self._n = n
        self._source = source
        self._rules = rules
        self._loader: Any
        self._loader, self.notes = (None, []) if labels is not None else loader_of(source, name)
        if labels is not None:
            self.labels = labels
        elif n is not None and self._loader is not None:
            dataset: Any = getattr(self._loader, "dataset", None)
            self._n = length_of(dataset)

    def __len__(self) -> int:
        """Return N, 0 where it is unknown."""
        return self._n or 0

    def batches(self, size: int) -> Generator[InputBatch, None, None]:
        """Yield all instances in order."""
        start, rules = 0, self._rules
        previews = Previews(self.name != "val" and rules.previews, self.name, rules.tokenizer, self._value_names)
        for batch, inputs, labels in self._triples(size):
            image = inputs.image
            pixels = None if image is None else rules.preprocessing.undo(image)
            rows = range(start, start + len(labels))
            ids = rules.batch_ids(self.name, batch, rows, self._paths)
            columns, originals = previews.columns(batch, inputs, rows, pixels)
            columns = {**columns, **rules.batch_groups(self.name, batch, len(labels))}
            self.value_names = previews.names
            yield InputBatch(inputs, labels, ids, pixels, originals, previews=columns)
            start += len(labels)

    def sample(self) -> InputBatch:
        """Return the first instances."""
        return next(self.batches(min(SAMPLE, self._n or SAMPLE)), None) or _empty(self.name)

    @cached_property
    def _paths(self) -> list[str] | None:
        """Paths of the instances where the data set knows them, in the order in which the loader reads."""
        dataset: Any = getattr(self._loader, "dataset", None)
        chosen: Any = None
        while hasattr(dataset, "indices") and hasattr(dataset, "dataset"):
            chosen = dataset.indices if chosen is None else [dataset.indices[i] for i in chosen]
            dataset = dataset.dataset
        if length_of(dataset) is None:
            return None
        for name in PATHS:
            found = getattr(dataset, name, None)
            if not isinstance(found, (list, tuple, np.ndarray)) or len(found) != len(dataset) or not len(found):
                continue
            paths = [entry[0] if isinstance(entry, (tuple, list)) and entry else entry for entry in found]
            if all(isinstance(path, (str, PathLike)) for path in paths):
                return [str(paths[i]) for i in (range(len(paths)) if chosen is None else chosen)]
        return None

    def _triples(self, size: int) -> Iterator[tuple[Any, Inputs, NDArray[Any]]]:
        rules = self._rules
        if self.labels is not None:
            for start in range(0, len(self), size):
                some = _rows(self._source, slice(start, start + size))
                yield some, rules.signature.arguments(some, self.name), self.labels[start : start + size]
            return
        for batch in self._read(size):
            values, labels = divide_batch(batch, rules.label, self.name)
            if isinstance(batch, (tuple, list)) and rules.label is None:
                self._state_entries(batch, values)
            if getattr(labels, "ndim", 1) == 0 or isinstance(labels, (int, float, str)):
                raise InputError(
                    f"{self.name} yields single instances, not batches.",
                    hint="Give the DataLoader a batch_size, or pass its data set.",
                )
            inputs = rules.signature.arguments(values, self.name).map(lambda tensor: tensor.detach().cpu().clone())
            yield batch, inputs, labels_array(labels, self.name, rules.classes)

    def _state_entries(self, batch: Sequence[Any], values: Any) -> None:
        """State entries of batches that the network does not receive, once."""
        first, self.n_entries = self.n_entries == 2, len(batch)
        n_given = len(self._rules.signature.arguments(values, self.name).args)
        if first and isinstance(values, tuple) and 0 < n_given < len(values):
            self.notes.append(
                f"{self.name}: batches have {len(batch)} entries; the last is the label, and the network takes the first "
                f"{n_given}: the others are not used. label=POSITION names another."
            )

    def _read(self, size: int) -> Iterator[Any]:
        try:
            yield from with_batch_size(self._loader, size)
        except Exception as error:  # the user's data set may raise anything, and so may stacking what it gives
            hint = "Its items must be inputs of one shape with a label; a DataLoader with a collate_fn can pad them."
            if "PIL." in str(error):
                hint = "Its items are images without a transform: pass the transform that the network is tested with."
            raise InputError(
                f"{self.name} cannot be read in batches: {type(error).__name__}: {error}", hint=hint
            ) from error


def make_reader(split: Any, name: str, rules: BatchRules, *, originals: bool) -> SplitReader:
    """Choose how a split is read.

    Args:
        split: `ImageSplit`; a Dataset, DataLoader, IterableDataset or datasets.Dataset; (inputs, labels); or a mapping of
            arrays. Inputs that are uint8 of shape (N, H, W) or (N, H, W, 3) are images, others are fed unchanged.
        name: of the split, for messages.
        rules: how batches are read.
        originals: whether the stored images are kept.

    Raises:
        InputError, ShapeError: none of those, or empty.
    """
    reader: SplitReader
    if isinstance(split, (str, PathLike)):
        raise InputError(
            f"{name} is the text {str(split)!r}, not images.",
            hint=f"Read them first: imblens.data.load_images({str(split)!r}) has train, val and test.",
        )
    if isinstance(split, ImageSplit):
        return _filled(ImageReader(split, name, rules.preprocessing, originals=originals), name)
    if isinstance(split, list) and _rows_or_batches(split):
        batches = _rows_or_batches(split) == "batches"
        reader = BatchReader(_Batches(split) if batches else split, name, rules, n=None if batches else len(split))
        if batches:
            return reader
    elif isinstance(split, (tuple, list, Mapping)):
        if isinstance(split, (tuple, list)) and len(split) < 2:
            raise ShapeError(f"{name} has {len(split)} entries.", hint="Pass (inputs, labels).")
        inputs, labels = divide_batch(split, rules.label if isinstance(split, Mapping) else None, name)
        reader = _array_reader(inputs, labels_array(labels, name, rules.classes), name, rules, originals)
    elif hasattr(split, "__getitem__") and length_of(split) is not None:
        reader = BatchReader(split, name, rules, n=len(split))
    elif hasattr(split, "dataset") or (hasattr(split, "__iter__") and not hasattr(split, "__next__")):
        dataset = getattr(split, "dataset", split)
        counted = (
            dataset is not split and length_of(dataset) is not None
        )  # the length of a loader is that of its batches
        reader = BatchReader(split, name, rules, n=len(dataset) if counted else None)
        if not counted:
            return reader
    else:
        raise InputError(
            f"{name} is {'None' if split is None else f'a {type(split).__name__}'}.",
            hint="Pass an ImageSplit, a Dataset, a DataLoader, (inputs, labels), or a mapping of arrays.",
        )
    return _filled(reader, name)


class _Batches:
    """A list of batches, to be read in order."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)


def _rows_or_batches(values: list[Any]) -> str | None:
    """Return "rows" for a list of items of a data set, "batches" for a list of batches, None for [inputs, labels]."""
    tuples = all(isinstance(value, (tuple, list)) and len(value) > 1 for value in values) and _are_items(values)
    objects = all(hasattr(value, "y") and not hasattr(value, "shape") for value in values)
    if not values or not (tuples or objects or all(isinstance(value, Mapping) for value in values)):
        return None
    if objects:
        return "batches"
    first = values[0]
    label = first[-1] if tuples else next((first[key] for key in LABEL_KEYS if key in first), None)
    entries = list(first.values()) if isinstance(first, Mapping) else list(first)
    n = len(label) if label is not None and getattr(label, "ndim", 0) == 1 else -1
    wide = any(getattr(entry, "ndim", 0) > 1 for entry in entries)
    return "batches" if wide and all(hasattr(entry, "shape") and len(entry) == n for entry in entries) else "rows"


def _are_items(values: list[Any]) -> bool:
    """Whether a list of tuples holds items or batches; a list of two may also be [inputs, labels]."""
    if len(values) != 2:
        return True
    return len(values[0]) == len(values[1]) == 2 and all(hasattr(value[0], "shape") for value in values)


def _filled(reader: SplitReader, name: str) -> SplitReader:
    return reader if len(reader) else _empty(name)


def _empty(name: str) -> Any:
    raise InputError(f"{name} is empty.", hint="Give at least one instance.")


def _array_reader(inputs: Any, labels: NDArray[Any], name: str, rules: BatchRules, originals: bool) -> SplitReader:
    if isinstance(inputs, Mapping) and len(inputs) == 1 and not rules.signature.any_keyword:
        key, value = next(iter(inputs.items()))
        bytes_ = str(getattr(value, "dtype", "")).removeprefix("torch.") == "uint8"
        inputs = value if bytes_ and key not in rules.signature.keywords else inputs
    entries = (
        list(inputs.values()) if isinstance(inputs, Mapping) else list(inputs) if isinstance(inputs, tuple) else None
    )
    if entries is not None:
        lengths = {len(entry) for entry in entries}
        if lengths != {len(labels)}:
            raise ShapeError(
                f"{name} has inputs of {sorted(lengths)} rows and {len(labels)} labels.", hint="Give one row per label."
            )
        return BatchReader(inputs, name, rules, n=len(labels), labels=labels)
    columns = None
    if getattr(inputs, "is_nested", False):
        raise InputError(f"{name} is a nested tensor.", hint="Pad it (to_padded_tensor), and pass a mask beside it.")
    if hasattr(inputs, "columns") and hasattr(inputs, "to_numpy"):  # a table of pandas or polars
        columns, inputs = [str(column) for column in inputs.columns], _table(inputs, name)
    if getattr(inputs, "is_sparse", False) or str(getattr(inputs, "layout", "")).startswith("torch.sparse"):
        inputs = inputs.to_dense()
    if str(getattr(inputs, "dtype", "object")) == "object":
        _refuse_ragged(inputs, name)
    if not hasattr(inputs, "shape"):
        inputs = np.asarray(inputs)
    shape = tuple(inputs.shape)
    if not shape or not labels.shape or shape[0] != len(labels):
        found = [str(s[0]) if s else "no" for s in (shape, labels.shape)]
        raise ShapeError(f"{name} has {found[0]} inputs and {found[1]} labels.", hint="Give one label each.")
    uint8 = str(getattr(inputs, "dtype", "")).removeprefix("torch.") == "uint8"
    if uint8 and (len(shape) == 3 or (len(shape) == 4 and shape[-1] == 3)):
        ids = rules.batch_ids(name, None, range(len(labels)), None) if not isinstance(rules.ids, str) else None
        pixels = inputs.detach().cpu().numpy() if hasattr(inputs, "detach") else np.asarray(inputs)
        images = ImageSplit.from_arrays(pixels, np.zeros(len(labels), np.int64), ids=ids, name=name)
        return ImageReader(images, name, rules.preprocessing, originals=originals, labels=labels)
    if uint8:
        raise InputError(
            f"{name} holds uint8 of shape {shape}; images have shape (N, H, W) or (N, H, W, 3).",
            hint="Give images in that layout, or preprocessed float tensors.",
        )
    return BatchReader(inputs, name, rules, n=shape[0], labels=labels, value_names=columns)


def _refuse_ragged(rows: Any, name: str) -> None:
    shapes = {tuple(row.shape) if hasattr(row, "shape") else (len(row),) for row in rows if hasattr(row, "__len__")}
    if len(shapes) > 1 and not any(isinstance(row, str) for row in rows):
        raise InputError(
            f"{name} has inputs of {len(shapes)} shapes, such as {' and '.join(map(str, sorted(shapes)[:2]))}.",
            hint="Pad them to one shape, and pass a mask beside them; or pass a DataLoader whose collate_fn does.",
        )


def _table(table: Any, name: str) -> NDArray[np.float32]:
    try:
        return np.ascontiguousarray(table.to_numpy(), dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} has columns that are not numbers: {error}.",
            hint="Encode them as in training, or pass a data set whose items are what the network receives.",
        ) from error


def _rows(value: Any, rows: slice) -> Any:
    """Take rows of nested arrays, as tensors of our own."""
    if isinstance(value, Mapping):
        return {key: _rows(entry, rows) for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(_rows(entry, rows) for entry in value)
    some = value[rows]
    if hasattr(some, "detach"):
        return some.detach().cpu().clone()
    array = np.array(some.toarray() if hasattr(some, "toarray") else some)  # sparse rows of SciPy become dense
    return array.tolist() if array.dtype.kind in "USO" else torch.from_numpy(array)
