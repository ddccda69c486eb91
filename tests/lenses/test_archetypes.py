"""Safe, border, rare, outlier: by hand, against loops, and at the edges."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from imblens.errors import InputError, NotApplicable
from imblens.lenses import archetypes
from imblens.lenses.archetypes import ARCHETYPES, instance_archetypes, medoid, medoids
from imblens.run import Run
from tests.lenses.made import NAMES, TRAIN, archetype_instances, make_run
from tests.oracles import class_lenses_loop as oracle


def on_a_line(places, labels, **options):
    return Run.from_arrays(train=(np.array(places, dtype=float)[:, None], labels), **options)


def test_by_hand():
    #          a: 0 1 2 3 4 5, each with five neighbours of its own; b: two at 100, among no others; one at 2.5
    run = on_a_line([0, 1, 2, 3, 4, 5, 100, 101, 2.4], ["a"] * 6 + ["b"] * 3)
    finding, instances = archetypes(run), archetype_instances(run)
    kinds = instances["archetype"].tolist()
    # 0: neighbours 1 2 2.4 3 4 -> 4 of 5; 100: 101 5 4 3 2.4 -> 2 of 5; 2.4: 2 3 1 4 0 -> 0 of 5
    assert kinds == ["safe"] * 6 + ["border", "border", "outlier"]
    assert instances["same_class"].tolist() == [4, 4, 4, 4, 4, 4, 2, 2, 0]
    table = finding.tables["archetypes"].set_index(["class", "archetype"])
    assert table.loc[("a", "safe"), ["count", "share", "prototype"]].tolist() == [6, 1.0, "2"]
    assert table.loc[("a", "rare"), ["count", "share", "prototype"]].tolist() == [0, 0.0, None]
    assert table.loc[("b", "border"), ["count", "share"]].tolist() == pytest.approx([2, 2 / 3])
    assert table["accuracy"].isna().all()  # no predictions
    assert finding.summary["safe"] == pytest.approx(6 / 9)
    assert finding.lines()["b"].startswith("0% of the training instances of b are safe (3 instances, too few to tell)")


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7, 10])
def test_against_a_loop_at_any_k(k):
    run = make_run()
    same = oracle.same_class_counts(run.train.features, run.train.labels, k)
    instances = archetype_instances(run, k)
    assert instances["same_class"].tolist() == same
    assert instances["archetype"].tolist() == [oracle.kind(n, k) for n in same]
    assert [ARCHETYPES[code] for code in instance_archetypes(run, k)] == [oracle.kind(n, k) for n in same]
    assert instance_archetypes(run, k).dtype == np.int8


def test_five_neighbours_cut_as_the_paper_does():
    assert [oracle.kind(n, 5) for n in range(6)] == ["outlier", "rare", "border", "border", "safe", "safe"]


def test_table_against_a_loop():
    run = make_run()
    finding = archetypes(run)
    kinds = archetype_instances(run)["archetype"].to_numpy()
    right = run.train.predictions == run.train.labels
    rows = iter(finding.tables["archetypes"].to_dict("records"))
    for c, name in enumerate(NAMES):
        for archetype in ARCHETYPES:
            row = next(rows)
            assert (row["class"], row["archetype"]) == (name, archetype)
            cell = [i for i in range(len(kinds)) if run.train.labels[i] == c and kinds[i] == archetype]
            assert row["count"] == len(cell)
            assert row["share"] == pytest.approx(len(cell) / TRAIN[c])
            if not cell:
                assert np.isnan([row["accuracy"], row["accuracy_low"], row["accuracy_high"]]).all()
                assert row["prototype"] is None
                continue
            hits = int(sum(right[i] for i in cell))
            interval = binomtest(hits, len(cell)).proportion_ci(method="wilson")
            found = (row["accuracy"], row["accuracy_low"], row["accuracy_high"])
            assert found == pytest.approx((hits / len(cell), interval.low, interval.high))
            assert row["prototype"] == str(oracle.medoid(run.train.features.astype(np.float64), cell))


def test_shares_of_a_class_add_up_to_one():
    table = archetypes(make_run(seed=3)).tables["archetypes"]
    assert table.groupby("class")["share"].sum().to_numpy() == pytest.approx(1)
    assert table.groupby("class")["count"].sum()[list(NAMES)].tolist() == list(TRAIN)


def test_prototypes_are_ids_where_there_are_ids():
    run = make_run()
    ids = [f"image-{i}.png" for i in range(len(run.train))]
    part = replace(run.train.parts[0], table=pd.DataFrame({"id": ids}))
    named = replace(run, train=replace(run.train, parts=(part,)))
    plain = archetypes(run).tables["archetypes"]["prototype"]
    assert archetypes(named).tables["archetypes"]["prototype"].tolist() == [
        None if p is None else ids[int(p)] for p in plain
    ]


@pytest.mark.parametrize(
    "points",
    [
        np.random.default_rng(0).normal(size=(83, 5)),
        np.random.default_rng(1).integers(0, 2, size=(60, 3)).astype(float),
        np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]),
        np.vstack([np.random.default_rng(2).normal(size=(40, 4)), 1e9 * np.ones((1, 4))]),
        np.random.default_rng(3).normal(size=(30, 4)) * 1e-6 + 1e3,
        np.ones((9, 2)),
        np.ones((1, 2)),
    ],
    ids=["cloud", "lattice", "square", "outlier", "far away", "copies", "one"],
)
def test_medoid_against_a_loop(points):
    assert medoid(points, np.arange(len(points))) == oracle.medoid(points, range(len(points)))
    some = np.arange(len(points))[::2]
    assert medoid(points, some) == oracle.medoid(points, some.tolist())


def test_a_large_cell_is_drawn_from_and_the_draw_is_fixed(monkeypatch):
    monkeypatch.setattr(import_module("imblens.lenses.archetypes.medoids"), "MEDOID_SAMPLE", 50)
    points = np.random.default_rng(4).normal(size=(400, 3))
    found = {medoid(points, np.arange(400)) for _ in range(3)}
    assert len(found) == 1
    assert np.linalg.norm(points[found.pop()]) < np.median(np.linalg.norm(points, axis=1))


def test_fewer_instances_than_neighbours():
    run = on_a_line([0, 1, 5], ["a", "a", "b"])
    finding = archetypes(run)
    assert finding.summary["k"] == 2
    assert archetype_instances(run)["archetype"].tolist() == ["border", "border", "outlier"]  # 1 of 2 is at least 2/5
    assert any("Only 2 other instances" in note for note in finding.notes)


def test_copies_of_one_instance():
    run = on_a_line([3.0] * 9, ["a"] * 6 + ["b"] * 3)
    finding = archetypes(run)
    # the neighbours of a copy are the first five others, all of class a
    assert archetype_instances(run)["same_class"].tolist() == [5] * 6 + [0] * 3
    assert finding.tables["archetypes"].set_index(["class", "archetype"]).loc[("a", "safe"), "prototype"] == "0"


def test_a_class_that_training_lacks():
    run = on_a_line([0, 1, 2, 3], [0, 0, 2, 2], classes=["a", "b", "c"])
    table = archetypes(run).tables["archetypes"].set_index("class")
    assert table.loc["b", "count"].tolist() == [0] * 4
    assert table.loc["b", "share"].isna().all()
    assert "b" not in archetypes(run).lines()


def test_approximate_neighbours_are_reported():
    run = make_run()
    graph = run.neighbours(5)
    run.train.use_neighbours(replace(graph, exact=False, recall=0.913))
    assert any("91%" in note for note in archetypes(run).notes)


def test_charts_without_and_with_answers():
    with_answers = archetypes(make_run())
    assert set(with_answers.charts()) == {"archetypes", "archetype_accuracy"}
    without = archetypes(make_run(logits=False, head=False))
    assert set(without.charts()) == {"archetypes"}
    for chart in with_answers.charts().values():
        chart.to_dict()


def test_refusals():
    with pytest.raises(InputError, match="k=0"):
        archetypes(make_run(), k=0)
    with pytest.raises(NotApplicable, match="multi-label"):
        instance_archetypes(Run.from_arrays(train=(np.zeros((2, 1)), np.eye(2, dtype=int))))


@pytest.mark.parametrize(("n", "said"), [(59, True), (60, False)])
def test_many_features_for_few_instances_are_reported(n, said):
    rng = np.random.default_rng(0)
    run = Run.from_arrays(train=(rng.normal(size=(n, 6)), np.arange(n) % 2))
    assert any("6 features for 59 training instances are many" in note for note in archetypes(run).notes) == said


def test_labels_are_looked_at_one_by_one() -> None:
    """As many single questions: the members of a label have the archetypes that they have against all others."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(90, 3))
    labels = (features[:, :2] + rng.normal(size=(90, 2)) > [0, 1]).astype(int)
    answers = rng.normal(size=(90, 2)).astype(np.float32)
    run = Run.from_arrays(train=(features, labels, answers), classes=["a", "b"])
    found = archetypes(run)
    for c, name in enumerate("ab"):
        two = np.column_stack([np.zeros(90), answers[:, c]]).astype(np.float32)
        alone = archetypes(Run.from_arrays(train=(features, labels[:, c], two), classes=["other", name]))
        tables = [finding.tables["archetypes"] for finding in (found, alone)]
        pd.testing.assert_frame_equal(*(t[t["class"] == name].reset_index(drop=True) for t in tables))
    assert len(archetype_instances(run)) == labels.sum()
    found.charts()


def test_several_prototypes_show_the_ways_in_which_a_class_looks():
    rng = np.random.default_rng(0)
    kinds = np.repeat([0.0, 50.0, 100.0], [40, 25, 10])  # three ways in which class `many` looks
    features = np.concatenate([kinds[:, None] + rng.normal(size=(75, 3)), 500 + rng.normal(size=(9, 3))])
    run = Run.from_arrays(train=(features, ["many"] * 75 + ["one"] * 9))
    finding = archetypes(run, prototypes=3)
    table = finding.tables["prototypes"]
    many = table[table["class"] == "many"]
    assert many["count"].tolist() == [40, 25, 10] and many["archetype"].unique().tolist() == ["safe"]
    assert kinds[many["prototype"].astype(int)].tolist() == [0.0, 50.0, 100.0]
    assert many["share"].tolist() == pytest.approx([40 / 75, 25 / 75, 10 / 75])
    cells = finding.tables["archetypes"].set_index(["class", "archetype"])["count"]
    assert table.groupby(["class", "archetype"])["count"].sum().to_dict() == cells[cells > 0].to_dict()
    assert "prototypes" not in archetypes(run).tables


def test_no_other_instance_in_place_of_a_medoid_would_be_nearer():
    points = np.random.default_rng(3).normal(size=(30, 2))
    far = np.linalg.norm(points[:, None] - points, axis=-1)
    chosen, counts = medoids(points, np.arange(30), 3)
    least = far[:, chosen].min(axis=1).sum()
    swapped = [[*np.delete(chosen, i), other] for i in range(3) for other in range(30)]
    assert min(far[:, rows].min(axis=1).sum() for rows in swapped) == pytest.approx(least)
    assert counts.tolist() == np.bincount(far[:, chosen].argmin(axis=1))[[0, 1, 2]].tolist()


def test_fewer_instances_than_prototypes():
    run = on_a_line([0, 0, 0, 1, 9, 9], ["a"] * 4 + ["b"] * 2)
    table = archetypes(run, prototypes=5).tables["prototypes"]
    assert table["count"].sum() == 6 and table["prototype"].is_unique
    with pytest.raises(InputError, match="prototypes=0"):
        archetypes(run, prototypes=0)


def test_prototypes_of_a_large_cell_are_drawn_from_a_part_and_represent_all(monkeypatch):
    monkeypatch.setattr(import_module("imblens.lenses.archetypes.medoids"), "MEDOIDS_SAMPLE", 50)
    points = np.concatenate([np.zeros((300, 2)), np.ones((100, 2))]) + np.random.default_rng(0).normal(
        0, 0.01, (400, 2)
    )
    chosen, counts = medoids(points, np.arange(400), 2)
    assert counts.tolist() == [300, 100] and (chosen < 300).tolist() == [True, False]
