"""Does the list of `imblens collect` help rare classes when the whole network is retrained with it?

    python -m benchmarks.science.collect_retrain DATA OUT [SEED ...]

DATA (cifar10-lt) is divided as in `benchmarks.science.collect`: half of the training images are the pool, a tenth the
validation split. A `smallnet` is trained on the rest with the loss `logit_adjusted`; it chooses the list. Then networks are
trained from the beginning, by the same plan and seed, with instances of the pool added under their true labels:

    whole list    all instances of the list, of whatever class
    rare only     those of the list that are of the rarest third of the classes, as `imblens collect` advises
    random        as many as the whole list has, drawn at random

Gains are points of recall on the test split against the network without them. OUT keeps a file per training, and a second
call continues there. Images are shrunk to 16 x 16 pixels, so that one core trains a network in about a minute.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.science.collect import divided
from imblens import capture
from imblens.data import ImageSet, load_images
from imblens.decisions import Unlabelled, collect
from imblens.errors import ImblensWarning
from imblens.run import Run, Split
from imblens.training import TrainingPlan, train

SEEDS = range(3)
COUNTS = (200, 500)
PIXELS, EPOCHS = 16, 15
Rows = NDArray[np.int64]


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

    def recalls(self, rows: Rows, name: str) -> NDArray[np.float64]:
        """(C,) recall on the test split of a network trained with these rows of the pool added."""
        kept = self.folder / f"recall-{self.seed}-{name}.json"
        if not kept.exists():
            network = self.trained(rows, name)
            run = self.captured(network, self.folder / f"run-{self.seed}-{name}", test=self.images.test)
            assert run.test is not None
            found = [float(run.test.correct[run.test.labels == place].mean()) for place in range(run.n_classes)]
            kept.write_text(json.dumps({"added": len(rows), "recall": found}))
        return np.array(json.loads(kept.read_text())["recall"])

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


def measured(trial: Trial) -> list[tuple[str, list[float]]]:
    """Kind of list; its rare instances, and gains of recall of the rarest third and of all classes."""
    run, pool = trial.base()
    assert run.test is not None
    rare = np.argsort(run.train.class_counts, kind="stable")[: run.n_classes // 3]
    before = np.array([run.test.correct[run.test.labels == place].mean() for place in range(run.n_classes)])
    found = [("none", [0.0, 100 * float(before[rare].mean()), 100 * float(before.mean())])]
    for count in COUNTS:
        chosen = listed(run, pool, count)
        drawn = np.random.default_rng(trial.seed).choice(len(pool), count, replace=False)
        kinds = {
            "whole list": chosen,
            "random": drawn,
            "rare only": chosen[np.isin(pool.labels[chosen], rare)],
        }
        for kind, rows in kinds.items():
            after = trial.recalls(rows, f"{kind}-{count}".replace(" ", "-"))
            gain = 100 * (after - before)
            some = float(np.isin(pool.labels[rows], rare).sum())
            found.append((f"{kind}, {count}", [some, float(gain[rare].mean()), float(gain.mean())]))
    return found


def main(arguments: list[str]) -> int:
    """Print a row per seed and list, and the means; see the module."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    images = load_images(arguments[0]).resized((PIXELS, PIXELS))
    print("| seed | list | rare instances | rarest third | all classes |\n|---|---|---|---|---|", flush=True)
    totals: dict[str, list[list[float]]] = {}
    for seed in [int(text) for text in arguments[2:]] or SEEDS:
        trial = Trial(images, divided(images.train.labels, seed), Path(arguments[1]), seed)
        for kind, values in measured(trial):
            sign = "" if kind == "none" else "+"
            print(f"| {seed} | {kind} | {values[0]:.0f} | {values[1]:{sign}.1f} | {values[2]:{sign}.1f} |", flush=True)
            totals.setdefault(kind, []).append(values)
    for kind, rows in totals.items():
        means = np.mean(rows, axis=0)
        errors = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.full(3, np.nan)
        sign = "" if kind == "none" else "+"
        cells = [f"{mean:{sign}.1f} ({error:.1f})" for mean, error in zip(means[1:], errors[1:], strict=True)]
        print(f"| mean (standard error) | {kind} | {means[0]:.1f} | {cells[0]} | {cells[1]} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
