"""Images of one split, and the set that holds the splits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, checked
from imblens.base.wording import listed
from imblens.data._decode import Pixels, resize
from imblens.data._profiles import draw_profile, imbalance_profile, parse_profile
from imblens.data._several import CACHE_BYTES, decoded_in_order, room_for
from imblens.data._sources import ArraySource, Source, image_array, in_colour
from imblens.errors import InputError, ShapeError

Task = Literal["multiclass", "multilabel"]
Boxes = NDArray[np.float32]  # (n, 5): class, x0, y0, x1, y1 in pixels, x1 and y1 exclusive
_SAMPLE = 32  # images checked to decide whether a split is greyscale


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """One split: N images with labels, decoded on access. Works as a torch `Dataset`.

    Attributes:
        labels: (N,) int64 class, or (N, C) uint8 multi-hot.
        ids: (N,) text, unique in the split: the path relative to the data folder, the row, or the set's own id.
        source: where pixels come from.
        rows: (N,) which images of the source.
        boxes: per image (n, 5) float32 of class, x0, y0, x1, y1 in pixels; or None where none are known.
        size: (H, W) to which every image is resized, or None: as stored.
        unknown: (N, C) bool: uncertain labels, whose entry in `labels` is 0 and has no meaning; or None.
        patients: (N,) text: the patient or object in an image, so that no patient is in two splits; or None.

    Example:
        >>> import numpy as np
        >>> images = ImageSplit.from_arrays(np.zeros((3, 4, 5), np.uint8), [0, 1, 1])
        >>> len(images), images.image(2).shape, images.greyscale
        (3, (4, 5, 3), True)
    """

    labels: NDArray[Any]
    ids: NDArray[np.object_]
    source: Source
    rows: NDArray[np.int64]
    boxes: tuple[Boxes, ...] | None = None
    size: tuple[int, int] | None = None
    unknown: NDArray[np.bool_] | None = None
    patients: NDArray[np.object_] | None = None
    _cache: dict[tuple[int, int] | None, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("ids", "rows", "boxes", "unknown", "patients"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.labels):
                raise ShapeError(
                    f"{name} has {len(values)} entries for {len(self.labels)} labels.", hint="Give one per image."
                )

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        *,
        ids: Sequence[str] | None = None,
        boxes: Sequence[Any] | None = None,
        name: str = "images",
    ) -> ImageSplit:
        """Make a split of arrays.

        Args:
            images: (N, H, W) or (N, H, W, 3) uint8.
            labels: (N,) integers or (N, C) multi-hot.
            ids: N unique texts; positions by default.
            boxes: per image an (n, 5) array.
            name: how messages call `images`.

        Raises:
            ShapeError, InputError: shapes that disagree, or pixels that are not 0 to 255.
        """
        pixels = image_array(images, name)
        array = _checked_labels(labels)
        if len(pixels) != len(array):
            raise ShapeError(f"{name} has {len(pixels)} images for {len(array)} labels.", hint="Give one label each.")
        texts = np.array([f"{i:06d}" for i in range(len(array))] if ids is None else list(ids), dtype=object)
        if len(set(texts.tolist())) != len(texts):
            raise InputError("ids are not unique.", hint="Give every image a different id.")
        found = None if boxes is None else tuple(_checked_boxes(b, i) for i, b in enumerate(boxes))
        return cls(array, texts, ArraySource(pixels, name), np.arange(len(array)), found)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Pixels, Any]:
        """Return (image, label): (H, W, 3) uint8 and an int, or a (C,) uint8 multi-hot row."""
        label = self.labels[self._position(index)]
        return self.image(index), label.copy() if self.multilabel else int(label)

    def __iter__(self) -> Iterator[tuple[Pixels, Any]]:
        return (self[i] for i in range(len(self)))

    @property
    def multilabel(self) -> bool:
        """Whether labels are multi-hot."""
        return self.labels.ndim == 2

    @property
    def targets(self) -> NDArray[np.int64]:
        """(N,) class, or (N, C): 1 positive, 0 negative, -1 uncertain."""
        labels = self.labels.astype(np.int64)
        return labels if self.unknown is None else np.where(self.unknown, -1, labels)

    @cached_property
    def greyscale(self) -> bool:
        """Whether the images are grey: red, green and blue are equal in a sample of up to 32, evenly spaced."""
        sample = np.linspace(0, len(self) - 1, min(len(self), _SAMPLE)).astype(int).tolist()
        return all(bool((p == p[..., :1]).all()) for p in map(self.image, sample))

    def image(self, index: int) -> Pixels:
        """Return the image as (H, W, 3) uint8: greyscale replicated, transparency laid on white.

        Raises:
            InputError: it cannot be read; the message names the file or row.
            IndexError: there is no such image.
        """
        i = self._position(index)
        if self.size in self._cache:
            return self._cache[self.size][i].copy()
        return self._at(i, self.size)

    def stack(self, indices: Sequence[int] | NDArray[Any]) -> NDArray[np.uint8]:
        """Return those images as (n, H, W, 3) uint8.

        Raises:
            InputError: they differ in size, or none is asked for.
        """
        if not len(indices):
            raise InputError("no image was requested.", hint="Give at least one index.")
        return self._decoded(np.asarray(indices, dtype=np.int64), self.size)

    def array(self, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Return all images as (N, H, W, 3) uint8. Shared: do not write into it.

        Decoded once and kept; above 2 GiB in a mapped file in the folder for temporary files (TMPDIR).

        Args:
            size: (H, W) to resize to; without it images keep their size, which must be one.

        Raises:
            InputError: images differ in size.
            StorageError: the folder for temporary files has too little space.
        """
        wanted = self.size if size is None else _checked_size(size)
        known = self._cache.get(wanted)
        if known is None:
            known = self._decoded(np.arange(len(self)), wanted, mapped=True)
            if isinstance(known, np.memmap) or known.nbytes <= CACHE_BYTES:
                self._cache.clear()
                self._cache[wanted] = known
        return known

    def subset(self, indices: Sequence[int] | NDArray[Any]) -> ImageSplit:
        """Return those images, in that order; positions, or a mask of N booleans."""
        chosen = np.asarray(indices)
        if chosen.dtype != bool:
            chosen = chosen.astype(np.int64)
        boxes = None if self.boxes is None else tuple(self.boxes[i] for i in np.arange(len(self))[chosen])
        return replace(
            self,
            labels=self.labels[chosen],
            ids=self.ids[chosen],
            rows=self.rows[chosen],
            boxes=boxes,
            unknown=None if self.unknown is None else self.unknown[chosen],
            patients=None if self.patients is None else self.patients[chosen],
            _cache={},
        )

    def resized(self, size: tuple[int, int]) -> ImageSplit:
        """Return the same images resized to (H, W), bilinear, with their boxes scaled alike."""
        wanted = _checked_size(size)
        boxes = self.boxes
        if boxes is not None:
            boxes = tuple(self._scaled(i, box, wanted) for i, box in enumerate(boxes))
        return replace(self, boxes=boxes, size=wanted, _cache={})

    def _scaled(self, i: int, boxes: Boxes, wanted: tuple[int, int]) -> Boxes:
        if not len(boxes):
            return boxes
        height, width = self.size or self.source.size(int(self.rows[i]))
        y, x = wanted[0] / height, wanted[1] / width
        return boxes * np.array([1, x, y, x, y], dtype=np.float32)

    def _decoded(
        self, indices: NDArray[np.int64], size: tuple[int, int] | None, *, mapped: bool = False
    ) -> NDArray[np.uint8]:
        if size in self._cache:
            return self._cache[size][indices]
        if isinstance(self.source, ArraySource) and size is None:
            return in_colour(self.source.images[self.rows[indices]])
        if not len(indices):
            raise InputError("no image was requested.", hint="Give at least one index.")
        first = self._at(int(indices[0]), size)
        pixels = room_for(len(indices), first, mapped=mapped)
        pixels[0] = first
        several = not isinstance(self.source, ArraySource)
        images = decoded_in_order(lambda i: self._at(i, size), indices[1:], several=several)
        for k, (i, image) in enumerate(zip(indices[1:], images, strict=True), start=1):
            if image.shape != first.shape:
                raise InputError(
                    f"images differ in size: {self.ids[indices[0]]!r} is {first.shape[0]} x {first.shape[1]}, "
                    f"{self.ids[i]!r} is {image.shape[0]} x {image.shape[1]} (height x width).",
                    hint="Resize them: --size 64, or size=(64, 64).",
                )
            pixels[k] = image
        return pixels

    def images(self, indices: Sequence[int] | NDArray[Any], change: Callable[[Pixels], Any] | None = None) -> list[Any]:
        """Return those images, which may differ in size, or what `change` makes of each, with a thread for each core."""
        several = not isinstance(self.source, ArraySource)
        read = self.image if change is None else lambda i: change(self.image(i))
        return list(decoded_in_order(read, indices, several=several))

    def _at(self, i: int, size: tuple[int, int] | None) -> Pixels:
        image = self.source.image(int(self.rows[self._position(i)]))
        return image if size is None else resize(image, size)

    def _position(self, index: int) -> int:
        i = operator.index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"there is no image {i} among {len(self)}")
        return i % len(self)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Splits of images with class names.

    Attributes:
        name: name in reports.
        classes: C names.
        task: "multiclass" or "multilabel".
        train: the training split.
        test: the held-out split, or None.
        val: a further split for choices, or None.
        notes: one-line notes for the user: how it was split, what was left out.
        planted: the planted causes of a synthetic set (see `shapes`); empty for others. Facts about single
            training images are under `planted[cause]["train"]`, by id.
        source: plain JSON values: path, layout, profile, seed, counts per split; `may_be_mirrored` (see `unmirrored`).

    Example:
        >>> split = ImageSplit.from_arrays(np.zeros((3, 8, 8), np.uint8), [0, 1, 1])
        >>> images = ImageSet("pets", ("cat", "dog"), "multiclass", train=split)
        >>> images.class_counts.tolist(), images.test is None
        ([1, 2], True)
    """

    name: str
    classes: tuple[str, ...]
    task: Task
    train: ImageSplit
    test: ImageSplit | None = None
    val: ImageSplit | None = None
    notes: tuple[str, ...] = ()
    planted: Mapping[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.classes)

    @property
    def splits(self) -> dict[str, ImageSplit]:
        """The splits there are, by name."""
        found = {"train": self.train, "test": self.test, "val": self.val}
        return {name: split for name, split in found.items() if split is not None}

    @property
    def held_out(self) -> ImageSplit | None:
        """What a network is judged on: the test split, or the val split where there is no test."""
        return self.test if self.test is not None else self.val

    def resized(self, size: tuple[int, int]) -> ImageSet:
        """Return the set with every image resized to (H, W), boxes scaled alike."""
        found: dict[str, Any] = {name: split.resized(size) for name, split in self.splits.items()}
        return replace(self, **found, source={**self.source, "size": list(_checked_size(size))})

    def decode(self) -> None:
        """Decode every image now, so that a damaged one is reported before long work."""
        for split in self.splits.values():
            split.array()

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(C,) training images of each class; in a multi-label set an image counts for each of its classes."""
        return count_classes(self.train.labels, self.n_classes)

    @checked(seed=a_seed())
    def with_profile(self, profile: str, seed: int) -> ImageSet:
        """Return the set with its training split reduced to a profile; test and val are the same objects.

        Args:
            profile: `exp:R`, `step:R` (see `imbalance_profile`) or `natural`, which changes nothing.
            seed: chooses which images stay (see `draw_profile`).

        Raises:
            InputError: a profile that is impossible here, or any other than natural on a multi-label set.
        """
        if parse_profile(profile).kind == "natural":
            return replace(self, source={**self.source, "profile": "natural", "seed": seed})
        if self.task == "multilabel":
            raise InputError(
                f"profile {profile!r} needs one label per image, and {self.name} is multi-label: leaving out images "
                "of one class would also reduce the others.",
                hint="Use --profile natural.",
            )
        available = self.class_counts
        try:
            kept = imbalance_profile(available, profile)
        except InputError as error:
            raise InputError(f"{self.name}: {error.message}", hint=error.hint) from error
        wanted = imbalance_profile(np.full_like(available, available.max()), profile)
        short = [
            f"{name!r} ({has} of {want})"
            for name, has, want in zip(self.classes, kept.tolist(), wanted.tolist(), strict=True)
            if has < want
        ]
        notes = self.notes
        if short:
            notes += (f"Profile {profile} asks for more images than there are: {listed(short, 5)}.",)
        train = self.train.subset(draw_profile(self.train.labels, kept, seed))
        counts = {**self.source.get("counts", {}), "train": kept.tolist()}
        return replace(
            self,
            train=train,
            notes=notes,
            planted=planted_in(self.planted, set(train.ids.tolist())),
            source={**self.source, "profile": profile, "seed": seed, "counts": counts},
        )


def count_classes(labels: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return (C,) how many instances belong to each class."""
    if labels.ndim == 2:
        return labels.sum(axis=0, dtype=np.int64)
    return np.bincount(labels, minlength=n_classes).astype(np.int64)


def planted_in(planted: Mapping[str, Any], ids: set[str]) -> dict[str, Any]:
    """Drop what was planted in training images that are gone."""
    return {
        cause: {**facts, "train": {i: fact for i, fact in facts["train"].items() if i in ids}}
        if "train" in facts
        else facts
        for cause, facts in planted.items()
    }


def _checked_labels(labels: Any) -> NDArray[Any]:
    array = np.asarray(labels)
    whole = array.dtype.kind in "iub" or (array.dtype.kind == "f" and bool((array == np.floor(array)).all()))
    if array.ndim not in (1, 2) or not whole or (array.size and array.min() < 0):
        raise InputError(
            f"labels have shape {array.shape} and dtype {array.dtype}; they must be whole numbers from 0.",
            hint="Give (N,) class numbers or (N, C) multi-hot rows.",
        )
    if array.ndim == 1:
        return array.astype(np.int64)
    if not np.isin(array, (0, 1)).all():
        raise InputError("labels have two axes, but hold more than 0 and 1.", hint="Give multi-hot rows of 0 and 1.")
    return array.astype(np.uint8)


def _checked_boxes(boxes: Any, i: int) -> Boxes:
    array = np.asarray(boxes, dtype=np.float32)
    if not array.size:
        return np.empty((0, 5), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 5 or not np.isfinite(array).all():
        raise ShapeError(
            f"boxes[{i}] has shape {array.shape} or is not finite.", hint="Give (n, 5): class, x0, y0, x1, y1."
        )
    return array


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (operator.index(s) for s in size)
    except (TypeError, ValueError):
        height = width = 0
    if not (0 < height <= 8192 and 0 < width <= 8192):
        raise InputError(f"size must be (height, width) in pixels, found {size!r}.", hint="Give size=(64, 64).")
    return height, width
