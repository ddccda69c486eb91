"""What holds for every over-sampler that works on raw pixels, and for what is written."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from PIL import Image

from imblens.data import ImageSet
from imblens.errors import InputError, MissingError
from imblens.synthesis import (
    find_oversampler,
    oversample_pixels,
    oversampler_descriptions,
    oversampling_memory,
    parse_options,
)
from tests.synthesis.images import colours, split

NAMES = ["smote", "borderline_smote", "balanced_svm", "svm_smote", "adasyn", "eos", "random"]
PARTIAL = {"borderline_smote", "svm_smote", "adasyn", "balanced_svm"}  # may leave classes short


def pixels_of(images: ImageSet) -> np.ndarray:
    return images.train.array()


@pytest.mark.parametrize("name", NAMES)
def test_originals_stay_and_only_the_training_split_grows(name: str) -> None:
    given = colours()
    before = pixels_of(given).copy()
    balanced = oversample_pixels(given, name, random_state=3)
    n = len(before)
    assert balanced.test is given.test and balanced.val is given.val
    assert (pixels_of(given) == before).all() and (pixels_of(balanced)[:n] == before).all()
    assert pixels_of(balanced).dtype == np.uint8
    assert balanced.train.labels[:n].tolist() == given.train.labels.tolist()
    assert balanced.train.ids[:n].tolist() == given.train.ids.tolist()
    assert len(set(balanced.train.ids.tolist())) == len(balanced.train)
    record = balanced.source["oversample"]
    assert json.loads(json.dumps(record)) == record
    assert record["counts"] == balanced.class_counts.tolist() and record["synthetic"] == len(balanced.train) - n
    if name in PARTIAL:
        assert balanced.class_counts.max() <= 29 and (balanced.class_counts >= given.class_counts).all()
    else:
        assert balanced.class_counts.tolist() == [20, 20, 20]


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name: str) -> None:
    first, again = (oversample_pixels(colours(), name, random_state=5) for _ in range(2))
    assert (pixels_of(first) == pixels_of(again)).all() and (first.train.labels == again.train.labels).all()
    if len(first.train) > 36:
        other = oversample_pixels(colours(), name, random_state=6)
        assert len(other.train) != len(first.train) or (pixels_of(other) != pixels_of(first)).any()


@pytest.mark.parametrize("name", ["smote", "balanced_svm", "random", "eos"])
def test_new_images_stay_among_those_they_come_from(name: str) -> None:
    """Each pixel of an image between two others lies in their range: nothing wraps round at 0 or 255."""
    given = colours()
    balanced = oversample_pixels(given, name)
    new, labels = pixels_of(balanced)[36:], balanced.train.labels[36:]
    assert len(new)
    for label in (1, 2):
        of_class = pixels_of(given)[given.train.labels == label]
        members = pixels_of(given) if name in ("eos", "balanced_svm") else of_class
        mine = new[labels == label]
        assert (mine >= members.min(axis=0)).all() and (mine <= members.max(axis=0)).all()
        if name == "random":
            assert all((image == of_class).all(axis=(1, 2, 3)).any() for image in mine)


def test_smote_is_imbalanced_learns_to_a_grey_level() -> None:
    given = colours()
    rows = pixels_of(given).reshape(36, -1).astype(float)
    expected, _ = SMOTE(random_state=2).fit_resample(rows, given.train.labels)
    balanced = pixels_of(oversample_pixels(given, "smote", random_state=2)).reshape(60, -1)
    assert np.abs(balanced - expected).max() <= 0.51


def test_what_is_made_is_kept_and_read_again(tmp_path: Path) -> None:
    given, lines = colours(), []
    first = oversample_pixels(given, "smote", out=tmp_path / "o", progress=lines.append)
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["images.npz", "samples.png"]
    again = oversample_pixels(given, "smote", out=tmp_path / "o", progress=lines.append)
    assert "generated in" in lines[0] and "read from" in lines[1]
    assert (pixels_of(first) == pixels_of(again)).all()
    assert first.source == again.source  # the seconds too: those of the first call
    for options in ({"k_neighbors": 2}, {"random_state": 1}):
        oversample_pixels(given, "smote", out=tmp_path / "o", progress=lines.append, **options)
        assert "generated in" in lines[-1]
    (tmp_path / "o" / "images.npz").write_bytes((tmp_path / "o" / "images.npz").read_bytes()[:-100])
    oversample_pixels(given, "smote", out=tmp_path / "o", random_state=1, progress=lines.append)
    assert "generated in" in lines[-1]


def test_the_sheet_shows_real_images_left_and_new_ones_right(tmp_path: Path) -> None:
    oversample_pixels(colours(), "random", out=tmp_path)
    sheet = np.asarray(Image.open(tmp_path / "samples.png"))
    assert sheet.shape == (2 * (48 + 2), 14 * (36 + 2) + 8, 3)  # green and blue grew; 8 x 6 shown six times as large
    rows = sheet[:48], sheet[50:98]
    for row, channel in zip(rows, (1, 2), strict=True):
        for left in (0, 4 * 38 + 8, 13 * 38 + 8):
            assert row[:, left : left + 36].mean(axis=(0, 1)).argmax() == channel


def test_memory_is_foreseen_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three classes of 20 after balancing, images of 8 x 6 x 3 = 144 values, 14 bytes each: 60 x 144 x 14."""
    given = colours()
    assert oversampling_memory(given, "smote") == 60 * 144 * 14 == 120_960
    assert oversampling_memory(given.resized((16, 12)), "smote") == 4 * 120_960
    assert oversampling_memory(given, "random") < oversampling_memory(given, "smote")
    monkeypatch.setattr("imblens.base.memory.memory_limit", lambda: 120_959)
    for act in (oversampling_memory, oversample_pixels):
        with pytest.raises(InputError, match=r"smote on 60 images of 8 x 6 needs about 0\.0 GB, more than half"):
            act(given, "smote")


@pytest.mark.parametrize("name", ["smote", "eos"])
def test_balancing_stays_within_the_memory_that_is_foreseen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.base.blocks.BLOCK_NUMBERS", 2**13)
    given = replace(colours(), train=split([300, 30, 20], 0, 64, 60))
    oversample_pixels(colours(), name)  # imports
    tracemalloc.start()
    try:
        oversample_pixels(given, name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    needed = oversampling_memory(given, name)
    assert needed / 2 < peak < 1.1 * needed


def test_grey_images_stay_grey() -> None:
    given = colours()
    grey = np.repeat(pixels_of(given)[..., :1], 3, axis=3)
    given = replace(given, train=type(given.train).from_arrays(grey, given.train.labels))
    assert oversample_pixels(given, "smote").train.greyscale


def test_ids_and_boxes_of_hostile_sets() -> None:
    ids = [f"synthetic/smote/{i:06d}" for i in range(36)]
    given = colours(ids=ids, boxes=[[[0, 1, 1, 3, 3]]] * 36)
    balanced = oversample_pixels(given, "smote")
    assert len(set(balanced.train.ids.tolist())) == 60
    assert [len(boxes) for boxes in balanced.train.boxes or ()] == [1] * 36 + [0] * 24


def test_a_balanced_set_is_left_alone() -> None:
    for name in NAMES:
        assert len(oversample_pixels(colours((6, 6, 6)), name).train) == 18


def test_refusals_state_what_to_do() -> None:
    cases: list[tuple[ImageSet, str, dict[str, Any], str]] = [
        (colours((20, 9, 1)), "smote", {}, "smote needs 2 images of a class, and 'blue' has 1. Add .* random"),
        (replace(colours(), task="multilabel"), "smote", {}, "is multi-label"),
        (oversample_pixels(colours(), "random"), "smote", {}, "was over-sampled with random before"),
        (colours(), "smote", {"k_neighbors": 7}, "k_neighbors=7 needs 8 instances but class 'blue' has 7"),
        (colours(), "smote", {"k_neighbors": 0}, "k_neighbors=0 is not allowed. Give a whole number of 1 or more"),
    ]
    for given, name, options, message in cases:
        with pytest.raises(InputError, match=message):
            oversample_pixels(given, name, **options)
    with pytest.raises(MissingError, match=r"no over-sampler 'smoet'. Did you mean 'smote'"):
        oversample_pixels(colours(), "smoet")
    with pytest.raises(MissingError, match=r"smote has no option 'k'. .*Known: k_neighbors"):
        oversample_pixels(colours(), "smote", k=3)
    with pytest.raises(MissingError, match=r"random has no option 'epochs'. It has none"):
        parse_options("random", ["epochs=3"])
    assert oversample_pixels(colours((20, 9, 1)), "eos").class_counts.tolist() == [20, 20, 20]
    assert find_oversampler("borderline-smote").name == "borderline_smote"


@pytest.mark.parametrize("name", list(oversampler_descriptions()))
def test_the_page_names_it_and_its_options(name: str) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "oversampling.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page
    if name not in NAMES:  # options of the samplers stand on the page of treatments
        assert [option.name for option in find_oversampler(name).options if f"`{option.name}`" not in page] == []
