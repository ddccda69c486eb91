"""Listed test errors: by hand, against a loop over instances, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from imblens.errors import InputError, NotApplicable
from imblens.lenses import errors
from imblens.run import Run
from tests.lenses.made import captured_run, make_run


def test_against_a_loop_over_instances():
    run = make_run()
    finding = errors(run, k=3, per_pair=2)
    test = run.test
    expected: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for i in range(len(test)):
        chances = softmax(np.asarray(test.logits[i], dtype=float))
        if chances.argmax() != test.labels[i]:
            pair = (run.classes[test.labels[i]], run.classes[chances.argmax()])
            expected.setdefault(pair, []).append((float(chances.max()), str(test.ids[i])))
    pairs = finding.tables["error_pairs"].set_index(["class", "predicted"])
    assert pairs["count"].to_dict() == {pair: len(found) for pair, found in expected.items()}
    table = finding.tables["errors"]
    assert table["probability"].is_monotonic_decreasing
    for pair, found in expected.items():
        rows = table[(table["class"] == pair[0]) & (table["predicted"] == pair[1])]
        best = sorted(found, reverse=True)[:2]
        assert rows["id"].tolist() == [name for _, name in best] and len(rows) == pairs.loc[pair, "listed"]
        np.testing.assert_allclose(rows["probability"], [chance for chance, _ in best], rtol=1e-6)
    for row in table.to_dict("records"):
        own = run.test.features[test.ids.tolist().index(row["id"])]
        distance = np.linalg.norm(run.train.features.astype(float) - own, axis=1)
        assert row["neighbours"].split() == [str(run.train.ids[i]) for i in distance.argsort(kind="stable")[:3]]


def test_a_limit_gives_every_class_its_most_confident_error_first():
    whole = errors(make_run())
    names = whole.tables["errors"]["class"].nunique()
    assert whole.summary["listed"] > names > 3
    cut = errors(make_run(), limit=names)
    first = whole.tables["errors"].drop_duplicates("class")
    assert cut.tables["errors"]["id"].tolist() == first["id"].tolist()
    assert any("are listed: " in note for note in cut.notes)
    assert cut.tables["error_pairs"]["count"].tolist() == whole.tables["error_pairs"]["count"].tolist()


def test_under_a_limit_classes_are_listed_alike_and_frequent_pairs_more_often():
    """100 errors of a taken for b, four each for c, d and e; of f three, each taken for another class."""
    given = ["ab"] * 100 + ["ac"] * 4 + ["ad"] * 4 + ["ae"] * 4 + ["fa", "fb", "fc"]
    labels, taken_for = (np.array(["abcdef".index(pair[i]) for pair in given]) for i in (0, 1))
    logits = np.zeros((len(given), 6))
    logits[np.arange(len(given)), taken_for] = 1 + np.random.default_rng(0).permutation(len(given)) / 100
    features = np.random.default_rng(1).normal(size=(len(given), 2))
    run = Run.from_arrays(train=(np.eye(6), range(6)), test=(features[:, :2] @ np.eye(2, 6), labels, logits))
    pairs = errors(run, limit=11).tables["error_pairs"].set_index(["class", "predicted"])["listed"]
    assert pairs.groupby("class").sum().to_dict() == {"0": 8, "5": 3}
    assert pairs["0"].to_dict() == {"1": 5, "2": 1, "3": 1, "4": 1}  # 100, 25, 11, 6, 4, 4, 4, 4
    assert errors(run, per_pair=8).tables["error_pairs"]["listed"].tolist() == [8, 4, 4, 4, 1, 1, 1]
    assert errors(run).tables["error_pairs"]["listed"].tolist() == [100, 4, 4, 4, 1, 1, 1]  # fewer than the limit: all


def test_labels_by_hand():
    logits = np.array([[3.0, -1.0], [-2.0, 4.0]])
    run = Run.from_arrays(
        train=(np.eye(3), [[1, 0], [0, 1], [1, 1]]),
        test=(np.eye(3)[:2], [[1, 1], [1, 0]], logits),
        classes=("lung", "heart"),
        task="multilabel",
    )
    rows = errors(run, k=1).tables["errors"][["id", "class", "predicted", "probability", "neighbour_classes"]]
    assert rows.drop(columns="probability").values.tolist() == [
        ["1", "heart", "positive", "positive"],
        ["1", "lung", "negative", "negative"],
        ["0", "heart", "negative", "negative"],
    ]
    np.testing.assert_allclose(rows["probability"], expit([4.0, 2.0, 1.0]))


def test_labels_against_counts():
    run = captured_run(task="multilabel")
    pairs = errors(run).tables["error_pairs"]
    wrong = ~run.test.correct & run.test.known
    assert pairs["count"].sum() == wrong.sum()
    missed = pairs[pairs["predicted"] == "negative"].set_index("class")["count"]
    for i, name in enumerate(run.classes):
        assert missed.get(name, 0) == (wrong[:, i] & (run.test.labels[:, i] == 1)).sum()


def test_a_network_without_errors_has_empty_tables():
    run = Run.from_arrays(train=(np.eye(2), [0, 1]), test=(np.eye(2), [0, 1], np.eye(2)))
    finding = errors(run)
    assert all(len(table) == 0 for table in finding.tables.values())
    assert finding.summary["errors"] == 0 and finding.sentence() == "No test error."


def test_refusals():
    with pytest.raises(NotApplicable, match="test"):
        errors(Run.from_arrays(train=(np.eye(2), [0, 1])))
    with pytest.raises(InputError, match="per_pair=0"):
        errors(make_run(), per_pair=0)
