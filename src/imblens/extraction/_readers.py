"""One split as the network sees it: images, a torch data set or arrays become batches of inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.data import ImageSplit, resize
from imblens.errors import InputError, ShapeError

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class InputBatch:
    """A batch before the network.

    Attributes:
        inputs: (b, ...) tensor of our own, so that the network may work in place.
        labels: (b,) integers or (b, C) multi-hot.
        ids: b texts.
        pixels: (b, H, W, 3) uint8 as the network sees them before normalisation, or None where unknown.
        originals: b images (H, W, 3) uint8 as they are stored, or None.
        boxes: per image (n, 5), in pixels of `pixels`; or None.
        unknown: (b, C) labels that nobody could tell; or None.
    """

    inputs: torch.Tensor
    labels: NDArray[Any]
    ids: Sequence[str]
    pixels: Pixels | None
    originals: Sequence[Pixels] | None
    boxes: Sequence[NDArray[Any]] | None = None
    unknown: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Preprocessing:
    """From an image to the network's input: resize, divide by 255, subtract mean, divide by standard deviation.

    Attributes:
        mean: one value for each channel; one value alone makes a one-channel network's input, the mean of R, G, B.
        std: likewise.
        size: (H, W), or None for the images' own.
        given: whether the user said so, or these are the defaults (mean 0, standard deviation 1).
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    size: tuple[int, int] | None = None
    given: bool = False

    @classmethod
    def checked(cls, values: Mapping[str, Any] | None) -> Preprocessing:
        """Read `{"mean": [...], "std": [...], "size": [H, W]}`; every key may be left out.

        What a run recorded of its preprocessing (`run.meta["preprocessing"]`, with `default` beside) is read as well.

        Raises:
            InputError: an unknown key, lengths that differ, or a value that cannot be.
        """
        if values is None:
            return cls()
        if isinstance(values, Mapping) and isinstance(values.get("default"), bool):
            values = {key: value for key, value in values.items() if key != "default"}
        known = {"mean", "std", "size"}
        if not isinstance(values, Mapping) or set(values) - known:
            found = sorted(map(str, set(values) - known)) if isinstance(values, Mapping) else type(values).__name__
            raise InputError(
                f"preprocessing has {found}; it knows mean, std and size.",
                hint='Pass {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "size": [224, 224]}.',
            )
        mean, std = _channels(values, "mean", None), _channels(values, "std", None)
        length = len(mean or std or (0, 0, 0))
        mean, std = mean or (0.0,) * length, std or (1.0,) * length
        if len(mean) != len(std) or length not in (1, 3):
            raise InputError(
                f"preprocessing has {len(mean)} means and {len(std)} standard deviations.",
                hint="Give one of each, or three of each (red, green, blue), on the scale from 0 to 1.",
            )
        if min(std) <= 0:
            raise InputError(f"preprocessing std holds {min(std)}.", hint="Every standard deviation must be above 0.")
        size = values.get("size")
        if size is not None:
            if np.shape(size) != (2,) or any(int(s) != s or s < 1 for s in size):
                raise InputError(f"preprocessing size is {size!r}.", hint="Give [height, width] in pixels.")
            size = (int(size[0]), int(size[1]))
        return cls(mean, std, size, True)

    def apply(self, pixels: Pixels) -> torch.Tensor:
        """Return (b, channels, H, W) float32 of (b, H, W, 3) uint8."""
        import torch

        channels = len(self.mean)
        wide = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255  # channels_last
        if channels == 1:
            wide = wide.mean(dim=1, keepdim=True)
        mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (self.mean, self.std))
        return (wide - mean) / std

    def undo(self, inputs: torch.Tensor) -> Pixels | None:
        """Return the (b, H, W, 3) uint8 that gave these inputs; None where they cannot come from such images."""
        import torch

        if not self.given or inputs.ndim != 4 or inputs.shape[1] != len(self.mean):
            return None
        mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (self.mean, self.std))
        levels = (inputs.float() * std + mean) * 255
        if not bool(((levels > -1) & (levels < 256)).all()):  # also where NaN
            return None
        pixels = levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).expand(-1, -1, -1, 3)
        return np.ascontiguousarray(pixels.numpy())

    def describe(self) -> dict[str, Any]:
        """Return plain JSON for the run's meta."""
        size = None if self.size is None else list(self.size)
        return {"mean": list(self.mean), "std": list(self.std), "size": size, "default": not self.given}


class SplitReader(ABC):
    """One split.

    Attributes:
        name: "train" or "test".
        labels: all labels where they are known before the images are read, else None.
        boxed: whether any image has a box.
    """

    name: str
    labels: NDArray[Any] | None = None
    boxed: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Return N."""

    @abstractmethod
    def batches(self, size: int) -> Iterator[InputBatch]:
        """Yield all instances in order."""

    @abstractmethod
    def sample(self) -> InputBatch:
        """Return the first two instances, or one where there is no other."""


class ImageReader(SplitReader):
    """Images of the data room."""

    def __init__(
        self, images: ImageSplit, name: str, preprocessing: Preprocessing, *, originals: bool, labels: Any = None
    ) -> None:
        """Read `images`; keep the stored ones beside the resized where `originals`; `labels` instead of theirs."""
        self.name = name
        self._labels = images.labels if labels is None else labels
        self.labels = self._labels
        self._preprocessing = preprocessing
        self._images = images
        self._scaled = images if preprocessing.size is None else images.resized(preprocessing.size)
        self._originals = originals
        self.boxed = any(len(boxes) for boxes in images.boxes or ())

    def __len__(self) -> int:
        """Return N."""
        return len(self._images)

    def batches(self, size: int) -> Iterator[InputBatch]:
        """Yield all instances in order."""
        for start in range(0, len(self), size):
            yield self._read(np.arange(start, min(start + size, len(self))))

    def sample(self) -> InputBatch:
        """Return the first two instances, or one where there is no other."""
        return self._read(np.arange(min(2, len(self))))

    def _read(self, rows: NDArray[np.int64]) -> InputBatch:
        size = self._preprocessing.size
        pixels: Pixels
        originals: Sequence[Pixels] | None = None
        if size is not None and self._originals:  # decode once for both
            originals = [self._images.image(int(i)) for i in rows]
            pixels = np.stack([resize(image, size) for image in originals])
        else:
            pixels = self._scaled.stack(rows)
            originals = list(pixels) if self._originals else None
        boxes = self._scaled.boxes
        return InputBatch(
            self._preprocessing.apply(pixels),
            self._labels[rows],
            self._images.ids[rows].tolist(),
            pixels,
            originals,
            None if boxes is None else [boxes[i] for i in rows],
            None if self._images.unknown is None else self._images.unknown[rows],
        )


class BatchReader(SplitReader):
    """A torch data set of (tensor, label), or an array of inputs with labels: fed as they are."""

    def __init__(self, dataset: Any, name: str, preprocessing: Preprocessing, *, n: int, labels: Any = None) -> None:
        """Read `dataset`, a torch Dataset or DataLoader, or with `labels` an array of inputs."""
        self.name = name
        self._n = n
        self._dataset = dataset
        self._preprocessing = preprocessing
        if labels is not None:
            self.labels = _as_array(labels)

    def __len__(self) -> int:
        """Return N."""
        return self._n

    def batches(self, size: int) -> Iterator[InputBatch]:
        """Yield all instances in order."""
        start = 0
        for inputs, labels in self._pairs(size):
            pixels = self._preprocessing.undo(inputs)
            ids = [str(i) for i in range(start, start + len(inputs))]
            yield InputBatch(inputs, labels, ids, pixels, None if pixels is None else list(pixels))
            start += len(inputs)

    def sample(self) -> InputBatch:
        """Return the first two instances, or one where there is no other."""
        return next(self.batches(min(2, len(self))))

    def _pairs(self, size: int) -> Iterator[tuple[torch.Tensor, NDArray[Any]]]:
        import torch

        if self.labels is not None:
            for start in range(0, len(self), size):
                rows = slice(start, start + size)
                some = self._dataset[rows]
                ours = some.detach().cpu().clone() if hasattr(some, "detach") else torch.from_numpy(np.array(some))
                yield ours, self.labels[rows]
            return
        for items in self._loaded(size):
            if not isinstance(items, (tuple, list)) or len(items) < 2 or not isinstance(items[0], torch.Tensor):
                raise InputError(
                    f"{self.name} yields {_kind(items)}; it must yield pairs of tensor and label.",
                    hint="Wrap the data set so that data_set[i] is (tensor, label).",
                )
            yield items[0].detach().cpu().clone(), _as_array(items[1])

    def _loaded(self, size: int) -> Iterator[Any]:
        try:
            yield from _loader(self._dataset, size)
        except Exception as error:  # the user's data set may raise anything, and so may stacking what it gives
            raise InputError(
                f"{self.name} cannot be read in batches: {type(error).__name__}: {error}",
                hint="Its items must be pairs of a tensor, all of one shape, and a label.",
            ) from error


def make_reader(
    split: Any, name: str, preprocessing: Preprocessing, *, originals: bool, classes: Sequence[str] | None = None
) -> SplitReader:
    """Say how a split is read.

    Args:
        split: `Images`; a torch Dataset or DataLoader of (tensor, label); or (inputs, labels). Inputs that are
            uint8 of shape (N, H, W) or (N, H, W, 3) are images, anything else is fed as it is.
        name: how messages call it.
        preprocessing: for images; for tensors it says how the images come back from them.
        originals: whether the stored images are wanted.
        classes: class names, for labels given as text.

    Raises:
        InputError, ShapeError: not one of those, or empty.
    """
    if isinstance(split, (str, PathLike)):
        raise InputError(
            f"{name} is the text {str(split)!r}, not images.",
            hint=f"Read them first: imblens.data.load_images({str(split)!r}) has train, val and test.",
        )
    if isinstance(split, (tuple, list)):
        if len(split) != 2:
            raise ShapeError(f"{name} has {len(split)} entries.", hint="Pass (inputs, labels).")
        reader = _array_reader(split[0], _numbered(split[1], name, classes), name, preprocessing, originals)
    elif isinstance(split, ImageSplit):
        reader = ImageReader(split, name, preprocessing, originals=originals)
    elif hasattr(split, "__getitem__") and hasattr(split, "__len__"):
        reader = BatchReader(split, name, preprocessing, n=len(split))
    elif hasattr(split, "dataset") and hasattr(split.dataset, "__len__"):  # a DataLoader
        reader = BatchReader(split, name, preprocessing, n=len(split.dataset))
    else:
        raise InputError(
            f"{name} is {'None' if split is None else f'a {type(split).__name__}'}.",
            hint="Pass an ImageSplit, a torch Dataset that has a length, or (inputs, labels).",
        )
    if not len(reader):
        raise InputError(f"{name} is empty.", hint="Give at least one instance.")
    return reader


def _numbered(labels: Any, name: str, classes: Sequence[str] | None) -> NDArray[Any]:
    """Turn class names into their positions; leave numbers as they are."""
    array = _as_array(labels)
    if array.dtype.kind not in "USO" or array.ndim != 1:
        return array
    position = {str(c): i for i, c in enumerate(classes or ())}
    unknown = next((label for label in array.tolist() if str(label) not in position), None)
    if unknown is not None:
        raise InputError(
            f"{name} has the label {unknown!r}, which is not one of the classes.",
            hint="Pass classes=[...], the names in the order of the network's outputs.",
        )
    return np.array([position[str(label)] for label in array.tolist()], dtype=np.int64)


def _array_reader(
    inputs: Any, labels: NDArray[Any], name: str, preprocessing: Preprocessing, originals: bool
) -> SplitReader:
    if not hasattr(inputs, "shape"):
        inputs = np.asarray(inputs)
    shape = tuple(inputs.shape)
    if not shape or not labels.shape or len(inputs) != len(labels):
        found = [str(s[0]) if s else "no" for s in (shape, labels.shape)]
        raise ShapeError(f"{name} has {found[0]} inputs and {found[1]} labels.", hint="Give one label each.")
    uint8 = str(getattr(inputs, "dtype", "")).removeprefix("torch.") == "uint8"
    if uint8 and (len(shape) == 3 or (len(shape) == 4 and shape[-1] == 3)):
        ids = [str(i) for i in range(len(labels))]
        images = ImageSplit.from_arrays(_as_array(inputs), np.zeros(len(labels), np.int64), ids=ids, name=name)
        return ImageReader(images, name, preprocessing, originals=originals, labels=labels)
    if uint8:
        raise InputError(
            f"{name} holds uint8 of shape {shape}; images have shape (N, H, W) or (N, H, W, 3).",
            hint="Give images in that layout, or preprocessed float tensors.",
        )
    return BatchReader(inputs, name, preprocessing, n=len(inputs), labels=labels)


def _loader(dataset: Any, size: int) -> Any:
    """Read in order and whole, whatever order and batches a given DataLoader had."""
    from torch.utils.data import DataLoader

    if isinstance(dataset, DataLoader):
        return DataLoader(
            dataset.dataset, batch_size=size, num_workers=dataset.num_workers, collate_fn=dataset.collate_fn
        )
    return DataLoader(dataset, batch_size=size)


def _as_array(labels: Any) -> NDArray[Any]:
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu().numpy()
    return np.asarray(labels)


def _channels(values: Mapping[str, Any], key: str, default: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if values.get(key) is None:
        return default
    array = np.atleast_1d(np.asarray(values[key], dtype=np.float64))
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"preprocessing {key} is {values[key]!r}.", hint="Give one finite number for each channel.")
    return tuple(array.tolist())


def _kind(items: Any) -> str:
    if isinstance(items, (tuple, list)):
        return f"({', '.join(type(item).__name__ for item in items)})"
    return type(items).__name__
