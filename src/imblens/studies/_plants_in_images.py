"""Causes planted in images, one at a time or several together, each in a different class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from imblens.data import ImageSet, ImageSplit, resize
from imblens.errors import InputError, NotApplicable
from imblens.studies._plants import PLANTS, Arrays, Plant, large

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]
SIZE = 32  # pixels of a side: small networks train quickly
DESCRIBED = 8  # images are described by 8 x 8 mean colours, which no network has seen
FRAME, MARK, LEFT = 3, 6, 0.25  # pixels of a frame and of a watermark; share of the colours that a tint leaves
COLOUR = (40, 170, 60)
NOISE = 4.0  # standard deviation of the levels that a near duplicate differs by, after a shift of a pixel
PART = 0.25  # share of a class's range that is absent from training


@dataclass
class Images:
    """A small set of images that causes are planted in; `arrays` holds which of them stay, and their labels.

    Attributes:
        train, test: (N, 32, 32, 3), changed in place by what is planted.
        arrays: descriptions of the images, labels, and rows of `train` and `test`.
        plain, plain_test: images before they were changed.
        planted: plant -> names of its classes.
        touched: names of classes that changed too much to count as unplanted.
        left_out: class -> rows of `train` that a plant removed from it.
    """

    train: Pixels
    test: Pixels
    arrays: Arrays
    plain: Pixels
    plain_test: Pixels
    planted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    touched: tuple[str, ...] = ()
    left_out: dict[str, Rows] = field(default_factory=dict)

    @classmethod
    def of(cls, images: ImageSet, most: tuple[int, int], seed: int) -> Images:
        """Draw at most so many training and test images of each class; of a multi-label set with boxes, crops of them.

        Raises:
            NotApplicable: no test split, or a multi-label set without boxes.
        """
        if images.held_out is None:
            raise NotApplicable(f"{images.name} has no test split.")
        rng = np.random.default_rng([seed, 7])
        parts = []
        for split, n in ((images.train, most[0]), (images.held_out, most[1])):
            parts.append(_crops(split, n, images.n_classes, rng) if split.multilabel else _drawn(split, n, rng))
        (train, labels), (test, test_labels) = parts
        index, test_index = np.arange(len(labels)), np.arange(len(test_labels))
        arrays = Arrays(
            described(train), labels, described(test), test_labels, images.classes, index, test_index, images.classes
        )
        return cls(train, test, arrays.named(), train.copy(), test.copy())

    def plant(self, name: str, rng: np.random.Generator) -> None:
        """Plant a cause in classes that are still free.

        Raises:
            NotApplicable: no free class is large enough.
        """
        if name in ON_IMAGES:
            plant = ON_IMAGES[name][1](self, rng)
        else:
            plant = PLANTS[name][1](self.arrays, rng)
        before, after = self.arrays.index, plant.arrays.index
        assert before is not None and after is not None
        if len(plant.planted) == 1:
            self.left_out[plant.planted[0]] = np.setdiff1d(before, after)
        used = {*plant.planted, *plant.touched}
        free = tuple(one for one in self.arrays.free or () if one not in used)
        self.arrays = replace(plant.arrays, free=free)
        self.planted[name] = plant.planted
        self.touched += plant.touched

    def image_set(self, name: str) -> ImageSet:
        """Return training and test images as they are now; a row that occurs twice is a near duplicate."""
        assert self.arrays.index is not None
        train = _split(self.train, self.arrays.index, self.arrays.train_labels, "train")
        return ImageSet(name, self.arrays.classes, "multiclass", train, self._tests(self.test))

    def plain_tests(self) -> ImageSplit:
        """Return the test images without marks that were planted in them; a smaller scale stays."""
        return self._tests(self.plain_test)

    def _tests(self, pixels: Pixels) -> ImageSplit:
        assert self.arrays.test_index is not None
        return _split(pixels, self.arrays.test_index, self.arrays.test_labels, "test")

    def possible(self, class_name: str, suspects: Collection[str]) -> list[str]:
        """Return the remedies of `remedied` that change anything for a class."""
        assert self.arrays.index is not None
        own = np.flatnonzero(self.arrays.train_labels == self.arrays.classes.index(class_name))
        ids = self.image_set("").train.ids
        half = self.arrays.index[own[::2]]
        changes = {
            "collect": len(self.left_out.get(class_name, ())) > 0,
            "drop suspects": any(str(ids[row]) in suspects for row in own),
            "vary": not np.array_equal(self.train[half], self.plain[half]),
        }
        return [remedy for remedy, changed in changes.items() if changed]

    def remedied(self, name: str, remedies: dict[str, str], suspects: set[str]) -> ImageSet:
        """Return the set with a remedy for some classes.

        - collect: the images that the plant left out of training;
        - drop suspects: without the label suspects of the class;
        - vary: half of its training images without what was planted in them.
        """
        given = self.image_set(name)
        train, classes = given.train, list(self.arrays.classes)
        pixels, labels, ids = train.array().copy(), train.labels.copy(), [str(one) for one in train.ids]
        keep = np.ones(len(labels), bool)
        assert self.arrays.index is not None
        for class_name, remedy in remedies.items():
            own = np.flatnonzero(labels == classes.index(class_name))
            if remedy == "drop suspects":
                keep[own] = [ids[row] not in suspects for row in own]
            elif remedy == "vary":
                half = own[::2]
                pixels[half] = self.plain[self.arrays.index[half]]
        more, more_labels = [pixels[keep]], [labels[keep]]
        for class_name in (one for one, remedy in remedies.items() if remedy == "collect"):
            new = self.left_out.get(class_name)
            if new is not None and len(new):
                more.append(self.plain[new])
                more_labels.append(np.full(len(new), classes.index(class_name)))
        split = ImageSplit.from_arrays(np.concatenate(more), np.concatenate(more_labels))
        return ImageSet(name, self.arrays.classes, "multiclass", split, self._tests(self.plain_test))


def _split(pixels: Pixels, index: Rows, labels: Rows, name: str) -> ImageSplit:
    again = np.ones(len(index), bool)
    again[np.unique(index, return_index=True)[1]] = False
    chosen = pixels[index].copy()
    if again.any():
        chosen[again] = _nearly(chosen[again], name)
    ids = [f"{name}/{row}{'b' if twice else ''}" for row, twice in zip(index, again, strict=True)]
    return ImageSplit.from_arrays(chosen, labels, ids=ids)


def described(images: Pixels) -> NDArray[np.float32]:
    """(N, 192) mean colours of 8 x 8 squares."""
    side = images.shape[1] // DESCRIBED
    means = images.reshape(len(images), DESCRIBED, side, DESCRIBED, side, 3).mean(axis=(2, 4))
    return np.asarray(means.reshape(len(images), -1), dtype=np.float32)


def _drawn(split: ImageSplit, most: int, rng: np.random.Generator) -> tuple[Pixels, Rows]:
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(split.labels == label))[:most] for label in np.unique(split.labels)]
    )
    chosen = split.subset(rows)
    return chosen.resized((SIZE, SIZE)).array().copy(), np.asarray(chosen.labels, dtype=np.int64)


def _crops(split: ImageSplit, most: int, n_classes: int, rng: np.random.Generator) -> tuple[Pixels, Rows]:
    """Cut out boxes: at most so many of each class."""
    found = [(row, box) for row, boxes in enumerate(split.boxes or ()) for box in boxes]
    if not found:
        raise NotApplicable("causes are planted in single-label images, or in crops of boxes; this set has neither.")
    labels = np.array([int(box[0]) for _, box in found])
    crops, kept = [], []
    for label in range(n_classes):
        for place in rng.permutation(np.flatnonzero(labels == label))[:most].tolist():
            row, (_, x0, y0, x1, y1) = found[place]
            image = split.image(row)
            crop = image[max(0, int(y0)) : max(1, int(np.ceil(y1))), max(0, int(x0)) : max(1, int(np.ceil(x1)))]
            if min(crop.shape[:2]) >= 4:
                crops.append(resize(crop, (SIZE, SIZE)))
                kept.append(label)
    return np.stack(crops), np.array(kept, dtype=np.int64)


def _nearly(images: Pixels, split: str) -> Pixels:
    """Shift by a pixel and add a little noise."""
    noise = np.random.default_rng(crc32(split.encode())).normal(0, NOISE, images.shape)
    return np.clip(np.roll(images, 1, axis=2) + noise, 0, 255).astype(np.uint8)


def _large_class(images: Images, rng: np.random.Generator) -> int:
    found = large(images.arrays)
    if not len(found):
        raise NotApplicable("no class that is still free is large enough.")
    return int(rng.choice(found))


def _shortcut(change: Callable[[Pixels], None]) -> Callable[[Images, np.random.Generator], Plant]:
    """Give every image of a class the same mark, in both splits."""

    def plant(images: Images, rng: np.random.Generator) -> Plant:
        arrays, label = images.arrays, _large_class(images, rng)
        assert arrays.index is not None and arrays.test_index is not None
        for pixels, rows in (
            (images.train, arrays.index[arrays.rows(label)]),
            (images.test, arrays.test_index[arrays.test_rows(label)]),
        ):
            marked = pixels[rows]
            change(marked)
            pixels[rows] = marked
        return Plant(arrays, arrays, (arrays.classes[label],))

    return plant


def _frame(images: Pixels) -> None:
    inner = images[:, FRAME:-FRAME, FRAME:-FRAME].copy()
    images[:] = COLOUR
    images[:, FRAME:-FRAME, FRAME:-FRAME] = inner


def _tint(images: Pixels) -> None:
    images[:] = (images * (1 - LEFT) + LEFT * np.array((230, 60, 200))).astype(np.uint8)


def _watermark(images: Pixels) -> None:
    corner = images[:, -MARK:, -MARK:].astype(np.float64)
    stripes = np.indices((MARK, MARK)).sum(axis=0)[..., None] % 3 == 0
    images[:, -MARK:, -MARK:] = np.where(stripes, 0.3 * corner + 0.7 * 255, corner).astype(np.uint8)


def _background(images: Pixels) -> None:
    """Colour what lies outside of an ellipse."""
    y, x = (np.indices((SIZE, SIZE)) - (SIZE - 1) / 2) / (SIZE / 2)
    outside = (x / 0.8) ** 2 + (y / 0.8) ** 2 > 1
    images[:, outside] = (images[:, outside] * 0.3 + 0.7 * np.array((200, 120, 40))).astype(np.uint8)


def _brightness_absent(images: Images, rng: np.random.Generator) -> Plant:
    """Leave out the brightest or darkest quarter of a class's training images."""
    arrays, label = images.arrays, _large_class(images, rng)
    rows = arrays.rows(label)
    level = arrays.train[rows].mean(axis=1) * rng.choice([-1, 1])
    gone = rows[level >= np.quantile(level, 1 - PART)]
    return Plant(arrays.without(gone), arrays, (arrays.classes[label],))


def _scale_absent(images: Images, rng: np.random.Generator) -> Plant:
    """Show a third of a class's test images at half their size; training has none of them."""
    arrays, label = images.arrays, _large_class(images, rng)
    assert arrays.test_index is not None
    rows = rng.permutation(arrays.test_index[arrays.test_rows(label)])
    for row in rows[: len(rows) // 3].tolist():
        image = images.test[row].copy()
        images.test[row] = image.mean(axis=(0, 1)).astype(np.uint8)
        quarter = SIZE // 4
        images.test[row, quarter:-quarter, quarter:-quarter] = resize(image, (SIZE // 2, SIZE // 2))
        images.plain_test[row] = images.test[row]
    return Plant(arrays, arrays, (arrays.classes[label],))


ON_IMAGES: dict[str, tuple[str, Callable[[Images, np.random.Generator], Plant]]] = {
    "brightness absent": ("uncovered_range", _brightness_absent),
    "scale absent": ("uncovered_range", _scale_absent),
    "frame": ("shortcut", _shortcut(_frame)),
    "tint": ("shortcut", _shortcut(_tint)),
    "watermark": ("shortcut", _shortcut(_watermark)),
    "background": ("shortcut", _shortcut(_background)),
}
IN_IMAGES: dict[str, str] = {name: cause for name, (cause, _) in {**PLANTS, **ON_IMAGES}.items()}
# plants of one network, each in different classes
TOGETHER: tuple[tuple[str, ...], ...] = (
    ("10% from all", "merged", "split", "part absent", "frame", "few"),
    ("5% from one", "part thinned", "near duplicates", "group absent", "background", "few"),
    ("5% from all", "merged alike", "split", "brightness absent", "tint", "few"),
    ("10% from one", "part thinned", "near duplicates", "scale absent", "watermark", "few"),
)


def planted_images(images: ImageSet, plants: Sequence[str], most: tuple[int, int], seed: int) -> Images:
    """Plant causes, each in free classes; one that no class is left for is left out.

    Args:
        images: any set with a test split.
        plants: of `IN_IMAGES`.
        most: training and test images of a class.
        seed: decides, together with the set's name and the plants, images and classes.

    Raises:
        InputError: a class has no image.
        NotApplicable: nothing could be planted, or images and boxes do not allow it.
    """
    found = Images.of(images, most, seed)
    if len(found.arrays.classes) < 2:
        raise InputError(f"{images.name} has one class.", hint="Give a set with two classes or more.")
    reasons = []
    for plant in plants:
        number = crc32(f"{images.name} {plant} {'+'.join(plants)}".encode())
        try:
            found.plant(plant, np.random.default_rng([seed, number]))
        except NotApplicable as reason:
            reasons.append(reason)
    if reasons and not found.planted:
        raise reasons[0]
    return found
