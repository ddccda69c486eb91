"""Is the list of `imblens collect` better than a random one?

    python -m benchmarks.science.collect ARRAYS.npz ...
    python -m benchmarks.science.collect DATA OUT

Three seeds each. Training instances are divided at random, class by class: a pool (half), which keeps the long tail, a
validation split (a tenth), and a training split. With ARRAYS.npz, stored features of a network are divided; with DATA
(cifar10-lt), a `smallnet` is trained on the training split alone by the schedule `short`, and kept in OUT.

200 instances of the pool are labelled. Those of the rarest third of the classes (fewest training instances) are added to the
training split, and the head is refitted on the features (`refit`). Gains, in points of recall on the test split, are against
the head refitted without them; "all added": instances of frequent classes are added too, as those of random lists are (mean
of three lists).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.decisions import Unlabelled, collect
from imblens.errors import ImblensWarning
from imblens.run import Run
from imblens.treatments import treat

SEEDS = range(3)
COUNT, DRAWS = 200, 3
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


def gain(run: Run, pool: Run, rows: Rows, base: NDArray[np.float64], rare: Rows, *, only: bool) -> list[float]:
    """Rare instances among the rows; gain of recall of the rarest third and of all classes when they are added."""
    assert pool.test is not None
    labels = pool.test.labels[rows]
    kept = rows[np.isin(labels, rare)] if only else rows
    found = recalls(run, np.asarray(pool.test.features)[kept], pool.test.labels[kept]) - base
    return [float(np.isin(labels, rare).sum()), 100 * float(found[rare].mean()), 100 * float(found.mean())]


def recalls(run: Run, features: Any, labels: Rows) -> NDArray[np.float64]:
    """Recall of each class on the test split, by a head refitted with these instances added."""
    assert run.test is not None
    train = (np.concatenate([run.train.features, features]), np.concatenate([run.train.labels, labels]))
    test = (run.test.features, run.test.labels)
    better = treat(Run.from_arrays(train=train, test=test, head=(run.head.weight, run.head.bias)), "refit")  # type: ignore[union-attr]
    assert better.test is not None
    return np.array([better.test.correct[run.test.labels == place].mean() for place in range(run.n_classes)])


def pairs(arguments: list[str]) -> Iterator[tuple[str, int, Run, Run]]:
    """Name, seed, run, and a run whose test split is the pool."""
    if Path(arguments[0]).is_dir():
        for seed in SEEDS:
            yield ("smallnet", seed, *trained(arguments[0], seed, Path(arguments[1])))
        return
    for path in arguments:
        whole = Run.load(Path(path))
        assert whole.test is not None and whole.head is not None
        x, y, z = (np.asarray(values) for values in (whole.train.features, whole.train.labels, whole.train.logits))
        for seed in SEEDS:
            part = {name: (x[rows], y[rows], z[rows]) for name, rows in divided(y, seed).items()}
            test = (whole.test.features, whole.test.labels, np.asarray(whole.test.logits))
            run = Run.from_arrays(
                train=part["train"], val=part["val"], test=test, head=(whole.head.weight, whole.head.bias)
            )
            yield Path(path).stem, seed, run, Run.from_arrays(train=part["train"], test=part["pool"])


def main(arguments: list[str]) -> int:
    """Print a row per network, seed and list, and the means; see the module."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    print(
        "| network | seed | list | rare instances | rarest third | all classes |\n|---|---|---|---|---|---|", flush=True
    )
    totals: dict[str, list[list[float]]] = {}
    for name, seed, run, pool in pairs(arguments):
        assert pool.test is not None
        rare = np.argsort(run.train.class_counts, kind="stable")[: run.n_classes // 3]
        base = recalls(run, np.empty((0, run.dim), dtype=np.float32), np.empty(0, dtype=np.int64))
        place = {one: row for row, one in enumerate(pool.test.ids.tolist())}
        data = Unlabelled(pool.test.features, np.asarray(pool.test.logits), pool.test.ids)
        listed = collect(run, pool=data, count=COUNT, gain=False).tables["list"]
        rows = np.array([place[one] for one in listed["id"]])
        rng = np.random.default_rng(seed)
        drawn = [rng.choice(len(place), COUNT, replace=False) for _ in range(DRAWS)]
        values = {
            "collect": gain(run, pool, rows, base, rare, only=True),
            "collect, all added": gain(run, pool, rows, base, rare, only=False),
            "random": np.mean([gain(run, pool, some, base, rare, only=False) for some in drawn], axis=0).tolist(),
        }
        for kind, (found, third, every) in values.items():
            print(f"| {name} | {seed} | {kind} | {found:.1f} | {third:+.2f} | {every:+.2f} |", flush=True)
            totals.setdefault(kind, []).append([found, third, every])
    for kind, rows_of in totals.items():
        found, third, every = np.mean(rows_of, axis=0)
        error = np.std([row[1] for row in rows_of], ddof=1) / np.sqrt(len(rows_of))
        print(f"| mean | | {kind} | {found:.1f} | {third:+.2f} (standard error {error:.2f}) | {every:+.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
