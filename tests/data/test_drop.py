"""Leaving images out by a list of ids."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from imblens.data import ImageSet, ImageSplit, drop_images, shapes
from imblens.errors import InputError, MissingError


@pytest.fixture
def images() -> ImageSet:
    def split(labels: list[int], prefix: str) -> ImageSplit:
        names = [f"{prefix}{i}" for i in range(len(labels))]
        return ImageSplit.from_arrays(np.zeros((len(labels), 4, 4), np.uint8), labels, ids=names)

    return ImageSet("toy", ("a", "b"), "multiclass", split([0, 0, 0, 1], "=t"), test=split([0, 1], "test/"))


def test_named_images_are_gone_and_it_is_recorded(images, tmp_path):
    file = tmp_path / "wrong.csv"
    file.write_text("class,id\na,'=t2\nb,=t0\nb,=t0\n")  # a guarded id, a plain one, one twice
    left = drop_images(images, file)
    assert left.train.ids.tolist() == ["=t1", "=t3"] and left.train.labels.tolist() == [0, 1]
    assert left.test is images.test
    assert left.source["counts"]["train"] == [1, 1]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert left.source["dropped"] == {"file": "wrong.csv", "sha256": digest, "count": 2, "ids": ["=t0", "=t2"]}
    assert "2 training images were left out" in left.notes[-1]
    assert len(images.train) == 4


def test_what_was_planted_in_them_goes_too(tmp_path):
    drawn = shapes(0)
    cause = next(name for name, facts in drawn.planted.items() if facts.get("train"))
    first = next(iter(drawn.planted[cause]["train"]))
    (tmp_path / "one.csv").write_text(f"id\n{first}\n")
    left = drop_images(drawn, tmp_path / "one.csv")
    assert len(left.planted[cause]["train"]) == len(drawn.planted[cause]["train"]) - 1


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (None, MissingError, "no such file"),
        (b"name\nx\n", InputError, "no column 'id'"),
        (b"", InputError, "no column 'id'"),
        (b"id\n\n", InputError, "lists no instance"),
        (b"id\nnowhere\n", MissingError, "1 of 1 ids name no training image of toy: 'nowhere'"),
        (b"id\ntest/0\n", MissingError, "are held-out images of toy"),
        (b"id\n=t3\n", InputError, "all 1 training images of 'b'"),
        (b"id\n\xff\xfe\n", InputError, "cannot be read"),
    ],
)
def test_lists_that_cannot_be_followed(images, tmp_path, content, error, said):
    file = tmp_path / "wrong.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error, match="--drop") as told:
        drop_images(images, file)
    assert said in str(told.value) and told.value.hint
