"""SMOTE whose synthetic rows are labelled by a support vector machine."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from imblearn.over_sampling import SMOTE
from numpy.typing import NDArray
from sklearn.base import clone

from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.errors import InputError
from imblens.resampling._numeric import (
    as_seed,
    enough_for_smote,
    for_distances,
    plain,
    positions,
    refuse_too_many,
    stratified,
)
from imblens.resampling._sampler import Sampler, check_whole, check_word

FitOn = Literal["original", "resampled"]
_COMPONENTS = 128


class RecordingSMOTE(SMOTE):  # type: ignore[misc]  # imbalanced-learn has no types
    """imbalanced-learn's SMOTE, which also records the two instances that each sample lies between."""

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
    """SMOTE whose synthetic rows are labelled by a support vector machine.

    Samples of a rare class that lie among another class get the label of that class, so the result is nearly, not
    exactly, balanced. Original rows keep their labels.

    Args:
        k_neighbors: of SMOTE; every over-sampled class needs one instance more.
        sampling_strategy: as in imbalanced-learn: the counts of SMOTE, before labels change.
        random_state: int, RandomState, Generator or None.
        estimator: a scikit-learn classifier; None is an SVC with Gaussian kernel (C = 1, gamma "scale") on features
            centred and scaled to unit variance; beyond 128 features, on their first 128 principal components.
        fit_on: "resampled" rows, as SVM_balance of smote_variants: the machine was trained on the synthetic rows with
            SMOTE's labels and changes few of them; or the "original" instances only: trained on imbalanced data, the
            machine gives most ambiguous rows to the frequent classes.
        max_fit: most rows that the machine is fitted on; beyond, the largest classes are subsampled, with a warning. Time
            grows with the square of the rows.

    Attributes:
        sample_indices_: (N + n,) row that each instance came from: itself, or SMOTE's base.
        mate_indices_: (n,) row of the same class that each synthetic instance was drawn toward.
        smote_labels_: (n,) labels before the machine.
        n_relabelled_: how many it changed.
        estimator_: the fitted machine.
        sampling_strategy_, n_features_in_, feature_names_in_: as in imbalanced-learn.

    Raises:
        InputError: a class is smaller than SMOTE needs; the message names it and the largest k that fits.

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

    _precision: type[np.floating[Any]] = np.float64  # of distances; float32 for pixels, which are many

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
        super().__init__(sampling_strategy=sampling_strategy)
        self.k_neighbors = k_neighbors
        self.random_state = random_state
        self.estimator = estimator
        self.fit_on = fit_on
        self.max_fit = max_fit

    def _check_options(self) -> None:
        super()._check_options()
        check_whole("BalancedSVM", "k_neighbors", self.k_neighbors, 1)
        check_whole("BalancedSVM", "max_fit", self.max_fit, 2)
        check_word("BalancedSVM", "fit_on", self.fit_on, get_args(FitOn))
        if isinstance(self.estimator, type):
            name = self.estimator.__name__
            raise InputError(f"BalancedSVM: estimator is the class {name}.", hint=f"Give an instance: {name}().")
        if self.estimator is not None and not (hasattr(self.estimator, "fit") and hasattr(self.estimator, "predict")):
            raise InputError(
                f"BalancedSVM: estimator is a {type(self.estimator).__name__} without fit and predict.",
                hint="Give a scikit-learn classifier, or None.",
            )

    def _resample(self, X: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        classes, labels, wanted = positions(y, self.sampling_strategy_)
        refuse_too_many("BalancedSVM", sum(wanted.values()), X)
        counts = np.bincount(labels)
        enough_for_smote(
            "BalancedSVM", self.k_neighbors, {plain(classes[i]): int(counts[i]) for i in wanted if wanted[i]}
        )
        seed = as_seed(self.random_state)
        strategy = {label: int(counts[label] + n) for label, n in wanted.items()}
        smote = RecordingSMOTE(k_neighbors=self.k_neighbors, sampling_strategy=strategy, random_state=seed % 2**32)
        scaled = for_distances(X, self._precision)
        joined, given = smote.fit_resample(scaled, labels)
        base, mate = smote.base_indices_, smote.mate_indices_
        fit_rows, fit_labels = (scaled, labels) if self.fit_on == "original" else (joined, given)
        self.estimator_ = self._fitted(fit_rows, fit_labels, seed)
        n = len(X)
        new = np.empty((len(base), X.shape[1]), X.dtype)
        for rows in row_blocks(*new.shape):
            start, end = base[rows], mate[rows]
            steps = self._steps(joined[n:][rows], scaled, start, end)[:, None].astype(X.dtype)
            new[rows] = X[start] + steps * (X[end] - X[start])
        predicted = self.estimator_.predict(joined[n:]) if len(base) else given[n:]
        self.smote_labels_ = classes[given[n:]]
        self.n_relabelled_ = int(np.count_nonzero(predicted != given[n:]))
        self.sample_indices_ = np.concatenate([np.arange(n), base])
        self.mate_indices_ = mate
        return new, classes[predicted]

    def _fitted(self, rows: NDArray[Any], labels: NDArray[np.int64], seed: int) -> Any:
        from sklearn.decomposition import PCA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        if len(rows) > self.max_fit:
            keep = stratified(labels, self.max_fit, seed)
            self._notes.append(
                f"BalancedSVM: the machine was fitted on {len(keep):,} of {len(rows):,} rows; raise max_fit for more."
            )
            rows, labels = rows[keep], labels[keep]
        if self.estimator is not None:
            return clone(self.estimator).fit(rows, labels)
        steps: list[Any] = [StandardScaler()]
        if min(rows.shape) > _COMPONENTS:  # an SVC's time grows with the columns: minutes on raw pixels
            steps.append(PCA(_COMPONENTS, svd_solver="randomized", random_state=seed % 2**32))
        machine = SVC(random_state=seed % 2**32)  # without a seed it draws one from the global state
        return make_pipeline(*steps, machine).fit(rows, labels)

    @staticmethod
    def _steps(new: NDArray[Any], scaled: NDArray[Any], base: Any, mate: Any) -> NDArray[np.float64]:
        """(n,) relative position of each sample between base and mate, to interpolate the unscaled features as well."""
        away = scaled[mate] - scaled[base]
        length = np.einsum("ij,ij->i", away, away)
        along = np.einsum("ij,ij->i", new - scaled[base], away)
        return np.clip(divide(along, length, otherwise=0), 0, 1)
