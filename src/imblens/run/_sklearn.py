"""A run from a fitted scikit-learn classifier: what enters its last step, its decision values, its linear head."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import refuse_too_large
from imblens.base.wording import listed
from imblens.errors import InputError, ShapeError
from imblens.run._arrays import Checked, Classes, splits_of
from imblens.run._conventions import classes_of_mapping
from imblens.run._foreign import as_array, described
from imblens.run._sklearn_columns import instance_tables, joined, names_out

SMALLEST = 1e-30  # probability below which the logarithm is cut
AGREES = 1e-6  # relative difference of head and decision values that are the same
ROWS = 4096  # rows transformed at once


@dataclass(frozen=True)
class Chain:
    """A fitted classifier taken apart.

    Attributes:
        steps: transformers in front of the classifier.
        last: the classifier, which gives head and decision values.
        scores: the estimator that predicts from what the last step sees, `last` or a calibrator around it.
        notes: what was unwrapped.
    """

    steps: list[Any]
    last: Any
    scores: Any
    notes: list[str] = field(default_factory=list)


def read_estimator(
    estimator: Any, given: Mapping[str, Sequence[Any]], classes: Classes | None, groups: Any = None
) -> tuple[Checked, dict[str, Any]]:
    """Return what `Run.from_sklearn` needs: the checked splits, and the meta of the run."""
    chain = _taken_apart(estimator)
    pairs = {name: _pair(values, name) for name, values in given.items()}
    known = [str(value) for value in _plain(chain.scores.classes_)]
    multilabel = any(np.ndim(y) == 2 and np.shape(y)[1] > 1 for _, y in pairs.values())
    names, by_value = _class_names(classes, known)
    features, logits, labels = {}, {}, {}
    for name, (X, _) in pairs.items():
        try:
            features[name] = _dense(_transformed(chain.steps, X), f"{name}_features")
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"the estimator's transformers refuse {name}: {' '.join(str(error).split())[:200]}",
                hint="Pass X in the form that the estimator was fitted on.",
            ) from error
    head = _head(chain, features["train"])
    for name, (_, y) in pairs.items():
        logits[name] = _logits(chain, features[name], head is not None, multilabel)
        labels[name] = y if multilabel else _positions(y, known, by_value, f"{name}_labels")
    columns = names_out(chain.steps, given["train"][0], features["train"].shape[1])
    arrays = {name: (features[name], labels[name], logits[name]) for name in pairs}
    checked = splits_of(
        arrays, head=head, classes=names, task="multilabel" if multilabel else "multiclass", groups=groups
    )
    tables, value_names = instance_tables({name: X for name, (X, _) in given.items()}, bool(chain.steps))
    splits = {
        name: replace(split, parts=(replace(split.parts[0], table=joined(split.parts[0].table, tables.get(name))),))
        if len(split) == len(labels[name])
        else split
        for name, split in checked.splits.items()
    }
    notes = [*chain.notes, f"Classes are in the order of classes_: {listed(names)}.", *checked.notes]
    notes += _note_on_scores(chain, head, features["train"][:200], logits["train"][:200], multilabel)
    notes += _note_on_predictions(estimator, given, logits, known, multilabel)
    kind = type(chain.last).__name__
    meta: dict[str, Any] = {
        "data": {"source": "arrays", "layout": "scikit-learn"},
        "model": {
            "estimator": kind,
            "steps": [type(step).__name__ for step in chain.steps],
        },
    }
    if columns is not None:
        meta["feature_names"] = columns
    if value_names is not None:
        meta["value_names"] = value_names
    return replace(checked, splits=splits, notes=notes), meta


def _taken_apart(estimator: Any) -> Chain:
    """Find the classifier inside searches, pipelines and calibrators.

    Raises:
        InputError: no fitted classifier.
    """
    if isinstance(estimator, type) or not (hasattr(estimator, "predict") or hasattr(estimator, "steps")):
        raise InputError(
            f"from_sklearn needs a fitted classifier, found {described(estimator)}.",
            hint="Pass the fitted estimator or pipeline. A PyTorch network goes to imblens.capture.",
        )
    kind, notes = type(estimator).__name__, []
    steps: list[Any] = []
    while True:
        if hasattr(estimator, "best_estimator_"):
            notes.append(f"The best estimator of {type(estimator).__name__} was taken.")
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps") and isinstance(estimator.steps, list):
            steps += [step for _, step in estimator.steps[:-1]]
            estimator = estimator.steps[-1][1]
        else:
            break
    _refuse(estimator, kind)
    last = estimator
    inner = getattr(estimator, "calibrated_classifiers_", None)
    if inner is not None and len(inner) == 1 and hasattr(inner[0].estimator, "steps"):
        deeper = _taken_apart(inner[0].estimator)  # the probabilities are the calibrator's, the features its pipeline's
        notes.append("Features are what enters the classifier inside CalibratedClassifierCV.")
        return Chain([*steps, *deeper.steps], deeper.last, _Calibrated(estimator, inner[0], deeper), notes)
    return Chain([step for step in steps if step is not None and step != "passthrough"], last, last, notes)


class _Calibrated:
    """Probabilities of a calibrator from what enters the classifier inside it."""

    def __init__(self, whole: Any, inner: Any, deeper: Chain) -> None:
        self.classes_ = whole.classes_
        self._inner, self._last = inner, deeper.last

    def predict_proba(self, X: Any) -> Any:
        """Return (n, C) probabilities: the classifier's output through the calibrators."""
        single = copy(self._inner)
        single.estimator = self._last
        return single.predict_proba(X)


def _refuse(estimator: Any, kind: str) -> None:
    from sklearn.base import is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if estimator is None or isinstance(estimator, str) or not hasattr(estimator, "predict"):
        raise InputError(
            f"the last step of {kind} is not a classifier.", hint="Pass a pipeline that ends in a classifier."
        )
    name = type(estimator).__name__
    if is_regressor(estimator):
        raise InputError(f"{name} is a regressor; imblens audits classifiers.", hint="Pass a fitted classifier.")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InputError(f"{name} is not fitted.", hint="Call fit on training data first.") from error
    except TypeError:
        pass  # not an estimator of scikit-learn itself
    found = getattr(estimator, "classes_", None)
    if found is None:
        raise InputError(f"{name} has no classes_, so it is not a fitted classifier.", hint="Pass a fitted classifier.")
    if isinstance(found, list):
        raise InputError(f"{name} has {len(found)} outputs per instance.", hint="Fit one classifier for each output.")


def _pair(values: Any, name: str) -> tuple[Any, NDArray[Any]]:
    if not isinstance(values, (tuple, list)) or len(values) != 2:
        raise ShapeError(f"{name} must be (X, y).", hint="Pass the instances and their labels.")
    X, y = values
    labels = as_array(y, f"{name}_labels")
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if n != len(labels):
        raise ShapeError(f"{name} has {n} instances and {len(labels)} labels.", hint="Give one label per instance.")
    return X, labels


def _class_names(classes: Classes | None, known: list[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Class names in the order of classes_, and the place of every label value or name."""
    names = tuple(known)
    if isinstance(classes, Mapping):
        found, renamed = classes_of_mapping(classes, {"the": np.array(known)})
        names = tuple(renamed["the"].tolist()) if set(known) - set(found) else names
    elif classes is not None:
        names = tuple(str(name) for name in classes)
        if len(names) != len(known):
            raise ShapeError(
                f"there are {len(names)} class names for the {len(known)} classes of the estimator.",
                hint=f"Give names in the order of classes_: {listed(known)}.",
            )
    return names, {**{name: k for k, name in enumerate(names)}, **{value: k for k, value in enumerate(known)}}


def _positions(y: NDArray[Any], known: list[str], places: Mapping[str, int], name: str) -> NDArray[np.int64]:
    """Labels as columns of the decision values; -1 stays -1 where it is not a class."""
    if y.ndim != 1:
        raise ShapeError(f"{name} must have shape (N,), found {y.shape}.", hint="Give one label per instance.")
    distinct, inverse = np.unique(y.astype(str) if y.dtype.kind == "O" else y, return_inverse=True)
    numbers = []
    for value in _plain(distinct):
        place = places.get(str(value), -1 if str(value) == "-1" else None)
        if place is None:
            raise InputError(f"{name} hold {value!r}, no class of the estimator.", hint=f"It knows: {listed(known)}.")
        numbers.append(place)
    return np.asarray(numbers, np.int64)[inverse.reshape(-1)]


def _plain(values: Any) -> list[Any]:
    """Python values; whole floats as integers, so that 1.0 and 1 are one class."""
    plain = np.asarray(values).tolist()
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in plain]


def _transformed(steps: Sequence[Any], X: Any) -> Any:
    """What enters the last step; resampling steps act in training only."""
    for step in steps:
        if step is None or step == "passthrough" or (hasattr(step, "fit_resample") and not hasattr(step, "transform")):
            continue
        X = step.transform(X)
    return X


def _dense(X: Any, name: str) -> NDArray[Any]:
    if hasattr(X, "toarray"):
        needed = 4 * X.shape[0] * X.shape[1]
        hint = "Use fewer features (max_features=, TruncatedSVD), or fewer instances."
        refuse_too_large(
            needed, f"{name}, {X.shape[0]:,} x {X.shape[1]:,} and sparse, need as a dense matrix", hint=hint
        )
        return np.asarray(X.astype(np.float32).toarray())
    array = as_array(X, name)
    if array.ndim == 1 or array.dtype.kind not in "fiub":
        raise InputError(
            f"{name} are not a matrix of numbers: the classifier itself takes {array.dtype} of shape {array.shape}.",
            hint="Pass a pipeline whose transformers make numbers.",
        )
    array = array.reshape(len(array), -1)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _head(chain: Chain, features: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Weight (C, D) and bias (C,) whose logits are the decision values; None where there are none."""
    last = chain.last
    if chain.scores is not last or not hasattr(last, "decision_function"):
        return None
    own = getattr(last, "coef_", None)
    try:
        if own is not None:
            weight, bias = _numbers(own), np.atleast_1d(_numbers(last.intercept_)).astype(np.float64)
        elif type(last).__name__ == "OneVsRestClassifier":
            weight = np.concatenate([_numbers(one.coef_) for one in last.estimators_])
            bias = np.concatenate([np.atleast_1d(_numbers(one.intercept_)) for one in last.estimators_])
        else:
            return None
    except AttributeError:  # estimators without coefficients inside
        return None
    weight = np.atleast_2d(weight)
    if weight.shape[1] != features.shape[1]:
        return None
    bias = np.broadcast_to(bias, len(weight))
    sample = features[:ROWS]
    decided = np.asarray(_quiet(last.decision_function, sample), dtype=np.float64).reshape(len(sample), -1)
    linear = sample.astype(np.float64) @ weight.T + bias
    if decided.shape != linear.shape:
        return None
    if np.abs(decided - linear).max() > AGREES * max(1.0, np.abs(sample).max() * np.abs(weight).sum(axis=1).max()):
        return None
    if len(weight) == 1:  # two classes with logits (0, z)
        weight, bias = np.concatenate([0 * weight, weight]), np.array([0.0, float(bias[0])])
    return weight, bias


def _numbers(values: Any) -> NDArray[Any]:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


def _logits(chain: Chain, features: NDArray[Any], linear: bool, multilabel: bool) -> NDArray[np.float64]:
    """(n, C) decision values of a linear classifier, else log-probabilities (log-odds, multi-label), else decision values."""
    scores, n_classes = chain.scores, len(chain.scores.classes_)
    name = type(scores).__name__
    proba = getattr(scores, "predict_proba", None)
    decide = getattr(scores, "decision_function", None)
    if proba is not None and not linear:
        found = _quiet(proba, features)
        if isinstance(found, list):
            raise InputError(f"{name} has several outputs per instance.", hint="Fit one classifier for each output.")
        p = np.asarray(found, dtype=np.float64)
        logits = np.log(np.maximum(p, SMALLEST))
        return logits - np.log(np.maximum(1 - p, SMALLEST)) if multilabel else logits
    if decide is None:
        raise InputError(
            f"{name} has neither decision_function nor predict_proba.", hint="Fit a classifier that scores its classes."
        )
    if getattr(scores, "decision_function_shape", "ovr") == "ovo" and n_classes > 2:
        raise InputError(f"{name} decides between pairs of classes.", hint="Set decision_function_shape='ovr'.")
    values = np.asarray(_quiet(decide, features), dtype=np.float64)
    if values.ndim == 1 or values.shape[1] == 1:
        values = np.stack([np.zeros(len(values)), values.reshape(-1)], axis=1)
    return values


def _quiet(function: Callable[[Any], Any], X: NDArray[Any]) -> Any:
    """Call without the warning that an array has no feature names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return function(X)


def _note_on_scores(
    chain: Chain, head: Any, features: NDArray[Any], logits: NDArray[Any], multilabel: bool
) -> list[str]:
    name = type(chain.last).__name__
    proba = getattr(chain.scores, "predict_proba", None)
    if proba is not None and head is None:
        return [f"{name} has no linear head; logits are the logarithms of its probabilities."]
    start = [] if head is not None else [f"{name} has no linear head; logits are its decision values."]
    if proba is not None and not multilabel:
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        if np.allclose(p / p.sum(axis=1, keepdims=True), np.asarray(_quiet(proba, features)), atol=1e-4):
            return start
    margins = f"Decision values of {name} are margins, not log-probabilities: calibration is that of their softmax."
    return [*start, margins]


def _note_on_predictions(
    estimator: Any,
    given: Mapping[str, Sequence[Any]],
    logits: Mapping[str, NDArray[Any]],
    known: list[str],
    multilabel: bool,
) -> list[str]:
    """State where the class of the largest logit is not what the estimator predicts, as with a custom threshold."""
    notes = []
    for name, (X, _) in given.items():
        if multilabel:
            continue
        predicted = [str(value) for value in _plain(_quiet(estimator.predict, X))]
        largest = logits[name].argmax(axis=1)
        differ = sum(known[c] != value for c, value in zip(largest, predicted, strict=True))
        if differ:
            notes.append(
                f"{type(estimator).__name__} predicts another class than that of the largest logit for {differ:,} of "
                f"{len(predicted):,} {name} instances, as with a custom threshold; the audit is of the largest logit."
            )
    return notes
