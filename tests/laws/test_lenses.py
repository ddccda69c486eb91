"""What every lens obeys: order, names, order of features, scale, parts, a stay on disk, and hands off the input.

A lens that a law does not hold for stands in that law's list of exceptions, with the reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from imblens.errors import NotApplicable
from imblens.lenses import BUILT_IN, Finding, lens_info
from imblens.run import Head, Part, Run, Split
from tests.lenses.made import NAMES, make_run

# the map is laid out by descent from the order of its points; its own tests hold it
LENSES = [function for function in BUILT_IN if lens_info(function).name != "embedding_map"]
IDS = [lens_info(function).name for function in LENSES]
every_lens = pytest.mark.parametrize("lens", LENSES, ids=IDS)


def look(lens, run):
    """The finding, or a skip where the lens has nothing to say on such a run."""
    try:
        return lens(run)
    except NotApplicable as reason:
        pytest.skip(str(reason))


def named(latents, order=None):
    """One part with an id for each instance, in another order where one is given."""
    ids = np.array([f"{latents.name}-{i}" for i in range(len(latents))], dtype=object)
    order = np.arange(len(latents)) if order is None else order
    part = Part(
        latents.features[order],
        latents.labels[order],
        latents.logits[order] if latents.has_logits else None,
        pd.DataFrame({"id": ids[order]}),
    )
    return replace(latents, parts=(part,))


def changed(run, train=None, test=None, **others):
    return replace(run, train=train or run.train, test=test or run.test, **others)


def keyed(table):
    """Rows in an order of their own, by whatever is not a float."""
    keys = [name for name in table.columns if table[name].dtype.kind != "f"]
    table = table.assign(**{name: table[name].astype(object).where(table[name].notna(), None) for name in keys})
    return table.sort_values(keys, key=lambda column: column.map(repr), kind="stable").reset_index(drop=True)


def assert_same(one, two, *, translate=None, rtol=1e-9):
    """Equal tables (rows in any order), summaries and named classes; `translate` maps the class names of `one`."""

    def read(text):
        return re.sub("|".join(rf"\b{name}\b" for name in translate), lambda name: translate[name[0]], text)

    assert set(one.tables) == set(two.tables)
    for name, table in one.tables.items():
        if translate:
            text = table.columns[[kind.kind not in "biuf" for kind in table.dtypes]]
            table = table.assign(**{c: table[c].map(lambda v: read(v) if isinstance(v, str) else v) for c in text})
        pd.testing.assert_frame_equal(keyed(table), keyed(two.tables[name]), rtol=rtol, atol=1e-12, check_dtype=False)
    assert_close(one.summary, two.summary, translate or {}, rtol)
    assert [read(name) if translate else name for name in one.lines()] == list(two.lines())


def assert_close(one, two, translate, rtol):
    if isinstance(one, dict):
        assert {translate.get(key, key) for key in one} == set(two)
        for key, value in one.items():
            assert_close(value, two[translate.get(key, key)], translate, rtol)
    elif isinstance(one, (list, tuple)):
        for a, b in zip(one, two, strict=True):
            assert_close(a, b, translate, rtol)
    elif isinstance(one, float):
        assert two == pytest.approx(one, rel=rtol, abs=1e-12)
    else:
        assert translate.get(one, one) == two


@every_lens
def test_the_order_of_instances_does_not_matter(lens):
    run = make_run(seed=1)
    rng = np.random.default_rng(0)
    plain = changed(run, named(run.train), named(run.test))
    mixed = changed(
        run, named(run.train, rng.permutation(len(run.train))), named(run.test, rng.permutation(len(run.test)))
    )
    assert_same(look(lens, plain), look(lens, mixed))


@every_lens
def test_names_and_numbers_of_classes_do_not_matter(lens):
    run = make_run(seed=2)
    order = np.array([3, 0, 4, 2, 1])  # class `order[j]` becomes number j
    number = np.argsort(order)
    others = ["'\"><img src=x>", "{{7*7}}", "=cmd|x", "a b\u2028c", "-1"]
    translate = {NAMES[old]: others[new] for new, old in enumerate(order)}
    splits = {
        name: Split((Part(s.features, number[s.labels], s.logits[:, order]),), tuple(others), name)
        for name, s in run.splits.items()
    }
    head = Head(run.head.weight[order], run.head.bias[order])
    renamed = replace(run, classes=tuple(others), head=head, **splits)
    assert_same(look(lens, run), look(lens, renamed), translate=translate)


@every_lens
def test_the_order_of_features_does_not_matter(lens):
    run = make_run(seed=3, dim=26, rectified=False)  # rectified features tie at zero, and ties go by index
    order = np.random.default_rng(1).permutation(run.dim)
    splits = {
        name: Split((Part(s.features[:, order], s.labels, s.logits),), s.classes, name)
        for name, s in run.splits.items()
    }
    mixed = replace(run, head=Head(run.head.weight[:, order], run.head.bias), **splits)
    one, two = look(lens, run), look(lens, mixed)
    back = {
        name: table.assign(feature=order[table["feature"]]) if "feature" in table else table
        for name, table in two.tables.items()
    }
    assert_same(one, replace(two, tables=back))


SCALES = {"mean": 1, "gap": 1, "gap_correct": 1, "gap_wrong": 1, "fe_mean": 1, "norm": -1}


@every_lens
@pytest.mark.parametrize("power", [-9, 6])
def test_features_may_be_scaled(lens, power):
    if lens_info(lens).name in {"diagnosis"}:
        pytest.skip("its evidence quotes gaps as text")
    run = make_run(seed=4)
    head = Head(np.ldexp(run.head.weight, -power), run.head.bias)
    splits = {
        name: Split((Part(np.ldexp(s.features, power), s.labels, s.logits),), s.classes, name)
        for name, s in run.splits.items()
    }
    one, two = look(lens, run), look(lens, replace(run, head=head, **splits))
    scaled = {
        name: table.assign(**{c: np.ldexp(table[c], power * SCALES[c]) for c in SCALES if c in table})
        for name, table in one.tables.items()
    }
    for name, table in scaled.items():
        pd.testing.assert_frame_equal(table, two.tables[name], rtol=1e-12)


@every_lens
def test_parts_do_not_matter(lens):
    run = make_run(seed=5)
    plain = changed(run, named(run.train), named(run.test))

    def cut(latents, *edges):
        whole = latents.parts[0]
        parts = tuple(
            Part(whole.features[a:b], whole.labels[a:b], whole.logits[a:b], whole.table[a:b].reset_index(drop=True))
            for a, b in zip((0, *edges), (*edges, len(latents)), strict=True)
        )
        return replace(latents, parts=parts)

    in_parts = changed(plain, cut(plain.train, 1, 30, 77), cut(plain.test, 13, 60))
    assert_same(look(lens, plain), look(lens, in_parts))


@every_lens
def test_a_stay_on_disk_changes_nothing(lens, tmp_path):
    run = make_run(seed=6)
    run.save(tmp_path / "run")
    stored = Run.load(tmp_path / "run")
    one, two = look(lens, run), look(lens, stored)
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, two.tables[name], check_exact=True)
    assert one.summary == two.summary


@every_lens
def test_a_constant_on_all_logits_of_an_instance_does_not_matter(lens):
    if lens_info(lens).name in {"ranking", "class_features"}:
        pytest.skip("it reads the logit of each class by itself")
    run = make_run(seed=7)
    rng = np.random.default_rng(2)
    splits = {
        name: Split((Part(s.features, s.labels, s.logits + rng.integers(-9, 9, (len(s), 1))),), s.classes, name)
        for name, s in run.splits.items()
    }
    assert_same(look(lens, run), look(lens, replace(run, **splits)), rtol=1e-4)


@pytest.mark.parametrize("name", ["class_accuracy", "feature_overlap", "feature_density", "generalization_gap"])
def test_instances_may_stand_twice(name):
    lens = LENSES[IDS.index(name)]
    run = make_run(seed=8)
    splits = {
        key: Split(
            (Part(np.tile(s.features, (2, 1)), np.tile(s.labels, 2), np.tile(s.logits, (2, 1))),), s.classes, key
        )
        for key, s in run.splits.items()
    }
    for key, table in lens(run).tables.items():
        twice = lens(replace(run, **splits)).tables[key]
        counts = [column for column in table if re.search("count$", column)]
        rest = [column for column in table if column not in counts and not re.search("_(low|high)$", column)]
        assert (twice[counts] == 2 * table[counts]).all(axis=None)
        pd.testing.assert_frame_equal(twice[rest], table[rest], rtol=1e-9)


@every_lens
def test_input_and_random_state_are_left_as_found(lens):
    run = make_run(seed=9)
    arrays = [a for s in run.splits.values() for part in s.parts for a in (part.features, part.labels, part.logits)]
    arrays += [run.head.weight, run.head.bias]
    before, state = [a.copy() for a in arrays], np.random.get_state()[1].copy()
    for array in arrays:
        array.flags.writeable = False
    look(lens, run)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert np.array_equal(np.random.get_state()[1], state)


@every_lens
def test_a_finding_is_frozen_plain_and_drawn(lens):
    finding = look(lens, make_run())
    assert isinstance(finding, Finding) and finding.lens == lens_info(lens).name
    with pytest.raises(FrozenInstanceError):
        finding.tables = {}
    json.dumps(finding.summary, allow_nan=False)
    assert finding.tables and all(isinstance(table, pd.DataFrame) for table in finding.tables.values())
    assert set(finding.lines()) <= {*NAMES, ""}
    assert all(line and "nan" not in line for line in finding.lines().values())
    for chart in finding.charts().values():
        json.dumps(chart.to_dict(), allow_nan=False)


def test_columns_are_the_documented_ones():
    run = make_run()
    expected = {
        "class_accuracy": "class train_count imbalance test_count accuracy accuracy_low accuracy_high",
        "archetypes": "class archetype count share accuracy accuracy_low accuracy_high prototype",
        "adversaries": "class adversary neighbour_count forecast fisher soft observed basis test_error_count",
        "feature_overlap": "class rank feature mean share",
        "feature_overlap_pairs": "class other shared",
        "feature_density": "reference adversary feature reference_count adversary_count ratio rate_ratio",
        "generalization_gap": "class train_count test_count gap gap_correct gap_wrong",
        "weight_norms": "class norm",
    }
    found = {}
    for lens, name in zip(LENSES, IDS, strict=True):
        if name in {key.removesuffix("_pairs") for key in expected}:
            found |= {key: " ".join(table.columns) for key, table in lens(run).tables.items()}
    assert {key: found[key] for key in expected} == expected


# ---------------------------------------------------------------------------------------------------- awkward runs


def arrays(features, labels, test_labels=None, n_classes=3, **options):
    features = np.asarray(features, dtype=np.float32)
    rng = np.random.default_rng(0)
    test_labels = labels if test_labels is None else test_labels
    test = (
        rng.normal(size=(len(test_labels), features.shape[1])),
        test_labels,
        rng.normal(size=(len(test_labels), n_classes)),
    )
    names = tuple(f"c{i}" for i in range(n_classes))
    head = (rng.normal(size=(n_classes, features.shape[1])), np.zeros(n_classes))
    given = {"train": (features, labels, rng.normal(size=(len(labels), n_classes))), "test": test, "head": head}
    return Run.from_arrays(**{**given, "classes": names, **options})


RNG = np.random.default_rng(11)
AWKWARD = {
    "a class of one": lambda: arrays(RNG.normal(size=(9, 4)), [0] * 6 + [1] * 2 + [2]),
    "a class absent from test": lambda: arrays(RNG.normal(size=(9, 4)), [0, 1, 2] * 3, [0, 0, 1]),
    "a class absent from training": lambda: arrays(RNG.normal(size=(9, 4)), [0, 1, 0] * 3, [0, 2, 1]),
    "one feature": lambda: arrays(RNG.normal(size=(12, 1)), [0, 1, 2] * 4),
    "two instances": lambda: arrays(RNG.normal(size=(2, 3)), [0, 1], n_classes=2),
    "copies only": lambda: arrays(np.ones((10, 3)), [0, 0, 1, 1, 2] * 2),
    "all zero": lambda: arrays(np.zeros((10, 3)), [0, 0, 1, 1, 2] * 2),
    "negative features": lambda: arrays(-RNG.random((10, 3)) - 1, [0, 0, 1, 1, 2] * 2),
    "one test instance": lambda: arrays(RNG.normal(size=(9, 4)), [0, 1, 2] * 3, [1]),
    "no answers": lambda: make_run(logits=False, head=False),
    "training only": lambda: arrays(RNG.normal(size=(9, 4)), [0, 1, 2] * 3, test=None),
    "several labels": lambda: arrays(
        RNG.normal(size=(5, 4)), np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1]])
    ),
    "a label nobody has": lambda: arrays(RNG.normal(size=(3, 4)), np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]])),
    "300 classes": lambda: arrays(RNG.normal(size=(700, 5)), np.arange(700) % 300, n_classes=300),
}


@every_lens
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_runs_get_an_answer_or_a_reason(lens, name):
    finding = look(lens, AWKWARD[name]())
    json.dumps(finding.summary, allow_nan=False)
    for table in finding.tables.values():
        for column in table.columns.intersection(["share", "accuracy", "accuracy_low", "accuracy_high", "forecast"]):
            known = table[column].dropna()
            assert known.between(0, 1).all()
        assert not np.isinf(table.select_dtypes("number").to_numpy(dtype=float)).any()
    assert all("nan" not in line for line in finding.lines().values())
    if name != "300 classes":
        for chart in finding.charts().values():
            json.dumps(chart.to_dict(), allow_nan=False)


def test_class_numbers_beyond_a_byte():
    run = AWKWARD["300 classes"]()
    adversaries = LENSES[IDS.index("adversaries")](run).tables["adversaries"]
    near = run.neighbours(5).indices
    of_299 = adversaries[adversaries["class"] == "c299"].set_index("adversary")["neighbour_count"]
    expected = np.bincount(run.train.labels[near[run.train.labels == 299]].ravel(), minlength=300)
    assert of_299.sum() == expected.sum() - expected[299] and (of_299 == expected[:299]).all()
