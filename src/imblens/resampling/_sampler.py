"""Base of our samplers: imbalanced-learn's API, and checks of inputs with messages that give the remedy."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from imblearn.base import BaseSampler
from numpy.typing import NDArray
from scipy.sparse import issparse

from imblens.errors import ImblensWarning, InputError, ShapeError
from imblens.resampling._numeric import as_float, check_counts, plain
from imblens.run import as_array, refuse_mixed_labels

STRATEGIES = ("auto", "minority", "not minority", "not majority", "all")


class Sampler(BaseSampler):  # type: ignore[misc]  # imbalanced-learn has no types
    """Base of our samplers: checks inputs with messages that give the remedy, and keeps the type of floats.

    Integer features become floats (float32 up to 16 bits, else float64): a point between two integers is not an integer.
    With `random_state=None` a fresh generator is used; NumPy's global one is never touched.
    """

    _sampling_type: ClassVar[str] = "over-sampling"
    _parameter_constraints: ClassVar[dict[str, Any]] = {}  # imbalanced-learn reads it; `_check_options` checks instead

    def fit(self, X: Any, y: Any) -> Any:
        """Check inputs and count; `fit_resample` does the work."""
        X, y = self._checked(X, y)
        return super().fit(X, y)

    def fit_resample(self, X: Any, y: Any) -> Any:
        """Return the instances followed by the synthetic ones, and their labels.

        Args:
            X: (N, D) array, data frame or sparse matrix of finite numbers.
            y: (N,) labels of any kind, two classes or more; bytes come back as text.

        Raises:
            InputError, ShapeError: the message names the argument, what was found and what to do.
        """
        X, y = self._checked(X, y)
        self._notes: list[str] = []
        made = super().fit_resample(X, y)
        for note in self._notes:  # here, so that a warning names the line of the caller
            warnings.warn(note, ImblensWarning, stacklevel=2)
        return made

    def __sklearn_tags__(self) -> Any:
        """Declare that `sample_indices_` is set."""
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        return tags

    def _more_tags(self) -> dict[str, Any]:
        """The same for scikit-learn before 1.6."""
        return {"sample_indices": True}

    @abstractmethod
    def _resample(self, X: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the new rows (n, D) and their labels (n,) for dense float X (N, D) of at least 32 bits.

        What the user should know is appended to `_notes`.
        """

    def _fit_resample(self, X: Any, y: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        dense = X.toarray() if issparse(X) else np.asarray(X)
        features = as_float(dense)
        new, labels = self._resample(features, y)
        kept = dense if dense.dtype.kind == "f" else features
        joined: Any = np.concatenate([kept, new.astype(kept.dtype, copy=False)])
        return type(X)(joined) if issparse(X) else joined, np.concatenate([y, labels.astype(y.dtype, copy=False)])

    def _check_options(self) -> None:
        """Refuse options that do not fit.

        Raises:
            InputError: names the option, the value and what is allowed.
        """
        name = type(self).__name__
        strategy = self.sampling_strategy
        share = isinstance(strategy, Real) and 0 < float(strategy) <= 1
        if not (share or isinstance(strategy, Mapping) or callable(strategy)):
            check_word(name, "sampling_strategy", strategy, STRATEGIES)
        if not isinstance(self.random_state, (np.random.RandomState, np.random.Generator, type(None))):
            check_whole(name, "random_state", self.random_state, 0)

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Refuse options, X or y that do not fit, and turn whole-number columns into floats."""
        name = type(self).__name__
        self._check_options()
        if y is None:
            raise InputError(f"{name} requires y to be passed, but the target y is None.", hint="Give the labels.")
        X, y = _ordinary(X, f"{name}: X"), _ordinary(y, f"{name}: y")
        n_rows, n_labels = _length(X), _length(y)
        if n_rows is not None and n_labels is not None and n_rows != n_labels:
            raise ShapeError(f"{name}: y has {n_labels} rows, X has {n_rows}.", hint="Give one label per row.")
        _check_features(name, X)
        _check_labels(name, y)
        if isinstance(self.sampling_strategy, Real) and (np.shape(y)[1] if np.ndim(y) == 2 else len(np.unique(y))) > 2:
            raise InputError(
                f"{name}: sampling_strategy={self.sampling_strategy!r} is a share, which is for two classes.",
                hint=f"Give {{class: count}}, or one of {', '.join(STRATEGIES)}.",
            )
        if callable(self.sampling_strategy) and not isinstance(self.sampling_strategy(y), Mapping):
            raise InputError(
                f"{name}: the function given as sampling_strategy returned no mapping.", hint="Return {class: count}."
            )
        if isinstance(self.sampling_strategy, Mapping) and np.ndim(y) == 1:
            values, counts = np.unique(np.asarray(y), return_counts=True)
            check_counts(name, self.sampling_strategy, dict(zip(values.tolist(), counts.tolist(), strict=True)))
        if hasattr(X, "dtypes") and hasattr(X, "columns"):
            whole = {column: np.float64 for column, kind in X.dtypes.items() if getattr(kind, "kind", "") in "iub"}
            X = X.astype(whole) if whole else X  # else imbalanced-learn would cut the samples back to integers
        return X, y


def check_whole(name: str, option: str, value: Any, least: int) -> None:
    """Refuse an option that is not a whole number of `least` or more.

    Raises:
        InputError: names the option, the value and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise InputError(f"{name}: {option}={value!r} is not allowed.", hint=f"Give a whole number of {least} or more.")


def check_word(name: str, option: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse an option that is none of the texts allowed.

    Raises:
        InputError: names the option, the value and what is allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name}: {option}={value!r} is not allowed.", hint=f"Give one of {', '.join(allowed)}.")


def _ordinary(values: Any, name: str) -> Any:
    """Return what imbalanced-learn takes as it is (arrays of numbers, frames, series, sparse matrices, lists), else an array.

    Raises:
        InputError, ShapeError: as `as_array`, whose result is kept only where the type of `values` cannot be.
    """
    plain_array = type(values) is np.ndarray and values.ndim > 0 and values.dtype.kind not in "OS"
    if plain_array or issparse(values) or (hasattr(values, "iloc") and values.ndim == 1):
        return values
    array = as_array(values, name)
    return values if isinstance(values, list) or hasattr(values, "iloc") else array


def _length(values: Any) -> int | None:
    shape = getattr(values, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    return len(values) if isinstance(values, (list, tuple)) else None


def _check_features(name: str, X: Any) -> None:
    if issparse(X) or not hasattr(X, "__len__"):
        return  # scikit-learn's own checks
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ShapeError(
            f"{name}: X has rows of different lengths.", hint="Every row needs the same columns."
        ) from error
    if array.ndim != 2:
        raise ShapeError(
            f"{name}: X must be a matrix (instances, features), found shape {array.shape}. Reshape your data.",
            hint="Give one row per instance.",
        )
    for size, what in zip(array.shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ShapeError(
                f"{name}: X has 0 {what} (shape={array.shape}) while a minimum of 1 is required.",
                hint="Give one row per instance.",
            )
    kinds = {
        "U": "text",
        "S": "text",
        "M": "dates",
        "m": "durations",
        "c": "complex numbers (Complex data not supported)",
    }
    if array.dtype.kind in kinds:
        raise InputError(
            f"{name}: X holds {kinds[array.dtype.kind]}.", hint="Give real numbers, such as the features of a network."
        )
    if array.dtype.kind == "f" and not np.isfinite(array.sum(dtype=np.float64)) and not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"{name}: X holds NaN or infinity (first in row {row}, column {column}).",
            hint="Drop those instances first.",
        )


def _check_labels(name: str, y: Any) -> None:
    listed = isinstance(y, (list, tuple))
    if listed or (getattr(y, "ndim", 0) == 1 and getattr(y, "dtype", None) == np.dtype(object)):
        missing = next((i for i, value in enumerate(y) if value is None), None)
        if missing is not None:
            raise InputError(f"{name}: y holds None (first in row {missing}).", hint="Drop or name those instances.")
    array = np.asarray(y)
    if array.ndim > 2 or array.dtype.kind == "c":
        raise InputError(
            f"{name}: y has shape {array.shape} and dtype {array.dtype} (Complex data not supported).",
            hint="Give one label per row.",
        )
    if array.ndim != 1 or not len(array):
        return
    if array.dtype.kind == "O":
        refuse_mixed_labels(array.tolist(), f"{name}: Unknown label type: y")
    if array.dtype.kind == "f":
        odd = ~np.isfinite(array)
        if odd.any():
            raise InputError(
                f"{name}: Input y contains NaN or infinity (first in row {int(np.argmax(odd))}).",
                hint="Drop or name those instances.",
            )
        odd = array != np.floor(array)
        if odd.any():
            raise InputError(
                f"{name}: Unknown label type: y holds {array[odd][0]!s}, which is continuous and names no class.",
                hint="Give whole numbers or text.",
            )
    if array.dtype.kind in "iufbUSO" and (array == array[0]).all():
        raise InputError(
            f"{name}: y has one class only ({plain(array[0])!r}), but balancing needs more than 1 class.",
            hint="Give instances of two or more.",
        )
