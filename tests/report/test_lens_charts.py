"""Charts of every lens: whatever classes are called, at any width, and with small numbers marked as such."""

from __future__ import annotations

import re
from itertools import pairwise

import altair as alt
import numpy as np
import pandas as pd
import pytest

from imblens.base.wording import counted, ratio
from imblens.charts import interval_dots, tip
from imblens.errors import NotApplicable
from imblens.lenses import (
    BUILT_IN,
    adversaries,
    archetypes,
    calibration,
    class_accuracy,
    colours,
    compare_class_features,
    embedding_map,
    lens_info,
    ranking,
    shortcuts,
)
from imblens.lenses.embedding_map import CLASS_COLOURS
from imblens.report import _figures
from imblens.report._figures import draw
from imblens.report._specification import nodes, sized, specification
from imblens.run import Run
from tests.lenses.made import NAMES, captured_run, make_run
from tests.lenses.test_colours import drawn, run_of

KNOWN_TO_JAVASCRIPT = ("constructor", "toString", "valueOf", "hasOwnProperty", "__proto__")


def several(names=KNOWN_TO_JAVASCRIPT):
    rng = np.random.default_rng(0)
    labels = (rng.random((90, len(names))) < 0.3).astype(int)
    features = (labels + rng.normal(size=labels.shape)).astype(np.float32)
    split = (features, labels, features - 0.5)
    return Run.from_arrays(train=split, test=split, classes=list(names))


def every_chart():
    yield from (
        (chart, made)
        for run in (make_run(names=KNOWN_TO_JAVASCRIPT), several())
        for function in BUILT_IN
        for chart, made in charts(function, run).items()
    )
    count, rgb, labels = drawn()
    yield "colours", colours(run_of(count, rgb, labels, list(KNOWN_TO_JAVASCRIPT[2:]))).charts()["colours"]
    one, other = make_run(names=KNOWN_TO_JAVASCRIPT), make_run(names=KNOWN_TO_JAVASCRIPT, seed=1)
    yield "shortcuts", shortcuts(captured_run(names=KNOWN_TO_JAVASCRIPT)).charts()["shortcuts"]
    yield "changes", compare_class_features(one, other).charts()["diversity_changes"]
    boxed = pd.DataFrame({"class": KNOWN_TO_JAVASCRIPT, "image_count": 12, "ior": 0.5, "ior_low": 0.4, "ior_high": 0.6})
    yield "boxes", interval_dots(boxed, "ior", axis=alt.Axis(title="share"), few=False, tips=[tip("class:N")])


def charts(function, run):
    try:
        return function(run).charts()
    except NotApplicable:
        return {}


def test_classes_may_be_called_what_every_object_of_javascript_has():
    import vl_convert

    found = set()
    for name, chart in every_chart():
        # as it is: a report sets such names apart before it draws
        spec = sized(specification(chart), 800)
        svg = vl_convert.vegalite_to_svg(spec, vl_version=_figures.grammar())
        found.add(name)
        if name not in ("colours", "reliability"):
            missing = [text for text in KNOWN_TO_JAVASCRIPT if text not in svg]
            assert len(missing) < 2 or name in ("diagnosis", "label_suspects"), (name, missing)
    wanted = {lens_info(function).name for function in BUILT_IN} - {
        "alignment",
        "concepts",
        "errors",
        "feature_overlap",
    }
    assert wanted <= found


def rows_of(svg: str, names: tuple[str, ...]) -> list[str]:
    """Names on the vertical axis, from the top: those of one horizontal place."""
    at = re.findall(
        r'text-anchor="end" transform="translate\(([-\d.]+),([-\d.]+)\)[^>]*>([^<(]+?)(?: \([^<]*)?</text>', svg
    )
    return [
        name for _, _, name in sorted(((x, float(y), name) for x, y, name in at if name in names), key=lambda p: p[1])
    ]


@pytest.mark.parametrize("chart", ["archetypes", "archetype_accuracy"])
def test_the_largest_class_is_drawn_first(chart):
    made = archetypes(make_run(train=(9, 40, 3, 61, 23))).charts()[chart]
    assert rows_of(draw(chart, made, NAMES).svg, NAMES) == ["ice", "forest", "dune", "sea", "town"]


def test_bars_of_a_class_follow_each_other_and_end_at_one():
    (rows,) = archetypes(make_run()).charts()["archetypes"].to_dict()["datasets"].values()
    for name in NAMES:
        own = [row for row in rows if row["class"] == name]
        assert [row["archetype"] for row in own] == ["safe", "border", "rare", "outlier"]
        assert own[0]["start"] == 0 and own[-1]["end"] == pytest.approx(1)
        for before, after in pairwise(own):
            assert after["start"] == pytest.approx(before["end"])


def test_accuracy_of_few_is_hollow_has_an_interval_and_hides_nothing():
    figure = draw("accuracy", archetypes(make_run()).charts()["archetype_accuracy"], NAMES)
    (rows,) = figure.data.values()
    assert any(row["few"] for row in rows) and not all(row["few"] for row in rows)
    marks = re.findall(
        r'<path transform="translate\(([-\d.]+),([-\d.]+)\)[^>]*fill="(\w+|#\w+)"[^>]*stroke="#', figure.svg
    )
    on_chart = marks[: len(rows)]  # the legend's come after
    assert sum(fill == "white" for *_, fill in on_chart) == sum(row["few"] for row in rows)
    assert len({(x, y) for x, y, _ in on_chart}) == len(rows)  # none at the place of another
    assert len({y for _, y, _ in on_chart}) == len(rows)  # each in a lane of its own


def made_errors(wrong):
    """A run of three classes, twenty test instances each, of which `wrong[c]` of class c are taken for the next."""
    labels = np.repeat([0, 1, 2], 20)
    answers = np.concatenate([np.where(np.arange(20) < n, (c + 1) % 3, c) for c, n in enumerate(wrong)])
    features = np.random.default_rng(0).normal(size=(60, 4)) + labels[:, None]
    train = (features, labels, 5.0 * np.eye(3)[(labels + (np.arange(60) % 2)) % 3])
    return Run.from_arrays(train=train, test=(features, labels, np.eye(3)[answers]), classes=["a", "b", "c"])


def test_errors_that_are_few_are_counted_not_called_a_share():
    run = made_errors([1, 12, 3])
    accuracy = class_accuracy(run).lines()
    assert "100% [76, 100] of its errors go to c." in accuracy["b"]
    assert class_accuracy(made_errors([12, 12, 15])).lines()["c"].endswith("100% [80, 100] of its errors go to a.")
    assert class_accuracy(made_errors([1, 0, 0])).lines()["a"].endswith("its one error goes to b, too few to tell.")
    assert class_accuracy(made_errors([1, 1, 3])).lines()["c"].endswith("3 of its 3 errors go to a, too few to tell.")
    lines = adversaries(run).lines()
    assert "its one test error went there, too few to tell." in lines["a"] or "did not go there" in lines["a"]
    assert any("of its 3 test errors went there, too few to tell." in line for line in lines.values())
    assert adversaries(run).tables["adversaries"]["test_error_count"].tolist() == [1, 1, 12, 12, 3, 3]
    assert class_accuracy(run).tables["confusion"]["error_count"].tolist() == [1] * 3 + [12] * 3 + [3] * 3


@pytest.mark.parametrize(("lens", "chart"), [(class_accuracy, "confusion"), (adversaries, "adversaries_observed")])
def test_rows_of_few_errors_are_grey_and_leave_the_colours_alone(lens, chart):
    made = lens(made_errors([1, 14, 3])).charts()[chart]
    figure = draw("matrix", made, ["a", "b", "c"])
    (rows,) = figure.data.values()
    assert {(row["class"], row["few"]) for row in rows} == {("a", True), ("b", False), ("c", True)}
    assert {row["text"] for row in rows} == {"1/1", "3/3", "100%", "0%", ""}
    assert sum(figure.svg.count(f'fill="rgb({grey},{grey},{grey})"') for grey in (239, 194)) == 4
    assert "too few to tell" in figure.svg


def test_of_a_class_of_few_errors_the_chart_of_some_classes_states_how_many_they_are():
    from imblens.report._render import _of_classes

    finding = adversaries(made_errors([1, 14, 3]))
    (rows,) = _of_classes(finding, frozenset("ab")).charts()["adversaries_observed"].to_dict()["datasets"].values()
    assert {(row["class"], row["total"]) for row in rows} == {("a", 1), ("b", 14)}


@pytest.mark.parametrize("width", [400, 800])
def test_names_of_bands_are_in_bars_that_are_wide_enough(monkeypatch, width):
    count = np.tile([[9, 1, 10]], (30, 1))
    rgb = count[:, :, None] * np.array([[10, 10, 10], [200, 30, 30], [250, 250, 250]])
    finding = colours(run_of(count, rgb.reshape(30, 9), np.arange(30) % 3, ["a", "b", "c"]))
    monkeypatch.setattr(_figures, "WIDTH", width)
    svg = draw("colours", finding.charts()["colours"], ["a", "b", "c"]).svg
    inside = re.findall(r'text-anchor="middle"[^>]*>(black|red|white)<', svg)
    assert (inside.count("black"), inside.count("red"), inside.count("white")) == (3, 3 if width == 800 else 0, 3)


def test_matrices_of_twenty_classes_carry_numbers():
    run = make_run()
    for function in BUILT_IN:
        for name, chart in charts(function, run).items():
            if name in ("feature_density", "diagnosis"):
                assert any(layer["mark"]["type"] == "text" for layer in chart.to_dict()["layer"]), name


def test_no_tooltip_and_no_title_shows_a_name_of_the_code():
    for name, chart in every_chart():
        spec = chart.to_dict()
        for node in nodes({key: value for key, value in spec.items() if key != "datasets"}):
            for title in (
                node.get("title"),
                *(line.get("title", "") for line in node.get("tooltip", []) if "field" in line),
            ):
                assert "_" not in str(title or ""), (name, title)
            for line in node.get("tooltip", []):
                assert "title" in line or "_" not in line["field"], (name, line)


def test_how_many_times_and_how_many_things():
    assert [ratio(value) for value in (1, 1.64, 9.94, 9.96, 28.57, 1234)] == ["1.0", "1.6", "9.9", "10", "29", "1,234"]
    assert [counted(n, "image") for n in (0, 1, 1000)] == ["0 images", "1 image", "1,000 images"]


def test_a_report_draws_every_point_of_a_class_with_such_a_name():
    run = make_run(names=KNOWN_TO_JAVASCRIPT)
    svg = draw("map", embedding_map(run).charts()["embedding_map"], run.classes).svg
    assert sum(svg.count(f'fill="{colour}"') for colour in CLASS_COLOURS[:5]) == len(run.train) + len(run.test) + 5


@pytest.mark.parametrize(("lens", "chart", "hollow"), [(calibration, "calibration", 4), (ranking, "probabilities", 2)])
def test_marks_of_few_test_instances_are_hollow(lens, chart, hollow):
    run = make_run()  # two of its classes have fewer than ten
    svg = draw("marks", lens(run).charts()[chart], run.classes).svg
    assert len(re.findall(r'<path transform="[^"]*" d="[^"]*" stroke="#', svg)) == hollow  # without a fill of its own
