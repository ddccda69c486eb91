"""Runs side by side: numbers by hand, intervals against simulation, and the page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from imblens.base.intervals import independent_change, mean_change, paired_change
from imblens.errors import ExistsError, InputError, ShapeError
from imblens.lenses import compare_class_features
from imblens.report import Comparison, compare
from imblens.run import Run, neighbour_graph, share_graph
from imblens.treatments import treatment_table
from tests.report.pages import parsed
from tests.report.runs import HOSTILE, make_run

LABELS = np.repeat([0, 1, 2], [40, 30, 10])
CLASSES = ("a", "b", "c")


def run_of(wrong: dict[int, int], *, seed: int = 0, ids: bool = True, classes=CLASSES, **meta) -> Run:
    """A run whose first `wrong[c]` test instances of class c are wrong; other `seed`s order the test split anew."""
    rng = np.random.default_rng(5)
    features = rng.normal(size=(len(LABELS), 3))
    answers = LABELS.copy()
    for label, count in wrong.items():
        rows = np.flatnonzero(LABELS == label)[:count]
        answers[rows] = (label + 1) % 3
    order = np.random.default_rng(seed).permutation(len(LABELS)) if seed else np.arange(len(LABELS))
    logits = np.eye(3)[answers]
    test = (features[order], LABELS[order], logits[order])
    run = Run.from_arrays(train=(features, LABELS, logits), test=test, classes=classes, meta=meta)
    return run


def test_changes_are_those_counted_by_hand():
    table = compare([run_of({0: 4, 2: 6}), run_of({0: 1, 2: 6, 1: 3})], names=["one", "two"]).tables["comparison"]
    two = table[table["run"] == "two"].set_index("class")
    assert two.loc["a", ["accuracy", "gained", "lost"]].tolist() == [39 / 40, 3, 0]
    assert two.loc["a", "change"] == pytest.approx(3 / 40)
    assert two.loc["b", ["gained", "lost"]].tolist() == [0, 3]
    assert two.loc["b", "change"] == pytest.approx(-0.1)
    assert two.loc["c", "change"] == 0
    assert two["paired"].all()
    assert (two["change_low"] < two["change"]).all()
    assert (two["change_high"] > two["change"]).all()
    one = table[table["run"] == "one"]
    assert one[["change", "change_low", "change_high", "gained", "lost"]].isna().all().all()
    assert one["train_count"].tolist() == [40, 30, 10]


def test_different_test_instances_are_compared_as_such():
    first, other = run_of({0: 4}), run_of({0: 1}, seed=3)
    found = compare([first, other], names=["one", "two"])
    assert not found.tables["comparison"]["paired"].any()
    assert any("different instances" in note for note in found.notes)
    assert found.tables["comparison"]["gained"].isna().all()
    paired = compare([first, run_of({0: 1})], names=["one", "two"]).tables["comparison"]
    wide = found.tables["comparison"].iloc[3]
    narrow = paired.iloc[3]
    assert wide["change"] == narrow["change"]
    assert wide["change_high"] - wide["change_low"] > narrow["change_high"] - narrow["change_low"]


def test_summary_follows_the_lens_and_the_mean_of_the_changes():
    runs = [run_of({0: 4, 2: 6}), run_of({0: 1, 2: 2})]
    found = compare(runs, names=["one", "two"])
    table = found.tables["comparison_summary"].set_index("run")
    recall = [39 / 40, 1.0, 8 / 10]
    assert table.loc["two", "balanced_accuracy"] == pytest.approx(np.mean(recall))
    assert table.loc["two", "change"] == pytest.approx(np.mean(recall) - np.mean([36 / 40, 1.0, 4 / 10]))
    assert table.loc["two", "change_low"] < table.loc["two", "change"] < table.loc["two", "change_high"]
    assert np.isnan(table.loc["one", "change"])
    assert found.findings[1]["class_accuracy"].summary["macro_f1"] == table.loc["two", "macro_f1"]


def test_a_flipped_run_is_reported_as_a_moved_threshold():
    labels = (np.arange(40)[:, None] % [2, 4] == 0).astype(int)
    features = np.random.default_rng(0).normal(size=(40, 3))
    runs = [
        Run.from_arrays(train=(features, labels, logits), test=(features, labels, logits), classes=["a", "b"])
        for logits in (np.full((40, 2), -1.0), np.full((40, 2), 1.0))
    ]
    lines = compare(runs, ["before", "after"]).verdict()
    moved = "a recall 0% to 100%, specificity 100% to 0%; b recall 0% to 100%, specificity 100% to 0%"
    assert lines[-1] == (
        "after: no statistically clear change in any class. A threshold moves, and nothing is separated better: "
        + moved
        + "."
    )


def test_verdict_states_who_gains_and_who_loses():
    found = compare([run_of({0: 20, 2: 2}), run_of({1: 15, 2: 2})], names=["one", "two"])
    first, second = found.verdict()
    assert first.startswith("two: balanced accuracy 76.7% (one: 76.7%), a change of +0.0 points")
    assert first.endswith("which may be due to chance.")
    assert second == ("two: 1 of 3 classes gains: a +50.0 points; 1 of 3 classes loses: b \u221250.0 points.")


def test_neighbours_of_runs_with_the_same_features_are_searched_once(tmp_path, monkeypatch):
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 10)
    run = make_run(n=120, per_test=4, dim=5)
    folders = [run.save(tmp_path / "run"), run.with_head(run.head).save(tmp_path / "treated")]
    searched = []

    def counted(features, *args, **options):
        searched.append(len(features))
        return neighbour_graph(features, *args, **options)

    monkeypatch.setattr("imblens.run._split.neighbour_graph", counted)
    before, after = (Run.load(folder) for folder in folders)
    compare([before, after])
    assert searched == [len(run.train)]
    np.testing.assert_array_equal(after.neighbours(5).indices, neighbour_graph(run.train.features, 5).indices)
    Run.load(folders[1]).neighbours(5)  # another command finds it in the folder of the treated run
    assert searched == [len(run.train)]
    other = Run.from_arrays(train=(run.train.features[:, ::-1], run.train.labels))
    share_graph(before.train, other.train)  # which has other features
    assert other.searched is None


def test_several_runs_are_stated_best_first():
    runs = [run_of({0: 20}), run_of({0: 10}), run_of({0: 2})]
    lines = compare(runs, names=["one", "two", "three"]).verdict()
    assert lines[0].startswith("three: balanced accuracy ")
    assert lines[1].startswith("three: ")
    assert lines[2].startswith("two: ")


def test_classes_that_not_all_have_are_left_out():
    other = run_of({0: 1}, classes=("a", "b", "d"))
    found = compare([run_of({0: 4}), other], names=["one", "two"])
    assert found.tables["comparison"]["class"].unique().tolist() == ["a", "b"]
    assert found.notes[0] == "Left out, because not every run has them: c, d."
    one, two = (row for _, row in found.tables["comparison_summary"].iterrows())
    per_class = found.tables["comparison"].groupby("run")["accuracy"].mean()
    assert (one["balanced_accuracy"], two["balanced_accuracy"]) == (per_class["one"], per_class["two"])
    assert two["change"] == pytest.approx(two["balanced_accuracy"] - one["balanced_accuracy"])
    assert np.isnan(one["macro_f1"]) and np.isnan(two["geometric_mean"])  # those are over a run's own classes
    assert "over the 2 classes that all test splits contain" in found.verdict()[0]


def test_test_splits_with_other_classes_are_compared_over_the_classes_of_both():
    logits = np.eye(3)[np.where(np.arange(len(LABELS)) % 4 == 0, (LABELS + 1) % 3, LABELS)]
    features = np.arange(2.0 * len(LABELS)).reshape(-1, 2)
    some = LABELS < 2
    train = (features, LABELS, logits)
    whole = Run.from_arrays(train=train, test=(features, LABELS, np.eye(3)[LABELS]), classes=CLASSES)
    part = Run.from_arrays(train=train, test=(features[some], LABELS[some], logits[some]), classes=CLASSES)
    found = compare([whole, part], names=["whole", "part"])
    one, two = (row for _, row in found.tables["comparison_summary"].iterrows())
    assert two["change"] == pytest.approx(two["balanced_accuracy"] - one["balanced_accuracy"])
    assert found.verdict()[0].startswith("part: balanced accuracy ")
    assert "over the 2 classes that all test splits contain" in found.verdict()[0]


def test_a_run_does_not_differ_from_itself():
    run = run_of({0: 20})
    found = compare([run, run], names=["one", "two"])
    rows = found.tables["comparison"].set_index("run")
    assert (rows.loc["two", "change"] == 0).all() and rows.loc["one", "change"].isna().all()
    assert "(one: 83.3%), a change of +0.0 points" in found.verdict()[0] and "nan" not in found.verdict()[0]


def labels_run(said, labels, *, names=("a", "b")) -> Run:
    """A run of two labels per instance whose test answers are given."""
    features = np.arange(2.0 * len(labels)).reshape(-1, 2)
    logits = np.where(np.asarray(said), 2.0, -2.0)
    return Run.from_arrays(train=(features, np.array(labels)), test=(features, np.array(labels), logits), classes=names)


def test_several_labels_are_compared_by_recall_and_specificity(tmp_path):
    labels = [[1, 0]] * 4 + [[0, 1]] * 10 + [[1, 1]] * 6
    then, now = np.zeros((20, 2)), np.array(labels)
    then[:4, 0] = then[4:, 1] = 1  # a: 4 of 10 found, none wrongly said; b is perfect
    now[4:14, 0] = [1, 1, *[0] * 8]  # a: all found, 2 of 10 wrongly said
    one, two = labels_run(then, labels), labels_run(now, labels)
    found = compare([one, two], names=["one", "two"])
    a, b = (row for _, row in found.tables["comparison"].iloc[2:].iterrows())
    assert (a["test_count"], a["recall"], a["specificity"], a["accuracy"]) == (10, 1.0, 0.8, pytest.approx(0.9))
    assert (a["change"], a["gained"], a["lost"], a["paired"]) == (pytest.approx(0.2), 6, 2, True)
    assert a["change_low"] < 0.2 < a["change_high"]
    assert (b["accuracy"], b["change"], b["gained"], b["lost"]) == (1, 0, 0, 0)
    assert b["change_low"] < 0 < b["change_high"]  # sixteen instances without a change are not certain
    pd.testing.assert_series_equal(
        found.tables["comparison"]["change"].iloc[2:],
        treatment_table(one, two)["change"],
        check_index=False,
    )
    summary = found.tables["comparison_summary"].set_index("run")
    assert summary.loc["two", "balanced_accuracy"] == pytest.approx(0.95)
    assert summary.loc["two", "change"] == pytest.approx(0.1)
    assert found.verdict()[0].startswith("two: balanced accuracy 95.0% (one: 85.0%), a change of +10.0 points [")
    page = found.save(tmp_path / "out").read_text()
    assert "nan" not in found.verdict()[0] and "Sensitivity from 40% to 100%" in page.replace(
        '<span class="nb">', ""
    ).replace("</span>", "")


def test_a_label_that_no_test_instance_has_is_not_compared():
    labels = [[1, 0]] * 3 + [[0, 0]] * 3
    found = compare([labels_run(np.zeros((6, 2)), labels), labels_run(labels, labels)])
    last = found.tables["comparison"].iloc[-1]
    assert np.isnan([last["accuracy"], last["change"], last["recall"]]).all() and last["specificity"] == 1


def test_order_of_classes_may_differ():
    base = run_of({0: 4, 2: 6})
    turned = Run.from_arrays(
        train=(base.train.features, 2 - base.train.labels, np.asarray(base.train.logits)[:, ::-1]),
        test=(base.test.features, 2 - base.test.labels, np.asarray(base.test.logits)[:, ::-1]),
        classes=CLASSES[::-1],
    )
    table = compare([base, turned], names=["one", "two"]).tables["comparison"]
    first, second = (table[table["run"] == name].reset_index(drop=True) for name in ("one", "two"))
    pd.testing.assert_frame_equal(
        first[["class", "test_count", "accuracy"]], second[["class", "test_count", "accuracy"]]
    )
    assert second["change"].tolist() == [0, 0, 0]


def test_class_without_test_instances_is_unknown():
    base = run_of({0: 4})
    rows = LABELS != 2
    bare = Run.from_arrays(
        train=(base.train.features, LABELS, base.train.logits),
        test=(base.test.features[rows], LABELS[rows], np.asarray(base.test.logits)[rows]),
        classes=CLASSES,
    )
    table = compare([base, bare], names=["one", "two"]).tables["comparison"]
    last = table.iloc[-1]
    assert last["class"] == "c" and last["test_count"] == 0
    assert np.isnan([last["accuracy"], last["change"], last["change_low"]]).all()


def test_without_test_split_the_rest_is_still_compared(tmp_path):
    bare = [
        Run(train=make_run(seed=s).train, test=None, head=make_run(seed=s).head, classes=make_run().classes)
        for s in (0, 1)
    ]
    found = compare(bare)
    assert "no accuracy can be compared" in found.verdict()[0]
    assert set(found.tables["comparison_measures"]["measure"]) >= {"weight_norm", "safe_share"}
    assert "What else changed" in found.save(tmp_path / "out").read_text()


def test_features_that_stay_vanish_and_appear_are_listed(tmp_path):
    features = np.array([[3.0, 1, 0, 0], [0, 0, 3, 1]])[LABELS % 2] + np.linspace(0, 0.1, len(LABELS))[:, None]
    weight = np.array([[2.0, 1, 0, 0], [0, 0, 2, 1], [0, 0, 0, 0.5]])
    first = Run.from_arrays(train=(features, LABELS), test=(features, LABELS), head=(weight, np.zeros(3)))
    weight = weight.copy()
    weight[0] = [2, 0, 0, 0]
    second = Run.from_arrays(train=(features, LABELS), test=(features, LABELS), head=(weight, np.zeros(3)))
    found = compare([first, second, second], names=["one", "two", "three"])
    direct = compare_class_features(first, second).tables
    for name, table in direct.items():
        wide = found.tables[name]
        assert wide["run"].tolist() == ["two"] * len(table) + ["three"] * len(table)
        pd.testing.assert_frame_equal(wide[wide["run"] == "two"].drop(columns="run"), table)
    assert any(note.startswith("two keeps ") for note in found.notes)
    found.save(tmp_path / "out")
    assert (tmp_path / "out" / "tables" / "feature_changes.csv").exists()
    assert "Which features stayed" in (tmp_path / "out" / "report.html").read_text()
    assert "feature_changes" not in compare([run_of({}), run_of({0: 1})]).tables  # without heads


def test_names_come_from_what_is_known(tmp_path):
    stored = run_of({0: 4}).save(tmp_path / "baseline")
    first = Run.load(stored)
    found = compare([first, run_of({0: 1}, treatment={"name": "eos"}), run_of({0: 2})])
    assert found.names == ("baseline", "eos", "run 3")
    twice = compare([run_of({}, treatment={"name": "eos"}), run_of({}, treatment={"name": "eos"})])
    assert twice.names == ("eos (1)", "eos (2)")


def test_bad_calls_state_what_is_wrong():
    run = run_of({})
    with pytest.raises(InputError, match=r"got 1 run\(s\)"):
        compare([run])
    with pytest.raises(ShapeError, match="1 names for 2 runs"):
        compare([run, run], names=["a"])
    with pytest.raises(InputError, match="names repeat: a, a"):
        compare([run, run], names=["a", "a"])
    with pytest.raises(InputError, match="no class in common"):
        compare([run, run_of({}, classes=("x", "y", "z"))])
    multi = Run.from_arrays(train=(np.ones((4, 2)) * np.arange(4)[:, None], np.eye(4, 3, dtype=int)))
    with pytest.raises(InputError, match="some runs are single-label, others multi-label"):
        compare([run, multi])


def test_paired_interval_covers_the_truth_in_simulation():
    rng = np.random.default_rng(0)
    n, trials = 60, 4000
    cells = rng.multinomial(n, [0.5, 0.2, 0.08, 0.22], size=trials)  # both right, gained, lost, both wrong
    low, high = paired_change(cells[:, 1], cells[:, 2], np.full(trials, n))
    covered = np.mean((low <= 0.12) & (high >= 0.12))
    assert 0.93 < covered < 0.98


def test_independent_interval_covers_the_truth_in_simulation():
    rng = np.random.default_rng(1)
    trials = 4000
    now, then = rng.binomial(50, 0.8, trials), rng.binomial(35, 0.6, trials)
    low, high = independent_change(now, np.full(trials, 50), then, np.full(trials, 35))
    covered = np.mean((low <= 0.2) & (high >= 0.2))
    assert 0.93 < covered < 0.98


def test_intervals_turn_with_the_order_of_the_runs():
    gained, lost, count = np.array([5, 0, 2]), np.array([1, 3, 2]), np.array([20, 9, 4])
    low, high = paired_change(gained, lost, count)
    low_back, high_back = paired_change(lost, gained, count)
    np.testing.assert_allclose(low, -high_back)
    np.testing.assert_allclose(high, -low_back)
    low, high = independent_change(gained, count, lost, count)
    low_back, high_back = independent_change(lost, count, gained, count)
    np.testing.assert_allclose(low, -high_back)
    assert np.isnan(paired_change(np.zeros(1), np.zeros(1), np.zeros(1))).all()


def test_mean_change_narrows_with_more_classes_and_skips_unknown():
    change = np.array([0.1, 0.1, np.nan, 0.1, 0.1])
    low, high = mean_change(change - 0.08, change + 0.04, change)
    assert (low, high) == pytest.approx((0.1 - 0.04, 0.1 + 0.02))
    assert np.isnan(mean_change(*[np.full(2, np.nan)] * 3)).all()


def test_saved_comparison(tmp_path):
    found = compare([make_run(), make_run(seed=4)], names=["one", "two"])
    report = found.save(tmp_path / "out")
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files >= {
        "report.html",
        "tables/comparison.csv",
        "tables/comparison_summary.csv",
        "tables/comparison_measures.csv",
        "figures/comparison.svg",
        "figures/comparison_change.png",
    }
    text = report.read_text()
    assert text.index("<h1") < text.index("<svg")
    with pytest.raises(ExistsError):
        found.save(tmp_path / "out")
    again = compare([make_run(), make_run(seed=4)], names=["one", "two"]).save(tmp_path / "again")
    assert again.read_bytes() == report.read_bytes()


def test_hostile_names_are_text(tmp_path):
    runs = [make_run(HOSTILE), make_run(HOSTILE, seed=2)]
    text = compare(runs, names=[HOSTILE[0], HOSTILE[1]]).save(tmp_path / "out", figures=False).read_text()
    tree = parsed(text)
    assert all(image["src"].startswith("data:image/") for image in tree.named("img"))  # drawings of our own
    assert len(tree.named("script")) == 3
    assert all(name in "".join(tree.text) for name in HOSTILE[:3])


def test_notebook_needs_no_script():
    found = compare([make_run(), make_run(seed=4)], names=["<b>", "two"])
    html = found._repr_html_()
    assert isinstance(found, Comparison)
    assert (
        'src="data:image/svg+xml' in html
        and "<svg" not in html
        and "<script" not in html
        and "<b>" not in html
        and "&lt;b&gt;" in html
    )


def test_maps_have_one_frame_and_runs_state_what_sets_them_apart(tmp_path):
    first = make_run(n=200, per_test=8)
    head = type(first.head)(first.head.weight * 1.5, first.head.bias * 0)
    treatment = {"name": "tau_norm", "chosen": {"options": {"tau": 0.7}}}
    other = first.with_head(head, treatment=treatment)
    trained = make_run(n=200, per_test=8, seed=1)
    found = compare([first, other], names=["before", "after"], draw_map=True)
    table = found.tables["common_map"]
    before, after = (table[table["run"] == name].set_index(["split", "id"])[["x", "y"]] for name in found.names)
    assert (before == after).all().all()
    assert {"common_map_0", "common_map_1"} <= set(found.charts())
    text = found.save(tmp_path / "out", figures=False).read_text()
    said = "".join(parsed(text).text)
    assert "The head was changed by tau_norm (tau=0.7, chosen on training data); the features are the same." in said
    assert "Map of before" in said and "Map of after" in said
    trained.meta["loss"] = "ldam"
    text = compare([first, trained], names=["before", "after"]).save(tmp_path / "trained", figures=False).read_text()
    assert "loss ce became ldam" in "".join(parsed(text).text)
    text = compare([first, first], names=["before", "after"]).save(tmp_path / "same", figures=False).read_text()
    assert "became" not in "".join(parsed(text).text)


def test_runs_of_other_instances_have_no_common_map():
    rng = np.random.default_rng(1)
    one, labels = run_of({}), np.repeat([0, 1, 2], [20, 12, 9])
    arrays = (rng.normal(size=(41, 2)), labels, np.eye(3)[labels])
    other = Run.from_arrays(train=arrays, test=arrays, classes=CLASSES)
    found = compare([one, other], names=["one", "other"], draw_map=True)
    assert found.maps is None and any(note.startswith("No common map: ") for note in found.notes)


@pytest.mark.parametrize(("worst", "shown"), [(0, {"a", "c"}), (1, {"a", "b", "c"})])
def test_charts_of_many_classes_show_the_largest_the_smallest_and_those_that_fell(monkeypatch, worst, shown):
    monkeypatch.setattr("imblens.comparison._compare.MANY_CLASSES", 2)
    monkeypatch.setattr("imblens.comparison._compare.ENDS", 1)
    monkeypatch.setattr("imblens.comparison._compare.WORST", worst)
    found = compare([run_of({0: 4, 1: 2, 2: 2}), run_of({0: 1, 1: 9, 2: 2})], names=["one", "two"])
    for chart in found.charts().values():
        rows = [row for rows in chart.to_dict()["datasets"].values() for row in rows]
        drawn = {row["class"] for row in rows if "class" in row}
        assert drawn == shown
    assert set(found.tables["comparison"]["class"]) == {"a", "b", "c"}
    assert any(
        note.startswith("Charts show the 1 largest and the 1 smallest classes, and the ") for note in found.notes
    )
