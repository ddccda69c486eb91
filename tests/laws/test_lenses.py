"""Laws of every lens: order, names, order of features, scale, parts, storage, immutability, and the input left as it was.

A lens that a law does not hold for is named in that law's list of exceptions, with the reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, replace
from functools import cache
from inspect import Parameter, signature

import numpy as np
import pandas as pd
import pytest

from imblens.errors import NotApplicable
from imblens.lenses import BUILT_IN, Finding, lens_info
from imblens.run import Head, Part, Run, Split
from tests.lenses.made import NAMES, captured_run, make_run

LENSES = list(BUILT_IN)
IDS = [lens_info(function).name for function in LENSES]
PLACES = {"embedding_map": "the positions of the map are found by descent, which rounding and order change"}


def lens_runs():
    """Each lens with every kind of run that it applies to."""
    for lens, name in zip(LENSES, IDS, strict=True):
        for task, need in (("multiclass", "multilabel"), ("multilabel", "multiclass")):
            if need not in lens_info(lens).needs:
                yield name, task, pytest.param(lens, task, id=f"{name}-{task}")


def holds(*, but=None, task=None):
    """Run a law on every lens and kind of run.

    but: lenses that it does not hold for, with the reason; task: the kind of run that it is about, or all.
    """
    but = but or {}
    assert set(but) <= set(IDS) and all(but.values())
    cases = [case for name, of, case in lens_runs() if name not in but and task in (None, of)]
    return pytest.mark.parametrize(("lens", "task"), cases)


def test_a_run_for_every_lens():
    """No lens passes the laws by being skipped: each has a finding on the runs that the laws use."""
    assert {name for name, _, _ in lens_runs()} == set(IDS)
    for _, _, case in lens_runs():
        lens, task = case.values
        assert lens(shared_run(task)).tables


@cache
def shared_run(task):
    """The run that most laws read: a lens computes its finding for it once."""
    return captured_run(task=task, seed=1)


def rebuilt(run, *, order=None, classes=None, names=None, features=None, logits=None, cut=None, repeat=1):
    """A run of the same instances, laid out in another way.

    order: split name -> order of instances; classes: class `classes[j]` becomes number j; names: of the classes;
    features, logits: change those arrays; cut: split name -> where its parts end; repeat: how often all instances occur.
    """

    def of_classes(values):
        return values if classes is None else [np.asarray(row)[classes] for row in values]

    def rework(split):
        whole = split.parts[0]
        rows = np.tile(np.arange(len(split)), repeat) if order is None else order[split.name]
        labels = np.asarray(whole.labels)
        if classes is not None:
            labels = labels[:, classes] if split.multilabel else np.argsort(classes)[labels]
        outputs = whole.logits
        if outputs is not None:
            outputs = np.asarray(outputs if logits is None else logits(outputs))
            outputs = outputs if classes is None else outputs[:, classes]
        table = whole.table
        per_class = [] if table is None else [c for c in table if re.match("cam_|concept_|box_share", c)]
        if per_class:
            table = table.assign(**{column: of_classes(table[column]) for column in per_class})
        if table is not None and "cut_class" in table and classes is not None:
            table = table.assign(cut_class=np.append(np.argsort(classes), -1)[table["cut_class"]])
        inputs = np.asarray(whole.features if features is None else features(whole.features))
        edges = [0, *(cut[split.name] if cut else ()), len(rows)]
        parts = [
            Part(
                inputs[rows[a:b]],
                labels[rows[a:b]],
                None if outputs is None else outputs[rows[a:b]],
                None if table is None else table.iloc[rows[a:b]].reset_index(drop=True),
            )
            for a, b in zip(edges, edges[1:], strict=False)
        ]
        return Split(tuple(parts), names or split.classes, split.name)

    head = run.head
    if head is not None and classes is not None:
        head = Head(head.weight[classes], head.bias[classes])
    splits = {name: rework(split) for name, split in run.splits.items()}
    return replace(run, classes=tuple(names or run.classes), head=head, **splits)


def keyed(table):
    """Rows in an order of their own, by whatever is not a float."""
    keys = [name for name in table.columns if table[name].dtype.kind != "f"]
    table = table.assign(**{name: table[name].astype(object).where(table[name].notna(), None) for name in keys})
    return table.sort_values(keys, key=lambda column: column.map(repr), kind="stable").reset_index(drop=True)


def assert_same(one, two, *, translate=None, rtol=1e-9, ties=False):
    """Equal tables (rows in any order), summaries and named classes; `translate` maps the class names of `one`.

    With `ties`, classes may be named in another order.
    """

    def read(text):
        return re.sub("|".join(rf"\b{name}\b" for name in translate), lambda name: translate[name[0]], text)

    assert set(one.tables) == set(two.tables)
    for name, table in one.tables.items():
        if translate:
            text = table.columns[[kind.kind not in "biuf" for kind in table.dtypes]]
            table = table.assign(**{c: table[c].map(lambda v: read(v) if isinstance(v, str) else v) for c in text})
        pd.testing.assert_frame_equal(keyed(table), keyed(two.tables[name]), rtol=rtol, atol=1e-12, check_dtype=False)
    assert_close(one.summary, two.summary, translate or {}, rtol)
    named, others = [read(name) if translate else name for name in one.lines()], list(two.lines())
    assert sorted(named) == sorted(others) if ties else named == others


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


@holds(but=PLACES)
def test_the_order_of_instances_does_not_matter(lens, task):
    run = shared_run(task)
    rng = np.random.default_rng(0)
    mixed = rebuilt(run, order={name: rng.permutation(len(split)) for name, split in run.splits.items()})
    assert_same(lens(run), lens(mixed))


@holds(but=PLACES)
def test_names_and_numbers_of_classes_do_not_matter(lens, task):
    run = shared_run(task)
    order = np.array([3, 0, 4, 2, 1])
    others = ("'\"><img src=x>", "{{7*7}}", "=cmd|x", "a b\u2028c", "-1")
    translate = {NAMES[old]: others[new] for new, old in enumerate(order)}
    renamed = rebuilt(run, classes=order, names=others)
    ties = task == "multilabel"  # several labels are always found, and the order of equals is that of the run
    assert_same(lens(run), lens(renamed), translate=translate, ties=ties)


@holds(but=PLACES)
def test_the_order_of_features_does_not_matter(lens, task):
    run = captured_run(
        task=task, seed=3, dim=26, rectified=False
    )  # rectified features tie at zero, and ties go by index
    order = np.random.default_rng(1).permutation(run.dim)
    mixed = rebuilt(run, features=lambda features: features[:, order])
    one, two = lens(run), lens(replace(mixed, head=Head(run.head.weight[:, order], run.head.bias)))
    back = {
        name: table.assign(feature=order[table["feature"]]) if "feature" in table else table
        for name, table in two.tables.items()
    }
    assert_same(one, replace(two, tables=back))


SCALES = {"mean": 1, "gap": 1, "gap_correct": 1, "gap_wrong": 1, "fe_mean": 1, "norm": -1, "within": 1}


@holds(but={"diagnosis": "its evidence states gaps, which have the unit of the features, as text"})
@pytest.mark.parametrize("power", [-9, 6])
def test_features_may_be_scaled(lens, task, power):
    run = shared_run(task)
    scaled = rebuilt(run, features=lambda features: np.ldexp(features, power))
    one, two = lens(run), lens(replace(scaled, head=Head(np.ldexp(run.head.weight, -power), run.head.bias)))
    expected = {
        name: table.assign(**{c: np.ldexp(table[c], power * SCALES[c]) for c in SCALES if c in table})
        for name, table in one.tables.items()
    }
    for name, table in expected.items():
        pd.testing.assert_frame_equal(table, two.tables[name], rtol=1e-12)


@holds()
def test_parts_do_not_matter(lens, task):
    run = shared_run(task)
    assert_same(lens(run), lens(rebuilt(run, cut={"train": (1, 30, 77), "test": (13, 60)})))


@holds()
def test_storing_a_run_changes_nothing(lens, task, tmp_path):
    run = shared_run(task)
    run.save(tmp_path / "run")
    one, two = lens(run), lens(Run.load(tmp_path / "run"))
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, two.tables[name], check_exact=True)
    assert one.summary == two.summary


OWN_LOGIT = "it reads the logit of each class by itself"


@holds(
    but={"ranking": OWN_LOGIT, "class_features": OWN_LOGIT}, task="multiclass"
)  # labels have thresholds of their own
def test_a_constant_on_all_logits_of_an_instance_does_not_matter(lens, task):
    run = shared_run(task)
    rng = np.random.default_rng(2)
    shifted = rebuilt(run, logits=lambda logits: logits + rng.integers(-9, 9, (len(logits), 1)))
    assert_same(lens(run), lens(shifted), rtol=1e-4)


@pytest.mark.parametrize("name", ["class_accuracy", "feature_overlap", "feature_density", "generalization_gap"])
def test_instances_may_occur_twice(name):
    lens = LENSES[IDS.index(name)]
    run = make_run(seed=8)
    for key, table in lens(run).tables.items():
        twice = lens(rebuilt(run, repeat=2)).tables[key]
        counts = [column for column in table if re.search("count$", column)]
        rest = [column for column in table if column not in counts and not re.search("_(low|high)$", column)]
        assert (twice[counts] == 2 * table[counts]).all(axis=None)
        pd.testing.assert_frame_equal(twice[rest], table[rest], rtol=1e-9)


@holds()
def test_input_and_random_state_are_left_as_found(lens, task):
    run = captured_run(task=task, seed=9)
    arrays = [a for s in run.splits.values() for part in s.parts for a in (part.features, part.labels, part.logits)]
    arrays += [run.head.weight, run.head.bias]
    tables = [part.table for split in run.splits.values() for part in split.parts]
    before, tables_before = [a.copy() for a in arrays], [table.copy(deep=True) for table in tables]
    state = np.random.get_state()[1].copy()
    for array in arrays:
        array.flags.writeable = False
    lens(run)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    for table, copy in zip(tables, tables_before, strict=True):
        pd.testing.assert_frame_equal(table, copy)
    assert np.array_equal(np.random.get_state()[1], state)


@holds()
def test_a_finding_is_frozen_plain_and_drawn(lens, task):
    finding = lens(shared_run(task))
    assert isinstance(finding, Finding) and finding.lens == lens_info(lens).name
    with pytest.raises(FrozenInstanceError):
        finding.tables = {}
    json.dumps(finding.summary, allow_nan=False)
    assert finding.tables and all(isinstance(table, pd.DataFrame) for table in finding.tables.values())
    assert set(finding.lines()) <= {*NAMES, ""}
    assert all(line and "nan" not in line for line in finding.lines().values())
    for chart in finding.charts().values():
        json.dumps(chart.to_dict(), allow_nan=False)


@holds()
def test_a_change_of_what_a_finding_returned_changes_nothing_else(lens, task):
    run = shared_run(task)
    finding = lens(run)
    tables, summary, lines = finding.tables, json.dumps(finding.summary), finding.lines()
    for table in finding.tables.values():
        table[table.columns[0]] = "changed"
        table["added"] = 1
    for value in [finding.summary, *finding.summary.values()]:
        if isinstance(value, (dict, list)):
            value.clear()
    for again in (finding, lens(run)):
        assert again.tables.keys() == tables.keys()
        for name, table in again.tables.items():
            pd.testing.assert_frame_equal(table, tables[name])
        assert json.dumps(again.summary) == summary and again.lines() == lines


@holds()
def test_options_spelled_out_or_defaulted_are_computed_once(lens, task):
    run = shared_run(task)
    defaults = {
        name: parameter.default
        for name, parameter in signature(lens).parameters.items()
        if parameter.default is not Parameter.empty
    }
    assert lens(run) is lens(run, **defaults)


def test_columns_are_the_documented_ones():
    run = make_run()
    expected = {
        "class_accuracy": "class train_count imbalance test_count accuracy accuracy_low accuracy_high",
        "archetypes": "class archetype count share accuracy accuracy_low accuracy_high prototype",
        "adversaries": "class adversary neighbour_count forecast fisher soft observed basis test_error_count train_error_count",
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
    "no predictions": lambda: make_run(logits=False, head=False),
    "training only": lambda: arrays(RNG.normal(size=(9, 4)), [0, 1, 2] * 3, test=None),
    "several labels": lambda: arrays(
        RNG.normal(size=(5, 4)), np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1]])
    ),
    "a label nobody has": lambda: arrays(RNG.normal(size=(3, 4)), np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]])),
    "300 classes": lambda: arrays(RNG.normal(size=(700, 5)), np.arange(700) % 300, n_classes=300),
}


@pytest.mark.parametrize("lens", LENSES, ids=IDS)
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_runs_get_a_finding_or_a_reason(lens, name):
    try:
        finding = lens(AWKWARD[name]())
    except NotApplicable as reason:
        assert str(reason).startswith(f"{lens_info(lens).name}: ") and str(reason).endswith(".")
        return
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
    of_299 = of_299.reindex([f"c{i}" for i in range(299)], fill_value=0)  # pairs without neighbours are left out
    expected = np.bincount(run.train.labels[near[run.train.labels == 299]].ravel(), minlength=300)
    assert of_299.sum() == expected.sum() - expected[299] and (of_299 == expected[:299]).all()
