"""Tables of pairs of many classes: what is kept equals the complete table, and what is left out is small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import imblens
from imblens.lenses import (
    Finding,
    _pairs,
    adversaries,
    class_accuracy,
    class_features,
    co_occurrence,
    feature_density,
    feature_overlap,
)
from imblens.lenses.class_accuracy import measure as accuracy_measure
from imblens.lenses.co_occurrence import measure as co_measure
from imblens.run import Run

CLASSES = 260  # more than the soft forecast draws clouds for


@pytest.fixture(scope="module")
def run() -> Run:
    rng = np.random.default_rng(3)
    labels = np.concatenate([np.arange(CLASSES).repeat(3), rng.integers(0, 40, 300)])
    centres = rng.normal(size=(CLASSES, 16))
    features = centres[labels] + rng.normal(size=(len(labels), 16))
    test_labels = np.arange(CLASSES).repeat(4)
    test = centres[test_labels] + 1.5 * rng.normal(size=(len(test_labels), 16))
    return Run.from_arrays(
        train=(features, labels), test=(test, test_labels), head=(centres, -(centres**2).sum(axis=1) / 2)
    )


CASES: list[tuple[Callable[..., Finding], str, list[str], str]] = [
    (adversaries, "adversaries", ["class", "adversary"], "soft"),
    (feature_overlap, "feature_overlap_pairs", ["class", "other"], "shared"),
    (feature_density, "feature_density", ["reference", "adversary", "feature"], "rate_ratio"),
    (class_accuracy, "confusion", ["class", "predicted"], "count"),
]


def flat(summary: Any) -> dict[str, Any]:
    return pd.json_normalize(dict(summary)).iloc[0].to_dict()


@pytest.mark.parametrize(("lens", "table", "keys", "strength"), CASES, ids=[case[1] for case in CASES])
def test_kept_pairs_are_those_of_the_complete_table(
    lens: Callable[..., Finding], table: str, keys: list[str], strength: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = lens(run)
    monkeypatch.setattr(_pairs, "ALL_PAIRS", 10**6)
    monkeypatch.setattr(accuracy_measure, "ALL_PAIRS", 10**6)
    fresh = Run.from_arrays(
        train=(run.train.features, run.train.labels), test=(run.test.features, run.test.labels), head=run.head
    )
    dense = lens(fresh)
    assert flat(sparse.summary) == pytest.approx(flat(dense.summary))
    kept, complete = sparse.tables[table], dense.tables[table]
    assert len(complete) >= CLASSES * (CLASSES - 1)
    same = kept.merge(complete, on=keys, how="left", suffixes=("", "_complete"), validate="1:1")
    for column in kept.columns.difference(keys):
        pd.testing.assert_series_equal(same[column], same[f"{column}_complete"], check_names=False)
    assert len(kept) < len(complete) / 2
    if table == "confusion":
        assert kept["count"].sum() == complete["count"].sum()
    else:
        largest, expected = (
            rows.groupby(keys[:2], sort=False)[strength].mean().groupby(level=0, sort=False).max()
            for rows in (kept, complete)
        )
        pd.testing.assert_series_equal(largest, expected)


def test_confusion_of_many_classes_holds_what_occurs(run: Run) -> None:
    table = class_accuracy(run).tables["confusion"]
    off = table[table["class"] != table["predicted"]]
    assert (off["count"] > 0).all()
    assert table["class"].nunique() == CLASSES  # the diagonal is always there


def test_files_are_parquet_beside_the_largest_rows(run: Run, tmp_path) -> None:
    lenses = ["class_accuracy", "feature_density", "class_features"]
    imblens.audit(run, lenses=lenses).save(tmp_path, figures=False)
    tables = tmp_path / "tables"
    whole = pd.read_parquet(tables / "feature_density.parquet")
    assert len(whole) == len(feature_density(run).tables["feature_density"])
    few = pd.read_csv(tables / "feature_density.csv")
    assert len(few) == 1000 and few["rate_ratio"].min() >= whole["rate_ratio"].nlargest(1000).min() * (1 - 1e-12)
    assert (tables / "confusion.parquet").is_file() and not (tables / "class_accuracy.parquet").exists()
    needed = class_features(run).tables["class_features"]
    pd.testing.assert_frame_equal(pd.read_parquet(tables / "class_features.parquet"), needed, check_dtype=False)
    few = pd.read_csv(tables / "class_features.csv")
    assert len(few) == 1000 and few["magnitude"].min() >= needed["magnitude"].nlargest(1000).min() - 1e-9


def test_labels_that_occur_together_are_those_of_the_complete_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((300, CLASSES)) < 0.01).astype(np.int8)
    made = [Run.from_arrays(train=(np.ones((300, 2)), labels)) for _ in range(2)]
    sparse = co_occurrence(made[0])
    monkeypatch.setattr(co_measure, "ALL_PAIRS", 10**6)
    complete = co_occurrence(made[1]).tables["co_occurrence"]
    assert len(complete) == CLASSES * (CLASSES - 1) and "only pairs that occur" in sparse.notes[-1]
    occurring = complete[complete["count"] > 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(sparse.tables["co_occurrence"], occurring)


@pytest.mark.parametrize("start", [0, 40])
def test_blocks_of_classes_keep_the_same_pairs(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    strength = np.random.default_rng(0).random((30, 300))
    strength[:, 100:] = 0
    occurs = np.random.default_rng(1).random((30, 300)) < 0.02
    whole = _pairs.kept_pairs([strength], occurs, start=start)
    monkeypatch.setattr("imblens.base.blocks.BLOCK_NUMBERS", 4 * 300 * 7)
    for one, other in zip(whole, _pairs.kept_pairs([strength], occurs, start=start), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (whole[0] == whole[1]).any()


def test_the_line_on_a_label_names_the_one_that_comes_with_it() -> None:
    labels = np.zeros((100, 3), int)
    labels[:40, 0] = labels[:30, 1] = labels[90:, 2] = 1
    lines = co_occurrence(Run.from_arrays(train=(np.eye(100), labels), classes=["sea", "ship", "hill"])).lines()
    assert lines["ship"].startswith(
        "ship: 100% [89, 100] of its training instances also have the label sea, compared with 40% "
    )
    assert lines["sea"].startswith(
        "sea: 75% [60, 86] of its training instances also have the label ship, compared with 30% "
    )
    assert set(lines) == {"ship", "sea", ""}
