"""Label suspects of multi-label runs: planted wrong labels, what is not judged, uncertain labels, the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from imblens.lenses import label_suspects
from imblens.lenses.label_suspects import suspect_scores
from imblens.report import audit
from imblens.run import UNKNOWN, Run


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels with 12 wrong ones in each of the two labels that the features show; the third is chance."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((400, 3)) < (0.4, 0.1, 0.3)).astype(int)
    features = rng.normal(size=(400, 6))
    features[:, :2] += 4 * truth[:, :2]
    flipped = np.zeros(truth.shape, dtype=bool)
    for label in range(2):
        for value in (0, 1):
            flipped[rng.choice(np.flatnonzero(truth[:, label] == value), 6, replace=False), label] = True
    return features, np.where(flipped, 1 - truth, truth), flipped


@pytest.fixture(scope="module")
def run() -> Run:
    features, labels, _ = planted()
    logits = 4.0 * features[:, :3] - 8
    return Run.from_arrays(
        train=(features, labels, logits),
        test=(features, labels, logits),
        classes=["a", "b", "chance"],
        task="multilabel",
    )


def test_planted_wrong_labels_come_first(run: Run) -> None:
    flipped = planted()[2]
    finding = label_suspects(run)
    table = finding.tables["label_suspects"].query("`class` != 'chance'")
    place = {name: i for i, name in enumerate(run.train.ids)}
    score = np.zeros((400, 2))
    for row in table.itertuples():
        score[place[row.id], "ab".index(row[2])] = row.score
    assert average_precision_score(flipped[:, :2].ravel(), score.ravel()) > 0.8
    assert (table["score"] > 0.5).all() and set(table["suggested"]) == {"present", "absent"}
    assert table["score"].is_monotonic_decreasing
    counts = finding.tables["label_suspect_counts"].set_index("class")
    assert (counts.loc[["a", "b"], "auroc"] > 0.8).all()
    columns = ["estimated", "estimated_low", "estimated_high"]
    assert counts.loc["a", columns[:2]].tolist() == [0, 0]  # test labels are wrong as often
    assert counts.loc[["b", "chance"], columns].isna().all(axis=None)  # b has fewer than 50 positives
    assert finding.summary["estimated"] == 0
    assert "compared with test instances of the label, at most" in finding.lines()["a"]


def test_planted_wrong_labels_are_counted_and_no_correct_ones() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for flips in (0, 0, 40, 40, 80, 80):
        truth = (rng.random((1600, 2)) < 0.4).astype(int)
        features = rng.normal(size=(1600, 6))
        features[:, :2] += 3 * truth
        given = truth[:900].copy()
        for value in (0, 1):
            own = np.flatnonzero(truth[:900, 0] == value)
            given[rng.choice(own, flips // 2, replace=False), 0] = 1 - value
        run = Run.from_arrays(train=(features[:900], given), test=(features[900:], truth[900:]), classes=["a", "b"])
        counts = label_suspects(run).tables["label_suspect_counts"].set_index("class")
        row = counts.loc["a"]
        covered += row["estimated_low"] <= flips <= row["estimated_high"]
        assert row["estimated"] == pytest.approx(flips, abs=20) and counts.loc["b", "estimated_low"] == 0
    assert covered >= 5


def test_a_network_that_is_better_on_its_training_positives_gives_lower_limits() -> None:
    features, labels, _ = planted()
    test = planted(1)
    learned, tested = 9.0 * labels - 4, 4.0 * test[0][:, :3] - 8
    run = Run.from_arrays(train=(features, labels, learned), test=(test[0], test[1], tested), classes=["a", "b", "c"])
    finding = label_suspects(run)
    counts = finding.tables["label_suspect_counts"].set_index("class")
    assert np.isnan(counts.loc["a", "estimated_high"]) and np.isfinite(counts.loc["a", "estimated_low"])
    assert any("are lower limits" in note for note in finding.notes)
    bare = label_suspects(Run.from_arrays(train=(features, labels), classes=["a", "b", "c"]))
    assert bare.tables["label_suspect_counts"]["estimated"].isna().all() and bare.summary["estimated"] is None
    assert any("it is a comparison with test instances" in note for note in bare.notes)


def test_labels_that_the_features_do_not_show_are_not_judged(run: Run) -> None:
    finding = label_suspects(run)
    row = finding.tables["label_suspect_counts"].set_index("class").loc["chance"]
    assert row["suspects"] == row["count"] == 0 and np.isnan(row["estimated"]) and np.isnan(row["auroc"])
    assert any("Not judged: chance" in note for note in finding.notes)


def test_uncertain_labels_and_labels_of_two_positives_are_not_judged() -> None:
    features, labels, _ = planted()
    labels[:, 2] = 0
    labels[:2, 2] = 1
    unknown = np.zeros(labels.shape, np.uint8)
    unknown[:50, 0] = 1
    table = pd.DataFrame({UNKNOWN: list(unknown)})
    run = Run.from_arrays(train=(features, labels), classes=["a", "b", "rare"], task="multilabel")
    part = replace(run.train.parts[0], table=table)
    run = replace(run, train=replace(run.train, parts=(part,)))
    counts = label_suspects(run).tables["label_suspect_counts"].set_index("class")
    assert counts.loc["a", "count"] == 350 and counts.loc["rare", "count"] == 0
    assert not set(label_suspects(run).tables["label_suspects"].query("`class` == 'a'")["id"]) & set(run.train.ids[:50])


def test_the_order_of_instances_does_not_matter(run: Run) -> None:
    features, labels, _ = planted()
    order = np.random.default_rng(1).permutation(400)
    again = Run.from_arrays(train=(features[order], labels[order]), classes=run.classes, task="multilabel")
    assert suspect_scores(again) == pytest.approx(suspect_scores(run)[order], abs=1e-6, nan_ok=True)


def test_the_page_shows_them(run: Run, tmp_path: Path) -> None:
    page = audit(run, lenses=["label_suspects"]).save(tmp_path / "out", figures=False)
    html = page.read_text(encoding="utf-8")
    assert "Which labels should be checked first?" in html and "present" in html
