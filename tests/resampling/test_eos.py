"""Expansive over-sampling: by hand, against the loop, and at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import chisquare, ks_1samp, uniform

from imblens.errors import ImblensWarning, InputError
from imblens.resampling import EOS, BalancedSVM, draw_eos, interpolate, isolated_note
from tests.oracles.eos_loop import eos_loop
from tests.treatments._runs import blobs

#   ant  ant  ant            bee  cat
X = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [5.0, 0.0], [5.0, 3.0]])
Y = np.array([0, 0, 0, 1, 2])


def test_by_hand() -> None:
    # nearest neighbours: bee -> cat (3.0), ant at 2 (3.0, a tie broken by index: ant first); cat -> bee
    sampler = EOS(1, random_state=0)
    resampled, labels = sampler.fit_resample(X, Y)
    assert labels.tolist() == [0, 0, 0, 1, 2, 1, 1, 2, 2]
    assert sampler.sample_indices_.tolist() == [0, 1, 2, 3, 4, 3, 3, 4, 4]
    assert sampler.enemy_indices_.tolist() == [2, 2, 3, 3]
    np.testing.assert_allclose(resampled[5], [5 - 3 * sampler.r_[0], 0])
    np.testing.assert_allclose(resampled[8], [5, 3 - 3 * sampler.r_[3]])
    assert sampler.n_bases_ == {1: 1, 2: 1}


def test_the_printed_formula_moves_away() -> None:
    toward, away = EOS(1, random_state=0), EOS(1, random_state=0, direction="away")
    made, mirrored = toward.fit_resample(X, Y)[0][5:], away.fit_resample(X, Y)[0][5:]
    base = X[toward.sample_indices_[5:]]
    np.testing.assert_allclose(made - base, base - mirrored)


def test_released_indexing_by_hand() -> None:
    #        self  1    2    3: enemies at places 1 and 3; the script reads places 0 and 2
    labels = np.array([0, 1, 0, 1])
    neighbours = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    draw = draw_eos(np.zeros((4, 1)), labels, neighbours, {0: 2000}, 0, "released")
    pairs = set(zip(draw.base.tolist(), draw.enemy.tolist(), strict=True))
    assert pairs == {(0, 0), (0, 2), (2, 0), (2, 1)}
    copies = (draw.base == draw.enemy).mean()
    assert 0.2 < copies < 0.3  # base 0, first enemy


@pytest.mark.parametrize("released", [False, True])
def test_agrees_with_the_loop_in_distribution(released: bool) -> None:
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.repeat([0, 1, 2], [60, 9, 4]))
    features = rng.normal(size=(73, 2)) + 0.8 * labels[:, None]
    distance = cdist(features, features)
    np.fill_diagonal(distance, np.inf)
    neighbours = np.argsort(distance, axis=1)[:, :5]
    wanted = {1: 4000, 2: 1500}
    slow = eos_loop(features, labels, neighbours, wanted, rng, released=released)
    draw = draw_eos(features, labels, neighbours, wanted, 0, "released" if released else "exact")
    ours = pd.crosstab(draw.base, draw.enemy)
    theirs = pd.crosstab(np.array([row[1] for row in slow]), np.array([row[2] for row in slow]))
    assert ours.index.equals(theirs.index)
    assert ours.columns.equals(theirs.columns)
    seen = (ours + theirs).to_numpy() > 0
    mean = (ours.to_numpy() + theirs.to_numpy())[seen] / 2
    # the difference of two multinomial counts has twice the variance of one
    assert chisquare(mean + (ours.to_numpy()[seen] - mean) * np.sqrt(2), mean).pvalue > 1e-3
    assert ks_1samp(draw.r, uniform.cdf).pvalue > 1e-3
    made = interpolate(features, draw)
    assert len(made) == 5500  # several blocks
    np.testing.assert_allclose(
        made, (1 - draw.r[:, None]) * features[draw.base] + draw.r[:, None] * features[draw.enemy]
    )


def test_a_class_without_enemies_is_reported_and_treated() -> None:
    rng = np.random.default_rng(2)
    features = np.concatenate([rng.normal(size=(30, 2)), rng.normal(size=(12, 2)) + 50])
    labels = np.repeat([0, 1], [30, 12])
    sampler = EOS(3, random_state=0)
    with pytest.warns(ImblensWarning, match=r"class 1 has no enemy among the 3 nearest neighbours of its 12 instances"):
        resampled, answers = sampler.fit_resample(features, labels)
    assert np.bincount(answers).tolist() == [30, 30]
    nearest = cdist(features[30:], features[:30]).argmin(axis=1)
    np.testing.assert_array_equal(sampler.enemy_indices_, nearest[sampler.sample_indices_[42:] - 30])
    assert np.isfinite(resampled).all()


def test_more_neighbours_than_instances_is_reported() -> None:
    with pytest.warns(ImblensWarning, match=r"k_neighbors=9 needs 10 instances, there are 5; all 4 others") as told:
        sampler = EOS(9, random_state=0)
        sampler.fit_resample(X, Y)
    assert sampler.k_neighbors_ == 4
    assert told[0].filename == __file__  # the line of the caller, not one of ours or of imbalanced-learn's


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_a_generator_gives_the_draws_of_its_state_and_moves_on(kind: Any) -> None:
    generator = kind(5)
    first, second = (EOS(1, random_state=generator).fit_resample(X, Y)[0] for _ in range(2))
    np.testing.assert_array_equal(first, EOS(1, random_state=kind(5)).fit_resample(X, Y)[0])
    assert (first[5:] != second[5:]).any()


def test_identical_instances_and_one_feature() -> None:
    labels = np.repeat([0, 1], [9, 3])
    resampled, _ = EOS(2, random_state=0).fit_resample(np.ones((12, 1)), labels)
    np.testing.assert_array_equal(resampled, 1)


@pytest.mark.parametrize("kind", ["object", "string", "category"])
@pytest.mark.parametrize("sampler", [EOS(k_neighbors=5, random_state=0), BalancedSVM(k_neighbors=2, random_state=0)])
def test_text_labels_of_pandas_are_labels(sampler: Any, kind: str) -> None:
    features, labels = blobs((25, 12, 4))
    names = np.array(["a", "b", "c"])[labels]
    plain = sampler.fit_resample(features, names)
    of_pandas = sampler.fit_resample(features, pd.Series(names).astype(kind))
    np.testing.assert_array_equal(plain[0], of_pandas[0])
    assert list(plain[1]) == list(of_pandas[1])


def test_sparse_equals_dense() -> None:
    from scipy.sparse import csr_array, csr_matrix

    rng = np.random.default_rng(3)
    features = rng.normal(size=(40, 4)) * (rng.random((40, 4)) < 0.5)
    labels = np.repeat([0, 1], [31, 9])
    dense, _ = EOS(3, random_state=0).fit_resample(features, labels)
    for kind in (csr_matrix, csr_array):
        sparse, _ = EOS(3, random_state=0).fit_resample(kind(features), labels)
        np.testing.assert_array_equal(sparse.toarray(), dense)


features = np.random.default_rng(0).normal(size=(60, 5))
labels = np.repeat([0, 1, 2], [40, 12, 8])
BAD: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "masked X": (np.ma.masked_greater(features, 1), labels, {}, r"X is a masked array.*X\.filled"),
    "masked y": (features, np.ma.array(labels, mask=labels == 1), {}, r"y is a masked array.*y\.filled"),
    "None in y": (features, [None, *labels.tolist()[1:]], {}, r"y holds None \(first in row 0\)\. Drop or name"),
    "y short": (features, labels[:-3], {}, r"y has 57 rows, X has 60\. Give one label per row"),
    "NaN": (np.where(features > 2, np.nan, features), labels, {}, r"X holds NaN or infinity \(first in row \d+.*Drop"),
    "infinite": (np.where(features > 2, np.inf, features), labels, {}, r"X holds NaN or infinity"),
    "ragged": ([[1.0, 2.0], [3.0]], [0, 1], {}, r"X has rows of different lengths\. Every row"),
    "text": (features.astype(str), labels, {}, r"X holds text\. Give real numbers"),
    "dates": (features.astype("datetime64[s]"), labels, {}, r"X holds dates"),
    "complex": (features + 1j, labels, {}, r"X holds complex numbers"),
    "three axes": (features[:, :, None], labels, {}, r"X must be a matrix .*\(60, 5, 1\)"),
    "no columns": (features[:, :0], labels, {}, r"X has 0 feature\(s\)"),
    "one class": (features, labels * 0, {}, r"y has one class only \(0\).*two or more"),
    "half labels": (features, labels + 0.5, {}, r"y holds 0\.5.*Give whole numbers or text"),
    "NaN in y": (features, np.where(labels == 0, np.nan, labels), {}, r"y contains NaN"),
    "half a count": (features, labels, {"sampling_strategy": {1: 30.7}}, r"gives 30\.7 for class 1.*whole number"),
    "unknown class": (
        features,
        labels,
        {"sampling_strategy": {7: 50}},
        r"class 7, which is not present.*Known: 0, 1, 2",
    ),
    "too few": (features, labels, {"sampling_strategy": {1: 5}}, r"gives 5 for class 1, which has 12.*12 or more"),
    "too many": (
        features,
        labels,
        {"sampling_strategy": {1: 10**11}},
        r"new rows, which need .* GB, more than half of",
    ),
}


@pytest.mark.parametrize("sampler", [EOS, BalancedSVM])
@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_states_what_to_do(sampler: Any, case: str) -> None:
    X_bad, y_bad, options, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        sampler(3, random_state=0, **options).fit_resample(X_bad, y_bad)
    assert str(caught.value).startswith(sampler.__name__)
    assert caught.value.hint


def test_a_pipeline_of_imbalanced_learn_takes_the_samplers():
    from imblearn.pipeline import make_pipeline
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(4)
    y = np.repeat(["a", "b", "c"], (60, 25, 11))
    X = rng.normal(size=(96, 5)) + 2 * np.eye(5)[np.unique(y, return_inverse=True)[1]]
    for sampler in (EOS(k_neighbors=7, random_state=1), BalancedSVM(random_state=1)):
        scaled = StandardScaler().fit_transform(X)
        by_hand = LogisticRegression().fit(*sampler.fit_resample(scaled, y))
        pipeline = make_pipeline(StandardScaler(), sampler, LogisticRegression()).fit(X, y)
        assert np.array_equal(pipeline.predict_proba(X), by_hand.predict_proba(scaled))  # nothing is resampled there
    search = GridSearchCV(
        pipeline.set_params(balancedsvm=EOS(random_state=0)), {"balancedsvm__k_neighbors": [3, 9]}, cv=3
    )
    assert search.fit(X, y).best_params_["balancedsvm__k_neighbors"] in (3, 9)


def test_where_nothing_is_drawn_what_is_recorded_of_draws_is_empty() -> None:
    sampler = EOS(2, random_state=0)
    sampler.fit_resample(np.arange(12.0).reshape(6, 2), np.repeat([0, 1], 3))
    assert [len(sampler.sample_indices_), len(sampler.enemy_indices_), len(sampler.r_)] == [6, 0, 0]


def test_many_classes_without_enemies_are_one_sentence() -> None:
    labels = np.repeat(np.arange(14), 4)
    draw = draw_eos(labels[:, None] * 9.0, labels, np.zeros((56, 0), np.int64), dict.fromkeys(range(12), 2), 0)
    assert draw.alone == tuple(range(12))
    (note,) = isolated_note(draw, [f"class {c}" for c in range(14)], labels, 0)
    assert note.startswith("EOS: 12 classes (class 0, class 1, ") and "and 2 more" in note
    assert (np.abs(labels[draw.base] - labels[draw.enemy]) == 1).all()
