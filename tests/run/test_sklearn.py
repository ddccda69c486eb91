"""Fitted scikit-learn classifiers: features, logits and head are those of the last step; the rest is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_resampled
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from imblens import Run
from imblens.errors import InputError

FRAME, Y = load_wine(return_X_y=True, as_frame=True)
NAMES = np.array(["barolo", "grignolino", "barbera"])[Y]
TRAIN, TEST = np.arange(len(Y)) % 3 > 0, np.arange(len(Y)) % 3 == 0

LINEAR = {
    "logistic": LogisticRegression(max_iter=200),
    "linear svc": LinearSVC(random_state=0),
    "sgd": SGDClassifier(random_state=0),
    "ridge": RidgeClassifier(),
    "discriminant": LinearDiscriminantAnalysis(),
    "perceptron": Perceptron(random_state=0),
    "one against the rest": OneVsRestClassifier(LogisticRegression()),
}
OTHERS = {
    "forest": RandomForestClassifier(20, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "kernel": SVC(random_state=0),
    "linear kernel": SVC(kernel="linear", random_state=0),
    "neighbours": KNeighborsClassifier(),
    "calibrated": CalibratedClassifierCV(LinearSVC(random_state=0), cv=3),
}


def built(estimator: Any, classes: int) -> tuple[Any, Run, np.ndarray]:
    """The fitted pipeline on the frame, its run, and the standardised test rows."""
    rows = classes > Y
    names = NAMES if classes == 3 else np.where(Y == 0, "a", "b")
    pipeline = make_pipeline(StandardScaler(), estimator).fit(FRAME[TRAIN & rows], names[TRAIN & rows])
    run = Run.from_sklearn(
        pipeline,
        train=(FRAME[TRAIN & rows], names[TRAIN & rows]),
        test=(FRAME[TEST & rows], names[TEST & rows]),
    )
    return pipeline, run, FRAME[TEST & rows]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_classifiers_have_their_decision_values_and_head(name: str, classes: int) -> None:
    pipeline, run, test = built(LINEAR[name], classes)
    decided = pipeline.decision_function(test)
    expected = np.stack([0 * decided, decided], axis=1) if classes == 2 else decided
    np.testing.assert_allclose(run.test.logits, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(run.head(run.test.features), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run.test.features, pipeline[:-1].transform(test), rtol=1e-6, atol=1e-6)
    assert run.classes == tuple(pipeline.classes_)
    np.testing.assert_array_equal(np.array(run.classes)[run.test.predictions], pipeline.predict(test))
    assert run.meta["feature_names"] == list(FRAME.columns) == run.meta["value_names"]
    np.testing.assert_allclose(run.test.matrix("values"), test.to_numpy(), rtol=1e-6)
    assert run.test.ids.tolist() == [str(k) for k in test.index]
    margins = any("margins" in note for note in run.meta["notes"])
    likely = name in ("logistic", "discriminant") or (name == "one against the rest" and classes == 2)
    assert margins != likely


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", OTHERS)
def test_other_classifiers_have_no_head(name: str, classes: int) -> None:
    if name == "linear kernel" and classes == 2:
        pytest.skip("one pair of classes is linear")
    pipeline, run, test = built(OTHERS[name], classes)
    assert run.head is None and "has no linear head" in " ".join(run.meta["notes"])
    if hasattr(pipeline, "predict_proba"):
        np.testing.assert_allclose(np.exp(run.test.logits), pipeline.predict_proba(test), atol=1e-6)
    else:
        decided = pipeline.decision_function(test)
        np.testing.assert_allclose(run.test.logits[:, -1], decided if classes == 2 else decided[:, -1], rtol=1e-6)


def test_large_unscaled_columns_are_centred_and_the_head_follows() -> None:
    X = FRAME.to_numpy() + 1e6 * (np.arange(13) == 11)
    model = LinearDiscriminantAnalysis().fit(X[TRAIN], Y[TRAIN])
    run = Run.from_sklearn(model, train=(X[TRAIN], Y[TRAIN]), test=(X[TEST], Y[TEST]))
    np.testing.assert_allclose(run.head(run.test.features), model.decision_function(X[TEST]), atol=2e-2)
    assert "large offset" in " ".join(run.meta["notes"]) and run.meta["feature_names"][11] == "x11"


def test_searches_and_calibrated_pipelines_are_unwrapped() -> None:
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(inner, {"logisticregression__C": [0.1, 1.0]}, cv=3).fit(FRAME[TRAIN], NAMES[TRAIN])
    run = Run.from_sklearn(search, train=(FRAME[TRAIN], NAMES[TRAIN]), test=(FRAME[TEST], NAMES[TEST]))
    np.testing.assert_allclose(run.test.logits, search.decision_function(FRAME[TEST]), rtol=1e-6, atol=1e-6)
    assert run.head is not None and "best estimator of GridSearchCV" in run.meta["notes"][0]
    calibrated = CalibratedClassifierCV(inner, cv=3, ensemble=False).fit(FRAME[TRAIN], NAMES[TRAIN])
    run = Run.from_sklearn(calibrated, train=(FRAME[TRAIN], NAMES[TRAIN]), test=(FRAME[TEST], NAMES[TEST]))
    np.testing.assert_allclose(np.exp(run.test.logits), calibrated.predict_proba(FRAME[TEST]), atol=1e-6)
    assert run.head is None and abs(run.train.features.mean(axis=0)).max() < 1e-3  # standardised


def test_column_transformers_and_resampling_pipelines() -> None:
    frame = FRAME.assign(grape=np.where(Y == 1, "red", "blue"))
    columns = make_column_transformer((StandardScaler(), ["alcohol"]), (OneHotEncoder(), ["grape"]))
    pipeline = make_resampled(columns, RandomOverSampler(random_state=0), LogisticRegression())
    pipeline.fit(frame[TRAIN], Y[TRAIN])
    run = Run.from_sklearn(pipeline, train=(frame[TRAIN], Y[TRAIN]), test=(frame[TEST], Y[TEST]))
    np.testing.assert_allclose(run.test.logits, pipeline.decision_function(frame[TEST]), rtol=1e-6, atol=1e-6)
    assert run.meta["feature_names"] == [
        "standardscaler__alcohol",
        "onehotencoder__grape_blue",
        "onehotencoder__grape_red",
    ]
    assert len(run.train) == TRAIN.sum()


TEXTS = ["good film", "bad film", "good actor", "bad plot", "fine", "awful awful"] * 5
MOODS = [1, 0, 1, 0, 1, 0] * 5


def test_texts_become_previews_and_sparse_features_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, MOODS)
    run = Run.from_sklearn(pipeline, train=(TEXTS, MOODS), test=(TEXTS[:6], MOODS[:6]), classes={0: "neg", 1: "pos"})
    assert run.classes == ("neg", "pos") and run.test.preview_kind == "text"
    assert run.test.instances(["preview"])["preview"].tolist() == TEXTS[:6]
    np.testing.assert_allclose(run.test.logits[:, 1], pipeline.decision_function(TEXTS[:6]), rtol=1e-6)
    assert "awful" in run.meta["feature_names"]
    matrix = sparse.csr_array(pipeline[:-1].transform(TEXTS))
    model = LogisticRegression().fit(matrix, MOODS)
    np.testing.assert_allclose(Run.from_sklearn(model, train=(matrix, MOODS)).train.features, matrix.toarray())
    monkeypatch.setattr("imblens.base.memory.memory_limit", lambda: 100)
    with pytest.raises(InputError, match="sparse, need as a dense matrix"):
        Run.from_sklearn(pipeline, train=(TEXTS, MOODS))


def test_multi_label() -> None:
    hot = np.stack([Y == 0, Y != 1], axis=1).astype(int)
    X = StandardScaler().fit_transform(FRAME)
    model = OneVsRestClassifier(LogisticRegression()).fit(X[TRAIN], hot[TRAIN])
    run = Run.from_sklearn(
        model, train=(X[TRAIN], hot[TRAIN]), test=(X[TEST], hot[TEST]), classes=["first", "not second"]
    )
    assert run.task == "multilabel" and run.classes == ("first", "not second")
    np.testing.assert_allclose(run.test.logits, model.decision_function(X[TEST]), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(run.head(run.test.features), run.test.logits, rtol=1e-4, atol=1e-4)


FITTED = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
PAIR = ([[0.0], [1.0]], [0, 1])
BAD: dict[str, tuple[Any, tuple[Any, Any], str]] = {
    "not fitted": (LogisticRegression(), PAIR, "LogisticRegression is not fitted"),
    "pipeline not fitted": (make_pipeline(StandardScaler(), LinearSVC()), PAIR, "LinearSVC is not fitted"),
    "regressor": (LinearRegression().fit(*PAIR), PAIR, "LinearRegression is a regressor"),
    "class": (LogisticRegression, PAIR, "needs a fitted classifier"),
    "transformer": (Pipeline([("scale", StandardScaler().fit(PAIR[0]))]), PAIR, "is not a classifier"),
    "several outputs": (
        MultiOutputClassifier(FITTED).fit(PAIR[0], [[0, 2], [1, 3]]),
        ([[0.0], [1.0]], [[0, 1], [1, 0]]),
        "outputs per instance",
    ),
    "unknown label": (FITTED, ([[0.0], [1.0]], [0, 7]), "hold 7, no class of the estimator"),
    "lengths": (FITTED, ([[0.0]], [0, 1]), "1 instances and 2 labels"),
    "text": (make_pipeline(StandardScaler(), FITTED), (["a", "b"], [0, 1]), "refuse train"),
    "number": (5, PAIR, "found a value of type int"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_audited_is_refused_in_one_sentence(case: str) -> None:
    estimator, train, said = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match=said) as caught:
            Run.from_sklearn(estimator, train=train)
    assert caught.value.hint


def test_series_of_text_keep_their_index() -> None:
    texts = pd.Series(TEXTS, index=[f"doc {k}" for k in range(30)])
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, MOODS)
    run = Run.from_sklearn(pipeline, train=(texts, pd.Series(MOODS)))
    assert run.train.ids[:2].tolist() == ["doc 0", "doc 1"]
