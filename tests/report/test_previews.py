"""Instances that are not images: texts, waveforms and unusual values are shown where images would be, from text to page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import imblens
from imblens.report import report_html, summary
from imblens.run import Part, Run, Split

TOPICS = {
    "billing": ["invoice", "payment", "refund", "amount", "fee"],
    "delivery": ["parcel", "courier", "late", "address", "package"],
    "fraud": ["stolen", "charge", "suspicious", "bank", "refund"],
}
COMMON = ["please", "help", "me", "with", "my", "order", "today", "have", "question", "about", "and", "was"]


def texts(counts: tuple[int, int, int], seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(list(TOPICS), counts)
    made = []
    for number, topic in enumerate(labels):
        words = [*rng.choice(TOPICS[topic], 2), *rng.choice(COMMON, 6)]
        made.append(f"<b>{number}</b> " + " ".join(rng.permutation(words)))
    return made, labels


@pytest.fixture(scope="module")
def text_run() -> Run:
    train, test = texts((120, 50, 12), 0), texts((30, 30, 30), 1)
    pipeline = make_pipeline(TfidfVectorizer(token_pattern="[a-z]{2,}"), LogisticRegression()).fit(*train)
    run = Run.from_sklearn(pipeline, train=train, test=test)
    np.testing.assert_allclose(run.test.logits, pipeline.decision_function(test[0]), rtol=1e-6, atol=1e-6)
    return run


def test_texts_from_audit_to_treatment_and_page(text_run: Run) -> None:
    audit = imblens.audit(text_run)
    page = report_html(audit)
    assert "Typical instances of each archetype" in page and page.count('<span class="preview">') > 10
    assert "<b>3</b>" not in page and "&lt;b&gt;" in page  # texts are data, never markup
    assert "band count" in audit.skipped["colours"]
    assert "What was assumed" in page and "in the order of classes_: billing, delivery, fraud." in page
    better = imblens.treat(text_run, "refit")
    assert better.test.features is text_run.test.features
    assert imblens.compare([text_run, better]).verdict()


def test_the_most_unusual_values_of_a_row_are_named() -> None:
    frame, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    rng = np.random.default_rng(0)
    rare = rng.permutation(np.flatnonzero(labels == 0))
    kept = np.sort(np.r_[np.flatnonzero(labels == 1)[::2], rare[:40]])
    train, test = kept[::2], kept[1::2]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame.iloc[train], labels.iloc[train])
    run = Run.from_sklearn(
        pipeline,
        train=(frame.iloc[train], labels.iloc[train]),
        test=(frame.iloc[test], labels.iloc[test]),
        classes={0: "malignant", 1: "benign"},
    )
    page = report_html(imblens.audit(run, lenses=["class_accuracy", "archetypes", "label_suspects"]))
    values = frame.iloc[train]
    far = (values - values.mean()) / values.std(ddof=0)
    shown = 0
    for row in values.index:
        first = far.loc[row].abs().idxmax()
        line = f"{first} {values.loc[row, first]:,.4g} ({far.loc[row, first]:+.1f} SD)"
        shown += f"<bdi>{line}</bdi>" in page
    assert shown >= 5


def test_features_with_names_are_the_values_of_a_table() -> None:
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 0, 1], (60, 20, 15, 15))
    features = rng.normal(size=(110, 3)) + 2 * labels[:, None] + [1e7, 0, 0]
    frame = pd.DataFrame(features, columns=["age", "dose", "weight"]).assign(y=labels)
    frame["split"] = ["train"] * 80 + ["test"] * 30
    run = Run.from_table(frame, features=["age", "dose", "weight"], label="y", split="split")
    page = report_html(imblens.audit(run, lenses=["archetypes"]))
    assert "<bdi>age 1e+07 (" in page or "<bdi>dose " in page
    assert "1 feature with a large offset centred" in page


def test_waveforms_are_small_drawings() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], (40, 14))
    waves = rng.normal(size=(54, 256)).astype(np.float32)
    waves[:, 0] = -5
    features = (rng.normal(size=(54, 4)) + 3 * labels[:, None]).astype(np.float32)
    table = pd.DataFrame({"waveform": list(waves)})
    run = Run.from_arrays(train=(features, labels), classes=["dog", "siren"])
    split = Split((Part(run.train.parts[0].features, run.train.labels, table=table),), run.classes, "train")
    page = report_html(imblens.audit(Run(split, None, None, run.classes), lenses=["archetypes"]))
    assert page.count('<svg class="wave" role="img" aria-label="The most typical safe training instance of') == 2
    assert 'viewBox="0 0 128 32"' in page and '<path d="M0 31V' in page


def test_a_wrong_order_of_classes_is_the_first_thing_stated() -> None:
    rng = np.random.default_rng(6)
    labels = np.repeat([0, 1, 2], (60, 30, 15))
    features = (rng.normal(size=(105, 3)) + 3 * np.eye(3)[labels]).astype(np.float32)
    arrays = (features, labels, features[:, [1, 2, 0]])
    run = Run.from_arrays(train=arrays, test=arrays, classes=["ant", "bee", "cow"])
    audit = imblens.audit(run, lenses=["class_accuracy"])
    assert audit.verdict()[0].startswith("The order of classes seems wrong")
    assert "bee, cow, ant" in audit.verdict()[0] and "The order of classes seems wrong" in report_html(audit)
    right = Run.from_arrays(train=(features, labels, features), test=(features, labels, features))
    assert summary(imblens.audit(right, lenses=["class_accuracy"]))["class_order"] == ""
