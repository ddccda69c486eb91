from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imblens.data import ImageSet, ImageSplit, draw_profile, imbalance_profile, parse_profile
from imblens.errors import InputError, ShapeError

CIFAR10_LT = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def test_exponential_counts_are_the_published_ones():
    assert imbalance_profile([5000] * 10, "exp:100").tolist() == CIFAR10_LT
    assert imbalance_profile([5000] * 10, "exp:10").tolist() == [
        5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500,
    ]  # fmt: skip
    assert imbalance_profile([500] * 100, "exp:100").sum() == 10847  # CIFAR-100-LT


def test_step_keeps_the_first_half():
    assert imbalance_profile([5000] * 10, "step:100").tolist() == [5000] * 5 + [50] * 5
    assert imbalance_profile([90] * 5, "step:10").tolist() == [90, 90, 9, 9, 9]


def test_no_class_gets_more_than_it_has():
    assert imbalance_profile([30, 100, 7], "exp:4").tolist() == [30, 50, 7]
    assert imbalance_profile([30, 100, 7], "natural").tolist() == [30, 100, 7]


def test_the_rarest_class_keeps_its_last_instance():
    # 49 * (1 / 49) is 0.9999999999999999
    assert [imbalance_profile([r] * 2, f"exp:{r}").tolist() for r in (49, 98, 103)] == [[49, 1], [98, 1], [103, 1]]


@given(st.lists(st.integers(1, 3000), min_size=2, max_size=30), st.floats(1, 50))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_profiles_fall_and_stay_within_what_there_is(counts, ratio):
    counts = [c + 50 for c in counts]
    for kind in ("exp", "step"):
        kept = imbalance_profile(counts, f"{kind}:{ratio}")
        assert (kept <= counts).all() and (kept >= 1).all()
        even = imbalance_profile([max(counts)] * len(counts), f"{kind}:{ratio}")
        assert (np.diff(even) <= 0).all() and even[0] == max(counts)
        assert even[-1] == int(max(counts) / ratio + 1e-9)


@pytest.mark.parametrize("profile", ["exp", "exp:", "exp:abc", "exp:0.5", "exp:nan", "exp:inf", "step:-3", "natural:2"])
def test_ratios_that_cannot_be_are_refused(profile):
    with pytest.raises(InputError, match="ratio") as caught:
        parse_profile(profile)
    assert caught.value.hint


def test_unknown_profiles_name_the_nearest():
    with pytest.raises(InputError, match="no profile 'expo:10'") as caught:
        parse_profile("expo:10")
    assert "Did you mean 'exp:R'" in caught.value.hint
    with pytest.raises(InputError, match="must be text"):
        parse_profile(10)  # type: ignore[arg-type]


def test_a_profile_that_empties_a_class_is_refused():
    with pytest.raises(InputError, match="leaves class 2 without") as caught:
        imbalance_profile([40, 40, 40], "exp:100")
    assert "at most 40" in caught.value.hint
    with pytest.raises(InputError, match="leaves class 1 without") as caught:
        imbalance_profile([40, 0, 40], "exp:2")
    assert "needs an instance" in caught.value.hint
    for shape in ([5], [[5, 5], [5, 5]]):
        with pytest.raises(ShapeError, match="counts has shape"):
            imbalance_profile(shape, "exp:2")


def test_the_draw_is_the_customary_one():
    """Against the plain use of NumPy's global generator, as published code has it."""
    labels = np.random.default_rng(5).integers(0, 4, 300)
    kept = np.array([20, 9, 4, 1])
    state = np.random.get_state()
    try:
        np.random.seed(7)
        expected = []
        for label, n in enumerate(kept):
            positions = np.where(labels == label)[0]
            np.random.shuffle(positions)
            expected += positions[:n].tolist()
    finally:
        np.random.set_state(state)
    before = np.random.get_state()[1].copy()
    assert draw_profile(labels, kept, 7).tolist() == expected
    assert (np.random.get_state()[1] == before).all()
    assert draw_profile(labels, kept, 8).tolist() != expected


def test_full_size_cifar_labels_give_the_long_tailed_set():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5000))
    chosen = draw_profile(labels, imbalance_profile([5000] * 10, "exp:100"), 0)
    assert len(chosen) == len(set(chosen.tolist())) == 12406
    assert np.bincount(labels[chosen]).tolist() == CIFAR10_LT
    assert (np.diff(labels[chosen]) >= 0).all()  # class by class


def test_the_draw_equals_the_published_subset_row_by_row(real_data):
    """Its paths say the position of each row within its class, in the order of CIFAR-10."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(real_data / "cifar10-lt" / "train.parquet")
    rows = file.read(columns=["image.path"])["image"].to_pylist()
    position = [int(row["path"].split("/")[-1].removesuffix(".jpg")) for row in rows]
    labels = np.repeat(np.arange(10), 5000)
    chosen = draw_profile(labels, np.array(CIFAR10_LT), 0)
    assert (chosen % 5000).tolist() == position


def small_set(multilabel: bool = False) -> ImageSet:
    labels = np.repeat([0, 1, 2], [40, 30, 20])
    given = np.eye(3, dtype=np.uint8)[labels] if multilabel else labels
    images = np.arange(90, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    split = ImageSplit.from_arrays(images, given)
    return ImageSet("toy", ("a", "b", "c"), "multilabel" if multilabel else "multiclass", split, split)


def test_with_profile_thins_train_only_and_states_what_is_short():
    whole = small_set()
    thin = whole.with_profile("exp:2", 3)
    assert thin.class_counts.tolist() == [40, 28, 20]
    assert thin.test is whole.test
    assert len(whole.train) == 90
    assert thin.source == {"profile": "exp:2", "seed": 3, "counts": {"train": [40, 28, 20]}}
    # each image still is the one its id names
    assert [int(i) for i in thin.train.ids] == thin.train.array()[:, 0, 0, 0].tolist()
    short = whole.with_profile("step:1", 0)
    assert short.notes == ("Profile step:1 asks for more images than there are: 'b' (30 of 40), 'c' (20 of 40).",)


def test_with_profile_depends_on_the_seed_alone():
    whole = small_set()
    ids = [whole.with_profile("exp:4", seed).train.ids.tolist() for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]
    assert whole.with_profile("natural", 5).train is whole.train


def test_with_profile_refuses_several_labels_per_image_and_names_the_set():
    with pytest.raises(InputError, match="one label per image") as caught:
        small_set(multilabel=True).with_profile("exp:2", 0)
    assert "natural" in caught.value.hint
    assert small_set(multilabel=True).with_profile("natural", 0).class_counts.tolist() == [40, 30, 20]
    with pytest.raises(InputError, match="toy: profile 'exp:50' leaves"):
        small_set().with_profile("exp:50", 0)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None, True])
def test_odd_seeds_are_refused(seed):
    with pytest.raises(InputError, match="is not allowed"):
        small_set().with_profile("exp:2", seed)
