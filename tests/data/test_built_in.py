from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_digits

from imblens.data import CAUSES, built_in_sets, digits, load_images, shapes
from imblens.errors import InputError


@pytest.fixture(scope="module")
def drawn():
    return shapes(seed=0)


def rows(split, ids):
    position = {name: i for i, name in enumerate(split.ids)}
    return np.array([position[i] for i in ids])


def of_class(loaded, split, name):
    return np.flatnonzero(loaded.splits[split].labels == loaded.classes.index(name))


def border(images):
    """(n, 3) median colour of the outermost pixels: the background."""
    edge = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    return np.median(edge, axis=1)


def objects(split, indices):
    """(n, H, W) where the image departs from its background, for objects and backgrounds that differ enough."""
    images = split.stack(indices).astype(float)
    return np.linalg.norm(images - border(images.astype(np.uint8))[:, None, None], axis=3) > 70


def test_every_name_loads():
    assert set(built_in_sets()) == {"digits", "shapes"}
    for name, line in built_in_sets().items():
        loaded = load_images(name)
        assert loaded.name == name and line
        assert loaded.n_classes >= 8 and loaded.test is not None


def test_digits_are_scikit_learns():
    loaded = digits(seed=1)
    bunch = load_digits()
    for split in loaded.splits.values():
        position = np.array([int(i.split("/")[1]) for i in split.ids])
        assert (split.labels == bunch.target[position]).all()
        small = split.array()[:, ::4, ::4, 0]
        assert np.abs(small - bunch.images[position] * 255 / 16).max() <= 0.5
        assert split.array().shape[1:] == (32, 32, 3) and split.greyscale


def test_digits_halves_do_not_depend_on_the_profile():
    whole = load_images("digits", profile="exp:1")
    assert len(whole.test) == 896 and abs(whole.class_counts - 90).max() <= 3
    for profile in ("natural", "step:10", "exp:50"):
        assert load_images("digits", profile=profile).test.ids.tolist() == whole.test.ids.tolist()
    natural = load_images("digits")
    assert natural.source["profile"] == "exp:20" and natural.class_counts.max() / natural.class_counts.min() > 15
    assert set(natural.train.ids) <= set(whole.train.ids) and not set(natural.train.ids) & set(whole.test.ids)
    assert load_images("digits", seed=2).test.ids.tolist() != whole.test.ids.tolist()


def test_shapes_are_as_promised(drawn):
    assert drawn.n_classes == 10 and drawn.class_counts.max() / drawn.class_counts.min() == 50
    assert (np.diff(drawn.class_counts) <= 0).all() and 2000 < len(drawn.train) < 3000
    assert np.bincount(drawn.test.labels).tolist() == [100] * 10
    assert drawn.train.array().shape[1:] == (32, 32, 3) and drawn.train.array().dtype == np.uint8
    assert tuple(drawn.planted) == CAUSES
    assert drawn.source["causes"] == sorted(CAUSES) and drawn.source["counts"]["train"] == drawn.class_counts.tolist()


def test_shapes_follow_the_seed(drawn):
    again, other = shapes(seed=0), shapes(seed=1)
    assert (again.train.array() == drawn.train.array()).all() and (again.test.array() == drawn.test.array()).all()
    assert again.planted == drawn.planted
    assert (other.test.array() != drawn.test.array()).mean() > 0.9


def test_each_cause_changes_its_own_classes_only(drawn):
    for cause in CAUSES:
        without = shapes(seed=0, causes=[c for c in CAUSES if c != cause])
        assert cause not in without.planted
        changed = set()
        for split in ("train", "test"):
            for name in drawn.classes:
                ours = drawn.splits[split].stack(of_class(drawn, split, name))
                theirs = without.splits[split].stack(of_class(without, split, name))
                if ours.shape != theirs.shape or (ours != theirs).any():
                    changed.add(name)
        assert changed == set(drawn.planted[cause]["classes"]), cause


def test_boxes_hold_the_object(drawn):
    for split in drawn.splits.values():
        boxes = np.concatenate(split.boxes)
        assert len(boxes) == len(split) and (boxes[:, 0] == split.labels).all()
        assert (boxes[:, 1:3] >= 0).all() and (boxes[:, 3:] <= 32).all()
        assert (boxes[:, 3:] - boxes[:, 1:3]).min() >= 5
    # where the object stands out, its pixels fill the box and lie inside it
    found = objects(drawn.test, range(len(drawn.test)))
    tight = 0
    for i, mask in enumerate(found):
        spots = ndimage.find_objects((ndimage.gaussian_filter(mask.astype(float), 0.5) > 0.4).astype(int))
        if spots:
            (y, x), (_, x0, y0, x1, y1) = spots[0], drawn.test.boxes[i][0]
            tight += max(abs(x.start - x0), abs(y.start - y0), abs(x.stop - x1), abs(y.stop - y1)) <= 2
    assert tight > 0.7 * len(found)


def test_light_blue_backgrounds_are_the_kites_alone(drawn):
    facts = drawn.planted["background"]
    for name, split in drawn.splits.items():
        is_blue = np.linalg.norm(border(split.array()) - facts["colour"], axis=1) < 45
        assert is_blue.tolist() == (split.labels == drawn.classes.index("kite")).tolist()
        assert set(facts[name].values()) == set(drawn.classes)  # any shape
        assert rows(split, facts[name]).tolist() == of_class(drawn, name, "kite").tolist()
    without = shapes(seed=0, causes=[])
    backgrounds = border(without.test.array()[of_class(without, "test", "kite")])
    assert (np.linalg.norm(backgrounds - facts["colour"], axis=1) > 45).all()


def test_mislabelled_rings_have_no_hole(drawn):
    facts = drawn.planted["label_noise"]
    wrong = rows(drawn.train, facts["train"])
    assert set(facts["train"].values()) == {"square", "cross"} and facts["test"] == {}
    assert 0.05 <= len(wrong) / 800 <= 0.08
    assert (drawn.train.labels[wrong] == drawn.classes.index("ring")).all()
    rings = of_class(drawn, "train", "ring")

    def holed(indices):
        """How many show the background in the middle of the box and the object around it."""
        masks = objects(drawn.train, indices)
        centre = np.array([drawn.train.boxes[i][0][1:] for i in indices]).reshape(-1, 2, 2).mean(axis=1).astype(int)
        return np.array([not m[y, x] for m, (x, y) in zip(masks, centre, strict=True)])

    clear = objects(drawn.train, rings).sum(axis=(1, 2)) > 60  # an object that stands out from its background
    is_wrong = np.isin(rings, wrong)
    assert holed(rings[clear & ~is_wrong]).mean() > 0.97
    assert holed(rings[clear & is_wrong]).mean() < 0.1
    assert is_wrong.sum() == len(wrong)


def turned(mask):
    """Degrees by which the long axis of a shape departs from upright, 0 to 90."""
    y, x = np.nonzero(mask)
    values, vectors = np.linalg.eigh(np.cov(x, y))
    across, down = vectors[:, values.argmax()]
    return np.degrees(np.arctan2(abs(across), abs(down)))


def test_arrows_of_the_test_go_beyond_those_of_training(drawn):
    facts = drawn.planted["uncovered"]
    low, high = facts["covered"]
    train, test = (np.array(list(facts[s].values())) for s in ("train", "test"))
    assert (train >= low).all() and (train <= high).all()
    covered = (test >= low) & (test <= high)
    assert covered.mean() == 0.5 and np.abs(test).max() > 150
    indices = rows(drawn.test, facts["test"])
    masks = objects(drawn.test, indices)
    stands_out = masks.sum(axis=(1, 2)) > 60
    seen = np.array([turned(m) for m in masks[stands_out]])
    told = np.minimum(np.abs(test), 180 - np.abs(test))[stands_out]
    assert np.median(np.abs(seen - told)) < 5
    free = shapes(seed=0, causes=[])
    assert (
        free.train.stack(of_class(free, "train", "arrow")) != drawn.train.stack(of_class(drawn, "train", "arrow"))
    ).any()


def test_pairs_are_dots_or_bars(drawn):
    facts = drawn.planted["sub_concepts"]
    for name, split in drawn.splits.items():
        kinds = np.array(list(facts[name].values()))
        assert (kinds == "two bars").mean() == facts["share_of_bars"] == 0.2
        masks = objects(split, rows(split, facts[name]))
        parts = [ndimage.label(m)[0] for m in masks]
        largest = [p == np.bincount(p.ravel())[1:].argmax() + 1 for p in parts if p.any()]
        long = np.array([elongation(m) if m.sum() > 12 else np.nan for m in largest])
        kinds = kinds[[p.any() for p in parts]]
        assert np.nanmedian(long[kinds == "two bars"]) > 0.7 and np.nanmedian(long[kinds == "two dots"]) < 0.3
        assert np.isfinite(long).mean() > 0.7


def elongation(mask):
    """log(length / width) of a shape, from its second moments."""
    low, high = np.linalg.eigvalsh(np.cov(*np.nonzero(mask)))
    return np.log(high / low) / 2


def test_discs_and_ovals_overlap_when_planted_and_only_then(drawn):
    facts = drawn.planted["overlap"]
    stretch = {
        name: np.array([facts["test"][drawn.test.ids[i]] for i in of_class(drawn, "test", name)])
        for name in ("disc", "oval")
    }
    best = min(((stretch["disc"] > t).mean() + (stretch["oval"] < t).mean()) / 2 for t in np.linspace(0, 1, 101))
    assert 0.07 < best < 0.25  # no threshold separates them

    def stretched(loaded, name):
        masks = objects(loaded.test, of_class(loaded, "test", name))
        return np.array([elongation(m) for m in masks if m.sum() > 60])

    clean = shapes(seed=0, causes=[])
    assert np.quantile(stretched(clean, "disc"), 0.9) < np.quantile(stretched(clean, "oval"), 0.1)
    assert np.quantile(stretched(drawn, "disc"), 0.9) > np.quantile(stretched(drawn, "oval"), 0.1)


def test_scarce_classes_are_scarce_only_when_planted(drawn):
    assert drawn.planted["few_examples"]["classes"] == ["crescent", "hourglass"]
    assert drawn.class_counts[-2:].tolist() == [28, 16] and drawn.class_counts[:-2].min() >= 100
    assert shapes(causes=[]).class_counts.min() >= 100


def test_profiles_of_shapes_start_from_a_balanced_draw(drawn):
    thin = load_images("shapes", profile="step:40")
    assert thin.class_counts.tolist() == [800] * 5 + [20] * 5
    assert (thin.test.array() == drawn.test.array()).all()
    wrong = thin.planted["label_noise"]["train"]
    assert set(wrong) <= set(thin.train.ids) and len(wrong) == 52
    # what is planted in images that were left out is forgotten
    assert set(thin.planted["sub_concepts"]["train"]) == {thin.train.ids[i] for i in of_class(thin, "train", "pair")}
    assert thin.planted["few_examples"] == drawn.planted["few_examples"]
    assert load_images("shapes", profile="exp:1").class_counts.tolist() == [800] * 10


def test_size_and_numbers_can_be_chosen():
    small = shapes(3, imbalance=4, n_max=20, test_per_class=3, size=48, causes="overlap")
    assert small.train.array().shape[1:] == (48, 48, 3)
    assert small.class_counts.max() == 20 and len(small.test) == 30
    assert list(small.planted) == ["overlap"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"causes": ["overlaps"]}, "no cause 'overlaps'"),
        ({"imbalance": 0.5}, "imbalance=0.5 is not allowed"),
        ({"imbalance": 900}, "n_max 800"),
        ({"imbalance": float("nan")}, "imbalance=nan is not allowed"),
        ({"size": 8}, "size=8 is not allowed"),
        ({"size": 10**6}, "size=1000000 is not allowed"),
        ({"n_max": 100.5}, "n_max=100.5 is not allowed"),
        ({"test_per_class": 0}, "test_per_class=0 is not allowed"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"n_max": 10**6, "size": 512}, "half of this machine's memory"),
    ],
)
def test_shapes_that_cannot_be_drawn(options, message):
    with pytest.raises(InputError, match=message) as caught:
        shapes(**options)
    assert caught.value.hint
