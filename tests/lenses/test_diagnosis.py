"""The diagnosis reads confusion as overlap only where no line between two classes would part them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from imblens.errors import NotApplicable
from imblens.lenses import Finding, diagnosis, headroom, ranking
from imblens.lenses.diagnosis import CAUSES, MEASURES, USUAL, equal_error_rate, lines
from imblens.lenses.headroom import NOTABLE
from imblens.run import Run

N = 400


def confused(apart: float) -> Run:
    """Return a run in which every instance of `b` is taken for `a` and none of `a` for `b`; `apart`: what lies between them."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], N)
    over = rng.normal(np.array([apart, -apart, 0, 0])[labels], 1.0)  # the logit of `a` over that of `b`
    biased = over - over[labels <= 1].min() + 1.0
    logits = np.full((4 * N, 4), -9.0)
    logits[:, 0], logits[:, 1] = biased, 0.0
    logits[labels == 2, 2] = logits[labels == 3, 3] = 99.0
    features = rng.normal(size=(4 * N, 8)) + 9 * np.eye(8)[np.where(labels == 1, 0, labels)]
    features[:, 7] = np.where(labels <= 1, over, 0.0)
    split = (features, labels, logits)
    return Run.from_arrays(train=split, test=split, classes=["a", "b", "c", "d"])


def causes(run: Run, name: str) -> list[str]:
    table = diagnosis(run).tables["diagnosis"]
    return table.loc[table["class"] == name, "cause"].tolist()


def test_confusion_to_one_side_is_overlap_where_no_line_parts_the_two() -> None:
    run = confused(apart=0.5)
    assert (run.test.predictions[run.test.labels == 1] == 0).all() and (
        run.test.predictions[run.test.labels == 0] == 0
    ).all()
    assert causes(run, "b")[0] == "overlap"
    table = diagnosis(run).tables["diagnosis"]
    assert "overlaps with a" in table.loc[table["class"] == "b", "evidence"].iloc[0]


def test_confusion_that_a_shifted_line_would_end_is_not_overlap() -> None:
    run = confused(apart=6.0)
    assert (run.test.predictions[run.test.labels == 1] == 0).all()
    assert "overlap" not in causes(run, "b")


@pytest.mark.parametrize("apart", [0.0, 0.7, 2.0, 9.0])
def test_equal_error_rate_is_where_the_roc_curve_meets_the_other_diagonal(apart: float) -> None:
    rng = np.random.default_rng(1)
    own, others = rng.normal(apart, 1, 300), rng.normal(0, 1, 200)
    false, true, _ = roc_curve(np.repeat([1, 0], [300, 200]), np.concatenate([own, others]), drop_intermediate=False)
    at = int(np.argmin(np.abs(1 - true - false)))
    assert equal_error_rate(own, others) == pytest.approx((1 - true[at] + false[at]) / 2, abs=0.005)
    assert equal_error_rate(own, others) == pytest.approx(equal_error_rate(own + 3, others + 3))


def test_a_class_without_training_instances_is_named_with_its_wrong_test_instances() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    features = rng.normal(size=(60, 4)) + 3 * np.eye(4)[labels]
    tested = np.concatenate([labels, [2, 2, 2]])
    answers = np.concatenate([labels, [0, 1, 2]])
    test = (np.concatenate([features, features[:3]]), tested, np.eye(4)[answers])
    run = Run.from_arrays(train=(features, labels, np.eye(4)[labels]), test=test, classes=["a", "b", "c", "d"])
    finding = diagnosis(run)
    assert not {"c", "d"} & set(finding.tables["diagnosis"]["class"])
    (said,) = [note for note in finding.notes if note.startswith("No training instance of c, d")]
    assert said.endswith("Of their 3 test instances, 2 are misclassified.")
    assert not any("No training instance" in note for note in diagnosis(confused(0.5)).notes)


def test_uncovered_test_instances_are_not_called_by_the_name_of_another_measure() -> None:
    evidence = [text for _, text in MEASURES["uncovered_range"](confused(0.5)).values()]
    assert evidence and all("it has hardly any training instance" in text and "gap" not in text for text in evidence)


def test_the_chart_names_causes_in_words_and_counts_in_the_singular() -> None:
    run = confused(apart=0.5)
    chart = diagnosis(run).charts()["diagnosis"].to_dict()
    assert "few_" not in str(chart) and "sub_concepts" not in str(chart)
    one = Run.from_arrays(train=(np.eye(3)[[0, 0, 1]], [0, 0, 1], np.eye(2)[[0, 0, 1]]), classes=["a", "b"])
    evidence = diagnosis(one).tables["diagnosis"].set_index("class")["evidence"]
    assert evidence["b"] == "1 instance to judge it by is too few to tell."


def labels_run(*, shift: float = 0.0, n_test: int = 200, informative: bool = True, val: bool = True) -> Run:
    """A multi-label run of three labels, the last of them rare; `shift` is added to every logit."""
    rng = np.random.default_rng(3)

    def split(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = (rng.random((n, 3)) < (0.6, 0.3, 0.1)).astype(int)
        features = np.hstack([labels, labels]) + rng.normal(0, 0.5, (n, 6))
        scores = 4 * features[:, :3] - 2 if informative else rng.normal(size=(n, 3))
        return features, labels, scores + shift

    classes = ("red", "white", "rare")
    if not val:
        return Run.from_arrays(train=split(300), classes=classes)
    return Run.from_arrays(train=split(300), test=split(n_test), val=split(150), classes=classes)


def test_a_label_with_a_threshold_that_is_too_high_names_the_recall_of_both_thresholds() -> None:
    run = labels_run(shift=-3)
    table = diagnosis(run).tables["diagnosis"].set_index("class")
    thresholds = ranking(run).tables["ranking_thresholds"].set_index("class")
    assert table["cause"].tolist() == ["threshold"] * 3 and table["treatment"].tolist() == ["refit"] * 3
    for name, row in table.iterrows():
        gain = thresholds.loc[name, "recall"] - thresholds.loc[name, "recall_at_half"]
        assert row["strength"] == pytest.approx(gain, abs=5e-4) and gain >= 0.1
        assert row["evidence"].startswith("0.5 is too high a threshold: it is ranked well (AUROC 0.9")
        assert "chosen on val" in row["evidence"]


def test_a_label_with_a_threshold_that_is_too_low_names_the_false_positive_rate() -> None:
    table = diagnosis(labels_run(shift=3)).tables["diagnosis"]
    low = table[table["evidence"].str.startswith("0.5 is too low a threshold: the false-positive rate is ")]
    assert len(low) and (low["cause"] == "threshold").all() and (low["strength"] > 0.5).all()


def test_a_label_that_is_ranked_badly_needs_data_and_no_threshold() -> None:
    run = labels_run(informative=False)
    table = diagnosis(run).tables["diagnosis"].drop_duplicates("class").set_index("class")
    auroc = ranking(run).tables["ranking"].set_index("class")["auroc"]
    assert table["cause"].tolist() == ["ranking"] * 3
    np.testing.assert_allclose(table["strength"], np.minimum(1, (0.8 - auroc) / 0.3).loc[table.index], atol=5e-4)
    assert table["evidence"].str.startswith("weak discrimination: AUROC 0.").all()
    finding = diagnosis(run)
    assert finding.lines()["red"].endswith("Try: more data or longer training.")
    assert finding.charts()["diagnosis"].to_dict()["layer"]
    assert finding.summary == {
        "first_causes": {"ranking": 3},
        "judged": ["ranking", "threshold", "overlap", "few_examples", "shortcut", "label_noise", "uncovered_range"],
    }


def test_labels_without_a_problem_or_with_few_positives_have_no_cause() -> None:
    assert diagnosis(labels_run()).tables["diagnosis"]["cause"].isin(["none found", "threshold"]).all()
    few = diagnosis(labels_run(n_test=12)).tables["diagnosis"].set_index("class")
    assert few.loc["rare", "cause"] == "too few to tell" and few.loc["rare", "strength"] == 0
    with pytest.raises(NotApplicable, match=r"^diagnosis: the run has no test split"):
        diagnosis(labels_run(val=False))


def advised(run: Run, name: str, cause: str, column: str = "treatment") -> str:
    table = diagnosis(run).tables["diagnosis"]
    return str(table.loc[(table["class"] == name) & (table["cause"] == cause), column].iloc[0])


def test_best_is_advised_against_overlap_whether_the_present_head_is_balanced_or_not() -> None:
    plain = confused(apart=0.5)
    assert advised(plain, "b", "overlap") == "best"
    assert advised(replace(plain, meta={**plain.meta, "loss": "weighted_ce"}), "b", "overlap") == "best"
    treated = {"name": "crt", "criterion": "balanced_accuracy"}
    assert advised(replace(plain, meta={**plain.meta, "treatment": treated}), "b", "overlap") == "best"


def test_one_treatment_of_the_head_is_advised_against_every_cause_in_a_head() -> None:
    assert {cause.treatment for cause in CAUSES if " " not in cause.treatment} == {USUAL["multiclass"]} == {"best"}


def test_no_head_is_advised_for_a_threshold_where_no_head_gains() -> None:
    rng = np.random.default_rng(2)

    def split(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = (rng.random((n, 2)) < 0.4).astype(int)
        features = rng.normal(size=(n, 6))
        features[:, 1] += 4 * labels[:, 1]  # nothing in them shows the first label; its logits do
        return features, labels, 4 * labels - 3.5 + rng.normal(size=(n, 2))

    run = Run.from_arrays(train=split(300), val=split(200), test=split(400), classes=["hidden", "shown"])
    table = headroom(run).tables["headroom"].set_index("class")
    gain = table[["best_head", "ceiling"]].max(axis=1) - table["accuracy"]
    assert gain["hidden"] < NOTABLE < gain["shown"]
    assert advised(run, "hidden", "threshold") == (
        "a threshold of its own where you predict (another head cannot help this label)"
    )
    assert advised(run, "hidden", "threshold", "evidence").endswith("Use that threshold where you predict.")
    assert advised(run, "shown", "threshold") == "refit"
    assert advised(run, "shown", "threshold", "evidence").endswith("where you predict, or balance the head.")


@pytest.mark.parametrize("balanced", [True, False])
def test_a_note_states_that_a_head_is_balanced_and_how_that_is_known(balanced: bool) -> None:
    counts, means = np.array([600, 60, 200]), np.array([[0.0, 0.0], [0.6, 0.0], [0.0, 6.0]])
    labels = np.repeat([0, 1, 2], counts)
    features = means[labels] + np.random.default_rng(0).normal(size=(len(labels), 2))
    bias = -(means**2).sum(axis=1) / 2 + (0 if balanced else np.log(counts / counts.sum()))
    bare = Run.from_arrays(train=(features, labels), head=(means, bias))
    for run, starts in (
        (bare, "Head balance: inferred." if balanced else ""),
        (replace(bare, meta={"head_balanced": True}), "Head balance: the head was stated to be balanced."),
        (replace(bare, meta={"head_balanced": False}), ""),
    ):
        notes = [note for note in diagnosis(run).notes if note.startswith("Head balance")]
        assert len(notes) == bool(starts)
        for note in notes:
            assert note.startswith(starts) and note.endswith("`logit_adjustment` would over-correct it.")


def test_no_head_is_advised_where_none_gains() -> None:
    def split(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1, 2], N)
        features = rng.normal(size=(3 * N, 6)).astype(np.float32)  # nothing in them separates a from b
        features[:, 0] += 9.0 * (labels == 2)
        logits = np.where(labels == 2, 9.0, -9.0)[:, None] * np.array([0.0, 0.0, 1.0])
        logits[:, 0] += rng.normal(0.1, 0.1, 3 * N)  # most are predicted as a
        return features, labels, logits

    run = Run.from_arrays(train=split(0), test=split(1), classes=["a", "b", "c"])
    gain = headroom(run).tables["headroom"].set_index("class")
    assert gain.loc["a", ["best_head", "ceiling"]].max() - gain.loc["a", "accuracy"] < NOTABLE
    assert advised(run, "a", "overlap").startswith(
        "more varied instances, with the network trained on them (another head"
    )
    assert advised(run, "b", "overlap") == "best"
    texts = replace(run.train.parts[0], table=pd.DataFrame({"preview": ["a short text"] * 3 * N}))
    assert advised(replace(run, train=replace(run.train, parts=(texts,))), "a", "overlap").startswith(
        "more varied texts,"
    )


def test_causes_that_are_nearly_as_strong_are_shown() -> None:
    rows = [("b", 0.2, "overlap", 0.9, "It overlaps with a.", "refit"), ("b", 0.2, "few_examples", 0.8, "Few.", "eos")]
    rows += [("b", 0.2, "label_noise", 0.3, "Wrong.", "check")]
    table = pd.DataFrame(rows, columns=["class", "accuracy", "cause", "strength", "evidence", "treatment"])
    text = lines(Finding({"diagnosis": table}, {}))["b"]
    assert text == "b: It overlaps with a. Try: refit. Nearly as strong: few examples (try: eos)."
