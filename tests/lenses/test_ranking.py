"""AUROC and average precision, by hand, by pairs, and the coverage of the interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from imblens import Run
from imblens.base.intervals import Z95
from imblens.errors import NotApplicable
from imblens.lenses import ranking
from imblens.lenses.ranking import areas, auroc_interval, best_threshold, outcome, share_interval
from tests.oracles.ranking_pairs import auroc, average_precision, delong_variance


def make(labels, logits, classes=None):
    logits = np.asarray(logits, dtype=np.float64)
    n_classes = logits.shape[1]
    kind = np.eye(n_classes, dtype=int) if np.ndim(labels) == 2 else np.arange(n_classes)
    return Run.from_arrays(
        train=(np.ones((n_classes, 2)), kind, np.zeros((n_classes, n_classes))),
        test=(np.ones((len(logits), 2)), labels, logits),
        classes=classes,
    )


def test_by_hand():
    # probabilities of "yes": 0.9, 0.6 for the positives, 0.7, 0.2, 0.1 for the others: 5 of 6 pairs are in order
    odds = np.log(np.array([0.9, 0.6, 0.7, 0.2, 0.1]) / np.array([0.1, 0.4, 0.3, 0.8, 0.9]))
    labels = np.array([[1], [1], [0], [0], [0]])
    run = Run.from_arrays(
        train=(np.ones((2, 2)), [[1, 0], [0, 1]]),
        test=(np.ones((5, 2)), np.hstack([labels, 1 - labels]), np.stack([odds, -odds], axis=1)),
        classes=["yes", "no"],
    )
    row = ranking(run).tables["ranking"].set_index("class").loc["yes"]
    assert row["positives"] == 2
    assert row["auroc"] == pytest.approx(5 / 6)
    assert row["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert row["mean_probability"] == pytest.approx(0.5)
    assert row["mean_probability_positives"] == pytest.approx(0.75)
    assert row["prevalence"] == pytest.approx(0.4)


@pytest.mark.parametrize("multilabel", [False, True])
def test_against_all_pairs(multilabel):
    rng = np.random.default_rng(11)
    logits = rng.normal(size=(83, 4))
    if multilabel:
        logits = logits.round(1)  # ties; through a softmax they would differ in their last bit
    labels = rng.random((83, 4)) < [0.6, 0.3, 0.1, 0.05] if multilabel else rng.choice(4, 83, p=[0.6, 0.2, 0.15, 0.05])
    finding = ranking(make(labels.astype(int), logits, classes=list("abcd")))
    wide = logits.astype(np.float32).astype(np.float64)
    if multilabel:
        probability = 1 / (1 + np.exp(-wide))
    else:
        probability = np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True)
    for c in range(4):
        own = labels[:, c] if multilabel else labels == c
        positives, negatives = probability[own, c].tolist(), probability[~own, c].tolist()
        row = finding.tables["ranking"].loc[c]
        assert row["positives"] == len(positives)
        assert row["auroc"] == pytest.approx(auroc(positives, negatives))
        assert row["average_precision"] == pytest.approx(average_precision(positives, negatives))
        assert row["mean_probability"] == pytest.approx(np.mean(probability[:, c]))
        assert row["mean_probability_positives"] == pytest.approx(np.mean(positives))
        assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
    assert finding.summary["macro_auroc"] == pytest.approx(finding.tables["ranking"]["auroc"].mean())


def test_interval_is_at_least_delongs_and_at_least_hanley_and_mcneils():
    rng = np.random.default_rng(2)
    positives, negatives = rng.normal(1, 2, 23), rng.normal(0, 1, 61)
    own = np.repeat([True, False], [23, 61])
    low, high = auroc_interval(own, np.concatenate([positives, negatives]))
    area = auroc(positives.tolist(), negatives.tolist())
    step = Z95 * np.sqrt(delong_variance(positives.tolist(), negatives.tolist())) / (area * (1 - area))
    log_odds = np.log(area / (1 - area))
    assert low <= 1 / (1 + np.exp(step - log_odds)) + 1e-12
    assert high >= 1 / (1 + np.exp(-step - log_odds)) - 1e-12

    def error(at):  # Hanley and McNeil 1982, eq. 2, squared
        q1, q2 = at / (2 - at), 2 * at**2 / (1 + at)
        return (at * (1 - at) + 22 * (q1 - at**2) + 60 * (q2 - at**2)) / (23 * 61)

    for end in (low, high):
        assert abs(end - area) >= Z95 * np.sqrt(error(end)) - 1e-9


@pytest.mark.parametrize(("spread", "n"), [(1.0, 8), (3.0, 12), (1.0, 60)])
def test_interval_covers(spread, n):
    """At least 90 of 100 intervals hold the true area, also for few positives that are spread wider than negatives."""
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    own = np.repeat([True, False], [n, 300])
    for true in (0.7, 0.9, 0.98):
        centre = np.hypot(1, spread) * norm.ppf(true)
        held = 0
        for _ in range(150):
            score = np.concatenate([rng.normal(centre, spread, n), rng.normal(0, 1, 300)])
            low, high = auroc_interval(own, score)
            held += low <= true <= high
        assert held >= 0.9 * 150


def test_perfect_order_is_not_certainty():
    low, high = auroc_interval(np.array([True] * 3 + [False] * 5), np.arange(8.0)[::-1])
    assert high == 1
    assert 0.3 < low < 0.9
    low, high = auroc_interval(np.array([True] * 3 + [False] * 5), np.arange(8.0))
    assert low == 0
    assert 0.1 < high < 0.7


def test_one_positive_has_an_interval():
    low, high = auroc_interval(np.array([True, False, False, False]), np.array([2.0, 1.0, 3.0, 0.0]))
    assert 0 <= low < 2 / 3 < high <= 1


def test_classes_without_positives_or_negatives_are_unknown_and_reported():
    labels = np.array([[1, 0, 1], [1, 0, 0]])
    finding = ranking(make(labels, [[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], classes=["all", "none", "one"]))
    table = finding.tables["ranking"].set_index("class")
    for name in ("all", "none"):
        assert np.isnan(table.loc[name, ["auroc", "average_precision", "auroc_low", "auroc_high"]].astype(float)).all()
    assert np.isnan(table.loc["none", "mean_probability_positives"])
    assert finding.summary["classes_ranked"] == 1
    assert finding.summary["macro_auroc"] == table.loc["one", "auroc"] == 1
    assert any("No test instance of none" in note for note in finding.notes)
    assert any("Every test instance is all" in note for note in finding.notes)


def test_all_scores_equal_is_chance():
    labels = np.array([0, 1, 1, 0, 2])
    table = ranking(make(labels, np.zeros((5, 3)))).tables["ranking"]
    np.testing.assert_allclose(table["auroc"], 0.5)
    np.testing.assert_allclose(table["average_precision"], table["prevalence"])


def test_order_of_instances_and_of_classes_does_not_matter():
    rng = np.random.default_rng(4)
    labels, logits = rng.integers(0, 3, 50), rng.normal(size=(50, 3))
    plain = ranking(make(labels, logits, classes=list("abc"))).tables["ranking"].set_index("class")
    mixed, turned = rng.permutation(50), [2, 0, 1]
    moved = ranking(make(np.argsort(turned)[labels[mixed]], logits[mixed][:, turned], classes=list("cab")))
    other = moved.tables["ranking"].set_index("class").loc[list("abc")]
    assert plain.pop("outcome").tolist() == other.pop("outcome").tolist()
    np.testing.assert_allclose(plain.astype(float), other.astype(float), atol=1e-9)


def test_saturated_logits_stay_finite():
    labels = np.array([[1, 0], [0, 1], [1, 0]])
    table = ranking(make(labels, [[900.0, -900.0], [-900.0, 900.0], [800.0, -700.0]])).tables["ranking"]
    assert table["auroc"].tolist() == [1, 1]
    assert np.isfinite(table["mean_probability"]).all()


def test_lines_and_charts():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    logits = rng.normal(size=(120, 3)) + np.diag([3.0, 3.0, 0.2])[labels]
    finding = ranking(make(labels, logits, classes=["a", "b", "weak"]))
    lines = finding.lines()
    assert next(iter(lines)) == "weak"
    assert "positives" in lines["weak"]
    assert lines[""].startswith("Mean over 3 classes")
    assert list(finding.charts()) == ["ranking", "probabilities"]
    for chart in finding.charts().values():
        chart.to_dict()


def test_needs_a_test_split():
    with pytest.raises(NotApplicable, match="no test split"):
        ranking(Run.from_arrays(train=(np.ones((3, 2)), [0, 1, 1])))


# -------------------------------------------------------------------------------------- intervals by drawing again


def test_every_drawing_is_the_measure_of_its_instances():
    rng = np.random.default_rng(1)
    own, score = rng.random(47) < 0.3, rng.normal(size=47).round(1)  # with ties
    counts = np.stack([np.bincount(rng.integers(0, 47, 47), minlength=47) for _ in range(9)], axis=1)
    counts[:, 7] = np.where(own, 0, 2)  # no positive was drawn
    found = areas(own, score, counts.astype(np.float32))
    for b in range(9):
        times = counts[:, b]
        positives, negatives = (np.repeat(score[own == kind], times[own == kind]).tolist() for kind in (True, False))
        if positives:
            assert found[0][b] == pytest.approx(auroc(positives, negatives))
            assert found[1][b] == pytest.approx(average_precision(positives, negatives))
        else:
            assert np.isnan(found[0][b]) and np.isnan(found[1][b])


@pytest.mark.parametrize(("n", "centre"), [(8, 1.0), (30, 2.0), (15, 4.0)])
def test_interval_of_average_precision_covers(n, centre):
    rng = np.random.default_rng(0)
    own = np.repeat([True, False], [n, 300])

    def draw(k, m):
        return np.concatenate([rng.normal(centre, 1, k), rng.normal(0, 1, m)])

    true = average_precision_score(np.repeat([True, False], [40 * n, 40 * 300]), draw(40 * n, 40 * 300))
    held = 0
    for _ in range(60):
        score = draw(n, 300)
        counts = np.stack(
            [np.bincount(rng.integers(0, n + 300, n + 300), minlength=n + 300) for _ in range(60)], axis=1
        )
        drawn = areas(own, score, counts.astype(np.float32))[1]
        low, high = share_interval(average_precision_score(own, score), drawn, n)
        held += low <= true <= high
    assert held >= 0.88 * 60


def test_the_mean_over_classes_has_an_interval():
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 300, p=[0.7, 0.2, 0.1])
    summary = ranking(make(labels, rng.normal(size=(300, 3)) + np.eye(3)[labels])).summary
    for name in ("macro_auroc", "macro_average_precision"):
        assert 0 < summary[f"{name}_low"] < summary[name] < summary[f"{name}_high"] <= 1
    assert summary["macro_auroc_high"] - summary["macro_auroc_low"] < 0.2


def test_means_have_students_interval():
    rng = np.random.default_rng(5)
    labels, logits = rng.integers(0, 2, 40), rng.normal(size=(40, 2))
    row = ranking(make(labels, logits)).tables["ranking"].iloc[1]
    probability = 1 / (1 + np.exp(-np.diff(logits.astype(np.float32).astype(float), axis=1)[:, 0]))
    low, high = stats.t.interval(0.95, 39, loc=probability.mean(), scale=stats.sem(probability))
    assert (row["mean_probability_low"], row["mean_probability_high"]) == pytest.approx((low, high))


# ------------------------------------------------------------------------------------------------------ thresholds


def by_trying_all(own, probability):
    cuts = np.unique(probability)
    f1 = [2 * (own & (probability >= cut)).sum() / ((probability >= cut).sum() + own.sum()) for cut in cuts]
    return max(f1)


def test_the_best_threshold_is_the_best():
    rng = np.random.default_rng(6)
    for _ in range(30):
        own, probability = rng.random(25) < 0.3, rng.random(25).round(1)
        own[0] = True
        said = probability >= best_threshold(own, probability)
        assert 2 * (own & said).sum() / (said.sum() + own.sum()) == pytest.approx(by_trying_all(own, probability))
    assert np.isnan(best_threshold(np.zeros(4, bool), np.arange(4.0)))


def several(seed=0, *, val=True, none="never"):
    rng = np.random.default_rng(seed)

    def split(n, shift):
        labels = (rng.random((n, 3)) < [0.4, 0.15, 0.3]).astype(int)
        if (none == "in val" and shift) or none == "anywhere":
            labels[:, 1] = 0
        return np.ones((n, 2)), labels, rng.normal(size=(n, 3)) + 2 * labels - 2 - shift

    return Run.from_arrays(
        train=split(90, 0), test=split(110, 0), val=split(70, 1) if val else None, classes=["a", "rare", "c"]
    )


def test_thresholds_come_from_val_and_never_from_test():
    run = several()
    finding = ranking(run)
    table = finding.tables["ranking_thresholds"].set_index("class")
    assert (table["chosen_on"] == "val").all()
    for column, name in enumerate(run.classes):
        probability = 1 / (1 + np.exp(-run.val.logits[:, column].astype(float)))
        assert table.loc[name, "threshold"] == best_threshold(run.val.labels[:, column].astype(bool), probability)
        truth = run.test.labels[:, column].astype(bool)
        said = 1 / (1 + np.exp(-run.test.logits[:, column].astype(float))) >= table.loc[name, "threshold"]
        assert table.loc[name, "precision"] == pytest.approx((truth & said).sum() / said.sum())
        assert table.loc[name, "recall"] == pytest.approx((truth & said).sum() / truth.sum())
        assert table.loc[name, "recall_low"] < table.loc[name, "recall"] <= table.loc[name, "recall_high"]
    turned = replace(run.test.parts[0], labels=1 - run.test.labels)
    other = ranking(replace(run, test=replace(run.test, parts=(turned,)))).tables["ranking_thresholds"]
    assert other["threshold"].tolist() == table["threshold"].tolist()
    assert not any("no validation split" in note for note in finding.notes)
    assert "chosen on val" in finding.lines()[""]
    assert "AUROC 0." in finding.sentence()


def test_without_val_thresholds_come_from_training_and_that_is_reported():
    finding = ranking(several(val=False))
    assert (finding.tables["ranking_thresholds"]["chosen_on"] == "train").all()
    assert any("no validation split" in note for note in finding.notes)


@pytest.mark.parametrize("none", ["in val", "anywhere"])
def test_a_label_without_positives_has_no_threshold_and_that_is_reported(none):
    finding = ranking(several(none=none))
    row = finding.tables["ranking_thresholds"].set_index("class").loc["rare"]
    assert row["positives"] == 0 and np.isnan(row[["threshold", "precision", "recall", "f1"]].astype(float)).all()
    assert any("No positive val instance of rare" in note for note in finding.notes)
    if none == "anywhere":
        assert np.isnan(row[["recall_at_half", "f1_at_half", "recall_low"]].astype(float)).all()
        assert np.isnan(finding.tables["ranking"].set_index("class").loc["rare", "auroc"])


def test_one_label_per_instance_has_no_thresholds():
    assert set(ranking(make([0, 1, 2, 0], np.eye(3)[[0, 1, 2, 1]])).tables) == {"ranking"}


def _labels_run(groups=None, n=200, seed=2, positives=(60, 8)):
    rng = np.random.default_rng(seed)
    labels = np.zeros((n, 2), int)
    labels[: positives[0], 0] = 1
    labels[rng.choice(n, positives[1], replace=False), 1] = 1
    logits = rng.normal(size=(n, 2)) + 1.5 * labels
    features = rng.normal(size=(n, 3))
    splits = {name: (features + k, labels, logits) for k, name in enumerate(("train", "test", "val"))}
    whose = None if groups is None else dict.fromkeys(splits, groups)
    return Run.from_arrays(**splits, classes=["a", "b"], task="multilabel", groups=whose)


def test_four_outcomes_by_interval():
    assert outcome(0.9, 0.84, 0.94) == "good" and outcome(0.74, 0.69, 0.79) == "weak"
    assert outcome(0.28, 0.21, 0.37) == "below chance" and outcome(0.62, 0.38, 0.81) == "undetermined"
    assert outcome(0.9, 0.84, 0.94, n=9) == "undetermined" and outcome(float("nan"), 0.1, 0.2) == "undetermined"
    table = ranking(_labels_run()).tables["ranking"]
    assert table["outcome"].tolist()[1] == "undetermined"  # eight positives


def test_intervals_of_ranking_are_by_group():
    patients = np.repeat(np.arange(20), 10)
    plain, alone, grouped = (ranking(_labels_run(g)) for g in (None, np.arange(200), patients))
    one, two, three = (found.tables["ranking"].iloc[0] for found in (plain, alone, grouped))
    assert (two["auroc_low"], two["auroc_high"]) == pytest.approx((one["auroc_low"], one["auroc_high"]))
    assert three["auroc_high"] - three["auroc_low"] > one["auroc_high"] - one["auroc_low"]
    for measure in ("average_precision", "mean_probability", "mean_probability_positives"):
        ends = [row[f"{measure}_high"] - row[f"{measure}_low"] for row in (one, three)]
        assert ends[1] > ends[0]
    assert three["groups"] == 6 and "groups" not in one
    assert three["outcome"] == "undetermined"  # six patients with a positive
    assert any("groups, too few to tell" in line for line in grouped.lines().values())


def test_one_patient_with_all_positives_shows_next_to_nothing():
    everybody = np.r_[np.zeros(60, int), np.arange(1, 141)]
    row = ranking(_labels_run(everybody)).tables["ranking"].iloc[0]
    assert row["groups"] == 1
    assert row["auroc_low"] < 0.5 < 0.95 < row["auroc_high"]


def test_thresholds_state_what_they_rest_on():
    finding = ranking(_labels_run())
    table = finding.tables["ranking_thresholds"]
    assert table["few"].tolist() == [False, True]
    assert (table["precision_low"] < table["precision"]).all() and (table["precision"] < table["precision_high"]).all()
    assert any("Fewer than 10 val positives chose the threshold of b" in note for note in finding.notes)
    assert finding.summary["classes_enough"] == 1
    assert finding.summary["macro_auroc_enough"] == pytest.approx(finding.tables["ranking"]["auroc"][0])
    assert finding.lines()[""].startswith("The one class with enough positives: AUROC 0.")
    assert "With the 1 that has fewer than 10 positives, too few to tell: AUROC 0." in finding.lines()[""]
    row = finding.tables["ranking"].iloc[0]
    ends = [finding.summary[f"macro_auroc_enough_{end}"] for end in ("low", "high")]
    assert ends == pytest.approx([row["auroc_low"], row["auroc_high"]], abs=0.03)  # of this class alone
