"""python -m benchmarks.science.collect DATA OUT: is the list of `imblens collect` better than a random one?

Three seeds. The training images of DATA (cifar10-lt) are divided at random, class by class: a pool (half), a validation
split (a tenth), and a training split, on which a `smallnet` is trained by the schedule `short`. The pool is held out from
training and keeps the long tail. A list from the pool is labelled; those of its instances that are of the rarest third of the
classes (fewest training instances) are added to the training split, and the head is refitted on the stored features
(`refit`). The gain is that of recall on the test split against the head refitted without the list. "all added": instances of
frequent classes are added too. Random lists are averaged over ten draws; all their instances are added.

The second table thins each class to a quarter of its training instances, extrapolates recall from these (`collection_gain`),
and compares the gains stated for twice and four times as many with what the instances that were left out gain in truth.
Captured arrays are kept in OUT, and read again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run import Run

SEEDS = range(3)
Rows = NDArray[np.int64]


def divided(labels: Rows, seed: int) -> dict[str, Rows]:
    """Rows of the pool, of the validation split and of the training split; at least two of each class."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[Any]] = {"pool": [], "val": [], "train": []}
    for place in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == place))
        half, tenth = len(rows) // 2, max(2, len(rows) // 10)
        for name, chosen in zip(parts, np.split(rows, [half, half + tenth]), strict=True):
            parts[name].append(np.sort(chosen))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def trained(data: str, seed: int, folder: Path) -> tuple[Run, Run]:
    """Train on the training part; return the run, and a run whose test split is the pool."""
    from dataclasses import replace

    from imblens import capture
    from imblens.data import load_images
    from imblens.training import TrainingPlan, train

    found, pool = folder / f"run-{seed}", folder / f"pool-{seed}"
    if not found.exists():
        images = load_images(data)
        parts = {name: images.train.subset(rows) for name, rows in divided(images.train.labels, seed).items()}
        seen = replace(images, train=parts["train"], val=parts["val"], source={})
        network = train(seen, TrainingPlan(seed=seed), out=folder / f"training-{seed}", force=True)
        options: dict[str, Any] = {
            "classes": images.classes,
            "preprocessing": network.meta["preprocessing"],
            "colours": False,
            "thumbnails": False,
            "force": True,
        }
        capture(network.model, train=parts["train"], test=parts["pool"], out=pool, **options)
        capture(network.model, train=parts["train"], val=parts["val"], test=images.test, out=found, **options)
    return Run.load(found), Run.load(pool)
