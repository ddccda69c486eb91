"""Awkward inputs for the public functions: what each should come to, and what became of it.

    python -m tests.trust.inputs        the table in figures, and every case that is not as expected

A case is `served` when the answer equals that for the same data in ordinary form, and `refused` when one exception of
imblens names what is wrong in the words of the caller's argument. Anything else (another answer, another library's
exception, an answer where none exists) is a defect.
"""

from __future__ import annotations

import datetime
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse
from numpy.typing import NDArray

import imblens
from imblens.errors import ImblensError
from imblens.resampling import EOS, BalancedSVM

COUNTS = (40, 24, 14)
RNG = np.random.default_rng(11)
CENTRES = RNG.normal(size=(3, 5)) * 3
LABELS = np.repeat(np.arange(3), COUNTS)
TEST_LABELS = np.repeat(np.arange(3), 12)
# Quarters: exact in float16 and float32, so that every type of number holds the same values.
FEATURES = np.round((CENTRES[LABELS] + RNG.normal(size=(78, 5)) * 2) * 4) / 4
TEST_FEATURES = np.round((CENTRES[TEST_LABELS] + RNG.normal(size=(36, 5)) * 2) * 4) / 4
WEIGHT, BIAS = CENTRES, -(CENTRES**2).sum(1) / 2
NAMES = ["ant", "bee", "cat"]

SERVED, REFUSED = "served", "refused"


@dataclass(frozen=True)
class Case:
    """An awkward form of features or labels, and what should come of it."""

    name: str
    make: Callable[[NDArray[Any]], Any]
    expected: str


def torch_tensor(values: NDArray[Any], **options: Any) -> Any:
    import torch

    return torch.tensor(values, **options)


def with_value(value: Any, dtype: Any = float) -> Callable[[NDArray[Any]], Any]:
    def make(values: NDArray[Any]) -> Any:
        changed = values.astype(dtype)
        changed[3, 1] = value
        return changed

    return make


def read_only(values: NDArray[Any]) -> NDArray[Any]:
    copy = values.copy()
    copy.flags.writeable = False
    return copy


FEATURE_CASES = [
    Case("list of lists", lambda x: x.tolist(), SERVED),
    Case("tuple of tuples", lambda x: tuple(map(tuple, x.tolist())), SERVED),
    Case("list of arrays", list, SERVED),
    Case("Fortran order", np.asfortranarray, SERVED),
    Case("strided view", lambda x: np.repeat(x, 2, axis=1)[:, ::2], SERVED),
    Case("reversed view", lambda x: x[::-1].copy()[::-1], SERVED),
    Case("read-only", read_only, SERVED),
    Case("big-endian", lambda x: x.astype(">f8"), SERVED),
    Case("float16", lambda x: x.astype(np.float16), SERVED),
    Case("float32", lambda x: x.astype(np.float32), SERVED),
    Case("long double", lambda x: x.astype(np.longdouble), SERVED),
    Case("matrix", lambda x: np.asmatrix(x), SERVED),
    Case("objects that are numbers", lambda x: x.astype(object), SERVED),
    Case("masked array without a mask", lambda x: np.ma.array(x), SERVED),
    Case("masked array", lambda x: np.ma.array(x, mask=np.arange(x.size).reshape(x.shape) % 7 == 0), REFUSED),
    Case("data frame", pd.DataFrame, SERVED),
    Case("data frame of Float64", lambda x: pd.DataFrame(x).astype("Float64"), SERVED),
    Case("data frame with pd.NA", lambda x: pd.DataFrame(x).astype("Float64").mask(lambda f: f > 5), REFUSED),
    Case("data frame with odd index", lambda x: pd.DataFrame(x, index=list(range(len(x)))[::-1]), SERVED),
    Case("data frame with a text column", lambda x: pd.DataFrame(x).assign(t="a"), REFUSED),
    Case("Arrow table", lambda x: pa.table({f"f{i}": x[:, i] for i in range(x.shape[1])}), SERVED),
    Case("series of lists", lambda x: pd.Series(x.tolist()), SERVED),
    Case("Arrow lists", lambda x: pa.array(x.tolist()), SERVED),
    Case("Arrow lists of different lengths", lambda x: pa.array([[1.0], *x.tolist()[1:]]), REFUSED),
    Case("CSR", scipy.sparse.csr_matrix, SERVED),
    Case("CSC array", scipy.sparse.csc_array, SERVED),
    Case("COO", scipy.sparse.coo_matrix, SERVED),
    Case("tensor", torch_tensor, SERVED),
    Case("tensor that requires gradients", lambda x: torch_tensor(x, requires_grad=True), SERVED),
    Case("bfloat16 tensor of whole numbers", lambda x: x, SERVED),
    Case("sparse tensor", lambda x: torch_tensor(x).to_sparse(), SERVED),
    Case("NaN", with_value(np.nan), REFUSED),
    Case("infinity", with_value(np.inf), REFUSED),
    Case("minus infinity", with_value(-np.inf), REFUSED),
    Case("None in objects", with_value(None, object), REFUSED),
    Case("text in objects", with_value("five", object), REFUSED),
    Case("array in objects", with_value([1.0, 2.0], object), REFUSED),
    Case("text", lambda x: x.astype(str), REFUSED),
    Case("complex", lambda x: x + 1j, REFUSED),
    Case("dates", lambda x: x.astype("datetime64[s]"), REFUSED),
    Case("durations", lambda x: x.astype("timedelta64[s]"), REFUSED),
    Case("structured array", lambda x: np.array([tuple(r) for r in x], dtype=[(c, float) for c in "abcde"]), REFUSED),
    Case("one vector", lambda x: x[:, 0], REFUSED),
    Case("three dimensions", lambda x: x[:, None, :], REFUSED),
    Case("a number", lambda x: 3.0, REFUSED),
    Case("text instead of an array", lambda x: "features", REFUSED),
    Case("None", lambda x: None, REFUSED),
    Case("generator", lambda x: (row for row in x), REFUSED),
    Case("mapping", lambda x: {"features": x}, REFUSED),
    Case("ragged lists", lambda x: [*x.tolist()[:-1], [1.0]], REFUSED),
    Case("no rows", lambda x: x[:0], REFUSED),
    Case("no columns", lambda x: x[:, :0], REFUSED),
    Case("a row too few", lambda x: x[:-1], REFUSED),
    Case("a row too many", lambda x: np.vstack([x, x[:1]]), REFUSED),
    Case("offset of 1e6", lambda x: x + 2.0**20, SERVED),
    Case("scaled by 2^-900", lambda x: x * 2.0**-900, SERVED),
    Case("scaled by 2^600", lambda x: x * 2.0**600, SERVED),
]
FEATURE_CASES = [case for case in FEATURE_CASES if case.name != "bfloat16 tensor of whole numbers"]


def changed_label(value: Any, dtype: Any = object) -> Callable[[NDArray[Any]], Any]:
    def make(labels: NDArray[Any]) -> Any:
        changed = labels.astype(dtype)
        changed[3] = value
        return changed

    return make


LABEL_CASES = [
    *(
        Case(name, lambda y, t=name: y.astype(t), SERVED)
        for name in ("int8", "uint8", "int16", ">i4", "uint64", "float32", "float64", "float16", "object")
    ),
    Case("list", lambda y: y.tolist(), SERVED),
    Case("tuple", lambda y: tuple(y.tolist()), SERVED),
    Case("range-like series", lambda y: pd.Series(y, index=range(100, 100 + len(y))), SERVED),
    Case("nullable Int64", lambda y: pd.Series(y).astype("Int64"), SERVED),
    Case("categorical of numbers", lambda y: pd.Categorical(y), SERVED),
    Case("column", lambda y: y[:, None], SERVED),
    Case("row", lambda y: y[None, :], REFUSED),
    Case("read-only", read_only, SERVED),
    Case("strided", lambda y: np.repeat(y, 2)[::2], SERVED),
    Case("tensor", torch_tensor, SERVED),
    Case(
        "tensor of float that requires gradients", lambda y: torch_tensor(y.astype(float), requires_grad=True), SERVED
    ),
    Case("Arrow array", pa.array, SERVED),
    Case("one-hot", lambda y: np.eye(3, dtype=int)[y], SERVED),
    Case("one-hot of bool", lambda y: np.eye(3, dtype=bool)[y], SERVED),
    Case("names", lambda y: np.array(NAMES)[y], SERVED),
    Case("names as objects", lambda y: np.array(NAMES, dtype=object)[y], SERVED),
    Case("names as a list", lambda y: [NAMES[i] for i in y], SERVED),
    Case("names as bytes", lambda y: np.array([n.encode() for n in NAMES])[y], SERVED),
    Case("names as categorical", lambda y: pd.Categorical.from_codes(y, NAMES), SERVED),
    Case("names as pandas strings", lambda y: pd.Series(np.array(NAMES)[y]).astype("string"), SERVED),
    Case("names in Arrow", lambda y: pa.array(np.array(NAMES)[y]), SERVED),
    Case("names in an Arrow dictionary", lambda y: pa.array(np.array(NAMES)[y]).dictionary_encode(), SERVED),
    Case("halves", lambda y: y + 0.5, REFUSED),
    Case("NaN", changed_label(np.nan, float), REFUSED),
    Case("infinity", changed_label(np.inf, float), REFUSED),
    Case("None", changed_label(None), REFUSED),
    Case("pd.NA", lambda y: pd.Series(y).astype("Int64").where(np.arange(len(y)) != 3), REFUSED),
    Case("text among numbers", changed_label("bee"), REFUSED),
    Case("a list among numbers", changed_label([1]), REFUSED),
    Case("dates", lambda y: y.astype("datetime64[D]"), REFUSED),
    Case("complex", lambda y: y.astype(complex), REFUSED),
    Case("a row too few", lambda y: y[:-1], REFUSED),
    Case("a row too many", lambda y: np.append(y, 0), REFUSED),
    Case("three dimensions", lambda y: y[:, None, None], REFUSED),
    Case("one class", lambda y: y * 0, REFUSED),
    Case("no rows", lambda y: y[:0], REFUSED),
    Case("a number", lambda y: 1, REFUSED),
    Case("text", lambda y: "labels", REFUSED),
    Case("nothing", lambda y: None, REFUSED),
    Case("a set", lambda y: set(y.tolist()), REFUSED),
    Case("a mapping", lambda y: dict(enumerate(y.tolist())), REFUSED),
    Case("a function", lambda y: len, REFUSED),
    Case("a date for each", lambda y: [datetime.date(2020, 1, 1 + int(i)) for i in y], REFUSED),
]

# Where a function answers otherwise than the others, with the reason.
OTHERWISE = {
    ("Run.from_arrays features", "scaled by 2^-900"): REFUSED,  # runs hold float32
    ("Run.from_arrays features", "scaled by 2^600"): REFUSED,
    ("estimate features", "scaled by 2^-900"): REFUSED,
    ("estimate features", "scaled by 2^600"): REFUSED,
    ("EOS features", "series of lists"): REFUSED,  # scikit-learn takes a series as one column
    ("BalancedSVM features", "series of lists"): REFUSED,
    ("EOS labels", "dates"): SERVED,  # any kind of label that can be sorted is a class
    ("BalancedSVM labels", "dates"): SERVED,
}
NOT_APPLICABLE = {  # the unlabelled instances have no counterpart of the same length; the head belongs to the features
    ("estimate features", name) for name in ("a row too few", "a row too many", "offset of 1e6")
} | {("estimate labels", "one class")}

Answer = tuple[Any, ...]


def of_run(run: imblens.Run) -> Answer:
    kinds = imblens.audit(run, lenses=["archetypes"]).findings["archetypes"].tables["archetypes"]
    return tuple(kinds["count"]), tuple(run.train.class_counts), tuple(run.test.class_counts)


def arrays_with_features(form: Callable[[NDArray[Any]], Any]) -> Answer:
    return of_run(imblens.Run.from_arrays(train=(form(FEATURES), LABELS), test=(form(TEST_FEATURES), TEST_LABELS)))


def arrays_with_labels(form: Callable[[NDArray[Any]], Any]) -> Answer:
    return of_run(imblens.Run.from_arrays(train=(FEATURES, form(LABELS)), test=(TEST_FEATURES, form(TEST_LABELS))))


def resampled(features: Any, labels: Any, sampler: Any) -> Answer:
    more, names = sampler.fit_resample(features, labels)
    counts = np.sum(names, axis=0) if np.ndim(names) == 2 else np.unique(np.asarray(names), return_counts=True)[1]
    return np.shape(more), tuple(map(int, counts))


def eos_with_features(form: Callable[[NDArray[Any]], Any]) -> Answer:
    return resampled(form(FEATURES), LABELS, EOS(k_neighbors=5, random_state=0))


def eos_with_labels(form: Callable[[NDArray[Any]], Any]) -> Answer:
    return resampled(FEATURES, form(LABELS), EOS(k_neighbors=5, random_state=0))


def svm_with_features(form: Callable[[NDArray[Any]], Any]) -> Answer:
    return resampled(form(FEATURES), LABELS, BalancedSVM(k_neighbors=3, random_state=0))


def svm_with_labels(form: Callable[[NDArray[Any]], Any]) -> Answer:
    return resampled(FEATURES, form(LABELS), BalancedSVM(k_neighbors=3, random_state=0))


def plain_run() -> imblens.Run:
    return imblens.Run.from_arrays(
        train=(FEATURES, LABELS), test=(TEST_FEATURES, TEST_LABELS), head=(WEIGHT, BIAS), classes=NAMES
    )


def estimate_with_features(form: Callable[[NDArray[Any]], Any]) -> Answer:
    got = imblens.estimate(plain_run(), unlabelled=form(TEST_FEATURES), labels=(TEST_FEATURES, TEST_LABELS))
    return (tuple(got.tables["estimate"].select_dtypes("number").round(5).fillna(-1).to_numpy().ravel()),)


def estimate_with_labels(form: Callable[[NDArray[Any]], Any]) -> Answer:
    got = imblens.estimate(plain_run(), unlabelled=TEST_FEATURES, labels=(TEST_FEATURES, form(TEST_LABELS)))
    return (tuple(got.tables["estimate"].select_dtypes("number").round(5).fillna(-1).to_numpy().ravel()),)


ENTRIES: dict[str, tuple[list[Case], Callable[[Any], Answer]]] = {
    "Run.from_arrays features": (FEATURE_CASES, arrays_with_features),
    "Run.from_arrays labels": (LABEL_CASES, arrays_with_labels),
    "EOS features": (FEATURE_CASES, eos_with_features),
    "EOS labels": (LABEL_CASES, eos_with_labels),
    "BalancedSVM features": (FEATURE_CASES, svm_with_features),
    "BalancedSVM labels": (LABEL_CASES, svm_with_labels),
    "estimate features": (FEATURE_CASES, estimate_with_features),
    "estimate labels": (LABEL_CASES, estimate_with_labels),
}


def outcome(entry: str, case: Case) -> tuple[str, str]:
    """Return what became of a case (served, refused, or a defect) and the message."""
    _, call = ENTRIES[entry]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = call(case.make)
        except ImblensError as error:
            return REFUSED, str(error)
        except Exception as error:
            return f"raised {type(error).__name__}", str(error)[:200]
        return (SERVED, "") if answer == call(lambda values: values) else ("another answer", str(answer)[:200])


def expected(entry: str, case: Case) -> str:
    """Return what should become of a case."""
    return OTHERWISE.get((entry, case.name), case.expected)


def applicable() -> Iterator[tuple[str, Case]]:
    """Every function with every case that it can be given."""
    for entry, (cases, _) in ENTRIES.items():
        yield from ((entry, case) for case in cases if (entry, case.name) not in NOT_APPLICABLE)


def main() -> int:
    """Print the counts per function and every case that is not as expected; `-v` adds the messages."""
    wrong = []
    counts: dict[str, Counter[str]] = {entry: Counter() for entry in ENTRIES}
    for entry, case in applicable():
        kind, said = outcome(entry, case)
        counts[entry][kind] += 1
        if kind != expected(entry, case):
            wrong.append(f"{entry}, {case.name}: expected {expected(entry, case)}, {kind} {said}")
        elif said and "-v" in sys.argv:
            print(f"{entry}, {case.name}: {said}")
    for entry, found in counts.items():
        print(f"{entry:28} {found.total():4} cases: " + ", ".join(f"{n} {k}" for k, n in sorted(found.items())))
    print(*wrong, f"{len(wrong)} not as expected", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
