"""Features stored as float32: columns that vary little around a large value are centred first, in float64.

A column is centred where rounding would change its values by more than 1e-4 of their range within a split. A column whose
values differ by less than 1e-12 of their size is constant up to rounding, and is stored as one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.wording import counted
from imblens.errors import InputError
from imblens.run._spool import Spool

Doubles = NDArray[np.float64]
BLURRED = 1e-4  # of the range of a column
SAME = 1e-12  # relative difference of values that are equal up to rounding


def is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether float32 holds every number of a dtype."""
    return bool(np.can_cast(dtype, np.float32, "safe"))


class Extent:
    """Lowest and highest value, mean and largest rounding error of every column of one split."""

    def __init__(self, columns: int) -> None:
        self.low: Doubles = np.full(columns, np.inf)
        self.high: Doubles = np.full(columns, -np.inf)
        self._lost: Doubles = np.zeros(columns)
        self._sum: Doubles = np.zeros(columns)
        self._n = 0

    def update(self, block: NDArray[Any]) -> None:
        """Add rows (n, D)."""
        wide = block.astype(np.float64)
        with np.errstate(over="ignore"):
            lost = np.abs(wide.astype(np.float32).astype(np.float64) - wide)
        self.low = np.minimum(self.low, wide.min(axis=0))
        self.high = np.maximum(self.high, wide.max(axis=0))
        self._lost = np.maximum(self._lost, lost.max(axis=0))
        self._sum += wide.sum(axis=0)
        self._n += len(wide)

    @property
    def empty(self) -> bool:
        """Whether no rows were added."""
        return self._n == 0

    @property
    def mean(self) -> Doubles:
        """(D,) mean."""
        return self._sum / self._n

    @property
    def largest(self) -> Doubles:
        """(D,) largest absolute value."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def constant(self) -> NDArray[np.bool_]:
        """(D,) which columns hold one value up to rounding."""
        same: NDArray[np.bool_] = self.high - self.low <= SAME * self.largest
        return same

    @property
    def blurred(self) -> NDArray[np.bool_]:
        """(D,) which columns float32 would blur."""
        blurred: NDArray[np.bool_] = (self._lost > BLURRED * (self.high - self.low)) & ~self.constant
        return blurred


class Storing:
    """How the features of all splits become float32: what is subtracted, and which columns are constant."""

    def __init__(self, extents: Mapping[str, Extent], names: Sequence[str] | None = None) -> None:
        """Decide it from the extents of the splits, "train" among them.

        Args:
            extents: one for every split.
            names: D names of columns, for messages; None numbers them.

        Raises:
            InputError: values that float32 cannot hold, or a split of which centring does not keep the digits.
        """
        train = extents["train"]
        for split, extent in extents.items():
            largest = extent.largest.max()
            if largest > np.finfo(np.float32).max:
                raise InputError(
                    f"{split}_features holds values up to {largest:.3g}, more than float32 can hold.",
                    hint=f"Scale it, for example {split}_features / {split}_features.std().",
                )
        blurred = np.any([extent.blurred for extent in extents.values()], axis=0)
        self.centre: Doubles = np.where(blurred, train.mean, 0.0)
        self._constant = {
            split: (extent.constant & (extent.low != extent.high), extent.low - self.centre)
            for split, extent in extents.items()
        }
        for split, extent in extents.items():
            far = np.maximum(np.abs(extent.low - self.centre), np.abs(extent.high - self.centre))
            spread = extent.high - extent.low
            error = np.maximum(far * 2.0**-24, 2.0**-150)  # of a number of that size, or of one too small for float32
            lost = np.flatnonzero(blurred & ~extent.constant & (error > BLURRED * spread))
            if lost.size:
                column = int(lost[0])
                raise InputError(
                    f"{split}_features column {column if names is None else repr(names[column])} varies by "
                    f"{spread[column]:.3g} around {extent.mean[column]:.3g}, {far[column]:.3g} from its training mean: "
                    "float32 would blur it.",
                    hint="Leave out the column, or check that all splits have the same units.",
                )

    @property
    def needed(self) -> bool:
        """Whether anything is to be changed."""
        return bool(self.centre.any()) or any(fixed.any() for fixed, _ in self._constant.values())

    def stored(self, block: NDArray[Any], split: str) -> NDArray[np.float32]:
        """Return rows of a split, (n, D) float32, as they are stored."""
        wide = block.astype(np.float64) - self.centre
        fixed, values = self._constant[split]
        wide[:, fixed] = values[fixed]
        return wide.astype(np.float32)

    def notes(self, names: Sequence[str] | None = None) -> list[str]:
        """State which columns were changed."""
        fixed = np.any([mask for mask, _ in self._constant.values()], axis=0)
        lines = []
        for columns, done in (
            (np.flatnonzero(self.centre), "with a large offset centred: the training mean was subtracted in float64"),
            (np.flatnonzero(fixed), "constant up to rounding stored as one value"),
        ):
            if columns.size:
                listed = ", ".join(str(k) if names is None else str(names[k]) for k in columns[:5])
                more = ", ..." if columns.size > 5 else ""
                lines.append(f"{counted(columns.size, 'feature')} {done} ({listed}{more}).")
        return lines


def stored_features(features: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[np.float32]], Storing | None]:
    """Return checked features (N, D) of every split as float32; those that are float32 already stay as they are.

    Returns:
        The features, and what was changed; None where nothing was.
    """
    if all(is_exact(matrix.dtype) for matrix in features.values()):
        return {name: matrix.astype(np.float32, copy=False) for name, matrix in features.items()}, None
    extents = {name: Extent(matrix.shape[1]) for name, matrix in features.items()}
    for name, matrix in features.items():
        for rows in row_blocks(*matrix.shape):
            extents[name].update(matrix[rows])
    storing = Storing(extents)
    stored = {}
    for name, matrix in features.items():
        if not isinstance(matrix, np.memmap) and not storing.needed:
            stored[name] = matrix.astype(np.float32)
            continue
        spool = Spool(len(matrix), matrix.shape[1], f"{name}_features need", mapped=isinstance(matrix, np.memmap))
        for rows in row_blocks(*matrix.shape):
            spool.append(storing.stored(matrix[rows], name))
        stored[name] = spool.matrix()
        spool.close()
    return stored, storing if storing.needed else None
