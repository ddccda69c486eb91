"""Comparisons and gates of runs with groups; changes of AUROC and average precision."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.comparison import class_lines, compare
from imblens.decisions import gate
from imblens.lenses import ranking
from imblens.run import Run
from imblens.treatments import treatment_summary, treatment_table


def _multiclass(seed: int, groups=None, wrong=0.3) -> Run:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [80, 40])
    features = rng.normal(size=(120, 3))
    predicted = np.where(np.random.default_rng(seed).random(120) < wrong, 1 - labels, labels)
    whose = None if groups is None else {"test": groups}
    logits = 3.0 * np.eye(2)[predicted]
    return Run.from_arrays(train=(features, labels), test=(features, labels, logits), classes=["a", "b"], groups=whose)


def _labels(shift=0.0, noise=1.0, groups=None, seed=5) -> Run:
    rng = np.random.default_rng(2)
    labels = (rng.random((300, 2)) < (0.3, 0.15)).astype(int)
    features = labels + rng.normal(size=(300, 2))
    logits = 2 * labels + noise * np.random.default_rng(seed).normal(size=(300, 2)) - 1 + shift
    whose = None if groups is None else {"test": groups}
    return Run.from_arrays(
        train=(features, labels), test=(features, labels, logits), classes=["x", "y"], task="multilabel", groups=whose
    )


PATIENTS = np.repeat(np.arange(12), 10)


def test_changes_are_by_group_and_the_same_where_every_instance_is_its_own() -> None:
    width = []
    for groups in (None, np.arange(120), PATIENTS):
        table = compare([_multiclass(1, groups), _multiclass(2, groups, 0.1)]).tables["comparison"].tail(2)
        width.append((table["change_high"] - table["change_low"]).to_numpy())
    assert width[1] == pytest.approx(width[0])
    assert (width[2] > width[0]).all()
    before, after = _multiclass(1, PATIENTS), _multiclass(2, PATIENTS, 0.1)
    treated = treatment_table(before, after)
    table = compare([before, after]).tables["comparison"].tail(2)
    assert treated["change_low"].to_numpy() == pytest.approx(table["change_low"].to_numpy())


def test_a_shift_of_the_threshold_is_not_better_discrimination() -> None:
    found = compare([_labels(), _labels(shift=1.5)], names=["before", "after"])
    table = found.tables["comparison_ranking"].set_index("measure")
    assert table["change"].abs().max() == 0
    line = next(line for line in found.verdict() if line.startswith("Discrimination"))
    assert "no label is separated better or worse beyond chance" in line
    assert any("one training" in note for note in found.notes)


def test_better_discrimination_has_an_interval_above_zero() -> None:
    found = compare([_labels(noise=3.0), _labels(noise=0.7)], names=["before", "after"])
    table = found.tables["comparison_ranking"].set_index("measure")
    assert (table["change_low"] > 0.02).all() and (table["change"] < table["change_high"]).all()
    measures = found.tables["comparison_measures"]
    of_auroc = measures[(measures["run"] == "after") & (measures["measure"] == "auroc")]
    assert (of_auroc["change_low"] > 0).all()
    assert "separated better: x, y" in " ".join(found.verdict())
    wider = compare([_labels(3.0, 3.0, np.arange(300) // 25), _labels(3.0, 0.7, np.arange(300) // 25)])
    by_group = wider.tables["comparison_ranking"].set_index("measure")
    assert (by_group["change_high"] - by_group["change_low"])["auroc"] > 0
    assert any("Intervals are by group" in note for note in wider.notes)


def test_the_interval_of_an_auroc_change_is_that_of_delong() -> None:
    from sklearn.metrics import roc_auc_score

    before, after = _labels(noise=2.0, seed=5), _labels(noise=1.0, seed=6)
    measures = compare([before, after], names=["before", "after"]).tables["comparison_measures"]
    row = measures[(measures["run"] == "after") & (measures["measure"] == "auroc")].iloc[0]
    own = before.test.labels[:, 0] == 1
    scores = [np.asarray(run.test.logits[:, 0], float) for run in (before, after)]
    parts = [
        [[(s[own][i] > s[~own]).mean() for i in range(own.sum())], [(s[own] > t).mean() for t in s[~own]]]
        for s in scores
    ]
    variance = sum(np.var(np.subtract(parts[1][k], parts[0][k]), ddof=1) / len(parts[0][k]) for k in (0, 1))
    change = roc_auc_score(own, scores[1]) - roc_auc_score(own, scores[0])
    assert row["change"] == pytest.approx(change)
    half = row["change_high"] - row["change"]
    assert (
        1.959964 * np.sqrt(variance) < half
    )  # few positives: quantiles of t, and what they do not show of the pairing
    assert half == pytest.approx(1.959964 * np.sqrt(variance), rel=0.02)


def test_a_gate_counts_each_patient_once() -> None:
    before = _multiclass(1, None, 0.0)
    labels = np.repeat([0, 1], [80, 40])
    predicted = labels.copy()
    predicted[100:112] = 0  # twelve of forty instances of b are lost: those of two patients
    worse = Run.from_arrays(
        train=(before.train.features, labels), test=(before.test.features, labels, 3.0 * np.eye(2)[predicted]),
        classes=["a", "b"],
    )  # fmt: skip
    assert gate(worse, before, calibration=False).failed
    groups = {"test": np.r_[np.arange(100), np.repeat([100, 101], 6), np.arange(102, 110)]}
    both = [
        Run.from_arrays(
            train=(r.train.features, labels),
            test=(r.test.features, labels, r.test.logits),
            classes=["a", "b"],
            groups=groups,
        )
        for r in (worse, before)
    ]
    found = gate(*both, calibration=False)
    assert not found.failed  # two patients lost none gained: p = 0.25
    assert found.table.set_index("class").loc["b", "p_value"] >= 0.25
    assert any("Drops are tested by group" in note for note in found.notes)
    wide = found.table.set_index("class").loc["b"]
    assert wide["change_low"] < -0.3 < wide["change_high"]


def test_intervals_of_ranking_that_are_left_out_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(*runs: Run) -> list[str]:
        runs = runs or (_labels(), _labels(shift=1.5))
        return [note for note in compare(runs).notes if "have no intervals" in note]

    assert notes() == []
    monkeypatch.setattr("imblens.comparison._rankings.MOST", 599)
    assert len(notes()) == 1 and "300 test instances of 2 classes are more than 599 pairs" in notes()[0]
    given = (_labels().test.features, _labels().test.labels)  # without predictions there is no AUROC either
    bare = Run.from_arrays(train=given, test=given, classes=["x", "y"], task="multilabel")
    assert notes(bare, bare) == []


def _copies(n_labels: int, seed: int, groups=None) -> Run:
    rng = np.random.default_rng(4)
    labels = (rng.random(200) < 0.4).astype(int)
    features = rng.normal(size=(200, 3))
    wrong = np.random.default_rng(seed).random(200) < 0.25
    logits = np.where(labels == ~wrong, 1.0, -1.0)
    wide = [np.tile(column[:, None], (1, n_labels)) for column in (labels, logits)]
    whose = None if groups is None else {"test": groups}
    return Run.from_arrays(
        train=(features, wide[0]), test=(features, *wide), task="multilabel", classes=list("abcdefgh"[:n_labels]),
        groups=whose,
    )  # fmt: skip


@pytest.mark.parametrize("groups", [None, np.arange(200) // 4])
def test_eight_copies_of_a_label_tell_no_more_than_two(groups) -> None:
    width, treated = [], []
    for n_labels in (2, 8):
        before, after = _copies(n_labels, 1, groups), _copies(n_labels, 2, groups)
        row = compare([before, after]).tables["comparison_summary"].iloc[1]
        width.append(row["change_high"] - row["change_low"])
        row = treatment_summary(before, after).set_index("measure").loc["balanced_accuracy"]
        treated.append(row["change_high"] - row["change_low"])
    assert width[1] == pytest.approx(width[0], rel=0.02)  # half as wide, were they independent
    assert treated == pytest.approx(width)


def test_classes_spread_over_the_same_patients_are_not_independent() -> None:
    labels = np.tile([0, 1], 60)
    features = np.random.default_rng(1).normal(size=(120, 3))
    patients = np.arange(120) // 6
    before = np.where(patients % 2 == 0, labels, 1 - labels)
    after = np.where(patients % 4 < 3, labels, 1 - labels)  # whole patients change, in both classes
    width = []
    for whose in (patients, patients + 20 * labels):  # the same patients in both classes, or different ones
        runs = [
            Run.from_arrays(
                train=(features, labels), test=(features, labels, 3.0 * np.eye(2)[predicted]), classes=["a", "b"],
                groups={"test": whose},
            )
            for predicted in (before, after)
        ]  # fmt: skip
        row = compare(runs).tables["comparison_summary"].iloc[1]
        width.append(row["change_high"] - row["change_low"])
    assert width[0] == pytest.approx(np.sqrt(2) * width[1], rel=0.01)


def test_a_mean_of_labels_of_few_patients_is_as_uncertain_as_the_labels() -> None:
    own = np.repeat(np.arange(6) % 2, 10)
    rng = np.random.default_rng(0)
    scores = 1.2 * own + np.repeat(rng.normal(size=6), 10) + rng.normal(size=60)
    labels, logits = np.stack([own, 1 - own], axis=1), np.stack([scores, -scores], axis=1)
    run = Run.from_arrays(
        train=(logits, labels), test=(logits, labels, logits), task="multilabel",
        groups={"test": np.repeat(np.arange(6), 10)},
    )  # fmt: skip
    found = ranking(run)
    width = found.summary["macro_auroc_high"] - found.summary["macro_auroc_low"]
    table = found.tables["ranking"]
    assert width > 0.75 * (table["auroc_high"] - table["auroc_low"]).mean()


def test_classes_of_few_instances_or_patients_are_named_beside_the_means() -> None:
    assert not any("Of fewer than" in note for note in compare([_multiclass(1), _multiclass(2)]).notes)
    whose = np.r_[np.arange(80), 80 + np.arange(40) // 8]
    found = compare([_multiclass(1, whose, 0.6), _multiclass(2, whose, 0.05)], names=["one", "two"])
    assert "Of fewer than 10 test groups: b. In every mean they count as much as others." in found.notes
    lines = class_lines(found, "two")
    assert lines["b"].endswith("; few test groups.") and not lines["a"].endswith("few test groups.")
    labels = compare([_labels(groups=np.arange(300) // 60), _labels(seed=6)]).notes
    assert any(note.startswith("Of fewer than 10 test groups: x, y.") for note in labels)
