"""What every sampler obeys: the estimator checks of scikit-learn and imbalanced-learn, and laws of our own."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.utils import estimator_checks as imblearn_checks
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.utils import estimator_checks as sklearn_checks

from imblens.resampling import EOS, BalancedSVM, class_seeds


def checks_of(sampler: Any) -> list[tuple[Any, Any]]:
    """Pairs of estimator and check, of both packages; before scikit-learn 1.6 and imbalanced-learn 0.13 under other names."""
    if hasattr(imblearn_checks, "estimator_checks_generator"):
        generators = (sklearn_checks.estimator_checks_generator, imblearn_checks.estimator_checks_generator)
        return [pair for generator in generators for pair in generator(sampler)]
    added = [(sampler, partial(check, type(sampler).__name__)) for check in imblearn_checks._yield_all_checks(sampler)]
    return [*sklearn_checks.check_estimator(sampler, generate_only=True), *added]


SAMPLERS = (EOS(random_state=0), EOS(random_state=0, indexing="released"), BalancedSVM(random_state=0))
CHECKS = [pair for sampler in SAMPLERS for pair in checks_of(sampler)]
LAWS = settings(deadline=None, derandomize=True, database=None, max_examples=20)
quiet = pytest.mark.filterwarnings("ignore::imblens.errors.ImblensWarning")


def named(value: Any) -> str:
    return getattr(getattr(value, "func", value), "__name__", repr(value))


@quiet  # their toy data leave classes without enemies, or with fewer instances than neighbours
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=named)
def test_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def data(seed: int, counts: tuple[int, ...] = (37, 9, 14, 5), dim: int = 3) -> tuple[NDArray[Any], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return rng.normal(size=(len(labels), dim)) + 0.5 * labels[:, None], labels


MAKE = {
    "eos": lambda: EOS(4, random_state=3),
    "released": lambda: EOS(4, random_state=3, indexing="released"),
    "balanced_svm": lambda: BalancedSVM(2, random_state=3),
}
every_sampler = pytest.mark.parametrize("name", list(MAKE))
every_eos = pytest.mark.parametrize("name", ["eos", "released"])


@quiet
@every_sampler
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_originals_come_first_and_stay(name: str, dtype: Any) -> None:
    sampler = MAKE[name]()
    features, labels = data(0)
    features = features.astype(dtype)
    X, y = sampler.fit_resample(features, labels)
    assert X.dtype == dtype
    np.testing.assert_array_equal(X[: len(features)], features)
    np.testing.assert_array_equal(y[: len(labels)], labels)
    np.testing.assert_array_equal(sampler.sample_indices_[: len(labels)], np.arange(len(labels)))


@quiet
@every_sampler
def test_inputs_and_global_random_state_are_left_alone(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(1)
    kept, kept_labels = features.copy(), labels.copy()
    state = np.random.get_state()[1].copy()
    for random_state in (None, 5):
        sampler.set_params(random_state=random_state).fit_resample(features, labels)
    np.testing.assert_array_equal(features, kept)
    np.testing.assert_array_equal(labels, kept_labels)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@quiet
@every_sampler
def test_same_seed_same_bytes_and_other_seeds_differ(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(2)
    first = sampler.set_params(random_state=7).fit_resample(features, labels)[0]
    again = sampler.set_params(random_state=7).fit_resample(features, labels)[0]
    other = sampler.set_params(random_state=8).fit_resample(features, labels)[0]
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    fresh = [sampler.set_params(random_state=None).fit_resample(features, labels)[0].tobytes() for _ in range(2)]
    assert fresh[0] != fresh[1]


@quiet
@every_eos
@LAWS
@given(seed=st.integers(0, 10**6), largest=st.integers(12, 40), smallest=st.integers(1, 8))
def test_counts_are_exactly_as_asked(name: str, seed: int, largest: int, smallest: int) -> None:
    sampler = MAKE[name]()
    features, labels = data(seed, (largest, 11, smallest))
    assert Counter(sampler.fit_resample(features, labels)[1].tolist()) == dict.fromkeys(range(3), largest)
    asked = {1: 17, 2: smallest + 3}
    y = sampler.set_params(sampling_strategy=asked).fit_resample(features, labels)[1]
    assert Counter(y.tolist()) == {0: largest, **asked}


@quiet
@LAWS
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12))
def test_eos_rows_lie_between_a_base_and_one_of_its_nearest_enemies(seed: int, k: int) -> None:
    features, labels = data(seed)
    sampler = EOS(k, random_state=seed)
    X, y = sampler.fit_resample(features, labels)
    n = len(labels)
    base, enemy, r = sampler.sample_indices_[n:], sampler.enemy_indices_, sampler.r_
    assert ((r >= 0) & (r < 1)).all()
    np.testing.assert_array_equal(labels[base], y[n:])
    assert (labels[enemy] != y[n:]).all()
    np.testing.assert_allclose(X[n:], features[base] + r[:, None] * (features[enemy] - features[base]), atol=1e-12)
    distance = cdist(features, features)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :k]
    for label in range(labels.max() + 1):
        drawn = y[n:] == label
        if (labels[near[labels == label]] != label).any():
            assert (near[base[drawn]] == enemy[drawn, None]).any(axis=1).all()
        else:  # told: each with its nearest enemy, however far
            assert (np.where(labels == label, np.inf, distance[base[drawn]]).argmin(axis=1) == enemy[drawn]).all()


@quiet
@every_sampler
def test_balanced_input_is_returned_as_it_is(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(3, (12, 12, 12))
    X, y = sampler.fit_resample(features, labels)
    np.testing.assert_array_equal(X, features)
    np.testing.assert_array_equal(y, labels)


@quiet
@every_eos
@LAWS
@given(seed=st.integers(0, 10**6))
def test_resampling_twice_adds_nothing(name: str, seed: int) -> None:
    sampler = MAKE[name]()
    X, y = sampler.fit_resample(*data(seed))
    again, _ = sampler.fit_resample(X, y)
    assert len(again) == len(X)


@quiet
@every_eos
@pytest.mark.parametrize(
    "names",
    [np.array([300, -7, 0, 12]), np.array(["d", "a", "<b>", "c"]), np.array([3, 2, 1, 0], dtype=np.int8)],
    ids=["numbers", "texts", "reversed"],
)
def test_renaming_classes_changes_nothing_else(name: str, names: NDArray[Any]) -> None:
    sampler = MAKE[name]()
    features, labels = data(4)
    X, y = sampler.fit_resample(features, labels)
    X_named, y_named = sampler.fit_resample(features, names[labels])
    order = np.lexsort(X.T)
    order_named = np.lexsort(X_named.T)
    np.testing.assert_array_equal(X[order], X_named[order_named])
    np.testing.assert_array_equal(names[y[order]], y_named[order_named])


@quiet
@every_sampler
def test_text_labels_in_the_same_order_give_the_same_rows(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(5)
    names = np.array(["a", "b", "c", "d"])
    X, y = sampler.fit_resample(features, labels)
    X_named, y_named = sampler.fit_resample(features, names[labels])
    np.testing.assert_array_equal(X, X_named)
    np.testing.assert_array_equal(names[y], y_named)


@quiet
@every_sampler
@pytest.mark.parametrize("power", [-40, 3, 60])
def test_scaling_by_a_power_of_two_scales_the_samples_exactly(name: str, power: int) -> None:
    sampler = MAKE[name]()
    features, labels = data(6)
    X, y = sampler.fit_resample(features, labels)
    X_scaled, y_scaled = sampler.fit_resample(np.ldexp(features, power), labels)
    np.testing.assert_array_equal(np.ldexp(X, power), X_scaled)
    np.testing.assert_array_equal(y, y_scaled)


@quiet
@every_eos
@LAWS
@given(seed=st.integers(0, 10**6))
def test_shift_and_rotation_move_the_samples_along(name: str, seed: int) -> None:
    sampler = MAKE[name]()
    features, labels = data(seed)
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    away = 10 * rng.normal(size=3)
    X, _ = sampler.fit_resample(features, labels)
    moved, _ = sampler.fit_resample(features @ turn + away, labels)
    np.testing.assert_allclose(moved, X @ turn + away, atol=1e-9)


@quiet
@every_eos
def test_a_large_offset_does_not_blur_neighbours(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(7, dim=32)
    features = np.round(features * 2**10) / 2**10  # so that adding the offset loses nothing
    X, _ = sampler.fit_resample(features, labels)
    base, drawn = sampler.sample_indices_, sampler.enemy_indices_
    sampler.fit_resample(features + 1e8, labels)
    np.testing.assert_array_equal(sampler.sample_indices_, base)
    np.testing.assert_array_equal(sampler.enemy_indices_, drawn)
    assert np.isfinite(X).all()


@quiet
@every_sampler
@pytest.mark.parametrize("scale", [1e-300, 1e200])
def test_extreme_scales_are_accepted(name: str, scale: float) -> None:
    sampler = MAKE[name]()
    features, labels = data(8)
    sampler.fit_resample(features, labels)
    drawn = sampler.sample_indices_
    X, _ = sampler.fit_resample(features * scale, labels)
    assert np.isfinite(X).all()
    np.testing.assert_array_equal(sampler.sample_indices_, drawn)


@quiet
@every_sampler
def test_bytes_of_images_do_not_wrap(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(9)
    pixels = np.clip(128 + 40 * features, 0, 255).astype(np.uint8)
    X, y = sampler.fit_resample(pixels, labels)
    assert X.dtype == np.float32
    assert X.min() >= pixels.min()
    assert X.max() <= pixels.max()
    reference, _ = sampler.fit_resample(pixels.astype(np.float32), labels)
    np.testing.assert_array_equal(X, reference)
    assert len(y) == len(X)


@quiet
@every_sampler
def test_order_of_columns_does_not_matter(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(10)
    order = [2, 0, 1]
    X, _ = sampler.fit_resample(features, labels)
    X_turned, _ = sampler.fit_resample(features[:, order], labels)
    np.testing.assert_allclose(X[:, order], X_turned, atol=1e-12)


@quiet
@every_eos
def test_order_of_rows_changes_draws_but_not_counts_or_range(name: str) -> None:
    sampler = MAKE[name]()
    features, labels = data(11)
    order = np.random.default_rng(0).permutation(len(labels))
    _, y = sampler.fit_resample(features, labels)
    X_turned, y_turned = sampler.fit_resample(features[order], labels[order])
    assert Counter(y.tolist()) == Counter(y_turned.tolist())
    assert (X_turned >= features.min(axis=0)).all()
    assert (X_turned <= features.max(axis=0)).all()


def test_streams_of_random_numbers_belong_to_a_class_and_not_to_its_rank() -> None:
    labels = np.repeat([4, 1, 9], [5, 3, 2])
    seeds = class_seeds(labels, 0)
    with_another = class_seeds(np.append(labels, [0, 0, 0, 0]), 0)
    renamed = class_seeds(np.repeat([1, 9, 4], [5, 3, 2]), 0)
    for label in (1, 4, 9):
        assert seeds[label].entropy == with_another[label].entropy
    assert [renamed[label].entropy for label in (1, 9, 4)] == [seeds[label].entropy for label in (4, 1, 9)]
    twins = class_seeds(np.array([7, 7, 3, 3]), 0)
    assert twins[7].entropy != twins[3].entropy


@quiet
def test_more_samples_begin_with_the_same_ones() -> None:
    features, labels = data(12)
    few, many = EOS(4, random_state=0, sampling_strategy={3: 20}), EOS(4, random_state=0, sampling_strategy={3: 30})
    X_few, _ = few.fit_resample(features, labels)
    X_many, _ = many.fit_resample(features, labels)
    np.testing.assert_array_equal(X_many[: len(X_few)], X_few)


@quiet
@every_sampler
def test_frames_keep_names_and_whole_numbers_become_floats(name: str) -> None:
    sampler = MAKE[name]()
    pd = pytest.importorskip("pandas")
    features, labels = data(13)
    frame = pd.DataFrame({"a": features[:, 0], "b": (10 * features[:, 1]).astype(int), "c": features[:, 2]})
    X, y = sampler.fit_resample(frame, pd.Series(labels, name="kind"))
    assert list(X.columns) == ["a", "b", "c"]
    assert y.name == "kind"
    assert X["b"].dtype == np.float64
    assert (X["b"].to_numpy()[len(frame) :] % 1 != 0).any()
