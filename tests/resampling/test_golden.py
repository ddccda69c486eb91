"""Rows that every sampler draws, and what it says, are those stored."""

# ruff: noqa: E501  # a case is read as one line

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from imblens import resampling
from imblens.resampling import EOS, BalancedSVM, TrainingRows, fitting_k, resample_with
from imblens.resampling._adapters import AMONG_ALL
from imblens.resampling._numeric import Frame, as_float, as_seed, enough_for_smote, for_distances, positions
from tests import golden

COUNTS = (19, 11, 7, 4)
NAMES = ("ant", "bee", "cat", "dog")


def drawn(counts: tuple[int, ...] = COUNTS, apart: float = 1.0, dim: int = 3, seed: int = 31) -> tuple[Any, Any]:
    """Overlapping classes in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    middles = apart * rng.normal(size=(len(counts), dim))
    return (middles[labels] + rng.normal(size=(len(labels), dim))).round(3), labels


X, Y = drawn()
ALONE = drawn((12, 6, 1), apart=40.0)
WIDE = drawn((150, 20), dim=140)
HALF = np.repeat([0, 1], [29, 12])


def sampled(sampler: Any, features: Any = X, labels: Any = Y) -> dict[str, Any]:
    """Everything a sampler gives: rows, labels, attributes, warnings, and where each warning points."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows, given = sampler.fit_resample(features, labels)
    dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    known = {name: value for name, value in vars(sampler).items() if name.endswith("_") and not name.startswith("_")}
    known.pop("estimator_", None)
    kinds = [type(rows).__name__, str(dense.dtype), str(np.asarray(given).dtype.kind), len(dense)]
    told = [[str(one.message), one.category.__name__, one.filename == __file__] for one in caught]
    return {"rows": dense[len(labels) :], "labels": list(given)[len(labels) :], "kinds": kinds, "said": told, **known}


def eos(**options: Any) -> Any:
    return EOS(**{"k_neighbors": 4, "random_state": 5, **options})


def svm(**options: Any) -> Any:
    return BalancedSVM(**{"k_neighbors": 2, "random_state": 5, **options})


STRATEGIES: dict[str, Any] = {
    "auto": "auto", "minority": "minority", "not minority": "not minority", "not majority": "not majority", "all": "all",
    "counts": {1: 15, 3: 9}, "counts as they are": {0: 19, 2: 7, 3: 8}, "one of each": {0: 22, 1: 12, 2: 8, 3: 5},
    "function": lambda y: {3: 6},
}  # fmt: skip
SAMPLED: dict[str, Callable[[], Any]] = {
    **{
        f"eos {name}": partial(lambda way: sampled(eos(sampling_strategy=way)), way) for name, way in STRATEGIES.items()
    },
    **{
        f"svm {name}": partial(lambda way: sampled(svm(sampling_strategy=way)), way) for name, way in STRATEGIES.items()
    },
    "eos default": lambda: sampled(EOS(random_state=0)),
    "svm default": lambda: sampled(BalancedSVM(random_state=0), *drawn((30, 12, 9))),
    "eos away": lambda: sampled(eos(direction="away")),
    "eos released": lambda: sampled(eos(indexing="released")),
    "eos one neighbour": lambda: sampled(eos(k_neighbors=1)),
    "eos too many": lambda: sampled(eos(k_neighbors=99)),
    "eos all others": lambda: sampled(eos(k_neighbors=40)),
    "eos all": lambda: sampled(eos(k_neighbors=41)),
    "eos without enemies": lambda: sampled(eos(k_neighbors=2), *ALONE),
    "eos without enemies, released": lambda: sampled(eos(k_neighbors=2, indexing="released"), *ALONE),
    "eos share": lambda: sampled(eos(sampling_strategy=0.75), X, HALF),
    "svm share": lambda: sampled(svm(sampling_strategy=0.75), X, HALF),
    "eos frame": lambda: sampled(eos(), pd.DataFrame(X, columns=["a", "b", "c"]), pd.Series(Y)),
    "eos whole numbers": lambda: sampled(eos(), (20 * X).astype(np.int16), Y),
    "eos wide whole numbers": lambda: sampled(eos(), (1000 * X).astype(np.int64), Y),
    "eos sparse": lambda: sampled(eos(), csr_matrix(np.maximum(X, 0)), Y),
    "eos texts": lambda: sampled(eos(), X, np.array(NAMES)[Y]),
    "eos lists": lambda: sampled(eos(), X.tolist(), Y.tolist()),
    "eos short floats": lambda: sampled(eos(), X.astype(np.float32), Y + 7),
    "eos half floats": lambda: sampled(eos(), X.astype(np.float16), Y),
    "eos many": lambda: sampled(eos(sampling_strategy={3: 1100})),
    "svm original": lambda: sampled(svm(fit_on="original")),
    "svm few to fit": lambda: sampled(svm(max_fit=25)),
    "svm other machine": lambda: sampled(svm(estimator=LogisticRegression(C=0.1))),
    "svm tree": lambda: sampled(svm(estimator=DecisionTreeClassifier(max_depth=2, random_state=0), fit_on="original")),
    "svm many columns": lambda: sampled(svm(random_state=7), *WIDE),
    "svm frame": lambda: sampled(svm(), pd.DataFrame(X, columns=["a", "b", "c"]), pd.Series(np.array(NAMES)[Y])),
    "svm far off": lambda: sampled(svm(), X * 1e-3 + 5000.0, Y),
    "states": lambda: [
        eos(random_state=state).fit_resample(X, Y)[0][41:44]
        for state in (np.random.RandomState(3), np.random.default_rng(3), 2**31, np.int64(4))
    ],
}

PATHS = {
    "smote": ("imblens.resampling.RecordingSMOTE",),
    "borderline": ("imblearn.over_sampling.BorderlineSMOTE",),
    "svm_smote": ("imblearn.over_sampling.SVMSMOTE",),
    "adasyn": ("imblearn.over_sampling.ADASYN",),
    "random": ("imblearn.over_sampling.RandomOverSampler",),
    "random_under": ("imblearn.under_sampling.RandomUnderSampler",),
    "near_miss": ("imblearn.under_sampling.NearMiss",),
    "tomek": ("imblearn.under_sampling.TomekLinks",),
    "enn": ("imblearn.under_sampling.EditedNearestNeighbours",),
    "cleaned": ("imblens.resampling.RecordingSMOTE", "imblearn.under_sampling.EditedNearestNeighbours"),
    "cleaned of links": ("imblens.resampling.RecordingSMOTE", "imblearn.under_sampling.TomekLinks"),
}
USUAL = {"sampling_strategy": "auto", "random_state": 2, "k_neighbors": "auto", "n_neighbors": 3, "m_neighbors": 6}


def adapted(name: str, counts: tuple[int, ...] = (24, 14, 9, 7), apart: float = 0.6, **options: Any) -> Any:
    """Rows by a sampler of imbalanced-learn, with its notes."""
    features, labels = drawn(counts, apart)
    rows = TrainingRows(features, labels, NAMES[: len(counts)])
    given = {**USUAL, **options}
    found: dict[str, Any] = {}
    error = golden.raised(
        lambda: found.update(rows=golden.plain(resample_with(rows, given, name=name, steps=PATHS[name])))
    )
    return found or error


ADAPTED: dict[str, Callable[[], Any]] = {
    **{name: partial(adapted, name) for name in PATHS},
    **{f"{name} of a class of {n}": partial(adapted, name, (24, 14, 9, n)) for name in PATHS for n in (1, 2, 4)},
    **{f"{name} with classes apart": partial(adapted, name, apart=50.0) for name in PATHS},
    **{f"{name} with counts": partial(adapted, name, sampling_strategy={"cat": 12, "dog": 8}) for name in PATHS},
    **{f"{name} of few": partial(adapted, name, (3, 2)) for name in PATHS},
    **{
        f"{name} with {key}={value}": partial(adapted, name, **{key: value})
        for name in ("smote", "adasyn", "near_miss", "enn", "borderline", "cleaned")
        for key, value in (("k_neighbors", 3), ("k_neighbors", 30), ("n_neighbors", 20), ("n_neighbors", 99), ("m_neighbors", 99))
    },
    "smote minority": partial(adapted, "smote", sampling_strategy="minority"),
    "smote not minority": partial(adapted, "smote", (20, 14, 9, 1), sampling_strategy="not minority"),
    "smote of no class": partial(adapted, "smote", sampling_strategy={"cow": 30}),
    "smote of too few": partial(adapted, "smote", sampling_strategy={"cat": 3}),
}  # fmt: skip


def rows_of(*counts: int) -> TrainingRows:
    labels = np.repeat(np.arange(len(counts)), counts)
    return TrainingRows(np.zeros((len(labels), 2)), labels, NAMES[: len(counts)])


def with_error(call: Callable[[], Any]) -> Any:
    """A result, or the error in its place."""
    found: list[Any] = []
    error = golden.raised(lambda: found.append(call()))
    return found[0] if found else error


ROUNDED = np.array([[1.5, -900.0], [3.0, 4000.0], [-2.25, 17.0]])
SMALL: dict[str, Callable[[], Any]] = {
    "wanted": lambda: [
        with_error(partial(rows_of(*counts).wanted, way, "smote"))
        for counts in ((9, 4, 4), (3, 0, 7, 1), (5, 5))
        for way in ("auto", "minority", "not minority", "not majority", "all", {"ant": 12}, {"bee": 2}, {"ant": 9.5})
    ],
    "fitting k": lambda: [
        with_error(partial(fitting_k, rows_of(*counts), k, wanted, "smote"))
        for counts in ((30, 7, 6), (30, 5, 2), (30, 1, 9), (30, 1, 1), (30, 3, 1))
        for k in ("auto", 1, 4, 5, 6)
        for wanted in ({}, {1: 5, 2: 5}, {2: 5})
    ],
    "smote needs": lambda: [
        golden.raised(partial(enough_for_smote, "X", k, counts))
        for k in (1, 3)
        for counts in ({}, {"a": 1, "b": 9}, {"a": 3, "b": 2}, {"a": 4}, {"a": 2})
    ],
    "counts": lambda: [
        golden.raised(partial(resampling.check_counts, "X", asked, {0: 4, 1: 2, 2: 0}, names))
        for asked in ({0: 4}, {0: 5.0, 1: 3}, {0: 3}, {1: 2.5}, {1: True}, {2: 4}, {7: 4}, {0: "9"}, {1: np.int64(1)})
        for names in (None, ["ant", "bee", "cat", *"defgh"])
    ],
    "seeds": lambda: {
        label: [one.entropy, np.random.default_rng(one).random(2)]
        for label, one in resampling.class_seeds(np.repeat([4, 1, 9, 3], [3, 2, 3, 2]), 11).items()
    },
    "stratified": lambda: [resampling.stratified(np.repeat([0, 1, 3], [20, 9, 2]), n, 1) for n in (1, 3, 8, 15, 31, 99)],
    "frame": lambda: [Frame(ROUNDED * s).inside(ROUNDED) for s in (1, 0.01)] + [Frame(ROUNDED).outside(ROUNDED / 1e4, np.array([2, 0])), for_distances(ROUNDED)],
    "floats": lambda: [str(as_float(np.zeros(2, kind)).dtype) for kind in ("f2", "f4", "f8", "i1", "u2", "i4", "i8", "?")],
    "seed": lambda: [as_seed(state) for state in (3, np.random.RandomState(1), np.random.default_rng(1), np.int32(9))],
    "positions": lambda: positions(np.array(["b", "a", "c", "a"]), {"c": 4, "a": 0}),
    "too many": lambda: [golden.raised(partial(resampling.refuse_too_many, "X", n, np.zeros((1, 4), "f4"))) == "no error" for n in (9, 10**15)],
    "neighbours among all": lambda: AMONG_ALL,
    "interpolated": lambda: [
        resampling.interpolate(X, resampling.draw_eos(X, Y, np.argsort(((X[:, None] - X) ** 2).sum(2))[:, 1:4], {1: 5, 0: 0, 3: 2}, 4), way)
        for way in ("toward", "away")
    ],
}  # fmt: skip

WRONG: Mapping[str, tuple[Any, Any]] = {
    "rows": (X[:9], Y), "flat": (X[:, 0], Y), "no rows": (X[:0], Y[:0]), "no columns": (X[:, :0], Y), "texts": (X.astype(str), Y),
    "dates": (X.astype("M8[s]"), Y), "durations": (X.astype("m8[s]"), Y), "complex": (X + 1j, Y), "None": (X, None),
    "undefined": (np.where(X > 2.2, np.nan, X), Y), "infinite": (np.where(X > 2.2, np.inf, X), Y), "ragged": ([[1, 2], [3], [4, 5]], [0, 1, 1]),
    "one class": (X, Y * 0), "shares as labels": (X, Y + 0.5), "undefined labels": (X, np.where(Y > 2, np.nan, Y)), "three axes": (X[None], Y),
    "missing labels": (X, [None if y > 2 else y for y in Y]), "mixed labels": (X, np.array([y if y else "a" for y in Y], object)),
    "labels of three axes": (X, Y[:, None, None]), "complex labels": (X, Y + 1j), "a number": (3.0, Y), "one class in words": (X, ["a"] * 41),
    "two columns of labels": (X, np.stack([Y, Y], axis=1)), "one column of labels": (X, Y[:, None]), "infinite labels": (X, np.where(Y > 2, np.inf, Y)),
    "missing object labels": (X, np.where(Y > 2, None, Y.astype(object))), "no labels": (X, []), "frame of texts": (pd.DataFrame({"a": ["x"] * 41}), Y),
}  # fmt: skip
OPTIONS: dict[str, tuple[Any, ...]] = {
    "k_neighbors": (0, -1, 1.0, True, "4", None, np.int64(2)), "random_state": (-1, 1.5, "a", True), "direction": ("up", None, 1),
    "indexing": ("other", None), "sampling_strategy": ("none", 0.0, 1.5, -1, 0.5, {0: 2}, {9: 50}, {3: 4.5}, lambda y: 3, None, 1, []),
    "fit_on": ("new", None), "max_fit": (1, 0, 2.5, 2), "estimator": (3, LogisticRegression, LogisticRegression(), "svm"),
}  # fmt: skip


def refused(kind: type, options: bool) -> dict[str, Any]:
    """What a sampler says to wrong data, or to wrong options."""
    if not options:
        return {
            name: golden.raised(partial(kind(2, random_state=0).fit_resample, *data)) for name, data in WRONG.items()
        }
    known = kind().get_params()
    pairs = [(name, value) for name, values in OPTIONS.items() if name in known for value in values]
    asked = {f"{name} {getattr(value, '__name__', value)}": {name: value} for name, value in pairs}
    return {
        what: golden.raised(partial(kind(**{"k_neighbors": 2, **given}).fit_resample, X, Y))
        for what, given in asked.items()
    }


CASES: dict[str, Callable[[], Any]] = {f"samplers/{name}": call for name, call in SAMPLED.items()}
CASES |= {f"adapted/{name}": call for name, call in ADAPTED.items()}
CASES |= {f"parts/{name}": call for name, call in SMALL.items()}
CASES |= {
    f"refusals/{kind.__name__} {'options' if options else 'data'}": partial(refused, kind, options)
    for kind in (EOS, BalancedSVM)
    for options in (False, True)
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_a_sampler_gives_what_is_stored(case: str) -> None:
    golden.check("resampling", case, CASES[case]())
