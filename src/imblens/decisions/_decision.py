"""Decisions about new instances: prediction, calibrated probability, prediction set, abstention, distance to training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.decisions._calibration import Calibration, fit_calibration
from imblens.decisions._distance import Distances, fit_distances
from imblens.decisions._held_out import held_out_split
from imblens.decisions._sets import SetRule, fit_sets
from imblens.decisions._stored import read_decision, write_decision
from imblens.decisions._table import Outcome, columns_of
from imblens.errors import InputError, ShapeError
from imblens.run import Head, Run, as_array, as_run, features_matrix

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """Rules that turn features or logits of one network into decisions. Needs no PyTorch.

    Attributes:
        classes: C names.
        head: gives logits of features; None where only logits can be passed.
        calibration: of probabilities.
        sets: rule of prediction sets.
        least: confidence below which an instance is sent to a person; None: where the set has not exactly one class.
        distances: to training instances; None in multi-label runs.
        notes: what the rules were chosen on, one sentence each.
    """

    classes: tuple[str, ...]
    head: Head | None
    calibration: Calibration
    sets: SetRule
    least: float | None = None
    distances: Distances | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def multilabel(self) -> bool:
        """whether the run is multi-label."""
        return self.calibration.multilabel

    @classmethod
    def fit(
        cls,
        run: Run,
        *,
        choose_on: str = "val",
        sets: str = "class",
        coverage: float = 0.9,
        abstain: float | None = None,
        seed: int = 0,
    ) -> Decision:
        """Choose the rules on held-out labelled instances of a run.

        Args:
            run: with predictions on the split `choose_on`.
            choose_on: "val"; or "test", if the accuracy on this test split is not to be stated for these rules afterwards.
            sets: kind of prediction set, one of `imblens.decisions.SET_METHODS`.
            coverage: of prediction sets, in (0, 1).
            abstain: share of instances to send to a person, those of the lowest calibrated confidence; None sends those whose
                prediction set has not exactly one class (in multi-label runs: is not the prediction).
            seed: of the choice of training instances for distances.

        Raises:
            InputError: no such split, or it has the instances of the test split; an option out of range.

        Example:
            >>> rng = np.random.default_rng(0)
            >>> y = np.repeat([0, 1], [300, 60])
            >>> parts = [(x, y, x * [1, 2]) for x in (rng.normal(size=(360, 2)) + np.eye(2)[y] for _ in range(2))]
            >>> run = Run.from_arrays(train=parts[0], val=parts[1], classes=["cat", "dog"])
            >>> rule = Decision.fit(run, coverage=0.8)
            >>> found = rule.predict(logits=[[9.0, -9.0]])
            >>> found["prediction"][0], list(found["set"][0]), bool(found["abstain"][0])
            ('cat', ['cat'], False)
        """
        run = as_run(run, "Decision.fit")
        if abstain is not None and not 0 <= abstain < 1:
            raise InputError(
                f"abstain={abstain} is no share.", hint="Give 0.1 to send 10% of the instances to a person."
            )
        split, notes = held_out_split(run, choose_on)
        labels, logits = split.labels, np.asarray(split.logits)
        prior = run.train.class_counts.astype(np.float64) if sets == "prevalence" else None
        rule = fit_sets(logits, labels, method=sets, coverage=coverage, prior=prior)
        calibration = fit_calibration(logits, labels)
        few = [name for name, short in zip(run.classes, rule.too_few, strict=True) if short]
        if few and sets == "class":
            notes.append(
                f"In every prediction set, because the {split.name} split has too few instances: {', '.join(few)}."
            )
        least = None
        if abstain is not None:
            least = float(np.quantile(confidence(calibration(logits), split.multilabel), abstain))
        distances = None
        if not split.multilabel:
            distances = fit_distances(run.train, split.features, split.predictions, seed=seed)
        return cls(run.classes, run.head, calibration, rule, least, distances, tuple(notes))

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> Decision:
        """Read rules that `save` wrote, or choose them on a run folder or ARRAYS.npz with the options of `fit`.

        Raises:
            MissingError: nothing there.
            InputError: damaged, or no such run.
        """
        if Path(path).suffix == ".safetensors":
            if options:
                raise InputError(f"{path} holds rules that were chosen before.", hint="Leave out the options.")
            return cls(**read_decision(Path(path)))
        return cls.fit(Run.load(path), **options)

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the rules as one .safetensors file and return its path.

        Raises:
            ExistsError: the file exists and `force` is false.
        """
        return write_decision(self, Path(path), force=force)

    def decide(self, features: NDArray[Any] | None, logits: NDArray[Any] | None = None) -> Outcome:
        """Decide about one block of checked arrays; see `predict`."""
        if logits is None:
            assert features is not None and self.head is not None
            logits = self.head(features)
        probability, sets = self.calibration(logits), self.sets(logits)
        predicted: NDArray[Any] = logits > 0 if self.multilabel else logits.argmax(axis=1)
        if self.least is not None:
            abstain = confidence(probability, self.multilabel) < self.least
        elif self.multilabel:
            abstain = (sets != predicted).any(axis=1)
        else:
            abstain = sets.sum(axis=1) != 1
        distance = rank = None
        if self.distances is not None and features is not None:
            distance = self.distances(features, predicted)
            rank = self.distances.rank(distance, predicted)
        return Outcome(probability, predicted, sets, abstain, distance, rank)

    def predict(self, features: Any = None, *, logits: Any = None) -> pd.DataFrame:
        """Decide about instances.

        Args:
            features: (n, D) of the network of the run.
            logits: (n, C); computed by the head where not given.

        Returns:
            One row per instance: prediction; probability (calibrated, of the prediction); confusion (the class that is
            likeliest if the prediction is incorrect) and confusion_probability; set (list of classes) and set_size; abstain
            (send to a person); distance (Euclidean, to the nearest of at most 500 training instances of the predicted class)
            and distance_rank (share of held-out instances that are nearer, relative to their class). Distances are NaN
            without features. In multi-label runs prediction and set are lists of labels, probability the list of all
            labels' probabilities, and confusion and distance are left out.

        Raises:
            InputError: neither features nor logits, or no head for features.
            ShapeError: other columns than the run has.
        """
        import pyarrow as pa

        checked = self.checked(features, logits)
        columns = columns_of(self.decide(*checked), self.classes)
        return pa.table(columns).to_pandas()

    def checked(self, features: Any, logits: Any) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Check features and logits of instances against these rules; see `predict`."""
        if features is None and logits is None:
            raise InputError("there are neither features nor logits.", hint="Pass features (n, D) or logits (n, C).")
        matrices = []
        for values, name, n_columns in ((features, "features", self.dim), (logits, "logits", len(self.classes))):
            matrix = None if values is None else features_matrix(as_array(values, name), name)
            if matrix is not None and n_columns is not None and matrix.shape[1] != n_columns:
                raise ShapeError(
                    f"{name} have {matrix.shape[1]} columns; the run has {n_columns}.",
                    hint="Take them from the network of the run.",
                )
            matrices.append(matrix)
        if matrices[1] is None and self.head is None:
            raise InputError("the run has no head, so features alone give no prediction.", hint="Pass logits too.")
        if matrices[0] is not None and matrices[1] is not None and len(matrices[0]) != len(matrices[1]):
            raise ShapeError(
                f"{len(matrices[0])} rows of features, {len(matrices[1])} of logits.", hint="One row each."
            )
        return matrices[0], matrices[1]

    @property
    def dim(self) -> int | None:
        """D; None where it is not known."""
        if self.head is not None:
            return int(self.head.weight.shape[1])
        return None if self.distances is None else int(self.distances.features.shape[1])


def confidence(probability: Floats, multilabel: bool) -> Floats:
    """(n,) largest probability; in multi-label data the smallest over labels of the chance to be classified correctly."""
    return np.maximum(probability, 1 - probability).min(axis=1) if multilabel else probability.max(axis=1)
