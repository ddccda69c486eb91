"""Numeric helpers of samplers. Nothing here imports imbalanced-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import numbered
from imblens.base.blocks import row_blocks
from imblens.base.memory import refuse_too_large
from imblens.errors import InputError, did_you_mean


def check_counts(
    name: str, strategy: Mapping[Any, Any], have: Mapping[Any, int], names: Sequence[str] | None = None
) -> None:
    """Check a sampling strategy {class: count} against the instances there are.

    Args:
        name: of the sampler, for messages.
        strategy: wanted count of each class.
        have: present count of each class.
        names: what to call class i in messages; None: by its value.

    Raises:
        InputError: unknown class, a count that is not whole, or one below what the class has.
    """

    def called(label: Any) -> str:
        return repr(label if names is None else names[label])

    for label, count in strategy.items():
        if not have.get(label, 0):
            raise InputError(
                f"{name}: sampling_strategy asks for class {called(label)}, which is not present in the data.",
                hint=did_you_mean(str(label), [str(value if names is None else names[value]) for value in have]),
            )
        if isinstance(count, bool) or not isinstance(count, (int, float, np.number)) or not float(count).is_integer():
            raise InputError(
                f"{name}: sampling_strategy gives {count!r} for class {called(label)}, which is not a whole number.",
                hint="Give the number of instances that the class is to have afterwards.",
            )
        if count < have[label]:
            raise InputError(
                f"{name}: sampling_strategy gives {count} for class {called(label)}, which has {have[label]} instances.",
                hint=f"Ask for {have[label]} or more, or leave the class out.",
            )


def positions(y: NDArray[Any], strategy: Mapping[Any, int]) -> tuple[NDArray[Any], NDArray[np.int64], dict[int, int]]:
    """Number the classes: sorted values, (N,) positions among them, and how many to draw by position."""
    labels, values = numbered(y)
    place = {value: i for i, value in enumerate(values.tolist())}
    wanted = {place[plain(value)]: int(n) for value, n in strategy.items()}
    return values, labels, wanted


def plain(value: Any) -> Any:
    """Return a label as a Python value, not as a NumPy scalar."""
    return value.item() if isinstance(value, np.generic) else value


def as_float(features: NDArray[Any]) -> NDArray[Any]:
    """Return floats of the smallest type that holds the values."""
    if features.dtype.kind == "f" and features.dtype.itemsize >= 4:
        return features
    return features.astype(np.result_type(features.dtype, np.float32))


class Frame:
    """Centre features and scale them by a power of two, and undo both.

    Squared distances of scaled features neither underflow nor overflow, and large offsets do not round them off. The
    nearest neighbours stay the same. `precision` is float64, or float32 for small whole numbers such as pixels, which are
    many.
    """

    def __init__(self, features: NDArray[Any], precision: type[np.floating[Any]] = np.float64) -> None:
        self._precision = precision
        self._first = _exponent(features)
        small = np.ldexp(features.astype(precision), -self._first)
        self._centre = small.mean(axis=0, dtype=np.float64).astype(precision)
        self._second = _exponent(small - self._centre)

    def inside(self, features: NDArray[Any]) -> NDArray[Any]:
        """Return centred and scaled features."""
        return np.ldexp(np.ldexp(features.astype(self._precision), -self._first) - self._centre, -self._second)

    def outside(self, features: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some rows in the features' original units: a block at a time, as whole arrays are gigabytes of pixels."""
        found = np.empty((len(rows), features.shape[1]), np.float32)
        for block in row_blocks(len(rows), features.shape[1]):
            found[block] = np.ldexp(np.ldexp(features[rows[block]], self._second) + self._centre, self._first)
        return found


def _exponent(values: NDArray[Any]) -> int:
    return int(np.frexp(max(float(values.max()), -float(values.min())))[1])


def for_distances(features: NDArray[Any], precision: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
    """Return centred and scaled features; see `Frame`."""
    return Frame(features, precision).inside(features)


def as_seed(random_state: Any) -> int:
    """Return the integer that all streams of one call derive from."""
    if random_state is None:
        entropy = np.random.SeedSequence().entropy
        assert isinstance(entropy, int)
        return entropy
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**32))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**32, dtype=np.uint64))
    return int(random_state)


def class_seeds(labels: NDArray[np.int64], seed: int) -> dict[int, np.random.SeedSequence]:
    """Give every class a random stream that depends on its size, not on its name, rank or features.

    Renaming classes, scaling or rotating features, or adding a class therefore leaves the other draws unchanged. Among
    classes of equal size, the order of their first instances decides.
    """
    values, first, counts = np.unique(labels, return_index=True, return_counts=True)
    seen: dict[int, int] = {}
    seeds = {}
    for i in np.argsort(first):
        size = int(counts[i])
        twin = seen.get(size, 0)
        seen[size] = twin + 1
        seeds[int(values[i])] = np.random.SeedSequence([seed, size, twin])
    return seeds


def refuse_too_many(
    name: str, n_new: int, features: NDArray[Any], copies: int = 2, *, itemsize: int | None = None, hint: str = ""
) -> None:
    """Refuse a request that the machine's memory cannot hold, before anything is allocated.

    Args:
        name: of the method, for the message.
        n_new: rows that are asked for.
        features: (N, D) to which they are added.
        copies: of the new rows that are held at once: drawn, then joined to the others; 3 where a head is trained on them.
        itemsize: bytes of a number in them; those of the features by default.
        hint: what to do instead.

    Raises:
        InputError: the new rows need more than half of the memory.
    """
    refuse_too_large(
        copies * n_new * features.shape[1] * (itemsize or features.dtype.itemsize),
        f"{name}: sampling_strategy asks for {n_new:,} new rows, which need (held {copies} times at once)",
        hint=hint or "Ask for fewer instances per class.",
    )


def enough_for_smote(name: str, k_neighbors: int, counts: dict[Any, int]) -> None:
    """Refuse a k that a class is too small for.

    Raises:
        InputError: names the smallest class, its count and the largest k that fits.
    """
    for label, count in sorted(counts.items(), key=lambda item: item[1]):
        if count > k_neighbors:
            return
        if count < 2:
            raise InputError(
                f"{name}: class {label!r} has 1 instance; SMOTE needs two of a class to interpolate.",
                hint="Leave the class out of sampling_strategy, or use EOS or random over-sampling.",
            )
        raise InputError(
            f"{name}: k_neighbors={k_neighbors} needs {k_neighbors + 1} instances but class {label!r} has {count}.",
            hint=f"Pass k_neighbors={count - 1} or lower, or leave the class out of sampling_strategy.",
        )


def stratified(labels: NDArray[np.int64], n_rows: int, seed: int) -> NDArray[np.int64]:
    """Return about `n_rows` sorted rows: the largest classes are thinned, the rare ones kept whole."""
    counts = np.bincount(labels)
    low, high = 0, int(counts.max())
    while low < high:  # the largest cap per class that stays within n_rows
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(counts, middle).sum() <= n_rows else (low, middle - 1)
    rng = np.random.default_rng(seed)
    cap = max(low, 1)
    kept = [rng.permutation(np.flatnonzero(labels == label))[:cap] for label in np.flatnonzero(counts)]
    return np.sort(np.concatenate(kept))
