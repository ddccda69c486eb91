"""Named classes in every run: counts by hand, bad input, charts, and maps of these classes alone."""

from __future__ import annotations

import re

import numpy as np
import pytest

from imblens.errors import InputError, MissingError
from imblens.lenses import common_map, feature_density, feature_overlap, map_panels
from imblens.report import Comparison, column_figure, compare
from imblens.run import Run
from imblens.treatments import treat
from tests.report.pages import parsed
from tests.report.runs import HOSTILE, make_run

LABELS = np.repeat([0, 1, 2], [12, 8, 4])
CLASSES = ("a", "b", "c")


def run_of(predicted: np.ndarray | None, *, seed: int = 0, head: bool = False) -> Run:
    features = np.abs(np.random.default_rng(seed).normal(size=(len(LABELS), 6))) + LABELS[:, None]
    logits = () if predicted is None else (np.eye(3)[predicted],)
    weight = (np.arange(18.0).reshape(3, 6), np.zeros(3)) if head else None
    return Run.from_arrays(
        train=(features, LABELS, *logits), test=(features, LABELS, *logits), head=weight, classes=CLASSES
    )


@pytest.fixture(scope="module")
def treated() -> list[Run]:
    first = make_run(n=200, per_test=8)
    return [first, treat(first, "smote", k_neighbors=2), treat(first, "eos", k_neighbors=150)]


def test_errors_of_a_class_are_those_counted_by_hand():
    one, two = LABELS.copy(), LABELS.copy()
    one[[20, 21, 22]] = [0, 0, 1]  # of c: two are taken for a, one for b
    one[0] = 2  # of a: one is taken for c
    two[20] = 1
    found = compare([run_of(one), run_of(two, seed=1)], names=["one", "two"], of="c")
    table = found.tables["class_errors"].set_index(["run", "other"])
    assert table["class"].eq("c").all()
    assert table.loc[("one", "a"), ["missed", "false_positives", "observed"]].tolist() == [2, 1, 2 / 3]
    assert table.loc[("one", "b"), ["missed", "false_positives", "observed"]].tolist() == [1, 0, 1 / 3]
    assert table.loc[("two", "a"), ["missed", "false_positives", "observed"]].tolist() == [0, 0, 0]
    assert table.groupby("run")["forecast"].sum().tolist() == pytest.approx([1, 1])
    assert {"class_missed_0", "class_false_positives_0", "class_forecast_0"} <= set(found.charts())


def test_numbers_of_features_that_do_not_fit_their_part_of_a_bar_are_left_out():
    """IML, Fig. 6: of class c one feature has nearly all of the sum of means, the parts of the other five are slivers."""
    features = np.full((24, 6), 1.0) + np.arange(6) / 10
    features[LABELS == 2, 4] = 900.0
    run = Run.from_arrays(
        train=(features, LABELS), test=(features, LABELS), head=(np.eye(3, 6), np.zeros(3)), classes=CLASSES
    )
    chart = compare([run, run_of(LABELS)], names=["one", "two"], of="c").charts()["class_strongest_0"]
    drawn = chart.to_dict()
    text = drawn["layer"][1]["encoding"]["text"]["condition"]
    assert (text["test"], text["field"]) == ("datum.share * width > datum.pixels", "text")
    written = re.findall(r"<text [^>]*font-size=\"\d+px\"[^>]*>(\d+)</text>", column_figure("x", chart)["svg"].decode())
    assert len(written) == 5 * 6 + 1


def test_shared_features_and_densities_are_those_of_the_lenses():
    runs = [run_of(LABELS), run_of(LABELS, seed=1)]
    tables = compare(runs, names=["one", "two"], of=["b", "c"]).tables
    for run, name in zip(runs, ("one", "two"), strict=True):
        pairs = feature_overlap(run).tables["feature_overlap_pairs"].set_index(["class", "other"])["shared"]
        errors = tables["class_errors"]
        for row in errors[errors["run"] == name].itertuples():
            assert row.shared == pairs[(row[2], row.other)]
        density = feature_density(run).tables["feature_density"]
        expected = density[(density["reference"] == "c") & (density["adversary"] != "c")]
        ours = tables["class_density"]
        ours = ours[(ours["run"] == name) & (ours["class"] == "c")]
        for column in ("adversary", "feature", "ratio", "rate_ratio"):
            assert ours[column].tolist() == expected[column].tolist()
    strongest = tables["class_strongest"]
    assert strongest.loc[strongest["class"] == strongest["other"], "shared"].all()


def test_the_bars_of_densities_say_whose_they_are():
    runs = [run_of(LABELS), run_of(LABELS, seed=1)]
    two = compare(runs, names=["one", "two"], of="c").charts()["class_density_0"].to_json()
    assert '"feature in one / two;"' in two and '"bars of a class in this order"' in two


def test_runs_with_the_same_features_show_them_once(treated):
    found = compare(treated, names=["before", "smote", "eos"], of="truck")
    assert found.tables["class_density"]["run"].unique().tolist() == ["before"]
    assert "smote has the features of before, so these are shown once." in found.notes
    assert found.tables["class_strongest"]["run"].unique().tolist() == ["before"]
    assert found.tables["class_errors"].groupby("run", sort=False)["shared"].sum().nunique() == 1


def test_runs_without_head_or_predictions_state_what_is_missing():
    found = compare([run_of(LABELS), run_of(None)], names=["one", "two"], of="c")
    table = found.tables["class_errors"]
    assert table.loc[table["run"] == "two", ["missed", "false_positives", "observed"]].isna().all().all()
    assert "two: without predictions on a test split there are no observed errors." in found.notes
    assert "class_strongest_0" in found.charts()


def test_labels_have_no_confusion_but_features():
    labels = (np.arange(40)[:, None] % [2, 4] == 0).astype(int)
    features = np.abs(np.random.default_rng(0).normal(size=(40, 3)))
    runs = [
        Run.from_arrays(train=(features, labels, logits), test=(features, labels, logits), classes=["a", "b"])
        for logits in (labels - 0.5, 0.5 - labels)
    ]
    found = compare(runs, ["before", "after"], of="a")
    assert found.tables["class_errors"]["missed"].isna().all()
    assert any("multi-label" in note for note in found.notes)
    assert not {"class_missed_0", "class_forecast_0"} & set(found.charts())


@pytest.mark.parametrize(
    ("of", "error"), [("truk", MissingError), (["a", "a"], InputError), (["a", "d"], MissingError)]
)
def test_classes_that_cannot_be_shown_are_refused(of, error):
    runs = [run_of(LABELS), run_of(LABELS, seed=1)]
    with pytest.raises(error, match=r"class '(truk|a|d)'"):
        compare(runs, names=["one", "two"], of=of)


def test_maps_of_two_classes_hold_these_alone_with_synthetic_instances(treated, tmp_path, monkeypatch):
    found = compare(treated[::2], names=["before", "eos"], of=["automobile", "truck"], draw_map=True)
    assert found.maps is not None
    table = found.maps.tables["common_map"]
    assert set(table["class"]) == {"automobile", "truck"}
    counts = table.groupby("run")["split"].value_counts()
    train = treated[0].train
    classes = [train.classes.index(name) for name in ("automobile", "truck")]
    assert counts["before", "train"] == np.isin(train.labels, classes).sum()
    assert "test" not in counts["eos"]  # as in the paper: training and synthetic instances
    assert "synthetic" not in counts["before"] and counts["eos", "synthetic"] > 0
    assert {"class_density_1", "class_strongest_0", "common_map_1"} <= set(found.charts())
    monkeypatch.setattr(Comparison, "charts", lambda self: {})  # the panels alone are drawn
    report = found.save(tmp_path / "out", figures=False, papers=True)
    text = report.read_text()
    assert "What is truck confused with, and why?" in "".join(parsed(text).text)
    assert "imblens compare RUN1 RUN2 --class automobile --class truck --out DIR" in text
    for kind in ("svg", "png", "pdf"):
        assert (tmp_path / "out" / "papers" / f"class_map.{kind}").stat().st_size > 1000


def test_a_map_needs_classes_that_exist_and_instances(treated):
    with pytest.raises(MissingError, match="no class 'lorry'"):
        common_map(treated, classes=["lorry"])
    with pytest.raises(InputError, match="maps are of all classes"):
        map_panels(common_map(treated))
    few = compare([run_of(LABELS), run_of(LABELS, seed=1)], names=["one", "two"], of=["b", "c"], draw_map=True)
    assert few.maps is not None


def test_class_names_are_text_in_the_page_and_in_the_command(tmp_path):
    names = (HOSTILE[0], "it's", "constructor")
    runs = [make_run(names, n=60, per_test=4), make_run(names, n=60, per_test=4, seed=2)]
    text = compare(runs, names=["one", "two"], of=names).save(tmp_path / "out", figures=False).read_text()
    tree = parsed(text)
    assert len(tree.named("script")) == 3 and "onerror" not in {key for _, tag in tree.tags for key in tag}
    assert "--class 'it'\"'\"'s' --class constructor" in "".join(tree.text)
