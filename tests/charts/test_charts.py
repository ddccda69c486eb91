"""Charts draw every class in the given order, mark few instances, and survive any class name."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
import pytest

from imblens.charts import class_bars, error_chart, interval_dots, matrix_chart, paired_dots, present, stacked, tip

NAMES = ["toString", "b", "__proto__"]


def values() -> pd.DataFrame:
    return pd.DataFrame(
        {"class": NAMES, "share": [0.2, np.nan, 0.9], "share_low": [0.1, np.nan, 0.8], "share_high": [0.4, np.nan, 1.0]}
    )


def rows_of(chart: alt.Chart) -> list[dict]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_interval_dots_leave_out_missing_values_and_mark_few() -> None:
    chart = interval_dots(
        values(), "share", axis=alt.Axis(title="share"), few=[True, True, False], tips=[tip("class:N")]
    )
    assert [(row["class"], row["few"]) for row in rows_of(chart)] == [("toString", True), ("__proto__", False)]
    spec = chart.to_dict()
    assert all(layer["encoding"]["y"]["scale"]["domain"] == ["toString", "__proto__"] for layer in spec["layer"])
    fill = spec["layer"][1]["encoding"]["fill"]
    assert fill["condition"] == {"test": "datum.few", "value": "white"}


def test_interval_dots_draw_a_tick_where_asked() -> None:
    chart = interval_dots(values(), "share", axis=alt.Axis(title="share"), few=False, tips=[], mark="share_low")
    assert [layer["mark"]["type"] for layer in chart.to_dict()["layer"]] == ["rule", "point", "tick"]


def test_paired_dots_have_one_dot_per_class_and_column() -> None:
    table = pd.DataFrame({"class": NAMES, "before": [0.1, 0.2, np.nan], "after": [0.3, np.nan, np.nan], "n": [1, 2, 3]})
    few = {"before": [False] * 3, "after": [True] * 3}
    chart = paired_dots(table, {"before": "then", "after": "now"}, title="share", few=few, tips=[tip("n:Q")])
    assert [(row["class"], row["measure"], row["value"], row["few"], row["n"]) for row in rows_of(chart)] == [
        ("toString", "then", 0.1, False, 1),
        ("b", "then", 0.2, False, 2),
        ("toString", "now", 0.3, True, 1),
    ]
    assert chart.to_dict()["encoding"]["y"]["scale"]["domain"] == ["toString", "b"]  # no empty row


def test_class_bars_keep_the_order_of_the_table() -> None:
    chart = class_bars(values(), "share", axis=alt.Axis(title="share"), tips=[])
    assert chart.to_dict()["encoding"]["y"]["scale"]["domain"] == NAMES


def test_stacked_bars_start_where_the_part_before_ends() -> None:
    table = pd.DataFrame({"class": ["a", "b", "a"], "share": [0.2, 1.0, 0.8]})
    assert stacked(table)[["start", "end"]].to_numpy() == pytest.approx(np.array([[0, 0.2], [0, 1], [0.2, 1]]))


def test_a_matrix_leaves_undefined_cells_blank_and_scales_to_those_with_enough() -> None:
    table = pd.DataFrame(
        {"class": ["a", "a", "b"], "other": ["b", "c", "a"], "share": [0.5, np.nan, 0.9], "few": [False, False, True]}
    )
    chart = matrix_chart(table, column="other", value="share", order=list("abc"), title="other", legend="share")
    spec = chart.to_dict()
    assert [(row["class"], row["other"], row["text"]) for row in rows_of(chart)] == [
        ("a", "b", "50%"),
        ("b", "a", "90%"),
    ]
    assert spec["layer"][0]["encoding"]["color"]["scale"]["domain"] == [0, 0.5]


def test_few_errors_are_counted() -> None:
    table = pd.DataFrame({"class": ["a", "b"], "to": ["b", "a"], "share": [1.0, 0.75], "n": [3, 40]})
    chart = error_chart(table, column="to", value="share", errors="n", order=["a", "b"], title="prediction")
    assert {row["class"]: (row["few"], row["text"]) for row in rows_of(chart)} == {
        "a": (True, "3/3"),
        "b": (False, "75%"),
    }


def test_present_keeps_the_order() -> None:
    assert present(["c", "a", "b"], ["b", "c"]) == ["c", "b"]
