"""Samplers as treatments: ours against the classes with imbalanced-learn's API, and imbalanced-learn's own by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler, TomekLinks

from imblens.errors import ImblensWarning, InputError, MissingError, NotApplicable
from imblens.run import Run
from imblens.treatments import EOS, BalancedSVM, all_treatments, resample, train_head, treat
from tests.treatments._runs import NAMES, balanced_accuracy, blobs, blobs_run

SAMPLERS = [treatment for treatment in all_treatments().values() if treatment.resample is not None]

SLOW_ON_PURPOSE = {"k_neighbors": 5}


@pytest.mark.parametrize("treatment", SAMPLERS, ids=lambda treatment: treatment.name)
def test_every_sampler_gives_a_run_with_a_working_head(treatment: Any) -> None:
    run = blobs_run((70, 40, 25, 20), seed=2)
    options = SLOW_ON_PURPOSE if treatment.name == "eos" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImblensWarning)
        better = treat(run, treatment.name, **options)
    meta = better.meta["treatment"]
    counts = meta["facts"]["counts"]
    assert list(counts) == list(NAMES)
    n_synthetic = 0 if better.synthetic is None else len(better.synthetic)
    assert meta["facts"]["synthetic"] == n_synthetic
    assert sum(counts.values()) >= n_synthetic
    assert balanced_accuracy(better) > 0.5
    assert better.train.features is run.train.features or np.array_equal(better.train.features, run.train.features)


def test_eos_draws_what_the_sampler_draws() -> None:
    run = blobs_run(seed=3)
    better = treat(run, "eos", k_neighbors=7, random_state=4)
    sampler = EOS(7, random_state=4)
    X, y = sampler.fit_resample(run.train.features, run.train.labels)
    n = len(run.train)
    np.testing.assert_array_equal(better.synthetic.features, X[n:])
    np.testing.assert_array_equal(better.synthetic.labels, y[n:])
    table = better.synthetic.instances(["id", "base", "toward"])
    assert table["base"].astype(int).tolist() == sampler.sample_indices_[n:].tolist()
    assert table["toward"].astype(int).tolist() == sampler.enemy_indices_.tolist()
    head = train_head(X, y, 4, start=run.head, seed=4)
    np.testing.assert_array_equal(better.head.weight, head.weight)


def test_balanced_svm_draws_what_the_sampler_draws() -> None:
    run = blobs_run((60, 20, 12, 9), seed=3)
    better = treat(run, "balanced_svm", k_neighbors=3, random_state=4)
    X, y = BalancedSVM(3, random_state=4).fit_resample(run.train.features, run.train.labels)
    np.testing.assert_array_equal(better.synthetic.features, X[len(run.train) :])
    np.testing.assert_array_equal(better.synthetic.labels, y[len(run.train) :])


def test_smote_is_imbalanced_learns_and_remembers_where_rows_came_from() -> None:
    run = blobs_run((60, 20, 12, 9), seed=3)
    better = treat(run, "smote", random_state=4)
    features = np.asarray(run.train.features, dtype=np.float64)
    X, y = SMOTE(random_state=4).fit_resample(features, run.train.labels)
    np.testing.assert_allclose(better.synthetic.features, X[len(features) :], atol=1e-5)
    np.testing.assert_array_equal(better.synthetic.labels, y[len(features) :])
    table = better.synthetic.instances(["base", "toward"]).astype(int)
    base, mate = features[table["base"]], features[table["toward"]]
    made = better.synthetic.features
    way = np.linalg.norm(made - base, axis=1) + np.linalg.norm(made - mate, axis=1)
    np.testing.assert_allclose(way, np.linalg.norm(base - mate, axis=1), atol=1e-4)


def test_random_and_cleaning_keep_to_real_rows() -> None:
    run = blobs_run((60, 20, 12, 9), seed=3)
    rows = np.arange(len(run.train))[:, None].astype(float)
    for name, sampler in (
        ("random", RandomOverSampler(random_state=4)),
        ("random_under", RandomUnderSampler(random_state=4)),
    ):
        better = treat(run, name, random_state=4)
        kept, answers = sampler.fit_resample(rows, run.train.labels)
        assert better.synthetic is None
        assert list(better.meta["treatment"]["facts"]["counts"].values()) == np.bincount(answers).tolist()
        head = train_head(run.train.features[kept[:, 0].astype(int)], answers, 4, start=run.head, seed=4)
        np.testing.assert_array_equal(better.head.weight, head.weight)
    cleaned = treat(run, "tomek_links")
    _, answers = TomekLinks().fit_resample(np.asarray(run.train.features, np.float64), run.train.labels)
    assert list(cleaned.meta["treatment"]["facts"]["counts"].values()) == np.bincount(answers).tolist()


def test_origin_is_unknown_where_a_sampler_does_not_tell() -> None:
    better = treat(blobs_run((60, 20, 12, 9)), "adasyn")
    assert better.synthetic.instances(["base"])["base"].isna().all()


def test_counts_by_class_name() -> None:
    run = blobs_run((60, 20, 12, 9))
    better = treat(run, "eos", k_neighbors=5, sampling_strategy={"dog": 30, "bee": 25})
    assert better.meta["treatment"]["facts"]["counts"] == {"ant": 60, "bee": 25, "cat": 12, "dog": 30}
    for name in ("eos", "smote", "random"):
        with pytest.raises(InputError, match=r"class 'dgo', which this run does not have\. Did you mean 'dog'"):
            treat(run, name, sampling_strategy={"dgo": 30}, **({"k_neighbors": 5} if name == "eos" else {}))
    with pytest.raises(InputError, match=r"gives 3 for class 'dog', which has 9"):
        treat(run, "eos", k_neighbors=5, sampling_strategy={"dog": 3})
    only = treat(run, "eos", k_neighbors=5, sampling_strategy="minority")
    assert only.meta["treatment"]["facts"]["counts"] == {"ant": 60, "bee": 20, "cat": 12, "dog": 60}
    rest = treat(run, "eos", k_neighbors=5, sampling_strategy="not minority")
    assert rest.meta["treatment"]["facts"]["counts"] == {"ant": 60, "bee": 60, "cat": 60, "dog": 9}


def test_a_class_too_small_for_smote() -> None:
    run = blobs_run((60, 20, 12, 3))
    for name in ("smote", "balanced_svm"):
        with pytest.warns(ImblensWarning, match=r"k_neighbors=2 instead of 5, as class 'dog' has 3 instances"):
            better = treat(run, name)
        assert better.meta["treatment"]["facts"]["k_neighbors"] == 2
        with pytest.raises(
            InputError, match=r"k_neighbors=5 needs 6 instances but class 'dog' has 3\. Pass k_neighbors=2"
        ):
            treat(run, name, k_neighbors=5)
    run = blobs_run((60, 20, 12, 1))
    with pytest.raises(
        InputError, match=r"class 'dog' has 1 instance.* Use eos or random, .*sampling_strategy=not min"
    ):
        treat(run, "smote")
    with pytest.warns(ImblensWarning, match="one training instance"):
        left = treat(run, "smote", sampling_strategy="not minority")  # the way out that the hint names
    assert left.meta["treatment"]["facts"]["counts"] == {"ant": 60, "bee": 60, "cat": 60, "dog": 1}
    with pytest.raises(InputError) as told:
        treat(blobs_run((60, 20, 1, 1)), "smote")
    assert told.value.hint == "Use eos or random, which can start from one instance."


def test_classes_left_unbalanced_are_reported() -> None:
    features, labels = blobs((60, 20, 12, 9), apart=30)  # so far apart that nothing is in danger
    run = Run.from_arrays(train=(features, labels), classes=NAMES)
    with pytest.warns(ImblensWarning, match=r"borderline_smote left class 'bee' at 20 of 60, 'cat' at 12 of 60"):
        treat(run, "borderline_smote")


def test_a_sampler_that_cannot_is_refused_with_its_reason() -> None:
    features, labels = blobs((60, 20, 12, 9), apart=30)
    run = Run.from_arrays(train=(features, labels), classes=NAMES)
    with pytest.raises(NotApplicable) as told:
        treat(run, "adasyn")
    assert told.value.message == (
        "adasyn: no instance of class 'bee', 'cat', 'dog' has another class among its 5 nearest neighbours, "
        "and adasyn draws only near those."
    )


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "adasyn",
            "adasyn: class 'dog' has 3 instances, and n_neighbors=5 needs 6.",
            "Pass n_neighbors=2 or lower, or",
        ),
        (
            "near_miss",
            "near_miss: class 'dog' has 3 instances, and n_neighbors=4 needs 4.",
            "Pass n_neighbors=3 or lower",
        ),
        (
            "kmeans_smote",
            "kmeans_smote: no cluster holds enough of class 'dog', which has 3 instances.",
            "Try eos",
        ),
    ],
)
def test_what_imbalanced_learn_states_is_reported_with_the_name_of_the_class(
    name: str, message: str, hint: str
) -> None:
    features, labels = blobs((60, 60, 60, 3), apart=1)
    run = Run.from_arrays(train=(features, labels), classes=NAMES)
    options = {"near_miss": {"n_neighbors": 4}, "kmeans_smote": {"k_neighbors": 3}}.get(name, {})
    with pytest.raises(NotApplicable) as told:
        treat(run, name, **options)
    assert told.value.message == message and told.value.hint.startswith(hint)
    if hint.startswith("Pass"):
        treat(run, name, n_neighbors=int(hint[len("Pass n_neighbors=")]))


def test_a_class_without_enemies_is_reported_by_name() -> None:
    features, labels = blobs((60, 20, 12, 9), apart=30)
    run = Run.from_arrays(train=(features, labels), classes=NAMES)
    with pytest.warns(ImblensWarning) as told:
        better = treat(run, "eos", k_neighbors=3)
    assert ["no enemy among the 3 nearest" in str(warning.message) for warning in told] == [True] * 3
    assert better.meta["treatment"]["facts"]["counts"] == dict.fromkeys(NAMES, 60)
    assert len(better.meta["treatment"]["notes"]) == 3


def test_large_offsets_reach_no_sampler() -> None:
    run = blobs_run((60, 20, 12, 9), seed=3, head=None)
    moved = Run.from_arrays(
        train=(np.asarray(run.train.features, np.float64) + 4096, run.train.labels),
        test=(np.asarray(run.test.features, np.float64) + 4096, run.test.labels),
        classes=NAMES,
    )
    for name in ("eos", "smote"):
        options = {"k_neighbors": 3}
        plain, away = treat(run, name, **options), treat(moved, name, **options)
        np.testing.assert_allclose(away.synthetic.features - 4096, plain.synthetic.features, atol=2e-3)


def test_the_released_recipe_and_a_fresh_start() -> None:
    run = blobs_run((60, 20, 12, 9))
    better = treat(run, "eos", k_neighbors=5, recipe="released", start="random", indexing="released")
    recipe = better.meta["treatment"]["facts"]["recipe"]
    assert (recipe["learning_rate"], recipe["scaled"], recipe["warm_up"]) == (0.1, False, 5)
    own = treat(run, "eos", k_neighbors=5, learning_rate=0.3, weight_decay=0.01, epochs=3)
    recipe = own.meta["treatment"]["facts"]["recipe"]
    assert (recipe["learning_rate"], recipe["weight_decay"], recipe["epochs"]) == (0.3, 0.01, 3)


def test_every_treatment_declares_what_a_person_needs() -> None:
    for name, treatment in all_treatments().items():
        assert treatment.name == name
        assert treatment.purpose.endswith(".")
        assert treatment.paper
        names = [option.name for option in treatment.options]
        assert len(set(names)) == len(names)
        assert "random_state" in names
        for option in treatment.options:
            assert option.help
            assert option.check(option.default, name) == option.default
            for value in option.grid:
                assert option.check(value, name) == value
    with pytest.raises(MissingError, match=r"has no option 'tua'\. Did you mean 'tau'"):
        treat(blobs_run(), "tau_norm", tua=1)


def test_eos_takes_all_other_instances_where_more_neighbours_are_asked_for() -> None:
    run = blobs_run((30, 12, 8, 6))
    with pytest.warns(ImblensWarning, match="k_neighbors=500 is more than the 55 other instances"):
        better = treat(run, "eos", k_neighbors=500)
    assert better.meta["treatment"]["facts"]["k_neighbors"] == 55


@pytest.mark.parametrize("name", ["eos", "smote", "random"])
def test_a_number_is_the_least_count_of_a_class(name: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [40, 20, 8])
    run = Run.from_arrays(train=(rng.normal(size=(68, 4)) + 2 * np.eye(3, 4)[labels], labels))
    found = resample(run, name, sampling_strategy="25")
    made = np.concatenate([labels[found.kept], found.new_labels])
    assert np.bincount(made).tolist() == [40, 25, 25]


@pytest.mark.parametrize("name", ["eos", "smote"])
def test_rows_that_no_memory_holds_are_refused_with_what_to_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [40, 20, 8])
    run = Run.from_arrays(train=(rng.normal(size=(68, 4)) + 2 * np.eye(3, 4)[labels], labels))
    monkeypatch.setattr("imblens.base.memory.memory_limit", lambda: 1000)
    with pytest.raises(InputError, match=r"52 new rows, .* Pass sampling_strategy=100 .* or take crt"):
        treat(run, name)
    assert len(resample(run, "random").kept) == 120  # repeats rows by number


def test_heads_trained_on_rows_that_are_drawn_are_those_of_rows_that_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [40, 20, 8])
    run = Run.from_arrays(train=(rng.normal(size=(68, 4)) + 2 * np.eye(3, 4)[labels], labels))
    for options in ({}, {"recipe": "released"}):
        usual = treat(run, "eos", k_neighbors=5, **options)
        with monkeypatch.context() as patch:
            patch.setattr("imblens.treatments._retrain.COPIED", 0)
            patch.setattr("imblens.treatments._train_head.HELD", 0)
            drawn = treat(run, "eos", k_neighbors=5, **options)
        assert drawn.head.weight == pytest.approx(usual.head.weight, abs=1e-4)
        assert drawn.head.bias == pytest.approx(usual.head.bias, abs=1e-4)
