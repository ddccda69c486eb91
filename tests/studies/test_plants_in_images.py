"""Causes planted in images: which images change and how, each in classes of its own; crops; remedies; what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.data import ImageSet, ImageSplit
from imblens.errors import InputError, MissingError, NotApplicable
from imblens.lenses.diagnosis import CAUSES
from imblens.lenses.diagnosis.advice import NO_HEAD
from imblens.run import Run
from imblens.studies import _planted_images, _plants_in_images, find_study
from imblens.studies._plants_in_images import FRAME, IN_IMAGES, TOGETHER, planted_images
from imblens.treatments import treat

TRAIN, TEST, CLASSES = 210, 45, 9


@pytest.fixture(scope="module")
def images() -> ImageSet:
    rng = np.random.default_rng(0)

    def split(n: int) -> ImageSplit:
        labels = np.repeat(np.arange(CLASSES), n)
        level = rng.integers(60, 200, (len(labels), 1, 1, 1)) + 3 * labels[:, None, None, None]
        pixels = np.clip(level + rng.normal(0, 12, (len(labels), 32, 32, 3)), 0, 255).astype(np.uint8)
        return ImageSplit.from_arrays(pixels, labels)

    return ImageSet("made", tuple(f"class {i}" for i in range(CLASSES)), "multiclass", split(TRAIN), split(TEST))


@pytest.mark.parametrize("plants", TOGETHER)
def test_several_causes_lie_in_classes_of_their_own(images: ImageSet, plants: tuple[str, ...]) -> None:
    found = planted_images(images, plants, (TRAIN, TEST), 0)
    assert set(found.planted) == set(plants)
    names = [name for some in found.planted.values() for name in some]
    assert len(set(names)) == len(names) and not set(names) & set(found.touched)
    made = found.image_set("made")
    assert set(names) <= set(made.classes)
    few = made.classes.index(found.planted["few"][0])
    assert made.class_counts[few] == 10


def test_a_frame_marks_every_image_of_one_class_in_both_splits(images: ImageSet) -> None:
    found = planted_images(images, ("frame",), (TRAIN, TEST), 1)
    (name,) = found.planted["frame"]
    made, plain = found.image_set("made"), found.plain_tests()
    assert made.test is not None
    for split in (made.train, made.test):
        edge = split.array()[:, :FRAME]
        framed = (edge == np.array(_plants_in_images.COLOUR)).all(axis=(1, 2, 3))
        assert (framed == (split.labels == made.classes.index(name))).all()
    assert not (plain.array()[:, :FRAME] == np.array(_plants_in_images.COLOUR)).all(axis=(1, 2, 3)).any()
    varied = found.remedied("made", {name: "vary"}, set()).train
    own = varied.array()[varied.labels == made.classes.index(name), :FRAME]
    assert (own == np.array(_plants_in_images.COLOUR)).all(axis=(1, 2, 3)).mean() == pytest.approx(0.5)


def test_brightness_is_absent_from_training_and_can_be_collected(images: ImageSet) -> None:
    found = planted_images(images, ("brightness absent",), (TRAIN, TEST), 2)
    (name,) = found.planted["brightness absent"]
    made = found.image_set("made")
    label = made.classes.index(name)
    assert made.class_counts[label] == pytest.approx(0.75 * TRAIN, abs=1)
    means = [split.array()[split.labels == label].mean(axis=(1, 2, 3)) for split in (made.train, made.test)]
    assert means[1].max() > means[0].max() + 3 or means[1].min() < means[0].min() - 3
    assert found.remedied("made", {name: "collect"}, set()).class_counts[label] == TRAIN


def test_near_duplicates_are_nearly_alike_and_dropped_suspects_are_gone(images: ImageSet) -> None:
    found = planted_images(images, ("near duplicates",), (TRAIN, TEST), 0)
    made = found.image_set("made")
    again = [i for i, one in enumerate(made.train.ids) if str(one).endswith("b")]
    assert len(again) == TRAIN // 2
    pixels, ids = made.train.array().astype(float), list(made.train.ids)
    first = ids.index(str(ids[again[0]])[:-1])
    assert 0 < np.abs(pixels[again[0]] - np.roll(pixels[first], 1, axis=1)).mean() < 8
    kept = found.remedied("made", {made.classes[0]: "drop suspects"}, set(ids[:5])).train
    gone = sum(made.train.labels[:5] == 0)
    assert len(kept) == len(made.train) - gone


def test_boxes_of_multi_label_images_are_cut_out() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 40, 40, 3), dtype=np.uint8)
    boxes = [[[i % 2, 4, 4, 20, 20], [1 - i % 2, 20, 20, 36, 38]] for i in range(60)]
    labels = np.ones((60, 2), np.uint8)
    split = ImageSplit.from_arrays(pixels, labels, boxes=boxes)
    found = planted_images(ImageSet("cells", ("a", "b"), "multilabel", split, split), ("nothing",), (50, 30), 0)
    assert found.image_set("cells").class_counts.tolist() == [50, 50]
    assert found.train.shape == (100, 32, 32, 3)
    bare = ImageSplit.from_arrays(pixels, labels)
    with pytest.raises(NotApplicable, match="neither"):
        planted_images(ImageSet("cells", ("a", "b"), "multilabel", bare, bare), ("nothing",), (50, 30), 0)


def test_jobs_cover_every_plant_alone_and_together_and_the_tables_count_them() -> None:
    study = find_study("diagnosis", data={"made": "digits"}, seeds=[3])
    plants = [job.plants for job in study.jobs]
    assert {(plant,) for plant in IN_IMAGES} | set(TOGETHER) == set(plants)
    assert len(find_study("diagnosis", data={"made": "digits"}, quick=True).jobs) == len(TOGETHER)
    with pytest.raises(MissingError, match="two studies"):
        find_study("diagnosis", data={"made": "digits"}, arrays=["x.npz"])
    import pandas as pd

    own = {"data": "made", "together": "frame", "seed": 0, "place": 0, "planted": "shortcut", "plant": "frame"}
    seen = {
        "class": "a",
        "train": 9,
        "second": "",
        "near_tie": False,
        "accuracy": 0.5,
        "unplanted": 4,
        "named": 1,
        "harmless": 0,
    }
    rows = [{**own, **seen, "remedy": "none", "first": first} for first in ("shortcut", "shortcut_colours", "overlap")]
    for seed, lift in enumerate((0.2, 0.4)):
        mine = {**own, "seed": seed, "class": "a", "first": "shortcut", "others": 0.0}
        rows.append({**mine, "remedy": "advised", "did": "vary", "lift": lift})
        rows.append({**mine, "remedy": "another", "did": "best", "lift": 0.1})
    rows.append({**own, "seed": 2, "class": "a", "first": "shortcut", "remedy": "advised", "did": "vary", "lift": 0.9})
    found = _planted_images.tables(pd.DataFrame(rows))
    assert found["study"].loc[0, ["shortcut", "overlap", "classes"]].tolist() == [2, 1, 3]
    alarms = found["false_alarms"].set_index("cause")
    assert alarms.loc["any", "named_of"] == 12 and alarms.loc["any", "named"] == 0.25
    assert alarms.loc["any", "harmless_of"] == 12 and alarms.loc["any", "harmless"] == 0
    lifts = found["advice"].set_index(["diagnosed", "remedy"])["mean_lift"]
    assert lifts["shortcut"].round(3).to_dict() == {"advised": 0.3, "another": 0.1, "difference": 0.2}  # pairs only
    assert found["remedies"]["trials"].tolist() == [3, 2]
    assert "Right first cause" in _planted_images.shown(found)


def test_remedies_are_those_that_the_column_treatment_advises() -> None:
    for cause in CAUSES:
        assert _planted_images._advised(cause.treatment) in (*_planted_images.ON_DATA, "best")
    assert _planted_images._advised(NO_HEAD) == "collect" and _planted_images._advised("") == ""


def test_another_remedy_is_of_another_kind_and_one_that_changes_something() -> None:
    labels = [f"network {i}" for i in range(20)]
    drawn = {_planted_images._another("best", ["collect", "vary"], label) for label in labels}
    assert drawn == {"collect", "vary"}
    assert {_planted_images._another("collect", ["collect", "drop suspects"], label) for label in labels} == {
        "best",
        "drop suspects",
    }
    assert _planted_images._another("refit", [], "network") == ""
    assert _planted_images._another("vary", ["vary"], "network") == "best"


def test_what_changes_nothing_for_a_class_is_not_possible(images: ImageSet) -> None:
    found = planted_images(images, ("frame", "few"), (TRAIN, TEST), 0)
    (framed,), (few,) = found.planted["frame"], found.planted["few"]
    ids = {str(one) for one in found.image_set("made").train.ids}
    other = next(name for name in found.arrays.classes if name not in (framed, few))
    assert found.possible(framed, set()) == ["vary"] and found.possible(framed, ids) == ["drop suspects", "vary"]
    assert found.possible(few, set()) == ["collect"]
    assert found.possible(other, set()) == [] and found.possible(other, ids) == ["drop suspects"]


def test_a_named_cause_is_harmless_where_removing_it_gains_nothing() -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    features = 6 * np.eye(3)[labels] + rng.normal(size=(120, 3))
    logits = features.copy()
    logits[:20, 1] += (
        12  # half of the first class is predicted as the second by the network, though features separate both
    )
    run = Run.from_arrays(train=(features, labels, features), test=(features, labels, logits), classes=list("abc"))
    rows = [
        ("a", "overlap", "it overlaps with b: wherever the boundary between the two is drawn"),
        ("b", "overlap", "it overlaps with a: wherever the boundary between the two is drawn"),
        ("b", "label_noise", "about 5%"),
        ("c", "few_examples", "it has 40 training instances"),
        ("c", "none found", ""),
    ]
    table = pd.DataFrame(rows, columns=["class", "cause", "evidence"])
    found = _planted_images._harmless(run, table, 0)
    wanted = {"harmless_overlap": 1, "harmless_label_noise": 1, "harmless_few_examples": 1, "harmless": 2}
    assert {key: found[key] for key in wanted} == wanted


def test_a_head_is_treated_without_the_images_on_which_it_is_judged() -> None:
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(3, 5))

    def part(each: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), each)
        return middles[labels] + rng.normal(size=(len(labels), 5)), labels

    train, test = part((60, 40, 10)), part((15, 15, 15))
    run = Run.from_arrays(train=train, test=test, val=test, head=(middles, -(middles**2).sum(axis=1) / 2))
    with pytest.raises(InputError, match="nothing may be chosen"):
        treat(run, "refit")
    after = _planted_images._with_treated_head(run, "refit", 0)
    assert run.head is not None and after.head is not None
    assert not np.allclose(after.head.weight, run.head.weight)


def test_accuracy_is_that_of_the_class_on_images_without_planted_marks() -> None:
    weight, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0, 1, 1, 1, 1])
    plain = np.array([[2, 1], [1, 2], [1, 2], [1, 2], [1, 2], [2, 1]], np.float32)  # 1 of 2 and 3 of 4 are correct
    marked = np.array([[2, 1], [2, 1], [2, 1], [2, 1], [2, 1], [2, 1]], np.float32)
    run = Run.from_arrays(
        train=(marked, labels), test=(marked, labels), val=(plain, labels), head=(weight, np.zeros(2))
    )
    assert [_planted_images._accuracy(run, name) for name in run.classes] == [(0.5, 0.75), (0.75, 0.5)]
