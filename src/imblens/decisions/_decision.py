"""Decisions about new instances: prediction, calibrated probability, prediction set, abstention, distance to training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from imblens.base.arguments import a_path, a_seed, a_text, checked, either, flag, mapping, number
from imblens.decisions._calibration import Calibration, fit_calibration, mean_probability
from imblens.decisions._deployment import RECALLS, checked_costs, checked_prior, recall_threshold, share_hint
from imblens.decisions._distance import Distances, fit_distances
from imblens.decisions._held_out import centred, held_out_split
from imblens.decisions._label_thresholds import label_thresholds
from imblens.decisions._measured import measured_classes, measured_labels
from imblens.decisions._sets import SetRule, fit_sets
from imblens.decisions._stored import read_decision, write_decision
from imblens.decisions._table import Outcome, columns_of
from imblens.errors import InputError, MissingError, ShapeError, did_you_mean
from imblens.run import Head, LogitRows, Run, Split, as_array, as_run, features_matrix, group_effects, in_blocks

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """Rules that turn features or logits of one network into decisions. Needs no PyTorch.

    Attributes:
        classes: C names.
        head: gives logits of features; None where only logits can be passed.
        calibration: of probabilities.
        sets: rule of prediction sets.
        least: confidence below which an instance is sent to a person; None: where the set is not the predicted class alone.
        distances: to training instances; None in multi-label runs.
        shares: (C,) class shares that probabilities are for.
        by_probability: whether the class of the largest probability is predicted, not that of the largest logit.
        costs: (C, C) of predicting the column where the row is true; the prediction of least expected cost is made.
        thresholds: (C,) probability from which a class is predicted whatever the others are; NaN for most.
        centre: (D,) what is subtracted from features, as it was from those of the run; None: nothing.
        notes: what the rules were chosen on, one sentence each.
    """

    classes: tuple[str, ...]
    head: Head | None
    calibration: Calibration
    sets: SetRule
    least: float | None = None
    distances: Distances | None = field(default=None, repr=False)
    shares: Floats | None = field(default=None, repr=False)
    by_probability: bool = False
    costs: Floats | None = field(default=None, repr=False)
    thresholds: Floats | None = field(default=None, repr=False)
    centre: Floats | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def multilabel(self) -> bool:
        """whether the run is multi-label."""
        return self.calibration.multilabel

    @classmethod
    @checked(
        choose_on=a_text(),
        sets=a_text(),
        prior=either(a_text(), mapping("shares by class", of=number(finite=False), optional=True)),
        coverage=number(),
        abstain=number(optional=True),
        min_recall=RECALLS,
        thresholds=a_text(optional=True),
        confidence=number(0, 1, inside=True),
        seed=a_seed(),
    )
    def fit(
        cls,
        run: Run,
        *,
        choose_on: str = "val",
        sets: str = "class",
        coverage: float = 0.9,
        abstain: float | None = None,
        prior: str | Mapping[str, float] | None = None,
        costs: Any = None,
        min_recall: Mapping[str, float] | None = None,
        thresholds: str | None = None,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> Decision:
        """Choose the rules on held-out labelled instances of a run.

        Args:
            run: with predictions on the split `choose_on`.
            choose_on: "val"; or "test", if the accuracy on this test split is not to be stated for these rules afterwards.
            sets: kind of prediction set, one of `imblens.decisions.SET_METHODS`.
            coverage: of prediction sets, in (0, 1).
            abstain: share of instances to send to a person, those of the lowest calibrated confidence; None sends those whose
                prediction set is not the predicted class alone (in multi-label runs: is not the prediction).
            prior: class shares at deployment: "equal", "training", or class -> share; None: as in the split `choose_on`.
                Probabilities are adjusted, and the class of the largest one is predicted.
            costs: (C, C) cost of predicting the column where the row is true; the least expected cost is predicted.
            min_recall: class -> recall to keep, at the best precision: the class is predicted from the largest threshold
                that keeps it with the chance `confidence` (`recall_threshold`).
            thresholds: in multi-label runs, a threshold for each label in place of 0.5, with the largest measure on the split
                `choose_on`: "f1", as a report states it, or "balanced": the mean of sensitivity and specificity.
            confidence: of `min_recall`, in (0, 1).
            seed: of the choice of training instances for distances.

        Raises:
            MissingError: an unknown class.
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
                f"a share of {abstain:g} to send to a person is not between 0 and 1.",
                hint=share_hint(abstain) if abstain > 1 else "Give 0.1 to send 10% of the instances to a person.",
            )
        split, notes = held_out_split(run, choose_on)
        labels, logits = split.labels, split.logit_rows
        trained = run.train.class_counts.astype(np.float64) if sets == "prevalence" else None
        rule = fit_sets(logits, labels, method=sets, coverage=coverage, prior=trained)
        calibration = fit_calibration(logits, labels)
        shares = mean_probability(calibration, logits)
        matrix = None if costs is None else checked_costs(costs, run.n_classes, split.multilabel)
        few = [name for name, short in zip(run.classes, rule.too_few, strict=True) if short]
        if few and sets == "class":
            notes.append(
                f"In every prediction set, because the {split.name} split has too few instances: {', '.join(few)}."
            )
        distances = None
        if not split.multilabel:
            distances = fit_distances(run.train, split.features, split.predictions, seed=seed)
        found = cls(
            run.classes,
            run.head,
            calibration,
            rule,
            None,
            distances,
            shares=shares,
            costs=matrix,
            notes=tuple(notes),
            centre=None if "centre" not in run.meta else np.asarray(run.meta["centre"], dtype=np.float64),
        )
        if prior is not None:
            found = found.with_shares(checked_prior(run, prior))
        if thresholds is not None:
            best, more = label_thresholds(found.calibration, split, run.classes, thresholds)
            found = replace(found, thresholds=best, notes=(*found.notes, *more))
        if min_recall:
            kept = found._thresholds(logits, labels, min_recall, confidence)
            if found.thresholds is not None:
                kept = np.where(np.isnan(kept), found.thresholds, kept)
            found = replace(found, thresholds=kept)
        if abstain is None:
            return found
        blocks = in_blocks(*logits.shape)
        sure = np.concatenate([confidence_of(found.calibration(logits[rows]), split.multilabel) for rows in blocks])
        return replace(found, least=float(np.quantile(sure, abstain)))

    def with_shares(self, shares: NDArray[Any]) -> Decision:
        """Return these rules for other class shares; the class of the largest probability is then predicted.

        Prediction sets stay: those of kind `class` keep their promise under other class shares, others do not. So do
        thresholds of `min_recall`, which are on probabilities, no longer hold and are refused.

        Args:
            shares: (C,), of at least 0; `checked_prior`, or what `em_prior` estimated.

        Raises:
            InputError: the rules have thresholds, or do not know the shares they were chosen for.

        References:
            Saerens, Latinne and Decaestecker 2002, equation 2.4; Elkan 2001, The foundations of cost-sensitive learning.
        """
        if self.shares is None or self.thresholds is not None:
            raise InputError("these rules cannot be adapted to other class shares.", hint="Choose them with prior=.")
        with np.errstate(divide="ignore"):  # a share of 0 is a bias of minus infinity
            step = np.log(shares) - np.log(self.shares)
            if self.multilabel:
                step -= np.log1p(-np.asarray(shares)) - np.log1p(-self.shares)
        bias = self.calibration.bias + step
        note = "Probabilities are for the stated class shares, and the class of the largest one is predicted."
        if self.sets.method != "class":
            note += " Prediction sets of this kind keep their promise for the shares of the split only."
        return replace(
            self,
            calibration=replace(self.calibration, bias=bias),
            shares=np.asarray(shares, dtype=np.float64),
            by_probability=True,
            notes=(*self.notes, note),
        )

    def _thresholds(
        self,
        logits: NDArray[Any] | LogitRows,
        labels: NDArray[Any],
        min_recall: Mapping[str, float],
        confidence: float,
    ) -> Floats:
        found = np.full(len(self.classes), np.nan)
        for name, recall in min_recall.items():
            if name not in self.classes:
                raise MissingError(f"{name!r} is not a class of the run.", hint=did_you_mean(name, self.classes))
            place = self.classes.index(name)
            own = np.flatnonzero(labels[:, place] == 1 if self.multilabel else labels == place)
            blocks = (own[rows] for rows in in_blocks(len(own), len(self.classes)))
            p = np.concatenate([self.calibration(logits[rows])[:, place] for rows in blocks])
            found[place] = recall_threshold(p, recall, confidence=confidence)
        return found

    def expected(self, run: Run, *, choose_on: str = "val") -> pd.DataFrame:
        """Recall of each class under these rules on held-out instances, and the precision at the class shares of the rules.

        On the split that the rules were chosen on, values are slightly optimistic.

        Returns:
            Columns: class, share, count, recall, precision and covered (share of its instances whose set holds the class),
            each with its 95% interval (_low, _high; by group where groups are known, but for precision), set_size (mean) and
            abstain (share sent to a person); in multi-label runs also specificity with its interval. NaN where a class has no
            instance, or is never predicted.
        """
        split, _ = held_out_split(run, choose_on)
        assert self.shares is not None
        return self._table(split, self.shares)

    def measured(self, split: Split) -> pd.DataFrame:
        """The columns of `expected`, measured on a split that the rules were not chosen on, at its own class shares.

        Raises:
            InputError: the split has no predictions.
        """
        if not split.has_logits:
            raise InputError(f"the {split.name} split has no predictions.", hint="Add logits or a head.")
        return self._table(split, split.class_counts / len(split))

    def _table(self, split: Split, shares: Floats) -> pd.DataFrame:
        worth = None if split.groups is None else partial(group_effects, split)
        if split.multilabel:
            found = self.decide(None, np.asarray(split.logits))
            return measured_labels(found, split.membership, split.known, self.classes, shares, worth)
        parts = []
        for rows in in_blocks(len(split), len(self.classes)):
            found, labels = self.decide(None, np.asarray(split.logit_rows[rows])), split.labels[rows]
            held = found.sets[np.arange(len(labels)), labels]
            parts.append((found.predicted, held, found.sets.sum(axis=1), found.abstain))
        predicted, held, sizes, abstain = (np.concatenate(column) for column in zip(*parts, strict=True))
        return measured_classes(split.labels, predicted, held, sizes, abstain, self.classes, shares, worth)

    @classmethod
    @checked(path=a_path())
    def load(cls, path: str | Path, **options: Any) -> Decision:
        """Read rules that `save` wrote, or choose them on a run folder or ARRAYS.npz with the options of `fit`.

        Raises:
            MissingError: nothing there.
            InputError: damaged, or no such run.
        """
        if Path(path).suffix == ".safetensors":
            if options:
                raise InputError(f"{path} contains rules that are already chosen.", hint="Leave out the options.")
            return cls(**read_decision(Path(path)))
        return cls.fit(Run.load(path), **options)

    @checked(path=a_path(), force=flag())
    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the rules as one .safetensors file and return its path.

        Raises:
            ExistsError: the file exists and `force` is false.
        """
        return write_decision(vars(self), Path(path), force=force)

    def decide(self, features: NDArray[Any] | None, logits: NDArray[Any] | None = None) -> Outcome:
        """Decide about one block of checked arrays; see `predict`."""
        if logits is None:
            assert features is not None and self.head is not None
            logits = self.head(features)
        probability, sets = self.calibration(logits), self.sets(logits)
        predicted = self._predicted(logits, probability)
        if self.least is not None:
            abstain = confidence_of(probability, self.multilabel) < self.least
        elif self.multilabel:
            abstain = (sets != predicted).any(axis=1)
        else:
            abstain = (sets.sum(axis=1) != 1) | ~sets[np.arange(len(sets)), predicted]
        distance = rank = None
        if self.distances is not None and features is not None:
            distance = self.distances(features, predicted)
            rank = self.distances.rank(distance, predicted)
        return Outcome(probability, predicted, sets, abstain, distance, rank)

    def _predicted(self, logits: NDArray[Any], probability: Floats) -> NDArray[Any]:
        """(n,) class, or (n, C) labels, that these rules predict."""
        least = None if self.thresholds is None else np.where(np.isnan(self.thresholds), np.inf, self.thresholds)
        if self.multilabel:
            chosen = probability > 0.5 if self.by_probability else logits > 0
            if self.thresholds is None:
                return np.asarray(chosen)
            return np.where(np.isnan(self.thresholds), chosen, probability >= self.thresholds)
        if self.costs is not None:
            found: NDArray[Any] = (probability @ self.costs).argmin(axis=1)
        else:
            found = (probability if self.by_probability else logits).argmax(axis=1)
        if least is None:
            return found
        ratio = probability / np.maximum(least, 1e-300)
        return np.where(ratio.max(axis=1) >= 1, ratio.argmax(axis=1), found)

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
        checked = self.checked(features, logits)
        columns = columns_of(self.decide(*checked), self.classes)
        return pa.table(columns).to_pandas()

    def checked(self, features: Any, logits: Any) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Check features and logits of instances against these rules; see `predict`."""
        if features is None and logits is None:
            raise InputError("there are neither features nor logits.", hint="Pass features (n, D) or logits (n, C).")
        features = centred(features, self.centre)
        matrices = []
        for values, name, n_columns in ((features, "features", self.dim), (logits, "logits", len(self.classes))):
            lazy = values is None or isinstance(values, LogitRows)
            matrix = values if lazy else features_matrix(as_array(values, name), name)
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


def confidence_of(probability: Floats, multilabel: bool) -> Floats:
    """(n,) largest probability; in multi-label data the smallest over labels of the chance to be classified correctly."""
    return np.maximum(probability, 1 - probability).min(axis=1) if multilabel else probability.max(axis=1)
