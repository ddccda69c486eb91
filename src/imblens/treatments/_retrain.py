"""Retraining the head on resampled features: its options, recipe and start, and the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.base.options import Option
from imblens.base.wording import number
from imblens.resampling import Resampled
from imblens.run import Head, Part, Run, Split
from imblens.treatments._base import CHECK_SPLIT, RANDOM_STATE, Outcome, Treatment
from imblens.treatments._train_head import Recipe, released_recipe, train_head

HEAD_OPTIONS = (
    Option("epochs", 10, "passes over real and synthetic features.", "int", low=1),
    Option("learning_rate", "auto", "'auto' is 2, or 0.1 in the released recipe.", "float", low=1e-9, words=("auto",)),
    Option("weight_decay", "auto", "'auto' is 0.0002.", "float", low=0, words=("auto",)),
    Option("batch_size", 128, "features in a step at most; fewer where features are few.", "int", low=1),
    Option(
        "start",
        "head",
        "fine-tune the network's own head, or re-initialise it.",
        "text",
        words=("head", "zeros", "random"),
    ),
    Option(
        "recipe",
        "scaled",
        "'scaled' centres and scales features and lowers the rate along a cosine; 'released' is the EOS authors'.",
        "text",
        words=("scaled", "released"),
    ),
)
CURVE = Option(
    "curve",
    False,
    "record balanced accuracy on training and test instances after each epoch; nothing is chosen by it.",
    "flag",
)
COPIED = 2**30  # bytes of kept and new rows up to which they are joined in memory
COPIES = 2  # of new rows that are held at once: drawn, and scaled by `train_head`, which holds no more than 4 GiB
COMMON = (*HEAD_OPTIONS, RANDOM_STATE, CHECK_SPLIT, CURVE)


def recipe_of(options: Mapping[str, Any], *, balanced: bool = False) -> Recipe:
    """Return the recipe that a treatment's options describe."""
    released = options.get("recipe") == "released"
    default = released_recipe() if released else Recipe()
    rate, decay = options["learning_rate"], options["weight_decay"]
    return replace(
        default,
        epochs=options["epochs"],
        learning_rate=default.learning_rate if rate == "auto" else rate,
        weight_decay=default.weight_decay if decay == "auto" else decay,
        batch_size=options["batch_size"],
        balanced=balanced,
    )


def start_of(run: Run, options: Mapping[str, Any]) -> Any:
    """Return the head to start from: the network's own, where requested and known."""
    if options["start"] == "head":
        return run.head if run.head is not None else "zeros"
    return options["start"]


class Curve:
    """Balanced accuracy of a head in training, epoch by epoch, on real training instances and on test instances."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows: list[dict[str, Any]] = []

    def add(self, epoch: int, head: Head) -> None:
        """Record the head after an epoch."""
        test = self.run.test
        self.rows.append(
            {
                "epoch": epoch,
                "train": _balanced_accuracy(self.run.train, head),
                "test": None if test is None else _balanced_accuracy(test, head),
            }
        )

    def facts(self) -> dict[str, Any]:
        """Return what is kept with the treatment; nothing where nothing was recorded."""
        return {"curve": self.rows} if self.rows else {}


def _balanced_accuracy(split: Split, head: Head) -> float | None:
    """Mean over classes of the share of their instances that are classified correctly."""
    correct, count = np.zeros(split.n_classes), np.zeros(split.n_classes)
    for part in split.parts:
        for rows in row_blocks(len(part), part.features.shape[1] + split.n_classes):
            labels = part.labels[rows]
            right = head(np.asarray(part.features[rows])).argmax(axis=1) == labels
            correct += np.bincount(labels[right], minlength=split.n_classes)
            count += np.bincount(labels, minlength=split.n_classes)
    return number(np.nanmean(divide(correct, count)))


class Joined:
    """(N, D) kept rows of features, then new rows; a slice or positions as index give an array.

    Example:
        >>> joined = Joined(np.array([[1.0], [2.0]]), np.array([1, 1, 0]), np.array([[7.0]]))
        >>> joined.shape, joined[1:].ravel().tolist(), joined[np.array([3, 0])].ravel().tolist()
        ((4, 1), [2.0, 1.0, 7.0], [7.0, 2.0])
    """

    def __init__(self, features: NDArray[Any], kept: NDArray[np.int64], new: NDArray[Any]) -> None:
        self._features, self._kept, self._new = features, kept, new
        self.shape, self.dtype = (len(kept) + len(new), features.shape[1]), np.result_type(features, new)
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[Any]:
        at = np.arange(*rows.indices(self.shape[0])) if isinstance(rows, slice) else rows
        found = np.empty((len(at), self.shape[1]), self.dtype)
        old = at < len(self._kept)
        found[old] = self._features[self._kept[at[old]]]
        found[~old] = self._new[at[~old] - len(self._kept)]
        return found


def retrain(run: Run, resampled: Resampled, options: Mapping[str, Any]) -> Outcome:
    """Train a head on resampled features."""
    features: Any = Joined(np.asarray(run.train.features), resampled.kept, resampled.new)
    if features.nbytes <= COPIED:
        features = features[:]
    labels = np.concatenate([run.train.labels[resampled.kept], resampled.new_labels])
    recipe = recipe_of(options)
    curve = Curve(run)
    head = train_head(
        features,
        labels,
        run.n_classes,
        recipe=recipe,
        start=start_of(run, options),
        seed=options["random_state"],
        after_epoch=curve.add if options["curve"] else None,
    )
    counts = np.bincount(labels, minlength=run.n_classes)
    facts = {
        **resampled.facts,
        "counts": dict(zip(run.classes, counts.tolist(), strict=True)),
        "synthetic": len(resampled.new),
        "recipe": recipe.as_meta(),
        **curve.facts(),
    }
    return Outcome(head, _synthetic(run, resampled, head), facts, resampled.notes)


def sampler(
    name: str,
    purpose: str,
    paper: str,
    resample: Callable[[Run, Mapping[str, Any]], Resampled],
    options: tuple[Option, ...],
    prepare: Callable[[Run, Sequence[Mapping[str, Any]]], None] | None = None,
) -> Treatment:
    """Declare a treatment that retrains the head on the rows of `resample`."""

    def apply(run: Run, settings: Mapping[str, Any]) -> Outcome:
        return retrain(run, resample(run, settings), settings)

    return Treatment(name, "sampler", purpose, paper, apply, (*options, *COMMON), prepare=prepare, resample=resample)


def _synthetic(run: Run, resampled: Resampled, head: Head) -> Split | None:
    if not len(resampled.new):
        return None
    table = pd.DataFrame({"id": [f"synthetic-{i}" for i in range(len(resampled.new))]})
    ids = np.append(run.train.ids.astype(object), [None])
    for column, rows in (("base", resampled.base), ("toward", resampled.toward)):
        table[column] = ids[rows]  # row -1 is the None at the end: not known
    part = Part(np.ascontiguousarray(resampled.new, dtype=np.float32), resampled.new_labels, table=table)
    return Split((part,), run.classes, "synthetic", head)
