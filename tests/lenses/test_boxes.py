"""Lenses on boxes and on labels that come together: by hand, against plain loops, coverage, gaps, and what does not apply."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from imblens.base.intervals import mean_with_interval
from imblens.errors import NotApplicable
from imblens.lenses import alignment, co_occurrence, concepts
from imblens.run import Part, Run, Split

NAMES = ("tumour", "cyst", "none")
NAN = np.nan


def make(columns, *, split="test", meta=None, names=NAMES):
    """A run whose split holds those columns (n, C)."""
    n = len(next(iter(columns.values())))
    labels = np.eye(3, dtype=np.uint8)[np.arange(n) % 3]
    table = pd.DataFrame({key: [*np.asarray(values, np.float32)] for key, values in columns.items()})
    features = np.ones((n, 2), np.float32)
    plain = Split((Part(features, labels),), names, "train")
    boxed = Split((Part(features, labels, table=table),), names, split)
    splits = {"train": plain, "test": boxed} if split == "test" else {"train": boxed, "test": None}
    return Run(**splits, head=None, classes=names, task="multilabel", meta=meta or {})


def maps(ior, **others):
    ior = np.asarray(ior, dtype=float)
    full = {
        "cam_iobb": ior / 2,
        "cam_ior": ior,
        "cam_iou": ior / 3,
        "cam_pointing": np.round(ior),
        "box_share": ior * 0,
    }
    full["box_share"] = np.where(np.isfinite(ior), 0.25, NAN)
    return full | {key: np.asarray(values, dtype=float) for key, values in others.items()}


def test_alignment_by_hand():
    ior = [[0.2, NAN, NAN], [0.6, 0.1, NAN], [0.7, 0.3, NAN], [NAN, NAN, NAN]]
    finding = alignment(make(maps(ior), meta={"alignment": {"layer": "body", "split": "test"}}))
    table = finding.tables["alignment"].set_index("class")
    assert list(finding.tables["alignment"].columns[:6]) == ["class", "image_count", "iobb", "ior", "iou", "pointing"]
    assert table["image_count"].tolist() == [3, 2, 0]
    assert table.loc["tumour", "ior"] == pytest.approx(0.5) and table.loc["cyst", "ior"] == pytest.approx(0.2)
    assert table.loc["tumour", "iobb"] == pytest.approx(0.25) and table.loc["tumour", "iou"] == pytest.approx(0.5 / 3)
    assert table.loc["tumour", "pointing"] == pytest.approx(2 / 3)
    assert table.loc["tumour", "excess"] == pytest.approx(0.25)
    assert table.loc["none"].drop("image_count").isna().all()
    low, high = stats.t.interval(0.95, 2, loc=0.5, scale=stats.sem([0.2, 0.6, 0.7]))
    assert table.loc["tumour", "ior_low"] == pytest.approx(max(low, 0))
    assert table.loc["tumour", "ior_high"] == pytest.approx(min(high, 1))
    assert finding.summary["mean_ior"] == pytest.approx((0.2 + 0.6 + 0.7 + 0.1 + 0.3) / 5)
    assert finding.summary["macro_ior"] == pytest.approx(0.35)
    assert finding.summary["image_count"] == 3 and finding.summary["layer"] == "body"
    assert any("No image has a box of none" in note for note in finding.notes)
    assert list(finding.lines()) == ["cyst", "tumour", ""]
    assert "too few to tell" in finding.lines()["cyst"]
    json.dumps(finding.summary, allow_nan=False)
    for chart in finding.charts().values():
        json.dumps(chart.to_dict(), allow_nan=False)


def test_what_the_lines_state_of_where_the_network_looks():
    rng = np.random.default_rng(0)
    ior = np.stack([rng.normal(0.6, 0.05, 40), rng.normal(0.25, 0.1, 40), rng.normal(0.1, 0.02, 40)], axis=1)
    lines = alignment(make(maps(ior))).lines()
    assert list(lines) == ["none", "cyst", "tumour", ""]
    assert "more activation than expected by chance" in lines["tumour"]
    assert "no more activation than expected" in lines["cyst"]
    assert "less activation than expected" in lines["none"]


def test_alignment_of_training_images_where_test_has_no_boxes():
    assert alignment(make(maps(np.full((5, 3), 0.5)), split="train")).summary["split"] == "train"


def test_a_treated_run_has_other_maps():
    run = make(maps(np.full((5, 3), 0.5)), meta={"treatment": {"name": "crt"}})
    with pytest.raises(NotApplicable, match="this run has another"):
        alignment(run)


def test_one_image_has_no_interval():
    row = alignment(make(maps([[0.5, NAN, NAN]]))).tables["alignment"].iloc[0]
    assert row["ior"] == 0.5 and np.isnan(row["ior_low"]) and np.isnan(row["excess_high"])
    assert 0 <= row["pointing_low"] < row["pointing_high"] <= 1
    assert "nan" not in alignment(make(maps([[0.5, NAN, NAN]]))).sentence()


def test_no_boxes_is_a_reason():
    run = Run.from_arrays(train=(np.ones((4, 2)), [0, 1, 0, 1]))
    for lens in (alignment, concepts):
        with pytest.raises(NotApplicable, match="not captured from images with boxes"):
            lens(run)
    told = replace(run, meta={"concepts": {"skipped": "the images have no boxes."}})
    with pytest.raises(NotApplicable, match="concepts: the images have no boxes"):
        concepts(told)


def test_all_maps_unknown():
    finding = alignment(make(maps(np.full((4, 3), NAN))))
    assert finding.summary["mean_ior"] is None and finding.lines() == {}
    assert finding.tables["alignment"]["ior"].isna().all()


def test_concepts_by_hand():
    columns = {
        "concept_disjoint": [[4, NAN, NAN], [8, 0, NAN], [NAN, 2, NAN]],
        "concept_unique": [[3, NAN, NAN], [4, 0, NAN], [NAN, 2, NAN]],
    }
    meta = {"concepts": {"layer": "body", "share": 0.01, "channels": 16, "dead_channels": 3}}
    finding = concepts(make(columns, meta=meta))
    assert list(finding.tables["concepts"].columns[:4]) == ["class", "image_count", "disjoint", "unique"]
    table = finding.tables["concepts"].set_index("class")
    assert table["disjoint"].tolist()[:2] == [6, 1] and table["unique"].tolist()[:2] == [3.5, 1]
    assert table["image_count"].tolist() == [2, 2, 0] and np.isnan(table.loc["none", "disjoint"])
    assert table.loc["cyst", "disjoint_low"] == 0  # cut where counts end
    assert finding.summary["mean_disjoint"] == pytest.approx(14 / 4)
    assert finding.summary["macro_unique"] == pytest.approx(2.25)
    assert "of 13 live channels" in finding.lines()["tumour"]
    assert any("3 of 16 channels are constant" in note for note in finding.notes)
    for chart in finding.charts().values():
        json.dumps(chart.to_dict(), allow_nan=False)


def test_order_of_images_and_parts_does_not_matter(tmp_path):
    rng = np.random.default_rng(3)
    ior = rng.random((30, 3))
    ior[rng.random((30, 3)) < 0.3] = NAN
    run, order = make(maps(ior)), rng.permutation(30)
    part = run.test.parts[0]
    a, b = (
        Part(part.features[rows], part.labels[rows], table=part.table.iloc[rows].reset_index(drop=True))
        for rows in (order[:11], order[11:])
    )
    mixed = replace(run, test=replace(run.test, parts=(a, b)))
    expected = alignment(run).tables["alignment"]
    pd.testing.assert_frame_equal(alignment(mixed).tables["alignment"], expected)
    mixed.save(tmp_path / "run")
    pd.testing.assert_frame_equal(alignment(Run.load(tmp_path / "run")).tables["alignment"], expected)


def test_interval_of_a_mean_covers():
    rng = np.random.default_rng(5)
    for n in (5, 20, 60):
        values = rng.beta(2, 5, (n, 2000))
        _, _, low, high = mean_with_interval(values)
        assert np.mean((low <= 2 / 7) & (2 / 7 <= high)) > 0.92


def test_co_occurrence_by_hand():
    labels = np.array([[1, 1, 0]] * 12 + [[1, 0, 0]] * 3 + [[0, 0, 1]] * 20 + [[0, 0, 0]] * 5)
    run = Run.from_arrays(train=(np.ones((40, 2)), labels), classes=NAMES)
    finding = co_occurrence(run)
    table = finding.tables["co_occurrence"].set_index(["class", "other"])
    assert len(table) == 6
    assert table.loc[("tumour", "cyst"), "count"] == 12 == table.loc[("cyst", "tumour"), "count"]
    assert table.loc[("tumour", "cyst"), "share"] == pytest.approx(0.8)
    assert table.loc[("cyst", "tumour"), "share"] == 1
    assert table.loc[("cyst", "tumour"), "expected"] == pytest.approx(15 / 40)
    assert table.loc[("cyst", "tumour"), "lift"] == pytest.approx(40 / 15)
    counts = finding.tables["label_counts"].set_index("class")
    assert counts["positives"].tolist() == [15, 12, 20] and counts["negatives"].tolist() == [25, 28, 20]
    assert counts["alone"].tolist() == [0.2, 0, 1]
    assert finding.summary == {"mean_labels": 47 / 40, "share_none": 0.125, "share_several": 0.3}
    assert set(finding.lines()) == {"tumour", "cyst", ""}
    for chart in finding.charts().values():
        json.dumps(chart.to_dict(), allow_nan=False)


def test_co_occurrence_against_a_loop_and_with_a_label_without_instances():
    rng = np.random.default_rng(2)
    labels = (rng.random((57, 4)) < [0.5, 0.3, 0.1, 0]).astype(int)
    finding = co_occurrence(Run.from_arrays(train=(np.ones((57, 2)), labels), classes=list("abcd")))
    for row in finding.tables["co_occurrence"].to_dict("records"):
        a, b = ("abcd".index(row[key]) for key in ("class", "other"))
        own = [r for r in labels if r[a]]
        assert row["count"] == sum(r[b] for r in own)
        if own:
            assert row["share"] == pytest.approx(row["count"] / len(own))
        else:
            assert np.isnan(row["share"]) and np.isnan(row["lift"])
    assert any("No training instance has d" in note for note in finding.notes)


def test_co_occurrence_needs_several_labels():
    with pytest.raises(NotApplicable, match="multi-label runs"):
        co_occurrence(Run.from_arrays(train=(np.ones((4, 2)), [0, 1, 0, 1])))


def test_uncertain_labels_are_neither_there_nor_absent():
    from imblens.run import UNKNOWN

    labels = np.array([[1, 1], [1, 0], [1, 0], [0, 1]], np.uint8)
    unsure = np.array([[0, 0], [0, 1], [0, 0], [0, 0]], np.uint8)
    table = pd.DataFrame({UNKNOWN: [*unsure]})
    train = Split((Part(np.ones((4, 2), np.float32), labels, table=table),), ("a", "b"), "train")
    run = Run(train=train, test=None, head=None, classes=("a", "b"), task="multilabel")
    tables = co_occurrence(run).tables
    row = tables["co_occurrence"].set_index("class").loc["a"]
    assert row["count"] == 1 and row["share"] == 0.5 and row["expected"] == pytest.approx(2 / 3)
    assert tables["label_counts"]["negatives"].tolist() == [1, 1]
