"""Treatments of multi-label runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from imblens.errors import ImblensWarning, InputError, NotApplicable
from imblens.run import UNKNOWN, Head, Run
from imblens.treatments import treat, treatment_lines, treatment_summary, treatment_table
from imblens.treatments._one_vs_rest import _one_sided, one_label

NAMES = ["many", "few", "rare"]


def labelled(n: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return features and labels; each label has a direction of its own, blurred."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < [0.6, 0.2, 0.06]).astype(np.uint8)
    labels[:2] = [[1, 1, 1], [0, 0, 0]]
    features = np.hstack([1.5 * labels, np.zeros((n, 3))]) + rng.normal(size=(n, 6))
    return features.astype(np.float32), labels


def made(seed: int = 0, n: int = 400, **other: Any) -> Run:
    """Return a run whose head says yes too seldom to what is rare."""
    head = (np.eye(3, 6, dtype=np.float32), np.array([-0.3, -2.2, -4.2], np.float32))
    return Run.from_arrays(
        **{"train": labelled(n, seed), "test": labelled(n, seed + 1), "head": head, "classes": NAMES, **other}
    )


def with_unknown(run: Run, unknown: np.ndarray[Any, Any], split: str = "train") -> Run:
    latents = getattr(run, split)
    table = pd.DataFrame({UNKNOWN: list(unknown.astype(np.uint8))})
    part = replace(latents.parts[0], table=table)
    return replace(run, **{split: replace(latents, parts=(part,))})


def test_logit_adjustment_takes_the_odds_of_each_label_out_of_its_bias() -> None:
    run = made()
    better = treat(run, "logit_adjustment", tau=1)
    positives = run.train.labels.sum(axis=0)
    expected = run.head.bias - np.log(positives / (len(run.train) - positives))
    np.testing.assert_allclose(better.head.bias, expected, rtol=1e-5)
    np.testing.assert_array_equal(better.head.weight, run.head.weight)


def test_temperature_changes_no_answer() -> None:
    run = made()
    better = treat(run, "temperature", temperature=2)
    np.testing.assert_allclose(better.test.logits, run.test.logits / 2, rtol=1e-5)


@pytest.mark.parametrize("name", ["eos", "crt", "refit", "smote", "lws", "ncm", "logit_adjustment"])
def test_rare_labels_are_found_more_often(name: str) -> None:
    run = made()
    options = {"k_neighbors": 10} if name == "eos" else {"tau": 1} if name == "logit_adjustment" else {}
    better = treat(run, name, **options)
    table = treatment_table(run, better).set_index("class")
    if name != "lws":  # which can only stretch logits, whose signs stay where the bias is right
        assert table.loc["rare", "change_low"] > 0
        assert table.loc["rare", "recall_after"] > table.loc["rare", "recall_before"] + 0.3
    assert better.synthetic is None and set(better.meta["treatment"]["facts"]["labels"]) == set(NAMES)


def test_a_label_is_treated_without_regard_to_the_others() -> None:
    run = made()
    features, labels = labelled(400, 0)
    other = labels.copy()
    other[:, 0] = np.random.default_rng(5).permutation(other[:, 0])
    heads = [treat(made(train=(features, given)), "eos", k_neighbors=5).head for given in (labels, other)]
    np.testing.assert_array_equal(heads[0].weight[1:], heads[1].weight[1:])
    assert (heads[0].weight[0] != heads[1].weight[0]).any()
    zeros = (np.stack([np.zeros(6), run.head.weight[2]]), [0, run.head.bias[2]])
    alone = Run.from_arrays(train=(features, labels[:, 2].astype(int)), head=zeros, classes=["no", "rare"])
    two = treat(alone, "eos", k_neighbors=5).head
    np.testing.assert_allclose(heads[0].weight[2], two.weight[1] - two.weight[0], rtol=1e-6)


def test_uncertain_labels_do_not_count() -> None:
    unknown = np.random.default_rng(1).random((400, 3)) < 0.3
    features, labels = labelled(400, 0)
    heads = []
    for guess in (0, 1):
        given = np.where(unknown, guess, labels)
        run = with_unknown(made(train=(features, given)), unknown)
        assert (run.train.known == ~unknown).all()
        heads.append(treat(run, "crt").head)
    np.testing.assert_array_equal(heads[0].weight, heads[1].weight)
    known = ~unknown[:, 2]
    alone = Run.from_arrays(train=(features[known], labels[known, 2].astype(int)), classes=["no", "rare"])
    two = treat(alone, "crt").head
    np.testing.assert_allclose(heads[0].weight[2], two.weight[1] - two.weight[0], rtol=1e-5, atol=1e-6)


def test_a_label_that_cannot_be_treated_keeps_its_head_and_is_reported() -> None:
    features, labels = labelled(400, 0)
    labels[:, 1] = 0
    run = made(train=(features, labels))
    with pytest.warns(ImblensWarning, match="few keeps its head: no training instance is positive"):
        better = treat(run, "crt")
    np.testing.assert_array_equal(better.head.weight[1], run.head.weight[1])
    assert (better.head.weight[2] != run.head.weight[2]).any()
    assert any("few keeps its head" in line for line in treatment_lines(better))
    with pytest.raises(NotApplicable, match="none of the 3 labels can be treated"):
        treat(made(train=(features, np.ones_like(labels))), "crt")


def test_what_has_no_meaning_for_labels_is_refused() -> None:
    with pytest.raises(NotApplicable, match="competing rows; in multi-label runs"):
        treat(made(), "tau_norm")
    with pytest.raises(NotApplicable, match="has none"):
        treat(made(head=None), "temperature")
    with pytest.raises(InputError, match=r"\(n, C\) labels"):
        treat(made(), "logit_adjustment", validation=(labelled(50, 9)[0], np.zeros(50, int)))


def test_options_are_chosen_on_validation_label_by_label() -> None:
    better = treat(made(), "logit_adjustment", validation=labelled(300, 9))
    assert set(better.meta["treatment"]["facts"]["labels"]["rare"]["options"]) >= {"tau"}


def test_the_table_by_hand() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 0]], np.uint8)
    before = np.array([[1, -1], [-1, 1], [-1, -1], [1, -1], [-1, 1]], np.float32)
    after = np.array([[1, -1], [1, 1], [-1, 1], [1, -1], [-1, -1]], np.float32)
    features = np.random.default_rng(0).normal(size=(5, 2))
    runs = [
        Run.from_arrays(train=(features, labels), test=(features, labels, answers), classes=["a", "b"])
        for answers in (before, after)
    ]
    unknown = np.zeros((5, 2), bool)
    unknown[3, 0] = True
    runs = [with_unknown(run, unknown, "test") for run in runs]
    table = treatment_table(*runs).set_index("class")
    assert table["test_count"].tolist() == [2, 2]
    assert table.loc["a", ["recall_before", "recall_after", "specificity_before"]].tolist() == [0.5, 1, 1]
    assert table["before"].tolist() == pytest.approx([0.75, (0.5 + 2 / 3) / 2])
    assert table["after"].tolist() == [1, 1] and (table["change_high"] > 0).all()
    assert (table["change_low"] < 0).all()  # two instances that have a label prove nothing
    summary = treatment_summary(*runs).set_index("measure")
    assert summary.loc["balanced_accuracy", "after"] == 1 and summary.loc["auroc", "after"] == 1
    assert summary.loc["auroc", "before"] == pytest.approx(np.mean([3 / 4, 3.5 / 6]))
    assert summary.loc["macro_f1", ["before", "after"]].tolist() == pytest.approx([(2 / 3 + 1 / 2) / 2, 1])


def test_a_treated_run_is_stored_and_read(tmp_path: Path) -> None:
    better = treat(made(), "crt")
    again = Run.load(better.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.test.logits, better.test.logits)
    assert again.meta["treatment"]["name"] == "crt"


def test_a_loss_that_balances_is_reported() -> None:
    run = replace(made(), meta={"loss": "wbce"})
    with pytest.warns(ImblensWarning, match="^logit_adjustment: .*trained with wbce.*over-corrects"):
        better = treat(run, "logit_adjustment", tau=1)
    assert len(better.meta["treatment"]["notes"]) == 1  # once, not once a label


def test_labels_that_a_treatment_balanced_before_are_reported_once() -> None:
    run = treat(made(), "refit")
    with pytest.warns(ImblensWarning, match="refit has balanced this head already"):
        better = treat(run, "logit_adjustment", tau=1)
    notes = [note for note in better.meta["treatment"]["notes"] if "over-corrects" in note]
    assert len(notes) == 1  # once, not once a label
    kept = {**run.meta["treatment"], "facts": {"labels": {"few": {}}}}  # the others kept their rows
    run = replace(run, meta={**run.meta, "treatment": kept, "head_balanced": False})
    with pytest.warns(ImblensWarning, match="^few: logit_adjustment: refit has balanced this head already"):
        treat(run, "logit_adjustment", tau=1)


def test_a_row_that_puts_all_instances_on_one_side_is_not_used() -> None:
    weight, bias = np.eye(3, 6, dtype=np.float32), np.array([-0.3, -1.0, -1.0], np.float32)
    weight[1:] *= 0.01  # few and rare: all negative, and all positive once their log odds are taken out
    with pytest.warns(ImblensWarning) as caught:
        better = treat(made(head=(weight, bias)), "logit_adjustment", tau=1)
    notes = [str(warning.message) for warning in caught]
    assert len(notes) == 2 and all("recall 0% to 100%, specificity 100% to 0%" in note for note in notes)
    assert notes[0].startswith(
        "few keeps its head: logit_adjustment would put nearly all negatives above the threshold"
    )
    assert all(note.endswith("or try refit.") for note in notes)
    np.testing.assert_array_equal(better.head.bias[1:], bias[1:])
    assert better.head.bias[0] != bias[0]
    features, labels = labelled(400, 0)
    run = Run.from_arrays(train=(features, labels[:, 1:]), head=(weight[1:], bias[1:]), classes=NAMES[1:])
    with pytest.raises(NotApplicable, match=r"none of the 2 labels can be treated.*nearly all negatives above"):
        treat(run, "logit_adjustment", tau=1)
    assert (treat(run, "refit").head.bias != bias[1:]).all()


@pytest.mark.parametrize("name", ["refit", "best", "crt"])
def test_a_refit_that_is_refused_is_not_advised_again(name: str) -> None:
    run = one_label(made(), 1)  # as refused rows are judged
    missed = run.with_head(Head(np.zeros((2, 6), np.float32), np.array([1, 0], np.float32)), treatment={})
    text = _one_sided(run, missed, name)
    assert text.startswith(f"{name} would put nearly all positives below the threshold (on training, recall ")
    assert "to 0%" in text and text.endswith("of the lens ranking." if name != "crt" else "or try refit.")


def test_a_row_that_flips_the_validation_split_of_a_memorised_network_is_not_used() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(200)[:, None] < [100, 8]).astype(np.uint8)
    memorised = np.where(labels == 1, 9.0, -9.0) + rng.normal(0, 0.1, (200, 2))
    elsewhere = -1.0 + 0.5 * labels + rng.normal(0, 0.1, (200, 2))  # every logit below 0
    run = Run.from_arrays(
        train=(memorised, labels), val=(elsewhere, labels), test=(elsewhere + 0.01, labels),
        head=(np.eye(2), np.zeros(2)), classes=["even", "rare"],
    )  # fmt: skip
    with pytest.warns(
        ImblensWarning, match=r"rare keeps its head: logit_adjustment .*on the validation split, recall 0% to"
    ):
        better = treat(run, "logit_adjustment", tau=1)
    assert better.head.bias[1] == 0
    assert "rare keeps its head" in " ".join(treatment_lines(better))
