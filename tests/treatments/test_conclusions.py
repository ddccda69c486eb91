"""What the papers suggest in their use cases, on examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.run import Run
from imblens.treatments import resample, treat
from tests.treatments._runs import balanced_accuracy, blobs_run


def test_archetypes_decide_what_is_dropped_and_what_grows() -> None:
    """On a line: 0..7 are a (safe), one a at 52 lies among b at 50, 51, 53, 54; one b at 8.5 lies behind a.

    a has 9 rows and b 5, mean 7: a is large. The a at 52 has five b as neighbours (outlier) and goes; then one safe a goes
    (8 left, mean 7). b grows by 2 from its border instances: 50, 51, 53, 54 have three b and two others, or more.
    """
    values = np.array([0, 1, 2, 3, 4, 5, 6, 7, 52, 50, 51, 53, 54, 8.5])
    labels = np.array([0] * 9 + [1] * 5)
    run = Run.from_arrays(train=(values[:, None], labels), classes=["a", "b"])
    found = resample(run, "archetype_resampling", k=5, safe_kept=0.0)
    assert found.facts["dropped"] == {"safe": 1, "border": 0, "rare": 0, "outlier": 1}
    assert 8 not in found.kept and len(found.kept) == 12
    assert found.new_labels.tolist() == [1, 1]
    assert set(found.base) <= {9, 10, 11, 12}  # 54, 53, 51, 50 have 3 of 5: border; 8.5 has none: outlier
    between = (values[found.base] + values[found.toward]) / 2
    assert (np.abs(found.new[:, 0] - between) <= np.abs(values[found.toward] - values[found.base]) / 2 + 1e-5).all()
    assert (found.base != found.toward).all()
    whole = resample(run, "archetype_resampling", k=5, safe_kept=1.0)
    assert whole.facts["dropped"]["safe"] == 0 and len(whole.kept) == 13


def test_a_class_of_one_instance_is_repeated_and_copies_are_no_mates_of_themselves() -> None:
    values = np.array([0.0, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 30])
    labels = np.array([0] * 4 + [1] * 7 + [2])
    run = Run.from_arrays(train=(values[:, None], labels))
    found = resample(run, "archetype_resampling", k=2)
    lone = found.new[found.new_labels == 2]
    assert len(lone) and (lone == 30).all()
    assert (found.base != found.toward)[found.new_labels == 0].all()


def test_only_uncovered_features_move() -> None:
    """Of class b the first feature has a far largest value (gap 8 + 1), the second is even (gap 1 + 1)."""
    rare = np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 2.0]])
    large = np.array([[x, 10.0] for x in range(6)])
    run = Run.from_arrays(train=(np.concatenate([large, rare]), np.repeat([0, 1], [6, 3])), classes=["a", "b"])
    found = resample(run, "eos_features", k_neighbors=8, n_features=1)
    bases = np.asarray(run.train.features)[found.base]
    assert (found.new[:, 1] == bases[:, 1]).all()
    assert (found.new[:, 0] != bases[:, 0]).any()
    assert found.facts["features_changed"] == 1.0 and found.facts["copies"] == 0


@pytest.mark.parametrize(("means", "moved"), [((5.0, 4.0, 0.0), [0]), ((0.0, 4.0, 5.0), [])])
def test_only_features_shared_with_the_enemys_class_move(means: tuple[float, ...], moved: list[int]) -> None:
    """With one strongest feature each: class b has feature 0; a has feature 0 too, or feature 2, which b does not."""
    rng = np.random.default_rng(0)
    large = np.array(means) + rng.uniform(-0.4, 0.4, (8, 3))
    rare = np.array([6.0, 1.0, 0.0]) + rng.uniform(-0.4, 0.4, (3, 3))
    run = Run.from_arrays(train=(np.concatenate([large, rare]), np.repeat([0, 1], [8, 3])))
    found = resample(run, "eos_features", k_neighbors=10, change="shared", n_features=1)
    apart = found.new != np.asarray(run.train.features, np.float32)[found.base]
    assert np.flatnonzero(apart.any(axis=0)).tolist() == moved
    assert found.facts["copies"] == (0 if moved else len(found.new))


@pytest.mark.parametrize(
    ("name", "options"),
    [("archetype_resampling", {}), ("eos_features", {"change": "uncovered"}), ("eos_features", {"change": "shared"})],
)
def test_the_head_is_better_than_the_biased_one_and_the_seed_decides(name: str, options: dict[str, str]) -> None:
    run = blobs_run((200, 60, 20, 12))
    better = treat(run, name, **options)
    assert balanced_accuracy(better) > balanced_accuracy(run) + 0.02
    again = treat(run, name, **options)
    assert np.array_equal(better.head.weight, again.head.weight)


def test_archetype_resampling_adds_nothing_to_classes_of_equal_size() -> None:
    found = resample(blobs_run((12, 12, 12, 12)), "archetype_resampling", safe_kept=1.0)
    assert len(found.kept) == 48 and found.new.shape == (0, 6)


def test_rows_are_drawn_with_seed_0_where_none_is_given() -> None:
    run = blobs_run()
    np.testing.assert_array_equal(resample(run, "smote").new, resample(run, "smote", random_state=0).new)
