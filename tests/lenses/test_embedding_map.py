"""The map: who is on it, that neighbours stay neighbours, that it repeats, and that runs can share a frame."""

from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest

from imblens import Run
from imblens.errors import InputError, NotApplicable
from imblens.lenses import common_map, embedding_map
from imblens.lenses.embedding_map import map_chart, shown_class, thin
from imblens.run import Head, Part, Split


def make(seed=0, counts=(60, 30, 12), test=20, dim=6, logits=True, apart=8.0, classes=("oak", "elm", "yew")):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(counts), dim)) * apart
    labels = np.repeat(np.arange(len(counts)), counts)
    held = np.repeat(np.arange(len(counts)), test)
    features = centres[labels] + rng.normal(size=(len(labels), dim))
    shown = centres[held] + rng.normal(size=(len(held), dim))
    head = (centres, -(centres**2).sum(axis=1) / 2) if logits else None
    return Run.from_arrays(
        train=(features, labels), test=(shown, held) if test else None, head=head, classes=list(classes)
    )


def test_columns_and_who_is_on_it():
    run = make()
    finding = embedding_map(run)
    table = finding.tables["embedding_map"]
    assert table.columns.tolist() == ["id", "split", "class", "archetype", "correct", "x", "y"]
    assert len(table) == 102 + 60
    assert table["split"].tolist() == ["train"] * 102 + ["test"] * 60
    assert table["class"].tolist()[:102] == [run.classes[label] for label in run.train.labels]
    assert table.loc[table["split"] == "test", "archetype"].isna().all()
    assert table.loc[table["split"] == "train", "archetype"].isin(["safe", "border", "rare", "outlier"]).all()
    assert table["correct"].tolist() == [*run.train.correct, *run.test.correct]
    assert np.isfinite(table[["x", "y"]]).all(axis=None)
    assert finding.notes == ()


def test_separate_groups_stay_separate():
    table = embedding_map(make(seed=1)).tables["embedding_map"]
    places, names = table[["x", "y"]].to_numpy(), table["class"].to_numpy()
    away = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(away, np.inf)
    assert (names[away.argmin(axis=1)] == names).mean() > 0.97


def test_the_same_seed_gives_the_same_map_and_leaves_the_global_state_alone():
    run = make(seed=2)
    state = np.random.get_state()[1].copy()
    first = embedding_map(run).tables["embedding_map"]
    again = embedding_map(make(seed=2)).tables["embedding_map"]
    assert first.equals(again)
    assert (np.random.get_state()[1] == state).all()


def test_the_large_map_repeats_too(monkeypatch):
    """Large maps take the interpolation and several threads."""
    module = import_module("imblens.lenses.embedding_map.placing")
    for name, value in {"INTERPOLATED_ABOVE": 50, "EXAGGERATED": 20, "PLAIN": 20}.items():
        monkeypatch.setattr(module, name, value)
    first = embedding_map(make(seed=3)).tables["embedding_map"]
    again = embedding_map(make(seed=3)).tables["embedding_map"]
    assert first.equals(again)
    assert first["x"].nunique() > 100


def test_thinning_keeps_every_rare_instance():
    run = make(seed=4, counts=(400, 50, 12), test=30, apart=1.0)
    whole = embedding_map(run).tables["embedding_map"]
    finding = embedding_map(run, n_points=300)
    table = finding.tables["embedding_map"]
    assert len(table) == 300
    assert (table["class"] == "yew").sum() == 12 + 30
    sizes = table.groupby(["split", "class", "archetype"], dropna=False).size()
    before = whole.groupby(["split", "class", "archetype"], dropna=False).size()
    cut = sizes[sizes < before.loc[sizes.index]]
    assert len(cut)
    assert set(cut.index.get_level_values("archetype").dropna()) <= {"safe", "border"}
    assert cut.min() >= cut.max() - 1  # all cut groups to one size
    assert any("every rare and outlying one is kept" in note for note in finding.notes)
    assert "300 of 552 instances" in finding.lines()[""]


def test_more_rare_ones_than_a_group_may_hold_all_stay():
    groups = np.repeat([0, 1, 2], [500, 60, 40])
    hard = groups == 1
    rows = thin(groups, 150, 0, hard)
    assert np.bincount(groups[rows]).tolist() == [50, 60, 40]  # without `keep`, 55 of group 0 and 55 of group 1
    assert len(thin(groups, 100, 0, hard)) == 100  # more than half of the map: groups are cut alike
    run = make(seed=5, counts=(300, 300), apart=0.0, test=0, classes=("oak", "elm"))
    assert "rare and outlying ones" in embedding_map(run, n_points=60).notes[0]


@pytest.mark.parametrize("n", [1, 5, 40, 97, 100, 1000])
def test_thin(n):
    rng = np.random.default_rng(n)
    groups = rng.choice([0, 3, 7, 9], 100, p=[0.7, 0.2, 0.08, 0.02])
    rows = thin(groups, n, 0)
    assert len(rows) == min(n, 100)
    assert (np.diff(rows) > 0).all()
    if n >= 4:
        kept, all_of = np.bincount(groups[rows], minlength=10), np.bincount(groups, minlength=10)
        largest = kept.max()
        assert ((kept == all_of) | (kept >= largest - 1)).all()
    assert (thin(groups, n, 0) == rows).all()


def test_without_answers_and_without_a_test_split():
    table = embedding_map(make(logits=False, test=0)).tables["embedding_map"]
    assert table["correct"].isna().all()
    assert (table["split"] == "train").all()


@pytest.mark.parametrize("dim", [1, 2])
def test_few_dimensions(dim):
    table = embedding_map(make(dim=dim, counts=(10, 6, 4), test=3)).tables["embedding_map"]
    assert np.isfinite(table[["x", "y"]]).all(axis=None)


def test_features_that_are_all_equal():
    run = Run.from_arrays(train=(np.ones((12, 3)), [0] * 8 + [1] * 4))
    table = embedding_map(run).tables["embedding_map"]
    assert np.isfinite(table[["x", "y"]]).all(axis=None)


def test_many_copies_of_one_instance():
    features = np.concatenate([np.zeros((40, 3)), np.random.default_rng(0).normal(size=(20, 3)) + 5])
    table = embedding_map(Run.from_arrays(train=(features, [0] * 40 + [1] * 20))).tables["embedding_map"]
    assert np.isfinite(table[["x", "y"]]).all(axis=None)


def test_multilabel_shows_the_rarest_class():
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]] * 5 + [[1, 0, 1]])
    rng = np.random.default_rng(0)
    run = Run.from_arrays(train=(rng.normal(size=(21, 4)), labels, rng.normal(size=(21, 3))), classes=list("abc"))
    assert run.train.class_counts.tolist() == [16, 5, 6]
    finding = embedding_map(run)
    assert finding.notes == (
        "An instance has an archetype for each of its labels, so the map has none: see archetypes.",
    )
    table = finding.tables["embedding_map"]
    assert table["class"].tolist() == ["b", "a", "none", "c"] * 5 + ["c"]
    assert shown_class(run.train).tolist()[:4] == [1, 0, 3, 2]
    assert table["archetype"].isna().all()
    assert table["correct"].tolist() == run.train.correct.all(axis=1).tolist()


def test_refusals():
    run = make()
    with pytest.raises(InputError, match="n_points=9"):
        embedding_map(run, n_points=9)
    with pytest.raises(InputError, match=r"perplexity=0\.5"):
        embedding_map(run, perplexity=0.5)
    with pytest.raises(NotApplicable, match="a map of 4 instances"):
        embedding_map(Run.from_arrays(train=(np.ones((4, 2)), [0, 0, 1, 1])))


def test_chart_carries_every_point_once_and_colours_by_choice():
    run = make(classes=("safe", "wrong", '</script><b>"x'))
    finding = embedding_map(run)
    spec = finding.charts()["embedding_map"].to_dict()
    (points,) = spec["datasets"].values()
    assert len(points) == 162
    assert spec["params"][0]["bind"]["options"] == ["class", "archetype", "prediction", "split"]
    domain = spec["encoding"]["color"]["scale"]["domain"]
    assert len(set(domain)) == len(domain)  # a class called "safe" is not the archetype
    assert "archetype: safe" in domain
    assert "class: safe" in domain
    assert "script" in points[-1]["class"]  # the rarest is drawn last, on top


def test_legend_lists_what_occurs():
    finding = embedding_map(make())
    domain = finding.charts()["embedding_map"].to_dict()["encoding"]["color"]["scale"]["domain"]
    assert {"split: train", "split: test", "archetype: not in training", "prediction: misclassified"} <= set(domain)
    assert not {"split: synthetic", "prediction: unknown"} & set(domain)
    trained = finding.tables["embedding_map"].query("split == 'train'").assign(correct=None)
    domain = map_chart(trained).to_dict()["encoding"]["color"]["scale"]["domain"]
    assert not [
        key for key in domain if key.startswith("prediction") or key in ("split: test", "archetype: not in training")
    ]


@pytest.mark.parametrize("n", [3, 8, 9])
def test_up_to_eight_classes_differ_in_shape(n):
    run = make(counts=(12,) * n, test=2, classes=[f"kind {i}" for i in range(n)], apart=2.0)
    scale = embedding_map(run).charts()["embedding_map"].to_dict()["encoding"]["shape"]["scale"]
    shapes = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len({shapes[f"class: kind {i}"] for i in range(n)}) == (n if n <= 8 else 1)
    assert len({shape for key, shape in shapes.items() if key.startswith("archetype")}) == 5


def test_chart_of_many_classes_is_coloured_by_archetype():
    counts = (6,) * 30
    run = make(counts=counts, test=2, classes=[f"kind {i}" for i in range(30)], apart=2.0)
    spec = embedding_map(run).charts()["embedding_map"].to_dict()
    assert spec["params"][0]["value"] == "archetype"
    assert "kind 3" not in json.dumps(spec["encoding"])


def test_chart_renders():
    import vl_convert

    table = embedding_map(make(classes=("a'b", 'c"d', "{{7*7}}"))).tables["embedding_map"]
    image = vl_convert.vegalite_to_svg(map_chart(table).properties(width=300).to_dict())
    assert image.count("<path") > 150
    assert "{{7*7}}" in image


def treated(run):
    weight = run.head.weight.copy()
    weight[0] *= -1
    rng = np.random.default_rng(0)
    extra = run.train.features[-12:][rng.integers(0, 12, 15)] + rng.normal(size=(15, run.dim)).astype(np.float32) * 0.1
    head = Head(weight, run.head.bias)
    made = Split((Part(extra.astype(np.float32), np.full(15, 2)),), run.classes, "synthetic", head)
    return run.with_head(head, synthetic=made)


def test_a_run_and_its_treated_head_share_one_map():
    run = make(seed=5)
    after = treated(run)
    finding = common_map([run, after], names=["before", "after"])
    table = finding.tables["common_map"]
    parts = {name: part.reset_index(drop=True) for name, part in table.groupby("run", sort=False)}
    assert list(parts) == ["before", "after"]
    real = parts["after"][parts["after"]["split"] != "synthetic"]
    np.testing.assert_array_equal(parts["before"][["x", "y"]], real[["x", "y"]])
    assert (parts["before"]["correct"] != real["correct"]).any()
    added = parts["after"][parts["after"]["split"] == "synthetic"]
    assert len(added) == 15
    yew = parts["before"][parts["before"]["class"] == "yew"][["x", "y"]].mean()
    others = parts["before"][parts["before"]["class"] != "yew"][["x", "y"]]
    assert np.hypot(*(added[["x", "y"]].mean() - yew)) < np.hypot(*(others - yew).to_numpy().T).min()
    assert finding.summary["frame"] == ["same"]
    assert "share one map" in finding.lines()[""]
    for chart in finding.charts().values():
        chart.to_dict()


def test_another_network_keeps_the_frame():
    run = make(seed=6, apart=6.0)
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]

    def seen(split):
        return np.tanh(split.features @ turn / 6) + 0.02 * rng.normal(size=split.features.shape)

    mixed = rng.permutation(len(run.train))
    ids = mixed.astype(str)
    import pandas as pd

    other = Run(
        train=Split(
            (
                Part(
                    seen(run.train)[mixed].astype(np.float32), run.train.labels[mixed], None, pd.DataFrame({"id": ids})
                ),
            ),
            run.classes,
        ),
        test=Split((Part(seen(run.test).astype(np.float32), run.test.labels),), run.classes, "test"),
        head=None,
        classes=run.classes,
    )
    finding = common_map([run, other])
    table = finding.tables["common_map"]
    first, second = (part.set_index(["split", "id"]) for _, part in table.groupby("run", sort=False))
    second = second.loc[first.index]
    assert (first["class"] == second["class"]).all()
    assert finding.summary["frame"] == ["started"]
    centres = [part.groupby("class")[["x", "y"]].mean() for part in (first, second)]
    for name in run.classes:  # each class lies nearest to its own old place
        away = np.hypot(*(centres[0] - centres[1].loc[name]).to_numpy().T)
        assert centres[0].index[away.argmin()] == name


def test_strangers_have_no_common_map():
    with pytest.raises(InputError, match="shares 0 instances"):
        common_map([make(seed=7), make(seed=8, counts=(12, 30, 60))])
    with pytest.raises(InputError, match="1 run given"):
        common_map([make()])
    with pytest.raises(InputError, match="names"):
        common_map([make(), make()], names=["a", "a"])


def test_runs_of_which_one_has_no_test_split_do_not_share_one_map():
    run = make()
    alone = Run.from_arrays(train=(run.train.features, run.train.labels), classes=run.classes)
    for pair in ([run, alone], [alone, run]):
        assert common_map(pair).summary["frame"] == ["started"]
    assert common_map([alone, alone]).summary["frame"] == ["same"]
