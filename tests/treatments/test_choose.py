"""Choosing options and the best of a list, never on the test split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imblens.errors import ImblensWarning, InputError, NotApplicable
from imblens.run import Run
from imblens.treatments import cross_validated, treat
from imblens.treatments._best import memorised_tau
from imblens.treatments._choose import Candidate, Score, Trial, class_mean, class_mean_error
from tests.treatments._runs import NAMES, balanced_accuracy, blobs, blobs_run


@pytest.mark.filterwarnings("ignore:temperature. training features", "ignore:best. unchanged stays")
def test_the_test_split_changes_nothing_that_is_chosen() -> None:
    run = blobs_run((300, 60, 20, 12))
    blind = replace(run, test=None)
    spoiled = blobs_run((300, 60, 20, 12), test=(blobs((30,) * 4, seed=8)[0], np.roll(blobs((30,) * 4, seed=8)[1], 7)))
    chosen = ("logit_adjustment", {}), ("temperature", {}), ("best", {"candidates": ["tau_norm", "eos", "crt"]})
    for name, options in chosen:
        heads = [treat(each, name, **options).head for each in (run, blind, spoiled)]
        for head in heads[1:]:
            np.testing.assert_array_equal(head.weight, heads[0].weight)
            np.testing.assert_array_equal(head.bias, heads[0].bias)


def test_widening_restores_errors_that_memorised_features_do_not_make() -> None:
    run = blobs_run((300, 60, 30, 20))
    plain = cross_validated(run, "logit_adjustment", {"tau": [0.0, 1.0]}, widen=1)
    wide = cross_validated(run, "logit_adjustment", {"tau": [0.0, 1.0]}, widen=3)
    assert wide.scores[0].balanced_accuracy < plain.scores[0].balanced_accuracy
    assert wide.where == "held-out training features (3 folds, 3 times as far from their class mean)"
    assert plain.where == "held-out training features (3 folds)"
    assert len(plain.labels) == 410  # every instance is held out once


def test_classes_of_one_and_two_instances() -> None:
    run = blobs_run((60, 20, 2, 1))
    trial = cross_validated(run, "eos", {"k_neighbors": [2, 3]}, folds=3)
    assert np.bincount(trial.labels, minlength=4).tolist() == [60, 20, 2, 0]
    assert trial.notes == ("dog: one training instance, so nothing could be held out to choose on.",)
    lonely = Run.from_arrays(train=(np.eye(3, dtype=np.float32), [0, 1, 2]), head=(np.eye(3), np.zeros(3)))
    with pytest.raises(NotApplicable, match="no class has two training instances"):
        treat(lonely, "logit_adjustment")


def test_class_means_and_their_error_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 2, 2])
    values = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    assert class_mean(values, labels) == pytest.approx((0.5 + 1.0) / 2)
    assert class_mean_error(values, labels) == pytest.approx(np.sqrt(0.25 / 4) / 2)


def trial(*correct: list[float]) -> Trial:
    labels = np.zeros(8, dtype=np.int64)
    scores = tuple(Score(float(np.mean(c)), 0.0, np.array(c), np.zeros(8)) for c in correct)
    return Trial(tuple(Candidate(None, {}, {}) for _ in correct), scores, labels, "here")


def test_the_published_value_stays_unless_it_is_clearly_beaten() -> None:
    low, close, clear = [1.0] * 4 + [0.0] * 4, [0.0] + [1.0] * 5 + [0.0] * 2, [1.0] * 8
    assert trial(low, close).best("balanced_accuracy") == 1
    assert trial(low, close).best("balanced_accuracy", keep=0) == 0
    assert trial(low, clear).best("balanced_accuracy", keep=0) == 1
    assert trial(low, low).best("balanced_accuracy") == 0


def test_chosen_values_are_recorded_with_what_was_tried() -> None:
    better = treat(blobs_run((400, 60, 25, 15)), "logit_adjustment")
    chosen = better.meta["treatment"]["chosen"]
    assert set(chosen["options"]) == {"tau"}
    assert better.meta["treatment"]["options"]["tau"] == chosen["options"]["tau"]
    assert len(chosen["tried"]) == 8
    assert all(0 < row["balanced_accuracy"] < 1 for row in chosen["tried"])
    fixed = treat(blobs_run((400, 60, 25, 15)), "logit_adjustment", tau=1)
    assert "chosen" not in fixed.meta["treatment"]


def test_a_temperature_without_held_out_instances_is_reported_as_a_guess() -> None:
    run = blobs_run((400, 60, 25, 15))
    with pytest.warns(ImblensWarning, match="this temperature is a guess"):
        treat(run, "temperature")
    held = blobs((200,) * 4, seed=55)
    better = treat(run, "temperature", validation=held)
    found = better.meta["treatment"]["options"]["temperature"]
    logits = run.head(held[0]).astype(np.float64)

    def nll(temperature: float) -> float:
        scaled = logits / temperature
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(800), held[1]]))

    best = min(np.geomspace(0.25, 16, 2000), key=nll)
    assert abs(np.log(found / best)) < 0.07


def test_best_states_which_won_and_by_how_much() -> None:
    run = blobs_run((400, 90, 40, 25), seed=1, test=blobs((300,) * 4, seed=2))
    better = treat(run, "best")
    facts = better.meta["treatment"]["facts"]
    assert balanced_accuracy(better) > balanced_accuracy(run)
    assert facts["memorised"] is False
    assert facts["verdict"].startswith(f"best: {facts['winner']} won with balanced accuracy ")
    assert "over the head as it is; tied: " in facts["verdict"] and facts["tied"]
    tried = {row["treatment"]: row["balanced_accuracy"] for row in facts["tried"]}
    assert list(tried) == [
        "unchanged", "refit (l2=0.004)", "refit (l2=0.02)", "refit (l2=0.1)", "refit (l2=0.5)", "crt", "random", "smote",
        *(f"eos (k_neighbors={k})" for k in (50, 200)), "ncm",
    ]  # fmt: skip
    assert facts["winner"] == max(tried, key=lambda name: tried[name])
    again = treat(run, facts["applied"], **facts["applied_options"])
    np.testing.assert_array_equal(again.head.weight, better.head.weight)


def test_best_keeps_a_head_that_nothing_beats() -> None:
    run = blobs_run((80, 80, 80, 80))
    with pytest.warns(ImblensWarning, match="best: unchanged stays: nothing on the list beat"):
        better = treat(run, "best", candidates=["logit_adjustment"])
    np.testing.assert_array_equal(better.head.weight, run.head.weight)


def test_best_of_named_candidates() -> None:
    run = blobs_run((400, 90, 40, 25), seed=1)
    facts = treat(run, "best", candidates="crt, tau_norm,adasyn").meta["treatment"]["facts"]
    names = [row["treatment"] for row in facts["tried"]]
    assert names == ["unchanged", "crt", "tau_norm (tau=0.5)", "tau_norm (tau=1.0)", "adasyn"]
    with pytest.raises(InputError, match="best cannot be its own candidate"):
        treat(run, "best", candidates=["best"])


@pytest.mark.filterwarnings("ignore:best. unchanged stays")
def test_best_passes_over_what_cannot_be_tried() -> None:
    features, labels = blobs((400, 90, 40, 1))
    run = Run.from_arrays(train=(features, labels), classes=NAMES)  # no head; SMOTE needs two instances
    with pytest.warns(ImblensWarning, match="dog: one training instance"):
        facts = treat(run, "best", widen=1).meta["treatment"]["facts"]
    failed = {row["treatment"]: row.get("failed", "") for row in facts["tried"]}
    assert "class 'dog' has 1 instance" in failed["smote"]
    assert failed["crt"] == ""


def test_best_on_validation_judges_the_heads_that_will_be_used() -> None:
    run = blobs_run((400, 90, 40, 25), seed=1)
    held = blobs((60,) * 4, seed=55)
    facts = treat(run, "best", validation=held).meta["treatment"]["facts"]
    assert facts["where"] == "240 held-out instances"
    unchanged = next(row for row in facts["tried"] if row["treatment"] == "unchanged")
    answers = run.head(held[0]).argmax(axis=1)
    assert unchanged["balanced_accuracy"] == pytest.approx(np.mean(answers == held[1]))


def memorised(counts: tuple[int, ...] = (300, 90, 40, 25), **more: object) -> Run:
    """A run whose training classes lie far apart, as those of a network that has memorised them."""
    features, labels = blobs(counts, seed=1, apart=9.0)
    return blobs_run(counts, train=(features, labels), test=None, **more)


def test_on_memorised_features_best_takes_what_transfers() -> None:
    better = treat(memorised(), "best")
    facts = better.meta["treatment"]["facts"]
    assert facts["applied"] == "logit_adjustment" and facts["memorised"] is True
    assert facts["verdict"].startswith("best: the network has memorised its training features")
    assert min(row["balanced_accuracy"] for row in facts["tried"]) > 0.9
    assert "Hold out instances to choose on" in facts["verdict"]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (memorised(meta={"loss": "wbce"}), "wbce has balanced the head"),
        (memorised(meta={"head_balanced": True}), "the head was stated to be balanced, so it stays"),
        (memorised((60, 60, 60, 60)), "classes are of similar size"),
    ],
)
def test_a_memorised_head_is_kept_without_evidence_for_a_change(run: Run, reason: str) -> None:
    with pytest.warns(ImblensWarning, match=reason):
        better = treat(run, "best")
    np.testing.assert_array_equal(better.head.weight, run.head.weight)
    np.testing.assert_array_equal(better.head.bias, run.head.bias)


def test_best_on_memorised_features_without_a_head_makes_one() -> None:
    facts = treat(memorised(head=None), "best").meta["treatment"]["facts"]
    assert facts["applied"] == "refit" and "there is no head to correct" in facts["verdict"]


def test_what_a_memorised_head_is_adjusted_by_grows_with_its_confidence() -> None:
    logits = np.array([[4.0, 0, 0], [8, 0, 0], [6, 0, 0], [0, 3, 1], [1, 0, 10.0]])  # margins 4, 8, 6; 2; 9
    run = Run.from_arrays(train=(np.eye(5), [0, 0, 0, 1, 2], logits), classes=["a", "b", "c"])
    assert memorised_tau(run) == pytest.approx((6 + 2 + 9) / 3 / 5, abs=0.01)
    taus = []
    for scale in (0.05, 0.2, 0.24):
        run = memorised()
        assert run.head is not None
        run = run.with_head(replace(run.head, weight=run.head.weight * scale, bias=run.head.bias * scale))
        taus.append(treat(run, "best").meta["treatment"]["facts"]["applied_options"]["tau"])
    assert taus[0] == 1 < taus[1] < 2.5 and taus[2] == pytest.approx(1.2 * taus[1], abs=0.02)


def test_the_first_of_equals_is_refit_at_its_best_penalty() -> None:
    run = blobs_run((3000, 900, 400, 250), seed=1)
    facts = treat(run, "best").meta["treatment"]["facts"]
    rows = {row["treatment"]: row for row in facts["tried"]}
    refits = {name: row["balanced_accuracy"] for name, row in rows.items() if name.startswith("refit")}
    assert facts["winner"] == max(refits, key=lambda name: refits[name])
    assert set(facts["tied"]) <= set(rows) - {"unchanged", facts["winner"]}
