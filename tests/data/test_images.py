from __future__ import annotations

import pickle
import re
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from imblens.base import memory
from imblens.data import ImageSplit, load_images
from imblens.errors import InputError, ShapeError, StorageError

from .helpers import pixels, write_classes


def test_indexing_gives_image_and_label():
    images = pixels(4)
    split = ImageSplit.from_arrays(images, [2, 0, 1, 1])
    image, label = split[2]
    assert (image == images[2]).all() and label == 1 and isinstance(label, int)
    assert (split[-1][0] == images[3]).all()
    assert [label for _, label in split] == [2, 0, 1, 1]
    for outside in (4, -5):
        with pytest.raises(IndexError):
            split.image(outside)


def test_what_is_handed_out_is_the_callers():
    images = pixels(3)
    hot = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.uint8)
    split = ImageSplit.from_arrays(images, hot)
    split.array()
    image, label = split[1]
    image[:] = 0
    label[:] = 9
    split.stack([1])[:] = 0
    assert (split.image(1) == images[1]).all() and split.labels[1].tolist() == [0, 1]


def test_greyscale_is_replicated_and_recognised():
    grey = np.random.default_rng(0).integers(0, 256, (3, 4, 6), dtype=np.uint8)
    for images in (grey, grey[..., None]):
        split = ImageSplit.from_arrays(images, [0, 1, 0])
        assert (split.array() == grey[..., None]).all() and split.array().shape == (3, 4, 6, 3)
        assert split.greyscale
    assert not ImageSplit.from_arrays(pixels(3), [0, 1, 0]).greyscale


def test_subset_takes_positions_and_masks_in_order():
    images = pixels(5)
    boxes = [np.full((i, 5), i) for i in range(5)]
    split = ImageSplit.from_arrays(images, [0, 1, 2, 3, 4], ids=list("abcde"), boxes=boxes)
    part = split.subset([3, 1])
    assert part.ids.tolist() == ["d", "b"] and part.labels.tolist() == [3, 1]
    assert (part.array() == images[[3, 1]]).all()
    assert [len(b) for b in part.boxes] == [3, 1]
    again = part.subset(np.array([False, True]))
    assert again.ids.tolist() == ["b"] and (again.image(0) == images[1]).all() and len(again.boxes[0]) == 1


def test_resized_scales_images_and_boxes_alike():
    image = np.zeros((1, 10, 20, 3), np.uint8)
    image[0, 2:8, 4:12] = 250
    split = ImageSplit.from_arrays(image, [0], boxes=[[[0, 4, 2, 12, 8]]]).resized((20, 10))
    assert split.boxes[0].tolist() == [[0, 2, 4, 6, 16]]
    bright = np.argwhere(split.image(0)[..., 0] > 125)
    assert bright.min(axis=0).tolist() == [4, 2] and (bright.max(axis=0) + 1).tolist() == [16, 6]
    assert split.array().shape == split.stack([0]).shape == (1, 20, 10, 3)
    # once more: from the size it has now
    assert split.resized((10, 10)).boxes[0].tolist() == [[0, 2, 2, 6, 8]]


def test_array_is_decoded_once_and_mapped_where_it_is_large(monkeypatch):
    split = ImageSplit.from_arrays(pixels(3), [0, 1, 1])
    assert split.array((4, 4)) is split.array((4, 4))
    assert split.array((4, 4)).shape == (3, 4, 4, 3)
    monkeypatch.setattr("imblens.data._several.CACHE_BYTES", 10)
    monkeypatch.setattr("imblens.data._images.CACHE_BYTES", 10)
    fresh = ImageSplit.from_arrays(pixels(3), [0, 1, 1])
    mapped = fresh.array((4, 4))
    assert mapped is fresh.array((4, 4)) and isinstance(mapped, np.memmap)
    assert (mapped == split.array((4, 4))).all()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10))
    with pytest.raises(StorageError, match=r"3 images of 5 x 5 need 0\.0 GB in .* are free\. Set TMPDIR"):
        fresh.array((5, 5))


def test_a_batch_larger_than_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 1000)
    with pytest.raises(InputError, match="half of this machine's memory"):
        ImageSplit.from_arrays(pixels(3), [0, 1, 1]).resized((32, 32)).stack([0, 1, 2])


def test_threads_decode_in_order_and_the_first_fault_is_reported(tmp_path, monkeypatch):
    write_classes(tmp_path, {"a": 30, "b": 20})
    split = load_images(str(tmp_path)).train
    one_by_one = [split.image(i) for i in range(len(split))]
    monkeypatch.setattr("imblens.data._several.AHEAD", 7)
    before = list(warnings.filters)
    assert (split.stack(np.arange(len(split))) == np.stack(one_by_one)).all()
    assert (np.stack(split.images([3, 1, *range(20)])) == np.stack([one_by_one[i] for i in (3, 1, *range(20))])).all()
    assert warnings.filters == before
    for name in (split.ids[30], split.ids[20]):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(InputError, match=re.escape(split.ids[20])):
        split.array()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3, 8, 9), np.uint8), "transpose"),
        (np.zeros((4, 5, 3), np.uint8), "one colour image"),
        (np.zeros((2, 4, 5, 4), np.uint8), "N, H, W"),
        (np.zeros((0, 4, 5, 3), np.uint8), "N > 0"),
        (np.zeros((2, 7), np.uint8), "N, H, W"),
        (np.full((2, 4, 5, 3), 0.5), r"\* 255"),
        (np.full((2, 4, 5, 3), 300), "0-255"),
        (np.full((2, 4, 5, 3), -1), "0-255"),
        (np.full((2, 4, 5, 3), np.nan), "0-255"),
    ],
)
def test_arrays_that_are_no_images_are_refused(images, message):
    with pytest.raises(InputError, match=message):
        ImageSplit.from_arrays(images, [0] * len(images))


def test_whole_numbers_of_other_types_are_taken():
    split = ImageSplit.from_arrays(np.full((2, 4, 5, 3), 200, np.int32), [0, 1])
    assert split.image(0).dtype == np.uint8 and (split.image(0) == 200).all()


def test_lengths_must_agree():
    with pytest.raises(ShapeError, match="3 images for 2 labels"):
        ImageSplit.from_arrays(pixels(3), [0, 1])
    with pytest.raises(ShapeError, match="ids has 1 entries for 3"):
        ImageSplit.from_arrays(pixels(3), [0, 1, 1], ids=["a"])
    with pytest.raises(ShapeError, match="boxes has 1 entries for 3"):
        ImageSplit.from_arrays(pixels(3), [0, 1, 1], boxes=[[]])


@pytest.mark.parametrize(
    "labels", [[0.5, 1, 0], ["a", "b", "a"], [-1, 0, 1], [[0, 2]] * 3, [np.nan, 0, 1], [[[0]]] * 3, [None, 0, 1]]
)
def test_labels_are_whole_numbers_or_multi_hot(labels):
    with pytest.raises(InputError, match="labels"):
        ImageSplit.from_arrays(pixels(3), labels)


def test_ids_differ_and_boxes_have_five_columns():
    with pytest.raises(InputError, match="not unique"):
        ImageSplit.from_arrays(pixels(2), [0, 1], ids=["a", "a"])
    for box in ([0, 1, 2, 3, 4], [[1, 2, 3, 4]] * 5, [[0, 1, 2, 3, np.inf]]):
        with pytest.raises(ShapeError, match=r"boxes\[1\]"):
            ImageSplit.from_arrays(pixels(2), [0, 1], boxes=[[], box])


@pytest.mark.parametrize("size", [(0, 4), (4,), 32, (4, 4, 4), (10**5, 4), ("a", "b")])
def test_odd_sizes_are_refused(size):
    with pytest.raises(InputError, match="height, width"):
        ImageSplit.from_arrays(pixels(1), [0]).array(size)


def test_an_empty_request_is_refused():
    with pytest.raises(InputError, match="no image"):
        ImageSplit.from_arrays(pixels(2), [0, 1]).stack([])


def test_workers_get_a_copy_that_works():
    split = ImageSplit.from_arrays(pixels(3), [0, 1, 1])
    assert (pickle.loads(pickle.dumps(split)).array() == split.array()).all()


def test_a_torch_loader_takes_it_as_it_is():
    torch = pytest.importorskip("torch")
    images = pixels(5)
    loader = torch.utils.data.DataLoader(ImageSplit.from_arrays(images, [0, 1, 2, 0, 1]), batch_size=2)
    batches = list(loader)
    assert (np.concatenate([b.numpy() for b, _ in batches]) == images).all()
    assert torch.cat([y for _, y in batches]).tolist() == [0, 1, 2, 0, 1]


def test_reading_images_needs_no_torch():
    code = (
        "import sys, numpy as np; from imblens.data import load_images; load_images('shapes').train.array();"
        "print([m for m in ('torch', 'datasets', 'altair', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
