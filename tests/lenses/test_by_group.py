"""Intervals, "too few to tell" and folds count groups (patients) where they are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmarks.science import noise_by_group

from imblens.lenses import (
    alignment,
    archetypes,
    calibration,
    class_accuracy,
    concepts,
    diagnosis,
    headroom,
    shortcuts,
)
from imblens.lenses.diagnosis import noise
from imblens.lenses.diagnosis.noise import label_noise
from imblens.run import GROUP, Part, Run
from tests.lenses.golden_runs import pictured
from tests.lenses.made import captured_run

Groups = Callable[[int], np.ndarray]


def with_groups(run: Run, whose: Groups) -> Run:
    """The run, with that column of groups in each split."""
    splits = {}
    for name, split in run.splits.items():
        column = [f"p{i}" for i in whose(len(split))]
        table = split.instances(list(split.columns)).assign(**{GROUP: column}) if split.columns else None
        table = pd.DataFrame({GROUP: column}) if table is None else table
        part = Part(split.features, split.labels, split.logits if split.has_logits else None, table)
        splits[name] = replace(split, parts=(part,))
    return replace(run, **splits)


def fours(n: int) -> np.ndarray:
    return np.random.default_rng(1).permutation(n) // 4


def overlapping() -> Run:
    rng = np.random.default_rng(5)
    splits = {}
    for name, n in (("train", 300), ("test", 240)):
        labels = np.arange(n) % 2
        features = rng.normal(size=(n, 4)) + labels[:, None]
        splits[name] = (features, labels)
    return Run.from_arrays(**splits, head=(np.array([[0.0] * 4, [0.5, 0, 0, 0]]), np.zeros(2)))


@pytest.mark.parametrize(
    ("lens", "make", "columns"),
    [
        (shortcuts, pictured, ("drop", "logit", "explained")),
        (archetypes, pictured, ("accuracy",)),
        (calibration, pictured, ("accuracy",)),
        (calibration, lambda: captured_run(task="multilabel", seed=2), ("accuracy",)),
        (alignment, lambda: captured_run(seed=2), ("ior", "pointing", "excess")),
        (concepts, lambda: captured_run(seed=2), ("disjoint", "unique")),
        (headroom, overlapping, ("ceiling",)),
    ],
)
def test_intervals_are_wider_by_group_and_unchanged_where_every_instance_is_one(lens, make, columns) -> None:
    plain, alone, grouped = (
        lens(run).tables[lens.__name__] for run in (make(), with_groups(make(), np.arange), with_groups(make(), fours))
    )
    for column in columns:
        widths = [(table[f"{column}_high"] - table[f"{column}_low"]).to_numpy() for table in (plain, alone, grouped)]
        if lens is not headroom:  # whose folds differ
            np.testing.assert_allclose(widths[1], widths[0], rtol=1e-6)
        assert np.nansum(widths[2]) > 1.02 * np.nansum(widths[1])


def test_a_ceiling_is_not_raised_by_patients_who_are_in_several_folds() -> None:
    rng = np.random.default_rng(2)
    patients = np.repeat(np.arange(60), 5)
    labels = np.repeat(rng.permutation(np.arange(60) % 2), 5)  # of a patient, by nothing that a feature shows
    features = rng.normal(size=(60, 100))[patients] + 0.1 * rng.normal(size=(300, 100))
    train = rng.normal(size=(3000, 100)), np.arange(3000) % 2
    ceilings = []
    for whose in (None, {"test": patients}):
        run = Run.from_arrays(train=train, test=(features, labels), groups=whose)
        ceilings.append(headroom(run).summary["ceiling"])
    assert ceilings[0] > 0.8 and ceilings[1] < 0.65


def apart(whose: np.ndarray | None) -> Run:
    """Two classes; a quarter of the test instances of the first lies where training has none."""
    rng = np.random.default_rng(3)
    labels, tested = np.repeat([0, 1, 2, 3], 120), np.repeat([0, 1, 2, 3], 60)
    centres = 4 * np.eye(4, 6)
    features, test = (centres[of] + 0.5 * rng.normal(size=(len(of), 6)) for of in (labels, tested))
    test[:15, 5] += 12
    return Run.from_arrays(
        train=(features, labels), test=(test, tested), head=(centres, np.full(4, -8.0)),
        groups=None if whose is None else {"test": whose},
    )  # fmt: skip


def test_one_patient_who_lies_apart_is_no_uncovered_range() -> None:
    patients = np.arange(240)
    one = np.r_[np.zeros(15, int), np.arange(15, 240)]
    for whose, found in ((None, True), (patients, True), (one, False)):
        causes = diagnosis(apart(whose)).tables["diagnosis"]
        assert ("uncovered_range" in causes.loc[causes["class"] == "0", "cause"].tolist()) == found


def with_wrong_labels(whose: str, seed: int) -> Run:
    """Three classes, 12 instances of each patient; 24 training instances of the second have the label of the first.

    They are of two patients (`whose` is "two"), of many ("many"), or of groups that are not known ("unknown").
    """
    rng = np.random.default_rng(seed)
    labels, tested = np.repeat([0, 1, 2], 240), np.repeat([0, 1, 2], 120)
    features, test = (4.0 * np.eye(3, 6)[of] + rng.normal(size=(len(of), 6)) for of in (labels, tested))
    patients, given = np.arange(720) // 12, labels.copy()
    given[240:264] = 0
    if whose == "many":
        patients[:264] = np.arange(264) % 22
    groups = None if whose == "unknown" else {"train": patients, "test": np.arange(360) // 12}
    return Run.from_arrays(train=(features, given), test=(test, tested), groups=groups)


def test_wrong_labels_of_two_patients_are_weaker_evidence_than_those_of_many() -> None:
    z, widths = (
        {
            whose: np.mean([read(label_noise(with_wrong_labels(whose, seed))[0]) for seed in range(5)])
            for whose in ("unknown", "many", "two")
        }
        for read in (lambda one: one.z, lambda one: one.high - one.low)
    )
    assert z["many"] > 3 and z["two"] < 0.7 * z["many"]
    assert widths["two"] > 1.3 * widths["many"] > widths["unknown"]


def test_wrong_labels_are_found_by_group_where_instances_of_a_patient_are_independent() -> None:
    plain, by_group = (noise_by_group.found(6, 0.0, noise_by_group.WRONG, known=known) for known in (False, True))
    assert by_group.named == plain.named == 6
    assert 0.85 * plain.z < by_group.z < plain.z
    assert by_group.width < 1.25 * plain.width


def test_patients_who_differ_are_not_taken_for_wrong_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    by_group = noise_by_group.found(12, 2.0, 0, known=True)
    monkeypatch.setattr(noise, "_effects", lambda *_: np.ones(3))
    without = noise_by_group.found(12, 2.0, 0, known=True)
    assert by_group.named == 0 and without.named >= 2
    assert by_group.z < 0.8 * without.z


def test_a_class_of_few_patients_has_no_cause_and_no_ceiling() -> None:
    whose = np.r_[np.arange(60) // 15, np.arange(60, 240)]
    row = diagnosis(apart(whose)).tables["diagnosis"].iloc[0]
    assert row["cause"] == "too few to tell" and "60 instances of 4 groups" in row["evidence"]
    found = headroom(apart(whose))
    assert found.tables["headroom"]["ceiling"].isna().tolist() == [True, False, False, False]
    assert any("Fewer than 20 test groups" in note for note in found.notes)


def test_few_patients_of_many_images_are_too_few_for_a_shortcut_and_for_calibration() -> None:
    run = with_groups(pictured(), lambda n: np.arange(n) % 6)
    assert shortcuts(pictured()).summary["relied_on"] == 1 and shortcuts(run).summary["relied_on"] == 0
    assert any("images (or groups of them)" in note for note in shortcuts(run).notes)
    found = calibration(run)
    assert found.tables["calibration"]["groups"].max() == 6 and list(found.lines()) == [""]
    assert any("Fewer than 10 test groups" in note for note in found.notes)


def test_negatives_of_few_patients_are_too_few() -> None:
    rng = np.random.default_rng(4)
    labels = np.stack([np.arange(200) < 100, np.arange(200) % 2 == 0], axis=1).astype(int)
    logits = labels + rng.normal(size=(200, 2)) - 0.5
    patients = np.r_[np.arange(100), 100 + np.arange(100) // 25]
    whose = {"test": patients}
    run = Run.from_arrays(train=(logits, labels), test=(logits, labels, logits), task="multilabel", groups=whose)
    assert any("fewer than 10 test groups: 0." in note for note in class_accuracy(run).notes)
