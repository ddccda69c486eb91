"""Runs for tests of the report: small, seeded, lopsided."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from imblens.run import Head, Part, Run, Split

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HOSTILE = (
    "'\"><img src=x onerror=window.PWNED=1>",
    "</script><img src=x onerror=window.PWNED=1>",
    "{{7*7}}",
    "=1+1",
    "\U0001f600 cat",
    "\u05e2\u05d1\u05e8\u05d9\u05ea",
    "x" * 300,
    "a & b; <!--",
)


def make_run(
    names: tuple[str, ...] = CIFAR,
    *,
    n: int = 600,
    per_test: int = 30,
    dim: int = 8,
    seed: int = 0,
    images: bool = False,
) -> Run:
    """A run of exponential class counts whose rare classes are mostly taken for their neighbours in the list."""
    rng = np.random.default_rng(seed)
    weights = 40.0 ** (-np.arange(len(names)) / (len(names) - 1))
    counts = np.maximum(3, weights / weights.sum() * n).astype(int)
    centres = rng.gamma(0.8, 1.5, (len(names), dim))

    def split(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(len(names)), count)
        features = np.abs(centres[labels] + rng.normal(0, 0.9, (len(labels), dim)))
        order = rng.permutation(len(labels))
        return features[order].astype(np.float32), labels[order]

    train, test = split(counts), split(np.full(len(names), per_test))
    means = np.stack([train[0][train[1] == c].mean(axis=0) for c in range(len(names))])
    weight = (means - means.mean(axis=0)) * np.sqrt(weights)[:, None] ** 0.5
    bias = np.log(counts) - (weight * means).sum(axis=1) / 2
    meta = {"data": {"name": "toy"}, "model": "none", "loss": "ce", "seed": seed}
    run = Run.from_arrays(train=train, test=test, head=(weight, bias), classes=names, meta=meta)
    if not images:
        return run
    head = run.head
    assert isinstance(head, Head)

    def pictured(split: Split) -> Split:
        ids = [f"{split.name}/{i}" for i in range(len(split))]
        table = pd.DataFrame({"id": ids, "thumbnail": [_png(int(c)) for c in split.labels]})
        return Split((Part(split.features, split.labels, table=table),), run.classes, split.name, head)

    assert run.test is not None
    return Run(train=pictured(run.train), test=pictured(run.test), head=head, classes=run.classes, meta=meta)


def _png(label: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (4, 4), (20 * label % 256, 90, 200)).save(out, "PNG")
    return out.getvalue()
