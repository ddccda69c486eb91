"""The report of a multi-label run: what a reader of labels needs, and nothing that holds for single labels alone."""

from __future__ import annotations

import re

import numpy as np
import pytest

from imblens.lenses.diagnosis import USUAL
from imblens.report import audit, summary
from imblens.report._label_verdict import label_outcomes
from imblens.report._sentences import TREATMENTS
from imblens.run import Run

LENSES = ["class_accuracy", "co_occurrence", "archetypes", "ranking", "diagnosis"]


def labels_run(shift: float = 0.0) -> Run:
    """300 training and 200 test instances of three labels, the last of them rare; `shift` is added to every logit."""
    rng = np.random.default_rng(3)

    def split(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = (rng.random((n, 3)) < (0.6, 0.3, 0.1)).astype(int)
        features = np.hstack([labels, labels]) + rng.normal(0, 0.5, (n, 6))
        return features, labels, 4 * features[:, :3] - 2 + shift

    return Run.from_arrays(train=split(300), test=split(200), val=split(150), classes=("red", "white", "<rare>"))


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("labels") / "out"
    return audit(labels_run(), lenses=LENSES).save(out, figures=False).read_text()


def test_every_label_has_its_specificity_its_auroc_and_its_threshold(text):
    start = text.index('id="table-of-classes"')
    table = text[start : text.index("</table>", start)]
    assert re.findall(r'<th scope="col">(\w+)</th>', table) == [
        "Class",
        "Training",
        "AUROC",
        "Sensitivity",
        "Archetypes",
        "Threshold",
    ]
    assert table.count("specificity") == 6 and table.count("chosen on val; sensitivity ") == 3  # at 0.5, and at its own
    assert text.count("Specificity at 0.5") == 3 and "False positives" not in text
    assert "the accuracy: the share" not in text and "The large number is the AUROC" in text


def test_thresholds_are_a_table_of_their_own_and_no_other_charts(text):
    section = text[text.index('id="lens-ranking"') :]
    assert "Table: ranking_thresholds" in section
    assert section.count("Show as table") == 1  # of the areas; the chart of probabilities has none


def test_verdict_states_ranking_and_thresholds():
    lines = audit(labels_run(), lenses=LENSES).verdict()
    assert any(line.startswith("Mean over 3 classes: AUROC") and "chosen on val" in line for line in lines)


def test_the_cause_of_a_missed_label_and_a_treatment_are_stated(tmp_path):
    assert set(TREATMENTS) == set(USUAL.values())  # each is explained
    strict = audit(labels_run(shift=-3), lenses=LENSES)  # ranked as well as before, but 0.5 is out of reach
    why = next(line for line in strict.verdict() if line.startswith("Why: "))
    assert (
        "ranked well (AUROC 0.9" in why
        and "0.5 is too high a threshold" in why
        and "Try refit: a new head is fitted" in why
    )
    page = strict.save(tmp_path / "strict", figures=False).read_text()
    assert "imblens treat RUN --with refit --out RUN2" in page and 'href="#lens-ranking">threshold' in page
    lax = audit(labels_run(shift=3), lenses=LENSES).save(tmp_path / "lax", figures=False).read_text()
    assert "0.5 is too low a threshold" in lax
    run = labels_run()
    noise = np.random.default_rng(0).normal(size=run.test.logits.shape)
    blind = Run.from_arrays(
        train=(run.train.features, run.train.labels, run.train.logits),
        test=(run.test.features, run.test.labels, noise),
        classes=run.classes,
    )
    why = next(line for line in audit(blind, lenses=LENSES).verdict() if line.startswith("Why: "))
    assert "weak discrimination: AUROC 0." in why and "Try: more data or longer training" in why


def test_shared_patients_are_reported(tmp_path):
    run = labels_run()
    run.meta["data"] = {"shared_patients": {"train and test": 8, "train and val": 3}}
    sentence = "8 patients are in both the training and the test split"
    found = audit(run, lenses=["class_accuracy"])
    assert any(line.startswith(sentence) for line in found.verdict())
    assert sentence in found.save(tmp_path / "out", figures=False).read_text()


def test_an_operating_point_that_is_wrong_for_all_labels_is_the_headline():
    lines = audit(labels_run(shift=-30), lenses=LENSES).verdict()
    assert lines[0].startswith(
        "The threshold of 0.5 is unsuitable for all labels: almost nothing is predicted positive"
    )
    assert "mean sensitivity 0%" in lines[0] and "chosen on val, mean sensitivity" in lines[0]
    assert "with 0.5 for all labels 0.000" in " ".join(lines)
    lax = audit(labels_run(shift=30), lenses=LENSES).verdict()
    assert "almost everything is predicted positive" in lax[0]


def test_the_verdict_on_labels_is_on_discrimination_before_the_worst_label():
    found = summary(audit(labels_run(), lenses=LENSES))
    assert found["headline"].startswith("3 labels: mean AUROC 0.9")
    assert "(chance 0.5), mean average precision" in found["headline"] and "mean sensitivity" in found["headline"]
    assert found["statements"][0].startswith("Each label has ") and found["statements"][0].endswith("judge all 3.")
    assert found["statements"][1] == "Ranking by the interval of the AUROC: 3 good (<rare>, white, red)."
    areas = [row["auroc"] for name in found["order"] for row in found["class_table"] if row["class"] == name]
    assert areas == sorted(areas)
    assert found["next_worst"][0].startswith("<rare>: AUROC 0.9") and "at its threshold of" in found["next_worst"][0]


def test_evidence_comes_before_the_worst_label_and_its_reason(tmp_path):
    found = audit(labels_run(shift=-3), lenses=LENSES)
    stated = summary(found)
    lines, worst, why = stated["verdict"], stated["next_worst"][0], stated["reason"]
    assert why.startswith(f"Why: {stated['order'][0]}, ranked worst: ") and worst.startswith(
        f"{stated['order'][0]}: AUROC "
    )
    assert lines[: len(lines) - 3] == [stated["headline"], *stated["statements"]]
    assert lines[-3:] == [worst, why, stated["next_worst"][1]]
    page = found.save(tmp_path / "all", figures=False).read_text()
    assert 0 < page.index("Each label has ") < page.index('id="why"')
    of = audit(labels_run(shift=-3), lenses=LENSES, of="red")
    assert summary(of)["verdict"][1] == summary(of)["reason"] != ""
    page = of.save(tmp_path / "red", figures=False).read_text()
    assert 0 < page.index('id="why"') < page.index("Each label has ")


def test_labels_that_are_ranked_weakly_or_below_chance_need_help():
    run = labels_run()
    logits = np.array(run.test.logits)
    logits[:, 0] *= -1  # red below chance
    logits[:, 1] = np.random.default_rng(0).normal(size=len(logits))  # white at chance
    turned = Run.from_arrays(
        train=(run.train.features, run.train.labels),
        test=(run.test.features, run.test.labels, logits),
        classes=run.classes,
    )
    found = summary(audit(turned, lenses=LENSES))
    assert found["need_help"] == ["red", "white"]
    assert "1 good (<rare>); 1 weak (white); 1 below chance (red)" in " ".join(found["statements"])
    assert "If all 3 labels were ranked well, about 0.1 would be called weak by chance." in " ".join(
        found["statements"]
    )
    red = found["class_table"][0]
    assert red["ranking"] == "below chance" and "ranked below chance" in red["evidence"]


def test_labels_of_which_the_ranking_is_open_count_among_those_that_chance_calls_weak():
    names = "weak", "open", "rare"
    rankings = "weak", "undetermined", "undetermined"
    rows = [
        {
            "class": name,
            "multilabel": True,
            "auroc": 0.7,
            "accuracy": 0.5,
            "ranking": ranking,
            "too_few": name == "rare",
            "test_count": 9 if name == "rare" else 50,
            "test_groups": None,
        }
        for name, ranking in zip(names, rankings, strict=True)
    ]
    assert "If all 2 labels with 10 positives or more were ranked well, about 0.1 would" in label_outcomes(rows)


def test_evidence_counts_groups():
    run = labels_run()
    groups = {"test": np.arange(200) // 40}
    few = Run.from_arrays(
        train=(run.train.features, run.train.labels), test=(run.test.features, run.test.labels, run.test.logits),
        classes=run.classes, groups=groups, meta={"group": "patient"},
    )  # fmt: skip
    found = summary(audit(few, lenses=["class_accuracy", "ranking"]))
    assert "of 5 patients, among 200 test instances of 5 patients: enough to judge 0 of 3" in found["statements"][0]
    assert found["groups"] == {"test": 5} and found["group"] == "patient"
    assert any(
        line.startswith("Intervals are by patient (5 patients in the test split)") for line in found["statements"]
    )
    assert all(row["too_few"] and not row["needs_help"] for row in found["class_table"])


def few_positives_run(positives: tuple[int, int, int], n: int = 120) -> Run:
    """Labels with so many positives in every split; each patient has two instances, and each label has those of the first."""
    labels = (np.arange(n)[:, None] < positives).astype(int)
    features = np.hstack([labels, labels]) + np.random.default_rng(5).normal(0, 0.6, (n, 6))
    logits = 4 * features[:, :3] - 2
    logits[:, 2] *= -1  # the last label is ranked in reverse
    split = features, labels, logits
    groups = dict.fromkeys(("train", "val", "test"), np.arange(n) // 2)
    return Run.from_arrays(
        train=split, val=split, test=split, classes=("many", "some", "few"), groups=groups, meta={"group": "patient"}
    )


def test_without_a_label_that_can_be_judged_the_headline_states_it():
    stated = summary(audit(few_positives_run((18, 16, 14)), lenses=LENSES))
    assert stated["headline"].startswith("No label can be judged: none has positives of 10 patients or more. ")
    assert "All have fewer than 10 positives or groups of them: too few to tell." in " ".join(stated["statements"])


def test_an_unsuitable_threshold_is_stated_for_the_labels_that_can_be_judged():
    run = few_positives_run((60, 40, 18))
    parts = {name: (split.features, split.labels, np.asarray(split.logits) - 30) for name, split in run.splits.items()}
    groups = dict.fromkeys(parts, np.arange(120) // 2)
    low = Run.from_arrays(**parts, classes=run.classes, groups=groups, meta={"group": "patient"})
    headline = summary(audit(low, lenses=LENSES))["headline"]
    assert headline.startswith(
        "2 of 3 labels have positives of 10 patients or more and can be judged (many, some). The "
    )
    assert "0.5 is unsuitable for these labels: almost nothing is predicted positive" in headline
    assert "mean specificity 100%" in headline


def test_labels_that_can_be_judged_are_the_ones_on_the_cards(tmp_path):
    found = audit(few_positives_run((60, 40, 18)), lenses=LENSES)
    stated = summary(found)
    assert [row["too_few"] for row in stated["class_table"]] == [False, False, True]
    assert set(stated["order"][:2]) == {"many", "some"} and stated["order"][2] == "few"
    assert stated["headline"].startswith(
        "2 of 3 labels have positives of 10 patients or more and can be judged (many, some). 2 labels: mean AUROC 0.8"
    )
    assert "among 120 test instances of 60 patients: enough to judge 2 of 3" in stated["statements"][0]
    page = found.save(tmp_path / "out", figures=False).read_text()
    assert "The labels ranked worst of 2 with positives of 10 patients or more" in page
    cards = page[page.index('<ol class="cards">') : page.index("</ol>", page.index('<ol class="cards">'))]
    assert re.findall(r'data-choose="(\w+)"', cards) == stated["order"][:2]
    assert "120 training instances of 60 patients and 120 test instances of 60 patients, 3 classes" in page
    assert "chosen by only 18 positives of 9 patients" in page  # ten positives, yet few


def test_where_no_label_can_be_judged_more_test_instances_are_the_next_step(tmp_path):
    found = audit(few_positives_run((12, 18, 2)), lenses=LENSES)
    stated = summary(found)
    assert {row["cause"] for row in stated["class_table"]} == {"too few to tell"}
    assert stated["next_treatment"].startswith("more test instances that have the labels: none has enough")
    assert stated["commands"]["next"] == ""
    assert stated["order"] == ["some", "many", "few"]  # most patients first, whatever the AUROC of a few positives
    assert "The labels with most positives, too few to tell" in found.save(tmp_path / "out").read_text()
