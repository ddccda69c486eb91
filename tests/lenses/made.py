"""Runs that tests of lenses share: lopsided, with rectified features and a head that errs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from imblens.lenses.archetypes import ARCHETYPES, archetype_members
from imblens.run import Part, Run

TRAIN = (61, 40, 23, 9, 3)
TEST = (20, 7, 18, 11, 5)
NAMES = ("sea", "forest", "town", "ice", "dune")


def draw(counts, dim, rng, rectified=True):
    centres = np.random.default_rng(5).normal(size=(len(counts), dim)) * 0.8
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    features = centres[labels] + rng.normal(size=(len(labels), dim))
    return (np.maximum(features, 0) if rectified else features).astype(np.float32), labels


def make_run(*, seed=0, train=TRAIN, test=TEST, dim=11, names=NAMES, logits=True, head=True, rectified=True):
    """A run whose head is the class means: right often, wrong often enough."""
    rng = np.random.default_rng(seed)
    features, labels = draw(train, dim, rng, rectified)
    test_features, test_labels = draw(test, dim, rng, rectified)
    weight = np.stack([features[labels == c].mean(axis=0) for c in range(len(train))]).astype(np.float32)
    bias = (np.log(np.array(train)) / 2 - (weight**2).sum(axis=1) / 2).astype(np.float32)
    answers = [x @ weight.T + bias for x in (features, test_features)] if logits else [None, None]
    return Run.from_arrays(
        train=(features, labels, answers[0]),
        test=(test_features, test_labels, answers[1]),
        head=(weight, bias) if head else None,
        classes=names,
    )


def archetype_instances(run, k=5):
    """A row per training instance, or in a multi-label run per instance and positive label."""
    members = archetype_members(run, k)
    return pd.DataFrame(
        {
            "id": run.train.ids[members.rows],
            "class": np.asarray(run.classes, dtype=object)[members.labels],
            "archetype": np.asarray(ARCHETYPES, dtype=object)[members.codes],
            "same_class": members.same,
        }
    )


BANDS = {"black": "#000000", "red": "#cd2328", "white": "#ffffff"}


def captured_run(*, task="multiclass", **options):
    """`make_run` with what capture can store besides: colour bands, maps against boxes, concept counts; also multi-label."""
    run = make_run(**{"test": (24, 7, 22, 21, 5), **options})
    rng = np.random.default_rng(options.get("seed", 0))
    splits = {name: _captured_split(split, task, rng) for name, split in run.splits.items()}
    meta = {"colours": {"bands": BANDS, "top": 0.1}, "alignment": {"layer": "body"}, "concepts": {"layer": "body"}}
    meta["shortcuts"] = {"cues": ["border", "colour", "tint", "surroundings"], "split": "test", "per_class": 50}
    return replace(run, task=task, meta={**run.meta, **meta}, **splits)


def _captured_split(split, task, rng):
    n, n_classes = len(split), split.n_classes
    labels = np.asarray(split.labels)
    if task == "multilabel":
        labels = (np.eye(n_classes)[labels] + (rng.random((n, n_classes)) < 0.15) > 0).astype(np.uint8)
        labels[rng.random(n) < 0.1] = 0
    count = rng.multinomial(9, [0.5, 0.2, 0.3], size=n)
    inside = rng.random((n, n_classes))
    inside[rng.random((n, n_classes)) < 0.3] = np.nan  # no box
    cut = np.where(rng.random(n) < 0.8, labels.argmax(axis=1) if labels.ndim == 2 else labels, -1)
    cut = np.where(labels.any(axis=1), cut, -1) if labels.ndim == 2 else cut
    tried = np.where((cut >= 0)[:, None], rng.random((n, 4)), np.nan)
    columns = {
        "cut_class": cut,
        "cut_before": np.where(cut >= 0, np.round(rng.random(n)), np.nan),
        "cut_right": np.round(tried),
        "cut_logit": 1 - 3 * tried,
        "band_count": count,
        "band_rgb": (count[:, :, None] * rng.integers(0, 256, (n, 3, 3))).reshape(n, 9),
        "band_present": 10 * count,
        **{f"cam_{name}": inside * share for name, share in {"iobb": 0.5, "ior": 1, "iou": 0.4}.items()},
        "cam_pointing": np.round(inside),
        "box_share": inside * 0.3,
        "concept_disjoint": np.floor(9 * inside),
        "concept_unique": np.floor(5 * inside),
    }
    table = pd.DataFrame({"id": [f"{split.name}-{i}" for i in range(n)], **{k: list(v) for k, v in columns.items()}})
    return replace(split, parts=(Part(split.features, labels, split.logits if split.has_logits else None, table),))
