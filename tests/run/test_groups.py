"""Groups of instances: stored with a run, read back, and used for intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import imblens
from imblens.base.groups import design_effects, group_counts
from imblens.base.intervals import wilson
from imblens.errors import InputError, ShapeError
from imblens.run import GROUP, Run, class_groups, group_effects, group_name

SOME = np.random.default_rng(3)
FEATURES, LABELS = SOME.normal(size=(60, 4)), np.repeat([0, 1, 2], [30, 20, 10])
LOGITS = np.eye(3)[np.where(np.arange(60) % 4 == 0, 0, LABELS)]
PATIENTS = np.array([f"p{i // 5}" for i in range(60)])


def _run(groups=PATIENTS):
    whose = None if groups is None else {"test": groups}
    return Run.from_arrays(train=(FEATURES, LABELS), test=(FEATURES + 9, LABELS, LOGITS), groups=whose)


def test_groups_are_stored_and_read_back(tmp_path) -> None:
    run = Run.load(_run().save(tmp_path / "run"))
    assert run.test.groups.tolist() == np.unique(PATIENTS, return_inverse=True)[1].tolist()
    assert run.train.groups is None
    assert class_groups(run.test).tolist() == [6, 4, 2]
    assert class_groups(run.train).tolist() == [30, 20, 10]


def test_an_archive_and_a_table_hold_groups(tmp_path) -> None:
    np.savez(
        tmp_path / "a.npz", train_features=FEATURES, train_labels=LABELS, test_features=FEATURES, test_labels=LABELS,
        test_logits=LOGITS, test_groups=PATIENTS,
    )  # fmt: skip
    assert class_groups(Run.load(tmp_path / "a.npz").test).tolist() == [6, 4, 2]
    frame = pd.DataFrame({"x": np.arange(60.0), "z": np.arange(60.0) % 7, "y": LABELS, "who": PATIENTS})
    frame["split"] = np.where(np.arange(60) % 2, "test", "train")
    run = Run.from_table(frame, features=["x", "z"], label="y", split="split", group="who")
    assert group_name(run) == "who" and class_groups(run.test).tolist() == [6, 4, 2]


def test_groups_of_a_classifier_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    frame = pd.DataFrame(FEATURES, index=[f"row {i}" for i in range(60)], columns=list("abcd"))
    model = LogisticRegression().fit(frame, LABELS)
    run = Run.from_sklearn(model, train=(frame, LABELS), test=(frame, LABELS), groups={"test": PATIENTS})
    assert class_groups(run.test).tolist() == [6, 4, 2]
    assert run.test.ids[3] == "row 3"


def test_an_instance_without_a_group_is_its_own() -> None:
    run = _run([None, float("nan"), "", *PATIENTS[3:]])
    assert len(np.unique(run.test.groups)) == 12 + 3
    assert set(run.test.groups[:3].tolist()).isdisjoint(run.test.groups[3:].tolist())


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="59 entries for 60 test"):
        _run(PATIENTS[:59])
    with pytest.raises(InputError, match="val"):
        Run.from_arrays(train=(FEATURES, LABELS), groups={"val": PATIENTS})
    with pytest.raises(InputError, match="mapping"):
        Run.from_arrays(train=(FEATURES, LABELS), groups=PATIENTS)


def test_unlabelled_instances_leave_with_their_groups() -> None:
    labels = LABELS.copy()
    labels[:5] = -1
    run = Run.from_arrays(
        train=(FEATURES, LABELS), test=(FEATURES, labels, LOGITS), groups={"test": PATIENTS, "train": PATIENTS}
    )
    assert run.test.instances([GROUP])[GROUP].tolist() == PATIENTS[5:].tolist()
    assert class_groups(run.train).tolist() == [6, 4, 2]


def test_design_effects_by_hand() -> None:
    kind, group = np.zeros(8, int), np.repeat([0, 1], 4)
    alike = design_effects(kind, group, np.repeat([True, False], 4), 1)
    assert alike == pytest.approx([4.0])  # eight instances are worth two
    # no event: as if all of a group were alike
    assert design_effects(kind, group, np.ones(8, bool), 1) == pytest.approx([4.0])
    # sizes 6 and 2: sum m^2 / sum m = 5, effective groups 1.6 of 2
    uneven = design_effects(kind, np.repeat([0, 1], [6, 2]), np.ones(8, bool), 1)
    assert uneven == pytest.approx([5 * (2 - 1.6 / 2)])
    # a kind without entries, and one in which every entry is its own group
    assert design_effects(np.full(5, 1), np.arange(5), np.arange(5) > 2, 3).tolist() == [1, 1, 1]
    assert group_counts(np.array([2, 2, 0]), np.array([1, 1, 1]), 3).tolist() == [1, 0, 1]


def test_an_estimate_between_its_bounds_is_the_ratio_of_variances() -> None:
    from scipy.stats import t

    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(40), 6)
    value = rng.random(240) < rng.beta(2, 2, 40)[group]
    sums = np.array([(value[group == g] - value.mean()).sum() for g in range(40)])
    ratio = (sums**2).sum() / ((value - value.mean()) ** 2).sum() * 40 / 39 * (t.ppf(0.975, 39) / 1.959964) ** 2
    k = min(value.sum(), 240 - value.sum())
    assert design_effects(np.zeros(240, int), group, value, 1) == pytest.approx(
        [(k * ratio + 2 * 6) / (k + 2)], rel=1e-6
    )


def test_without_prior_events_a_design_effect_is_the_estimate_or_the_upper_end() -> None:
    kind, group = np.zeros(8, int), np.repeat([0, 1, 2, 3], 2)
    balanced = np.tile([True, False], 4)  # one of each in every group: less than independent ones vary
    assert design_effects(kind, group, balanced, 1, prior=0.0).tolist() == [1.0]
    assert design_effects(kind, group, balanced, 1) == pytest.approx([(4 * 1 + 2 * 2) / 6])
    assert design_effects(kind, group, np.zeros(8, bool), 1, prior=0.0).tolist() == [2.0]  # nothing varies
    assert design_effects(kind, group, balanced, 2, prior=0.0).tolist() == [1.0, 1.0]


def test_intervals_by_group_are_wider_and_the_same_where_every_instance_is_its_own() -> None:
    plain, alone, by_patient = (
        imblens.audit(_run(groups), lenses=["class_accuracy"])["class_accuracy"].tables["class_accuracy"]
        for groups in (None, np.arange(60), PATIENTS)
    )
    width = [table["accuracy_high"] - table["accuracy_low"] for table in (plain, alone, by_patient)]
    assert width[1].tolist() == width[0].tolist()
    assert (width[2] > width[0]).all()
    assert "test_groups" not in plain and by_patient["test_groups"].tolist() == [6, 4, 2]
    effect = group_effects(_run().test, LABELS, _run().test.correct)
    low, _ = wilson(np.array([30, 15, 8]) / effect, np.array([30, 20, 10]) / effect)
    assert by_patient["accuracy_low"].to_numpy() == pytest.approx(low)


def test_the_report_states_groups_and_counts_them() -> None:
    from imblens.report import summary

    audit = imblens.audit(_run(), lenses=["class_accuracy"])
    stated = summary(audit)
    assert "Intervals are by group (12 groups in the test split)" in " ".join(stated["verdict"])
    assert [row["test_groups"] for row in stated["class_table"]] == [6, 4, 2]
    assert all(row["too_few"] for row in stated["class_table"])
    line = audit["class_accuracy"].lines()["2"]
    assert "10 test instances of 2 groups, too few to tell" in line


def test_groups_in_training_and_test_are_reported() -> None:
    from imblens.report import summary

    run = Run.from_arrays(
        train=(FEATURES, LABELS), test=(FEATURES, LABELS, LOGITS), groups={"test": PATIENTS, "train": PATIENTS},
        meta={"group": "patient"},
    )  # fmt: skip
    stated = summary(imblens.audit(run, lenses=["class_accuracy"]))
    assert stated["shared_patients"] == 12
    assert any("12 patients are in both" in line for line in stated["verdict"])
