"""Suspected labels: by hand, precision on planted noise, edges."""

from __future__ import annotations

import numpy as np
import pytest

from imblens import Run
from imblens.errors import InputError, NotApplicable
from imblens.lenses import label_suspects


def blobs(seed, counts=(900, 500, 300, 60, 25), dim=8, apart=1.4, flip=0.06):
    """Overlapping Gaussian classes, some labels of them flipped, and a linear classifier trained on those labels."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(len(counts)), counts)
    features = rng.normal(size=(len(true), dim)) + apart * rng.normal(size=(len(counts), dim))[true]
    flipped = rng.random(len(true)) < flip
    labels = np.where(flipped, (true + rng.integers(1, len(counts), len(true))) % len(counts), true)
    model = LogisticRegression(max_iter=300).fit(features, labels)
    return features, labels, model.decision_function(features), true


def test_by_hand():
    # two tight groups; the third of "a" stands among "b", and the network answers b for it
    features = np.array([[0.0], [0.1], [9.95], [10.0], [10.1], [10.2], [0.2], [0.3]])
    labels = ["a", "a", "a", "b", "b", "b", "a", "a"]
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.25, 0.75], [0.2, 0.8], [0.2, 0.8], [0.2, 0.8], [0.9, 0.1], [0.9, 0.1]])
    finding = label_suspects(Run.from_arrays(train=(features, labels, logits), classes=["a", "b"]), k=2)
    table = finding.tables["label_suspects"]
    assert table["id"].tolist() == ["2"]
    row = table.iloc[0]
    assert (row["class"], row["suggested"], row["predicted"]) == ("a", "b", "b")
    assert row["neighbours"] == "3 4"
    assert row["neighbour_classes"] == "b, b"
    mean_a, mean_b = np.mean([0, 0.1, 9.95, 0.2, 0.3]), np.mean([10, 10.1, 10.2])
    away = np.array([9.95 - mean_a, 9.95 - mean_b]) ** 2
    assert row["score"] == pytest.approx((0.75 + away[0] / away.sum()) / 2, rel=1e-4)
    counts = finding.tables["label_suspect_counts"].set_index("class")
    assert counts.loc["a", "suspects"] == 1
    assert counts.loc["a", "share"] == pytest.approx(0.2)
    assert counts.loc["a", "often"] == "b"
    assert "Check the label of 2 first (its neighbours suggest b)" in finding.lines()["a"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_noise_comes_first(seed):
    features, labels, logits, true = blobs(seed)
    finding = label_suspects(Run.from_arrays(train=(features, labels, logits)))
    table = finding.tables["label_suspects"]
    rows = table["id"].astype(int).to_numpy()
    wrong = labels[rows] != true[rows]
    base = (labels != true).mean()
    assert base < 0.08
    assert wrong[:20].mean() >= 0.8
    assert wrong.mean() >= 5 * base
    half = len(wrong) // 2
    assert wrong[:half].mean() >= wrong[half:].mean()
    suggested = table["suggested"].astype(int).to_numpy()
    assert (suggested[wrong] == true[rows][wrong]).mean() >= 0.8


def test_the_score_helps_also_without_answers():
    features, labels, _, true = blobs(0)
    finding = label_suspects(Run.from_arrays(train=(features, labels)))
    table = finding.tables["label_suspects"]
    rows = table["id"].astype(int).to_numpy()
    assert (labels[rows] != true[rows])[:20].mean() >= 0.8
    assert table["predicted"].isna().all()
    assert any("Predictions are unknown" in note for note in finding.notes)


def test_only_outliers_of_large_classes_are_listed():
    features, labels, logits, _ = blobs(3)
    run = Run.from_arrays(train=(features, labels, logits))
    finding = label_suspects(run, per_class=10_000, limit=10_000)
    table = finding.tables["label_suspects"]
    counts = np.bincount(labels)
    large = counts >= np.median(counts)
    near = run.neighbours(5).indices
    outlier = (labels[near] != labels[:, None]).all(axis=1)
    assert sorted(table["id"].astype(int)) == np.flatnonzero(outlier & large[labels]).tolist()
    assert finding.summary["outliers_of_rare_classes"] == np.count_nonzero(outlier & ~large[labels])
    assert table["score"].between(0, 1).all()
    assert table["score"].is_monotonic_decreasing
    assert finding.summary["suspects"] == len(table) == finding.tables["label_suspect_counts"]["suspects"].sum()


def test_the_table_is_cut_per_class_and_in_all():
    features, labels, logits, _ = blobs(4, flip=0.2)
    run = Run.from_arrays(train=(features, labels, logits))
    whole = label_suspects(run, per_class=10_000, limit=10_000).tables["label_suspects"]
    cut = label_suspects(run, per_class=7, limit=16)
    table = cut.tables["label_suspects"]
    assert len(table) == 16
    assert table["class"].value_counts().max() == 7
    for name, rows in table.groupby("class"):
        assert rows["id"].tolist() == whole[whole["class"] == name]["id"].head(len(rows)).tolist()
    assert cut.summary["listed"] == 16
    assert cut.summary["suspects"] == len(whole)
    assert any(f"16 of {len(whole):,}" in note for note in cut.notes)


def test_order_and_scale_do_not_matter():
    features, labels, logits, _ = blobs(5)
    plain = label_suspects(Run.from_arrays(train=(features, labels, logits))).tables["label_suspects"]
    mixed = np.random.default_rng(0).permutation(len(labels))
    moved = label_suspects(Run.from_arrays(train=(8 * features[mixed], labels[mixed], logits[mixed])))
    other = moved.tables["label_suspects"]
    assert mixed[other["id"].astype(int)].tolist() == plain["id"].astype(int).tolist()
    np.testing.assert_allclose(other["score"], plain["score"], atol=1e-6)


def test_nothing_suspect():
    features = np.repeat([[0.0, 0.0], [50.0, 50.0]], 8, axis=0) + np.arange(16)[:, None] * 0.01
    finding = label_suspects(Run.from_arrays(train=(features, ["x"] * 8 + ["y"] * 8)))
    assert len(finding.tables["label_suspects"]) == 0
    assert list(finding.tables["label_suspects"].columns)[:4] == ["id", "class", "suggested", "score"]
    assert list(finding.lines()) == [""]
    assert finding.tables["label_suspect_counts"]["often"].isna().all()
    finding.charts()["label_suspects"].to_dict()


def test_absent_class_equal_features_and_few_instances():
    features = np.ones((4, 1))
    run = Run.from_arrays(train=(features, [0, 0, 2, 2], np.zeros((4, 3))), classes=["a", "gone", "c"])
    finding = label_suspects(run)
    assert finding.summary["k"] == 3
    assert finding.tables["label_suspect_counts"]["class"].tolist() == ["a", "c"]
    one = Run.from_arrays(train=(np.array([[0.0], [0.0]]), [0, 1], np.zeros((2, 2))), classes=["a", "b"])
    table = label_suspects(one).tables["label_suspects"]
    assert table["score"].tolist() == [0.5, 0.5]  # nothing tells them apart
    assert table["suggested"].tolist() == ["b", "a"]


def test_refusals():
    run = Run.from_arrays(train=(np.ones((3, 2)), [0, 1, 1]))
    for option in ("k", "per_class", "limit"):
        with pytest.raises(InputError, match=f"{option}=0"):
            label_suspects(run, **{option: 0})
    with pytest.raises(NotApplicable, match="this run is multi-label"):
        label_suspects(Run.from_arrays(train=(np.ones((3, 2)), np.eye(3, dtype=int))))
