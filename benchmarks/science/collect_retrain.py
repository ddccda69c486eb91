"""Does the list of `imblens collect` help rare classes when the whole network is retrained with it?

    python -m benchmarks.science.collect_retrain DATA OUT [SEED ...]

DATA (cifar10-lt) is divided as in `benchmarks.science.collect`: half of the training images are the pool, a tenth the
validation split. A `smallnet` is trained on the rest with the loss `logit_adjusted`; it chooses the list. Then networks are
trained from the beginning, by the same plan and seed, with the whole list added under its true labels, or with as many
instances of the pool drawn at random.

Gains, in points on the test split, are against the network without them: recall, and average precision of the class's
probability, which does not depend on how a network trades classes against each other. OUT keeps the networks, and a
second call continues there. Images are shrunk to 16 x 16 pixels, so that one core trains a network in half a minute.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.science.collect import divided
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import average_precision_score

from imblens import capture
from imblens.data import ImageSet, load_images
from imblens.decisions import Unlabelled, collect
from imblens.errors import ImblensWarning
from imblens.run import Run, Split
from imblens.training import TrainingPlan, train

SEEDS = range(3)
COUNT = 200
PIXELS, EPOCHS = 16, 15
Rows = NDArray[np.int64]
Measures = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """One division of the images.

    Attributes:
        images: all of them.
        parts: rows of the pool, of the validation split and of the training split.
        folder: where trainings are kept.
        seed: of the division, of the trainings and of random lists.
    """

    images: ImageSet
    parts: dict[str, Rows]
    folder: Path
    seed: int

    def trained(self, rows: Rows, name: str) -> Any:
        """Train with these rows of the pool added."""
        added = np.concatenate([self.parts["train"], self.parts["pool"][rows]])
        seen = replace(
            self.images,
            train=self.images.train.subset(added),
            val=self.images.train.subset(self.parts["val"]),
            source={},
        )
        plan = TrainingPlan(seed=self.seed, loss="logit_adjusted", epochs=EPOCHS)
        return train(seen, plan, out=self.folder / f"training-{self.seed}-{name}", force=True)

    def captured(self, network: Any, out: Path, **splits: Any) -> Run:
        """Read the network out on the training part and these splits."""
        options: dict[str, Any] = {"classes": self.images.classes, "preprocessing": network.meta["preprocessing"]}
        seen = self.images.train.subset(self.parts["train"])
        return capture(
            network.model, train=seen, out=out, colours=False, thumbnails=False, force=True, **options, **splits
        )

    def measured(self, rows: Rows, name: str) -> Measures:
        """Measures of a network that is trained with these rows of the pool added."""
        kept = self.folder / f"run-{self.seed}-{name}"
        if not (kept / "run.json").exists():
            self.captured(self.trained(rows, name), kept, test=self.images.test)
        return measures(Run.load(kept))

    def base(self) -> tuple[Run, Split]:
        """The run that chooses, and its pool."""
        found, pool = self.folder / f"base-{self.seed}", self.folder / f"pool-{self.seed}"
        if not (found / "run.json").exists() or not (pool / "run.json").exists():
            network = self.trained(np.empty(0, np.int64), "base")
            self.captured(network, pool, test=self.images.train.subset(self.parts["pool"]))
            val = self.images.train.subset(self.parts["val"])
            self.captured(network, found, val=val, test=self.images.test)
        test = Run.load(pool).test
        assert test is not None
        return Run.load(found), test


def listed(run: Run, pool: Split, count: int) -> Rows:
    """Rows of the pool that `imblens collect` lists."""
    place = {one: row for row, one in enumerate(pool.ids.tolist())}
    data = Unlabelled(pool.features, np.asarray(pool.logits), pool.ids)
    table = collect(run, pool=data, count=count, gain=False).tables["list"]
    return np.array([place[one] for one in table["id"]])


def measures(run: Run) -> Measures:
    """(2, C): recall of each class on the test split, and average precision of its probability."""
    assert run.test is not None
    z, y = np.asarray(run.test.logits), run.test.labels
    places = range(run.n_classes)
    recall = [100 * float(run.test.correct[y == place].mean()) for place in places]
    return np.array(
        [recall, [100 * average_precision_score(y == place, softmax(z, axis=1)[:, place]) for place in places]]
    )


def rows_of(trial: Trial) -> list[tuple[str, list[float]]]:
    """Kind of list; its rare instances, and gains of recall and precision of the rarest third and of all classes."""
    run, pool = trial.base()
    before = measures(run)
    rare = np.argsort(run.train.class_counts, kind="stable")[: run.n_classes // 3]

    def row(values: Measures, chosen: Rows) -> list[float]:
        found = float(np.isin(pool.labels[chosen], rare).sum())
        return [found, *values[:, rare].mean(axis=1), *values.mean(axis=1)]

    found = [("none", row(before, np.empty(0, np.int64)))]
    drawn = np.random.default_rng(trial.seed).choice(len(pool), COUNT, replace=False)
    for kind, chosen in (("list", listed(run, pool, COUNT)), ("random", drawn)):
        after = trial.measured(chosen, f"{kind}-{COUNT}")
        found.append((f"{kind} of {COUNT}", row(after - before, chosen)))
    return found


def main(arguments: list[str]) -> int:
    """Print a row per seed and list, and the means; see the module."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    images = load_images(arguments[0]).resized((PIXELS, PIXELS))
    columns = "rare instances | recall, rarest third | precision, rarest third | recall | precision"
    print(f"| seed | added | {columns} |\n|{'---|' * 7}", flush=True)
    totals: dict[str, list[list[float]]] = {}
    for seed in [int(text) for text in arguments[2:]] or SEEDS:
        trial = Trial(images, divided(images.train.labels, seed), Path(arguments[1]), seed)
        for kind, values in rows_of(trial):
            sign = "" if kind == "none" else "+"
            cells = [f"{value:{sign}.1f}" for value in values[1:]]
            print(f"| {seed} | {kind} | {values[0]:.0f} | {' | '.join(cells)} |", flush=True)
            totals.setdefault(kind, []).append(values)
    for kind, found in totals.items():
        means, sign = np.mean(found, axis=0), "" if kind == "none" else "+"
        errors = np.std(found, axis=0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.full(5, np.nan)
        cells = [f"{mean:{sign}.1f} ({error:.1f})" for mean, error in zip(means[1:], errors[1:], strict=True)]
        print(f"| mean (standard error) | {kind} | {means[0]:.1f} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
