"""Arrays in, a run out: what the door lets through and what it refuses, and the statistics behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imblens.errors import InputError, ShapeError
from imblens.run import (
    Batch,
    ClassMoments,
    ClassRange,
    Head,
    Part,
    Run,
    Split,
    Statistic,
    TopKCounts,
    inputs_name,
)

RNG = np.random.default_rng(7)
LABELS = np.repeat(np.arange(3), (9, 5, 3))
FEATURES = (RNG.normal(size=(17, 4)) + LABELS[:, None]).astype(np.float32)
LOGITS = RNG.normal(size=(17, 3)).astype(np.float32)


def test_from_arrays_keeps_what_it_was_given() -> None:
    run = Run.from_arrays(train=(FEATURES, LABELS, LOGITS), classes=["a", "b", "c"])
    assert run.train.features is FEATURES
    assert run.train.class_counts.tolist() == [9, 5, 3]
    assert (run.train.predictions == LOGITS.argmax(axis=1)).all()
    assert run.test is None and run.task == "multiclass"


def test_labels_may_be_text_or_have_gaps() -> None:
    text = Run.from_arrays(train=(FEATURES, np.array(["dog", "ant", "cat"])[LABELS]))
    assert text.classes == ("ant", "cat", "dog")
    assert text.train.class_counts.tolist() == [5, 3, 9]
    gaps = Run.from_arrays(train=(FEATURES, LABELS * 300 + 5))
    assert gaps.classes == ("5", "305", "605")
    named = Run.from_arrays(train=(FEATURES, np.array(["x", "y", "z"])[LABELS]), classes=["z", "y", "x"])
    assert named.train.class_counts.tolist() == [3, 5, 9]


def test_a_class_may_be_empty() -> None:
    run = Run.from_arrays(train=(FEATURES, LABELS), classes=["a", "b", "c", "never"])
    assert run.train.class_counts.tolist() == [9, 5, 3, 0]


def test_logits_come_from_the_head_when_none_are_stored() -> None:
    weight = RNG.normal(size=(3, 4))
    run = Run.from_arrays(train=(FEATURES, LABELS), head=(weight, [1, 2, 3]))
    np.testing.assert_allclose(run.train.logits, FEATURES @ weight.T + [1, 2, 3], rtol=1e-5)


def test_integer_features_are_computed_in_float() -> None:
    run = Run.from_arrays(train=((FEATURES * 20 + 100).astype(np.uint8), LABELS))
    assert run.train.features.dtype == np.float32


def with_value(value: float | None) -> np.ndarray:
    bad = FEATURES.astype(object if value is None else FEATURES.dtype)
    bad[11, 2] = value
    return bad


BAD = {
    "nan": (dict(train=(with_value(np.nan), LABELS)), "NaN or infinite values (first in row 11, column 2)"),
    "infinite": (dict(train=(with_value(-np.inf), LABELS)), "NaN or infinite"),
    "nan logits": (dict(train=(FEATURES, LABELS, with_value(np.nan)[:, :3])), "train_logits holds NaN"),
    "masked": (dict(train=(np.ma.masked_less(FEATURES, 0), LABELS)), "filled"),
    "objects": (dict(train=(with_value(None), LABELS)), "holds None in row 11, column 2"),
    "text features": (dict(train=(FEATURES.astype(str), LABELS)), "real numbers"),
    "complex": (dict(train=(FEATURES.astype(complex), LABELS)), "real numbers"),
    "ragged": (dict(train=([[1, 2], [3]], [0, 1])), "different lengths"),
    "one dimension": (dict(train=(FEATURES[:, 0], LABELS)), "must be a matrix"),
    "no rows": (dict(train=(FEATURES[:0], LABELS[:0])), "at least one of each"),
    "tiny": (dict(train=(FEATURES.astype(np.float64) * 1e-310, LABELS)), "blur"),
    "huge": (dict(train=(FEATURES.astype(np.float64) * 1e200, LABELS)), "more than float32"),
    "lengths": (dict(train=(FEATURES, LABELS[:-1])), "train_labels has 16 rows, the features 17"),
    "half": (dict(train=(FEATURES, LABELS + 0.5)), "not a whole number"),
    "nan label": (dict(train=(FEATURES, np.where(LABELS == 2, np.nan, LABELS))), "not a whole number"),
    "none label": (dict(train=(FEATURES, [None, *LABELS[1:]])), "holds None in row 0"),
    "range": (dict(train=(FEATURES, LABELS), classes=["a", "b"]), "there are 2 classes (0 to 1)"),
    "negative": (dict(train=(FEATURES, LABELS - 1), classes=["a", "b", "c"]), "holds -1"),
    "negative alone": (dict(train=(FEATURES, LABELS - 1)), "below 0"),
    "blank name": (dict(train=(FEATURES, LABELS), classes=["a", " ", "c"]), "blank"),
    "one class": (dict(train=(FEATURES, LABELS * 0)), "at least two"),
    "one class seen": (dict(train=(FEATURES, LABELS * 0), classes=["a", "b"]), "fewer than two classes"),
    "same name": (dict(train=(FEATURES, LABELS), classes=["a", "b", "a"]), "'a' appears twice"),
    "too few names": (dict(train=(FEATURES, LABELS, LOGITS), classes=["a", "b"]), "2 class names for 3 classes"),
    "logits shape": (dict(train=(FEATURES, LABELS, LOGITS[:5])), "train_logits has shape (5, 3)"),
    "dims": (dict(train=(FEATURES, LABELS), test=(FEATURES[:, :3], LABELS)), "test_features has 3 columns"),
    "head shape": (dict(train=(FEATURES, LABELS, LOGITS), head=(np.ones((4, 3)), np.ones(3))), "transposed"),
    "bias shape": (dict(train=(FEATURES, LABELS, LOGITS), head=(np.ones((3, 4)), np.ones(4))), "head_bias"),
    "multi-hot values": (dict(train=(FEATURES, LOGITS)), "only 0 and 1"),
    "kinds": (dict(train=(FEATURES, LABELS), test=(FEATURES, np.eye(3)[LABELS]), classes=list("abc")), "kind"),
    "not a pair": (dict(train=FEATURES), "must be (features, labels)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_refused_with_what_where_and_what_to_do(case: str) -> None:
    arguments, fragment = BAD[case]
    with pytest.raises(InputError) as caught:
        Run.from_arrays(**arguments)
    assert fragment in str(caught.value)
    assert caught.value.hint, "an error says what to do"


def test_inputs_and_random_state_stay_untouched() -> None:
    before, state = FEATURES.copy(), np.random.get_state()[1].copy()
    run = Run.from_arrays(train=(FEATURES, LABELS, LOGITS), test=(FEATURES, LABELS, LOGITS))
    run.train.reduce(lambda: ClassMoments(3, 4))
    run.neighbours(3)
    assert (before == FEATURES).all() and (np.random.get_state()[1] == state).all()


# ------------------------------------------------------------------------------------------------ statistics in pieces


def cut(*at: int) -> Split:
    """The same instances in parts."""
    edges = [0, *at, len(FEATURES)]
    parts = tuple(Part(FEATURES[a:b], LABELS[a:b], LOGITS[a:b]) for a, b in zip(edges, edges[1:], strict=False))
    return Split(parts, ("a", "b", "c", "empty"))


@pytest.mark.parametrize("cuts", [(), (4,), (1, 2, 16), (9, 14)])
def test_parts_merge_to_the_whole(cuts: tuple[int, ...]) -> None:
    split = cut(*cuts)
    moments = split.reduce(lambda: ClassMoments(4, 4))
    ranges = split.reduce(lambda: ClassRange(4, 4))
    for c in range(3):
        rows = FEATURES[LABELS == c].astype(np.float64)
        np.testing.assert_allclose(moments.mean[c], rows.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(moments.variance[c], rows.var(axis=0), rtol=1e-10)
        assert (ranges.low[c] == rows.min(axis=0)).all() and (ranges.high[c] == rows.max(axis=0)).all()
    assert np.isnan(moments.mean[3]).all() and np.isnan(ranges.low[3]).all() and moments.count[3] == 0


class Counted(Statistic[int]):
    """How many instances there are, without a merge of its own."""

    def __init__(self) -> None:
        self.n = 0

    def update(self, batch: Batch) -> None:
        self.n += len(batch)

    def finish(self) -> int:
        return self.n


class Summed(Counted):
    sums = ("n",)


def test_a_statistic_states_its_sums_or_merges_itself() -> None:
    assert cut(4, 9).reduce(Summed) == len(FEATURES)
    with pytest.raises(NotImplementedError, match="Counted states no sums"):
        cut(4, 9).reduce(Counted)


KINDS = {
    "moments": (lambda: ClassMoments(4, 4), ("count", "mean", "variance")),
    "ranges": (lambda: ClassRange(4, 4), ("count", "low", "high")),
    "top": (lambda: TopKCounts(4, 4, 2), ()),
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 16), unique=True, min_size=1, max_size=6).map(sorted), st.randoms(use_true_random=False))
@pytest.mark.parametrize("kind", KINDS)
def test_any_order_and_grouping_of_merges_gives_the_same(kind: str, cuts: list[int], random: Any) -> None:
    make, fields = KINDS[kind]
    split = cut(*cuts)
    whole = cut().reduce(make)
    pieces = []
    for batch in (next(part.batches(0, 4, None, logits=True)) for part in split.parts):
        pieces.append(make())
        pieces[-1].update(batch)
    while len(pieces) > 1:  # any two at a time, as workers finish
        one, other = (pieces.pop(random.randrange(len(pieces))) for _ in range(2))
        pieces.append(one.merge(other))
    merged = pieces[0].finish()
    for name in fields:
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-6, atol=1e-12)
    if not fields:
        dense = [found.toarray() if hasattr(found, "toarray") else found for found in (merged, whole)]
        np.testing.assert_array_equal(*dense)


def test_moments_survive_a_large_offset() -> None:
    far = Split((Part(FEATURES + np.float32(1e4), LABELS),), ("a", "b", "c"))
    variance = far.reduce(lambda: ClassMoments(3, 4)).variance
    expected = np.stack([(FEATURES + np.float32(1e4))[LABELS == c].astype(np.float64).var(axis=0) for c in range(3)])
    np.testing.assert_allclose(variance, expected, rtol=1e-6)


def test_ranges_of_right_and_wrong_answers() -> None:
    split = cut()
    right = LOGITS.argmax(axis=1) == LABELS
    found = split.reduce(lambda: ClassRange(4, 4, keep="misclassified"))
    for c in range(3):
        rows = FEATURES[(LABELS == c) & ~right]
        assert found.count[c] == len(rows)
        if len(rows):
            assert (found.high[c] == rows.max(axis=0)).all()


def test_multi_hot_labels_count_in_every_class() -> None:
    hot = (RNG.random((17, 3)) < 0.5).astype(np.uint8)
    split = Split((Part(FEATURES, hot),), ("a", "b", "c"))
    moments = split.reduce(lambda: ClassMoments(3, 4))
    for c in range(3):
        np.testing.assert_allclose(moments.mean[c], FEATURES[hot[:, c] == 1].mean(axis=0), rtol=1e-5)
    assert split.class_counts.tolist() == hot.sum(axis=0).tolist()


def test_batches_are_bounded_and_cover_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.run._part.BATCH_BYTES", 16)
    big = Split((Part(np.tile(FEATURES, (40, 1)), np.tile(LABELS, 40)),), ("a", "b", "c"))
    batches = list(big.batches())
    assert max(map(len, batches)) <= 256 and sum(map(len, batches)) == len(big)
    assert [b.start for b in batches][:2] == [0, 256]


def test_a_new_head_keeps_features_and_drops_predictions() -> None:
    run = Run.from_arrays(train=(FEATURES, LABELS, LOGITS), test=(FEATURES, LABELS, LOGITS))
    graph = run.neighbours(2)
    head = Head(np.ones((3, 4), np.float32), np.array([0, 1, 0], np.float32))
    better = run.with_head(head, treatment={"name": "made up"})
    assert (better.test.predictions == 1).all() and (run.test.predictions == LOGITS.argmax(axis=1)).all()
    assert better.neighbours(2).indices is graph.indices or (better.neighbours(2).indices == graph.indices).all()
    assert better.meta["treatment"] == {"name": "made up"} and "treatment" not in run.meta


def test_the_graph_is_computed_once_and_sliced() -> None:
    run = Run.from_arrays(train=(FEATURES, LABELS))
    five = run.neighbours(5)
    assert (run.neighbours(2).indices == five.indices[:, :2]).all()


def test_head_refuses_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="transposed"):
        Head.checked(np.ones((4, 3)), None, dim=4, n_classes=3)


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        ("thumbnail", b"png", "images"),
        ("band_count", [1, 2], "images"),
        ("preview", "a text", "texts"),
        ("waveform", [0.0, 1.0], "recordings"),
        ("values", [1.0, 2.0], "rows"),
        ("id", "a", "instances"),
    ],
)
def test_advice_names_what_the_instances_are(column: str, value: object, name: str) -> None:
    part = Part(np.eye(2, dtype=np.float32), np.array([0, 1]), table=pd.DataFrame({column: [value, value]}))
    run = replace(Run.from_arrays(train=(np.eye(2), [0, 1])), train=Split((part,), ("a", "b")))
    assert inputs_name(run) == name
