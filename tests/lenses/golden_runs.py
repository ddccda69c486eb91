"""Runs whose results are stored: made so that every kind of result and every cause occurs in one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from imblens.run import GROUP, UNKNOWN, Part, Run
from tests.lenses.made import BANDS, captured_run, make_run

NAMES = ("oak", "elm", "fir", "ash", "yew", "box", "bay", "fig")


def _head(features: Any, labels: Any, n_classes: int) -> tuple[Any, Any]:
    """A head of class means, biased towards frequent classes."""
    means = np.stack([features[labels == c].mean(axis=0) for c in range(n_classes)])
    counts = np.bincount(labels, minlength=n_classes)
    return means, np.log(counts) - (means**2).sum(axis=1) / 2


def _answers(features: Any, labels: Any, head: Any, known: float = 0.0) -> Any:
    """Logits; `known` is added to those of the label, as of instances that a network has learnt by heart."""
    return features @ head[0].T + head[1] + known * np.eye(len(head[1]))[labels]


def long_tail() -> Run:
    """Eight classes with causes planted, in order of class: none, wrong labels, overlap with elm, a part that training lacks,
    a rare cluster, few features, few instances, one instance. The network knows its training instances by heart.
    """
    rng = np.random.default_rng(7)
    centres = 2.2 * rng.normal(size=(8, 10))
    centres[2] = centres[1] + 0.6 * rng.normal(size=10)
    centres[5, 1:] *= 0.05

    def split(counts: tuple[int, ...], trained: bool) -> tuple[Any, Any, Any]:
        labels = np.repeat(np.arange(8), counts)
        features = centres[labels] + rng.normal(size=(len(labels), 10))
        features[:, 8] += np.where(labels == 3, 9.0 * (rng.random(len(labels)) < (0.01 if trained else 0.3)), 0.0)
        features[:, 9] += np.where(labels == 4, 14.0 * (rng.random(len(labels)) < 0.12), 0.0)
        features = np.maximum(features, -1.0) + 1.0
        order = rng.permutation(len(labels))
        features, labels = features[order].round(3), labels[order]
        given = labels.copy()
        if trained:
            given[(labels == 0) & (rng.random(len(labels)) < 0.12)] = 1
            features[:3] = features[3:6]  # duplicates
        return features, labels, given

    train, val, test = (
        split(counts, trained)
        for counts, trained in (
            ((220, 150, 110, 90, 80, 40, 12, 1), True),
            ((60, 40, 30, 30, 30, 12, 6, 2), False),
            ((60, 60, 60, 60, 60, 30, 20, 4), False),
        )
    )
    head = _head(train[0], train[1], 8)
    splits = {
        name: (features, given, _answers(features, given, head, known))
        for name, (features, _, given), known in (("train", train, 9.0), ("val", val, 0.0), ("test", test, 0.0))
    }
    return Run.from_arrays(**splits, head=head, classes=NAMES, meta={"data": {"name": "planted"}, "seed": 0})


def grouped() -> Run:
    """Four classes, groups of instances in each split, one class without test instances and one without errors."""
    rng = np.random.default_rng(11)
    centres = 1.6 * rng.normal(size=(5, 6))
    centres[0] += 6

    def split(counts: tuple[int, ...]) -> tuple[Any, Any, Any]:
        labels = np.repeat(np.arange(5), counts)
        whose = rng.integers(0, 1 + len(labels) // 6, len(labels))
        features = centres[labels] + 0.6 * rng.normal(size=(len(labels), 6))
        features += 0.8 * rng.normal(size=(whose.max() + 1, 6))[whose]
        return features.astype(np.float32), labels, np.array([f"p{i}" for i in whose])

    drawn = {"train": (90, 60, 40, 25, 10), "val": (30, 30, 20, 10, 5), "test": (40, 40, 30, 20, 0)}
    made = {name: split(counts) for name, counts in drawn.items()}
    head = _head(*made["train"][:2], 5)
    splits = {name: (x, y, 0.4 * _answers(x, y, head)) for name, (x, y, _) in made.items()}
    whose = {name: one[2] for name, one in made.items()}
    return Run.from_arrays(**splits, head=head, groups=whose, classes=list(NAMES[:5]), meta={"group": "patient"})


def several(*, whose: bool = True, val: bool = True) -> Run:
    """Five labels that occur together; one is rare, one is predicted where another is, some are unknown."""
    rng = np.random.default_rng(13)

    def split(n: int, wrong: float) -> tuple[Any, Any, Any, Any]:
        truth = rng.random((n, 5)) < (0.5, 0.35, 0.3, 0.12, 0.04)
        truth[:, 2] |= truth[:, 1] & (rng.random(n) < 0.4)
        features = np.hstack([2.0 * truth, 0.5 * truth]) + rng.normal(0, 0.8, (n, 10))
        logits = 3.0 * features[:, :5] - 3
        logits[:, 1] += 2.5 * truth[:, 0]
        logits[:, 3] -= 2.0
        labels = np.where(rng.random((n, 5)) < wrong, ~truth, truth).astype(int)
        unsure = rng.random((n, 5)) < 0.04
        groups = np.array([f"p{i}" for i in rng.integers(0, n // 4, n)])
        return features.round(3), np.where(unsure, 0, labels), logits.round(3), {UNKNOWN: unsure, GROUP: groups}

    made = {"train": split(260, 0.06), "test": split(220, 0.0), **({"val": split(140, 0.0)} if val else {})}
    run = Run.from_arrays(**{name: one[:3] for name, one in made.items()}, classes=list(NAMES[:5]), task="multilabel")
    splits = {}
    for name, (*_, more) in made.items():
        split = run.splits[name]
        table = pd.DataFrame({UNKNOWN: list(more[UNKNOWN].astype(np.uint8)), **({GROUP: more[GROUP]} if whose else {})})
        splits[name] = replace(split, parts=(Part(split.features, split.labels, split.logits, table),))
    return replace(run, **splits)


def many() -> Run:
    """204 classes of few instances each: tables and matrices that are stored sparsely."""
    rng = np.random.default_rng(17)
    counts = np.maximum(1, (20 * 0.98 ** np.arange(204)).astype(int))
    centres = rng.normal(size=(204, 12))

    def split(sizes: Any) -> tuple[Any, Any]:
        labels = np.repeat(np.arange(204), sizes)
        return (np.maximum(centres[labels] + 0.5 * rng.normal(size=(len(labels), 12)), 0)).astype(np.float32), labels

    train, test = split(counts), split(np.full(204, 3))
    head = _head(*train, 204)
    return Run.from_arrays(train=(*train, _answers(*train, head, 2.0)), test=(*test, _answers(*test, head)), head=head)


def bare() -> Run:
    """Training features and labels only; one class of one instance and one of two."""
    run = make_run(seed=4, train=(40, 22, 2, 1, 12))
    return Run.from_arrays(train=(run.train.features, run.train.labels), classes=run.classes)


def without_tested() -> Run:
    """A head and training instances, and a test split without logits of its own."""
    return make_run(seed=6, logits=False, train=(70, 50, 30, 9, 3), test=(20, 20, 9, 0, 5))


def pictured(task: str = "multiclass") -> Run:
    """Images of five classes: `sea` relies on its borders, `ice` is mostly white."""
    run = captured_run(task=task, seed=2, train=(90, 80, 60, 40, 12), test=(40, 30, 30, 30, 12))
    rng = np.random.default_rng(19)
    splits = {}
    for name, split in run.splits.items():
        columns = ["id", "cut_class", "cut_before", "cut_right", "cut_logit", "band_count", "band_rgb", "band_present"]
        columns += [one for one in split.columns if one.startswith(("cam_", "box_", "concept_"))]
        table = split.instances(columns)
        own = np.stack(table["cut_right"].to_list()).astype(float)
        logit = np.stack(table["cut_logit"].to_list()).astype(float)
        tried = table["cut_class"].to_numpy() >= 0
        before = np.where(tried, 1.0, np.nan)
        own[tried] = (rng.random((int(tried.sum()), 4)) < 0.93).astype(float)
        logit[tried] = -0.3 * rng.random((int(tried.sum()), 4))
        border = tried & (table["cut_class"].to_numpy() == 0)
        own[border, 0] = (rng.random(int(border.sum())) < 0.3).astype(float)
        logit[border, 0] = -30.0 - rng.random(int(border.sum()))
        count = np.stack(table["band_count"].to_list())
        white = (np.asarray(split.labels)[:, 3] > 0) if task == "multilabel" else np.asarray(split.labels) == 3
        count[white] = [1, 0, 8]
        rgb = count[:, :, None] * np.array([[9, 9, 9], [200, 40, 30], [250, 250, 240]])
        table = table.assign(
            cut_before=before, cut_right=list(own), cut_logit=list(logit), band_count=list(count),
            band_present=list(10 * count), band_rgb=list(rgb.reshape(len(count), 9)),
        )  # fmt: skip
        part = Part(split.features, split.labels, split.logits if split.has_logits else None, pd.DataFrame(table))
        splits[name] = replace(split, parts=(part,))
    shortcuts = {**run.meta["shortcuts"], "bands": ["black", None, "red", "white", "white"]}
    return replace(run, meta={**run.meta, "shortcuts": shortcuts, "colours": {"bands": BANDS, "top": 0.1}}, **splits)


def better(run: Run) -> Run:
    """The same instances, predicted by a network that is a little better, with other features."""
    rng = np.random.default_rng(23)

    def changed(split: Any) -> Any:
        if split is None:
            return None
        features = np.asarray(split.features)[:, ::-1] + 0.1 * rng.normal(size=split.features.shape)
        own = split.membership[:]
        return (features, np.asarray(split.labels), np.asarray(split.logits) + 1.2 * np.asarray(own))

    splits = {name: changed(split) for name, split in run.splits.items()}
    groups = {name: split.groups for name, split in run.splits.items() if split.groups is not None}
    return Run.from_arrays(**splits, classes=run.classes, task=run.task, groups=groups or None)
