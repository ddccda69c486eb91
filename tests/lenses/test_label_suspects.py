"""Suspected labels: by hand, precision on planted noise, order, edges."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from imblens import Run
from imblens.errors import InputError
from imblens.lenses import label_suspects
from imblens.lenses.label_suspects import class_evidence, suggested_labels, suspect_scores, wrong_labels


def blobs(seed, counts=(900, 500, 300, 60, 25), dim=8, apart=1.4, flip=0.06):
    """Overlapping Gaussian classes, some labels of them flipped, and a linear classifier trained on those labels."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(len(counts)), counts)
    features = rng.normal(size=(len(true), dim)) + apart * rng.normal(size=(len(counts), dim))[true]
    flipped = rng.random(len(true)) < flip
    labels = np.where(flipped, (true + rng.integers(1, len(counts), len(true))) % len(counts), true)
    model = LogisticRegression(max_iter=300).fit(features, labels)
    return features, labels, model.decision_function(features), true


def groups():
    """Two tight groups; instance 2 is labelled a and lies in b."""
    features = np.array([[0.0], [0.1], [9.95], [10.0], [10.1], [10.2], [0.2], [0.3]])
    return features, ["a", "a", "a", "b", "b", "b", "a", "a"]


def test_by_hand():
    features, labels = groups()
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.25, 0.75], [0.2, 0.8], [0.2, 0.8], [0.2, 0.8], [0.9, 0.1], [0.9, 0.1]])
    finding = label_suspects(Run.from_arrays(train=(features, labels, logits), classes=["a", "b"]), k=2)
    table = finding.tables["label_suspects"]
    assert table["id"].iloc[0] == "2"
    row = table.iloc[0]
    assert (row["class"], row["suggested"], row["predicted"]) == ("a", "b", "b")
    assert row["neighbours"] == "3 4"
    assert row["neighbour_classes"] == "b, b"
    assert row["score"] > 0.5 and not row["rare_class"]
    assert "Check the label of 2 first (suggested: b)" in finding.lines()["a"]


def test_classes_of_one_and_two_have_their_neighbours_only():
    # class c, a pair: 10 lies beside its fellow 11; class d, a pair: 12 in a, 13 in b; class e: one instance
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(0, 0.1, 20), rng.normal(9, 0.1, 20), [50, 50.1, 0.0, 9.0, 70]])[:, None]
    labels = np.array([0] * 20 + [1] * 20 + [2, 2, 3, 3, 4])
    run = Run.from_arrays(train=(features, labels), classes=["a", "b", "c", "d", "e"])
    finding = label_suspects(run)
    prior = run.train.class_counts / len(labels)
    scores = suspect_scores(run)
    # nearest neighbour of the same class: one count, and the prior's
    assert scores[40:42] == pytest.approx([1 - (1 + prior[2]) / 2] * 2)
    assert scores[42:44] == pytest.approx([1 - prior[3] / 2] * 2)
    assert np.isnan(scores[44]) and np.isfinite(scores[:44]).all()
    table = finding.tables["label_suspects"].set_index("id")
    assert table.loc[["42", "43"], "suggested"].tolist() == ["a", "b"]
    assert table.loc[["42", "43"], "rare_class"].all() == (run.train.class_counts[3] < finding.summary["large_from"])
    assert not {"40", "41", "44"} & set(table.index)
    assert any("classes of two" in note for note in finding.notes)
    assert any("only instance of a class cannot be judged" in note for note in finding.notes)


def test_score_is_that_of_two_fits_and_neighbours():
    """The same computation, written plainly with other folds, orders instances nearly alike."""
    features, labels, _, _ = blobs(1)
    n, n_classes = len(labels), 5
    standard = StandardScaler().fit_transform(features)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=300)
    at = np.arange(n)
    p = cross_val_predict(model, standard, labels, cv=folds, method="predict_proba")
    kept = ~((p.argmax(axis=1) != labels) & (p[at, labels] < 0.1))
    q = np.zeros_like(p)
    for fit, rest in folds.split(standard, labels):
        fit = fit[kept[fit]]
        q[rest] = model.fit(standard[fit], labels[fit]).predict_proba(standard[rest])
    near = NearestNeighbors(n_neighbors=21).fit(features).kneighbors(features)[1][:, 1:]
    shares = np.stack(
        [((labels[near] == c) & kept[near]).sum(axis=1) + (labels == c).mean() for c in range(n_classes)], 1
    )
    shares = shares / shares.sum(axis=1, keepdims=True)
    g = q**0.75 * shares**0.25
    plain = 1 - (g / g.sum(axis=1, keepdims=True))[at, labels]
    assert np.median(np.abs(suspect_scores(Run.from_arrays(train=(features, labels))) - plain)) < 0.005
    assert np.corrcoef(suspect_scores(Run.from_arrays(train=(features, labels))), plain)[0, 1] > 0.99


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_noise_comes_first(seed):
    features, labels, logits, true = blobs(seed)
    run = Run.from_arrays(train=(features, labels, logits))
    table = label_suspects(run).tables["label_suspects"]
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
    in_rare = labels >= 3
    assert average_precision_score((labels != true)[in_rare], suspect_scores(run)[in_rare]) > 0.8


def test_scores_need_no_predictions():
    features, labels, logits, _ = blobs(0)
    plain = label_suspects(Run.from_arrays(train=(features, labels)))
    table, known = plain.tables["label_suspects"], label_suspects(Run.from_arrays(train=(features, labels, logits)))
    assert table["score"].tolist() == known.tables["label_suspects"]["score"].tolist()
    assert table["predicted"].isna().all()
    assert any("Predictions of the network are unknown" in note for note in plain.notes)


def test_every_class_is_listed_and_rare_ones_are_marked():
    features, labels, logits, _ = blobs(3, flip=0.1)
    run = Run.from_arrays(train=(features, labels, logits))
    finding = label_suspects(run, per_class=10_000, limit=10_000)
    table, counts = finding.tables["label_suspects"], finding.tables["label_suspect_counts"]
    n = np.bincount(labels)
    assert list(table.columns) == [
        "id", "class", "suggested", "score", "neighbours", "neighbour_classes", "predicted", "rare_class",
    ]  # fmt: skip
    assert list(counts.columns)[:6] == ["class", "count", "suspects", "share", "often", "rare_class"]
    assert counts["rare_class"].tolist() == (n < np.median(n)).tolist()
    assert (table["rare_class"] == table["class"].astype(int).map(lambda c: n[c] < np.median(n))).all()
    assert table["rare_class"].sum() == finding.summary["suspects_of_rare_classes"] > 0
    assert (table["class"] != table["suggested"]).all()
    assert table["score"].between(0.5, 1).all()
    assert table["score"].is_monotonic_decreasing
    assert finding.summary["suspects"] == len(table) == counts["suspects"].sum()


def overlapping(seed, wrong=0.0):
    """Three classes that overlap, and a test split; a share of the training instances of the first are of the others."""
    rng = np.random.default_rng(seed)
    centres = 2.0 * np.eye(3, 6)

    def split(counts):
        labels = np.repeat(np.arange(3), counts)
        return (rng.normal(size=(len(labels), 6)) + centres[labels]).astype(np.float32), labels

    (features, labels), test = split((900, 500, 300)), split((400, 400, 400))
    planted = rng.choice(np.flatnonzero(labels != 0), round(wrong * 900 / (1 - wrong)), replace=False)
    given = labels.copy()
    given[planted] = 0
    return features, given, test, len(planted)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_no_label_is_wrong_none_is_estimated_though_classes_overlap(seed):
    features, labels, test, _ = overlapping(seed)
    finding = label_suspects(Run.from_arrays(train=(features, labels), test=test, classes=["a", "b", "c"]))
    counts = finding.tables["label_suspect_counts"]
    assert counts["suspects"].sum() > 100
    assert (counts["estimated_low"] == 0).all() and (counts["estimated"] < 0.03 * counts["count"]).all()
    assert finding.summary["estimated"] == pytest.approx(counts["estimated"].sum())
    assert "compared with test instances of the class, at most" in finding.lines()["a"]


def test_few_test_instances_of_many_overlapping_classes_are_not_taken_for_wrong_labels():
    rng = np.random.default_rng(0)
    centres = 0.5 * rng.normal(size=(30, 8))

    def split(n):
        labels = np.repeat(np.arange(30), n)
        return (rng.normal(size=(len(labels), 8)) + centres[labels]).astype(np.float32), labels

    run = Run.from_arrays(train=split(120), test=split(60))
    estimated, low, high = wrong_labels(run)
    assert (low > 0).sum() <= 3 and (low <= estimated).all() and (estimated <= high).all()


def test_planted_wrong_labels_are_in_the_interval():
    covered, found = 0, []
    for seed in range(6):
        features, labels, test, planted = overlapping(seed, wrong=0.2)
        finding = label_suspects(Run.from_arrays(train=(features, labels), test=test, classes=["a", "b", "c"]))
        row = finding.tables["label_suspect_counts"].set_index("class").loc["a"]
        assert 0 < row["estimated_low"] <= row["estimated"] <= row["estimated_high"] < 0.4 * row["count"]
        assert f"about {row['estimated']:,.0f} [" in finding.lines()["a"]
        covered += row["estimated_low"] <= planted <= row["estimated_high"]
        found.append(row["estimated"])
    assert covered >= 5 and np.mean(found) == pytest.approx(225, rel=0.15)


def test_wrong_labels_are_not_counted_without_test_instances_and_have_no_upper_limit_once_learned():
    features, labels, test, _ = overlapping(0, wrong=0.2)
    finding = label_suspects(Run.from_arrays(train=(features, labels), classes=["a", "b", "c"]))
    columns = ["estimated", "estimated_low", "estimated_high"]
    assert (
        finding.tables["label_suspect_counts"][columns].isna().all(axis=None) and finding.summary["estimated"] is None
    )
    assert any("it is a comparison with test instances" in note for note in finding.notes)
    assert "mislabelled" not in finding.lines()["a"]
    known, guessed = (
        5 * np.eye(3)[of] for of in (labels, np.roll(test[1], 300))
    )  # of the test split, a quarter is correct
    run = Run.from_arrays(train=(features, labels, known), test=(*test, guessed), classes=["a", "b", "c"])
    finding = label_suspects(run)
    counts = finding.tables["label_suspect_counts"].set_index("class")
    assert counts["estimated_high"].isna().all() and counts.loc["a", "estimated_low"] > 0
    assert any("are lower limits" in note for note in finding.notes)
    assert "at least" in finding.lines()["a"]


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


def test_order_of_instances_does_not_matter():
    features, labels, logits, _ = blobs(5)
    plain = suspect_scores(Run.from_arrays(train=(features, labels, logits)))
    mixed = np.random.default_rng(0).permutation(len(labels))
    moved = suspect_scores(Run.from_arrays(train=(features[mixed], labels[mixed], logits[mixed])))
    np.testing.assert_allclose(moved, plain[mixed], atol=1e-12)


def test_a_sample_is_fitted_where_there_are_many(monkeypatch):
    features, labels, _, true = blobs(6)
    monkeypatch.setattr(sys.modules["imblens.lenses.label_suspects.evidence"], "FITTED", 400)
    run = Run.from_arrays(train=(features, labels))
    finding = label_suspects(run)
    assert 390 <= finding.summary["fitted"] <= 420
    assert any("stratified sample of" in note for note in finding.notes)
    assert average_precision_score(labels != true, suspect_scores(run)) > 0.6


def test_single_precision_where_there_are_many_gives_the_same_evidence(monkeypatch):
    module = sys.modules["imblens.lenses.label_suspects.evidence"]
    features, labels, _, _ = blobs(6)
    lone, pair = (features[:1] + 9, [7]), (features[1:3] + 12, [8, 8])
    features, labels = np.concatenate([features, lone[0], pair[0]]), np.concatenate([labels, lone[1], pair[1]])
    plain = Run.from_arrays(train=(features, labels))
    scores = suspect_scores(plain)
    monkeypatch.setattr(module, "WORK", 250 * len(labels) * features.shape[1] * plain.n_classes)
    quick = Run.from_arrays(train=(features, labels))
    assert any("250 iterations instead of 300" in note for note in label_suspects(quick).notes)
    np.testing.assert_allclose(suspect_scores(quick), scores, atol=2e-5)
    np.testing.assert_array_equal(suggested_labels(quick), suggested_labels(plain))
    for rows, shares in class_evidence(quick):
        judged = ~np.isnan(scores[rows])
        np.testing.assert_allclose(
            1 - shares[judged, quick.train.labels[rows][judged]], scores[rows][judged], atol=2e-5
        )


def test_no_head_is_fitted_where_there_are_too_many_classes(monkeypatch):
    features, labels, _, _ = blobs(6)
    monkeypatch.setattr(sys.modules["imblens.lenses.label_suspects.evidence"], "LARGEST", 1000)
    run = Run.from_arrays(train=(features, labels))
    finding = label_suspects(run)
    assert finding.summary["fitted"] == 0
    assert any("scores use the neighbours only" in note for note in finding.notes)
    near = labels[run.neighbours(20).indices]
    shares = ((near == labels[:, None]).sum(axis=1) + np.bincount(labels)[labels] / len(labels)) / 21
    np.testing.assert_allclose(suspect_scores(run), 1 - shares)


def test_nothing_suspect():
    features = np.repeat([[0.0, 0.0], [50.0, 50.0]], 8, axis=0) + np.arange(16)[:, None] * 0.01
    finding = label_suspects(Run.from_arrays(train=(features, ["x"] * 8 + ["y"] * 8)))
    assert len(finding.tables["label_suspects"]) == 0
    assert list(finding.tables["label_suspects"].columns)[:4] == ["id", "class", "suggested", "score"]
    assert list(finding.lines()) == [""]
    assert finding.tables["label_suspect_counts"]["often"].isna().all()
    finding.charts()["label_suspects"].to_dict()


def test_absent_class_equal_features_and_few_instances():
    run = Run.from_arrays(train=(np.ones((4, 1)), [0, 0, 2, 2], np.zeros((4, 3))), classes=["a", "gone", "c"])
    finding = label_suspects(run)
    assert finding.summary["k"] == 3
    assert finding.tables["label_suspect_counts"]["class"].tolist() == ["a", "c"]
    equal = suspect_scores(Run.from_arrays(train=(np.ones((40, 3)), [0, 1] * 20)))
    assert np.isfinite(equal).all() and ((equal > 0.2) & (equal < 0.8)).all()
    pair = Run.from_arrays(train=(np.array([[0.0], [0.0]]), [0, 1], np.zeros((2, 2))), classes=["a", "b"])
    assert np.isnan(suspect_scores(pair)).all()
    assert len(label_suspects(pair).tables["label_suspects"]) == 0


def test_refusals():
    run = Run.from_arrays(train=(np.ones((3, 2)), [0, 1, 1]))
    for option in ("k", "per_class", "limit"):
        with pytest.raises(InputError, match=f"{option}=0"):
            label_suspects(run, **{option: 0})
