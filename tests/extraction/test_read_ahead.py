"""A capture of images decodes the next batch while the network has one: the same run, and errors where they were."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from imblens.data import ImageSplit, load_images
from imblens.errors import InputError
from imblens.extraction import capture
from tests.extraction.networks import seeded, sequential

BATCH = 20  # more than the instances on which a network is tried first
IMAGES = np.random.default_rng(3).integers(0, 256, size=(50, 8, 6, 3), dtype=np.uint8)
LABELS = np.arange(50) % 3
PLAIN: dict[str, Any] = {"batch_size": BATCH, "colours": False, "shortcuts": False}


class Watched:
    """Images that notice when one of the second batch is read; one may be damaged."""

    def __init__(self, damaged: int | None = None) -> None:
        self.second, self._damaged = threading.Event(), damaged

    def __len__(self) -> int:
        return len(IMAGES)

    def name(self, row: int) -> str:
        return f"image {row}"

    def size(self, row: int) -> tuple[int, int]:
        return IMAGES.shape[1], IMAGES.shape[2]

    def image(self, row: int) -> Any:
        if row >= BATCH:
            self.second.set()
        if row == self._damaged:
            raise InputError(f"image {row} is damaged.")
        return IMAGES[row]

    def split(self) -> ImageSplit:
        ids = np.array([f"{row}" for row in range(len(self))], dtype=object)
        return ImageSplit(LABELS, ids, self, np.arange(len(self)))  # type: ignore[arg-type]


class Network(nn.Module):
    """Calls a function with the number of images before it runs."""

    def __init__(self, called: Callable[[int], object]) -> None:
        super().__init__()
        self.inner, self._called = seeded(sequential), called

    def forward(self, x: Tensor) -> Tensor:
        self._called(len(x))
        logits: Tensor = self.inner(x)
        return logits


def test_the_second_batch_is_decoded_while_the_network_has_the_first() -> None:
    source = Watched()
    reached: list[bool] = []
    network = Network(lambda n: n == BATCH and reached.append(source.second.wait(20)))
    assert len(capture(network, train=source.split(), **PLAIN).train) == 50
    assert reached[0]  # later ones come after that anyway


def serially(read: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        yield read(item)


def texts(split: Any, column: str) -> list[str]:
    values = split.instances([column])[column]
    return [repr(value.tolist() if isinstance(value, np.ndarray) else value) for value in values]


@pytest.mark.parametrize("size", [None, [12, 10]])
def test_the_run_is_the_same_as_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: list[int] | None
) -> None:
    rng = np.random.default_rng(0)
    for row in range(46):
        shape = (8, 6, 3) if size is None else (*rng.integers(5, 150, 2), 3)
        file = tmp_path / ("train" if row < 33 else "test") / f"class{row % 3}" / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(file)
    images = load_images(tmp_path)
    given: dict[str, Any] = {"train": images.train, "test": images.test, "batch_size": 8}
    if size is not None:
        given["preprocessing"] = {"size": size}
    ahead = capture(seeded(sequential), **given)
    monkeypatch.setattr("imblens.extraction._readers.one_ahead", serially)
    plain = capture(seeded(sequential), **given)
    for name, split in plain.splits.items():
        other = ahead.splits[name]
        np.testing.assert_array_equal(other.features, split.features)
        np.testing.assert_array_equal(other.logits, split.logits)
        assert other.columns == split.columns and "thumbnail" in split.columns
        for column in split.columns:
            assert texts(other, column) == texts(split, column), column
        shown = other.instances(["id", "thumbnail"])
        for file, png in zip(shown["id"], shown["thumbnail"], strict=True):
            stored = Image.open(tmp_path / file)
            stored.thumbnail((64, 64), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), np.asarray(stored))


def test_a_damaged_image_is_reported_after_the_batches_before_it() -> None:
    before, filters, ran = threading.active_count(), list(warnings.filters), []
    network = Network(ran.append)
    with pytest.raises(InputError, match="image 25 is damaged"):
        capture(network, train=Watched(damaged=25).split(), **PLAIN)
    assert ran.count(BATCH) == 1
    assert threading.active_count() == before and warnings.filters == filters


def test_a_network_that_fails_leaves_no_thread() -> None:
    def fail(n: int) -> None:
        if n == BATCH:
            raise ValueError("out of order")

    before, filters = threading.active_count(), list(warnings.filters)
    failed: list[BaseException] = []
    with suppress(InputError):
        try:
            capture(Network(fail), train=Watched().split(), **PLAIN)
        except InputError as error:
            failed.append(error)  # with its traceback, as a debugger keeps it
            raise
    assert failed and "out of order" in str(failed[0])
    assert threading.active_count() == before and warnings.filters == filters
