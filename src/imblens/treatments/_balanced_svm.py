"""SMOTE whose synthetic rows are labelled by a support vector machine."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
from imblearn.over_sampling import SMOTE
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from imblens.errors import ImblensWarning
from imblens.treatments._numeric import (
    as_seed,
    enough_for_smote,
    for_distances,
    plain,
    positions,
    refuse_too_large,
    stratified,
)
from imblens.treatments._sampler import Sampler

FitOn = Literal["original", "resampled"]
_DIRECTIONS = 128


class RecordingSMOTE(SMOTE):  # type: ignore[misc]  # imbalanced-learn has no types
    """imbalanced-learn's SMOTE, which also remembers the two instances that each sample lies between."""

    def _fit_resample(self, X: NDArray[Any], y: NDArray[Any]) -> tuple[Any, Any]:
        self._pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        result = super()._fit_resample(X, y)
        drawn = [label for label, n in self.sampling_strategy_.items() if n]
        rows = [np.flatnonzero(y == label) for label in drawn]
        empty = np.empty(0, dtype=np.int64)
        self.base_indices_ = np.concatenate([empty, *(r[a] for r, (a, _) in zip(rows, self._pairs, strict=True))])
        self.mate_indices_ = np.concatenate([empty, *(r[b] for r, (_, b) in zip(rows, self._pairs, strict=True))])
        return result

    def _generate_samples(
        self, X: Any, nn_data: Any, nn_num: Any, rows: Any, cols: Any, steps: Any, *more: Any, **named: Any
    ) -> Any:
        self._pairs.append((rows, nn_num[rows, cols]))
        return super()._generate_samples(X, nn_data, nn_num, rows, cols, steps, *more, **named)


class BalancedSVM(Sampler):
    """SMOTE, then every synthetic row gets the label that a support vector machine gives it.

    Samples between two instances of a rare class that lie among another class are handed to that class, so the classes
    come out nearly, not exactly, balanced. Original rows keep their labels.

    Args:
        k_neighbors: of SMOTE; every over-sampled class needs one instance more.
        sampling_strategy: as in imbalanced-learn: what SMOTE is asked for, before labels change.
        random_state: int, RandomState, Generator or None.
        estimator: a scikit-learn classifier; None is an SVC with Gaussian kernel (C = 1, gamma "scale") on features
            centred and scaled to unit variance; of more than 128 features, on their 128 main directions.
        fit_on: "resampled" rows, as smote_variants' SVM_balance: the machine has seen the synthetic rows with their
            first labels and changes few of them; or the "original" instances only: unbalanced as they are, the machine
            hands most doubtful rows back to the large classes.
        max_fit: rows the machine is fitted on at most; beyond, the largest classes are thinned (told). Its time grows
            with the square of the rows.

    Attributes:
        sample_indices_: (N + n,) row that each instance came from: itself, or SMOTE's base.
        mate_indices_: (n,) row of the same class that each synthetic instance was drawn toward.
        smote_labels_: (n,) labels before the machine.
        n_relabelled_: how many it changed.
        estimator_: the fitted machine.
        sampling_strategy_, n_features_in_, feature_names_in_: as in imbalanced-learn.

    Raises:
        InputError: a class is smaller than SMOTE needs; the message names it and the k that would do.

    References:
        Farquad and Bose 2012, Preprocessing unbalanced data using support vector machine, which replaces labels of the
        data at hand; with SMOTE in front as Dablain et al. 2022 (EOS), section II-A. We keep the original labels.

    Example:
        >>> import numpy as np
        >>> X = np.array([[0.0], [0.1], [5.0], [5.1], [5.2], [5.3]])
        >>> X_new, y_new = BalancedSVM(k_neighbors=1, random_state=0).fit_resample(X, np.array([0, 0, 1, 1, 1, 1]))
        >>> y_new.tolist()
        [0, 0, 1, 1, 1, 1, 0, 0]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Sampler._parameter_constraints,
        "k_neighbors": [Interval(Integral, 1, None, closed="left")],
        "estimator": [None, HasMethods(["fit", "predict"])],
        "fit_on": [StrOptions({"original", "resampled"})],
        "max_fit": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        k_neighbors: int = 5,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        estimator: Any = None,
        fit_on: FitOn = "resampled",
        max_fit: int = 5_000,
    ) -> None:
        """Keep the options; they are checked by `fit_resample`."""
        super().__init__(sampling_strategy=sampling_strategy)
        self.k_neighbors = k_neighbors
        self.random_state = random_state
        self.estimator = estimator
        self.fit_on = fit_on
        self.max_fit = max_fit

    def _resample(self, X: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        classes, labels, wanted = positions(y, self.sampling_strategy_)
        refuse_too_large("BalancedSVM", sum(wanted.values()), X)
        counts = np.bincount(labels)
        enough_for_smote(
            "BalancedSVM", self.k_neighbors, {plain(classes[i]): int(counts[i]) for i in wanted if wanted[i]}
        )
        seed = as_seed(self.random_state)
        strategy = {label: int(counts[label] + n) for label, n in wanted.items()}
        smote = RecordingSMOTE(k_neighbors=self.k_neighbors, sampling_strategy=strategy, random_state=seed % 2**32)
        scaled = for_distances(X)
        joined, given = smote.fit_resample(scaled, labels)
        base, mate = smote.base_indices_, smote.mate_indices_
        fit_rows, fit_labels = (scaled, labels) if self.fit_on == "original" else (joined, given)
        self.estimator_ = self._fitted(fit_rows, fit_labels, seed)
        n = len(X)
        new = X[base] + self._steps(joined[n:], scaled, base, mate)[:, None].astype(X.dtype) * (X[mate] - X[base])
        answers = self.estimator_.predict(joined[n:]) if len(base) else given[n:]
        self.smote_labels_ = classes[given[n:]]
        self.n_relabelled_ = int(np.count_nonzero(answers != given[n:]))
        self.sample_indices_ = np.concatenate([np.arange(n), base])
        self.mate_indices_ = mate
        return new, classes[answers]

    def _fitted(self, rows: NDArray[Any], labels: NDArray[np.int64], seed: int) -> Any:
        from sklearn.decomposition import PCA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        if len(rows) > self.max_fit:
            keep = stratified(labels, self.max_fit, seed)
            warnings.warn(
                f"BalancedSVM: the machine was fitted on {len(keep):,} of {len(rows):,} rows; raise max_fit for more.",
                ImblensWarning,
                stacklevel=5,
            )
            rows, labels = rows[keep], labels[keep]
        if self.estimator is not None:
            return clone(self.estimator).fit(rows, labels)
        steps: list[Any] = [StandardScaler()]
        if min(rows.shape) > _DIRECTIONS:  # an SVC's time grows with the columns: minutes on raw pixels
            steps.append(PCA(_DIRECTIONS, svd_solver="randomized", random_state=seed % 2**32))
        return make_pipeline(*steps, SVC()).fit(rows, labels)

    @staticmethod
    def _steps(new: NDArray[Any], scaled: NDArray[Any], base: Any, mate: Any) -> NDArray[np.float64]:
        """(n,) how far each sample lies from base to mate, so that it can be made from unscaled features too."""
        away = scaled[mate] - scaled[base]
        length = np.einsum("ij,ij->i", away, away)
        along = np.einsum("ij,ij->i", new - scaled[base], away)
        return np.clip(np.divide(along, length, out=np.zeros(len(new)), where=length > 0), 0, 1)
