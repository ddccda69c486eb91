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


def test_a_limit_gives_every_pair_its_most_confident_error_first():
    whole = errors(make_run())
    pairs = len(whole.tables["error_pairs"])
    assert whole.summary["errors"] > pairs > 3
    cut = errors(make_run(), limit=pairs)
    assert cut.tables["error_pairs"]["listed"].tolist() == [1] * pairs
    first = whole.tables["errors"].drop_duplicates(["class", "predicted"])
    assert cut.tables["errors"]["id"].tolist() == first["id"].tolist()
    assert any("are listed: " in note for note in cut.notes)


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
