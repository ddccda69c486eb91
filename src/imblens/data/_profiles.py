"""Imbalance profiles: how many instances of each class to keep, and which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, checked
from imblens.errors import InputError, ShapeError, did_you_mean

Counts = NDArray[np.int64]
_KINDS = ("exp", "step", "natural")
_ROUNDING = 1e-9  # 49 * (1 / 49) is 0.999...: without it the rarest class would lose its last instance


class Profile(NamedTuple):
    """A parsed profile: its kind, and the imbalance ratio R (None for natural)."""

    kind: Literal["exp", "step", "natural"]
    ratio: float | None


def parse_profile(profile: str) -> Profile:
    """Parse `exp:R`, `step:R` or `natural`.

    Raises:
        InputError: another kind, no ratio, or a ratio that is not a number of at least 1.

    Example:
        >>> parse_profile("exp:100")
        Profile(kind='exp', ratio=100.0)
    """
    if not isinstance(profile, str):
        raise InputError(f"profile must be text, found {profile!r}.", hint="Give exp:100, step:10 or natural.")
    kind, colon, number = profile.strip().partition(":")
    if kind not in _KINDS:
        raise InputError(f"there is no profile {profile!r}.", hint=did_you_mean(kind, ("exp:R", "step:R", "natural")))
    if kind == "natural":
        if colon:
            raise InputError(f"profile {profile!r} has a ratio; natural takes none.", hint="Give natural, or exp:R.")
        return Profile("natural", None)
    try:
        ratio = float(number)
    except ValueError:
        ratio = math.nan
    if not 1 <= ratio < math.inf:
        raise InputError(
            f"profile {profile!r} needs a ratio of at least 1, found {number!r}.",
            hint=f"Give the count of the largest class over that of the smallest, such as {kind}:100.",
        )
    return Profile("exp" if kind == "exp" else "step", ratio)


def imbalance_profile(counts: Sequence[int] | NDArray[Any], profile: str) -> Counts:
    """Return how many instances of each class the profile keeps.

    exp:R   n_i = int(n_max * (1 / R) ** (i / (C - 1)))
    step:R  n_i = n_max for the first C // 2 classes, int(n_max / R) for the others
    natural n_i = all instances

    n_max is the count of the largest class, i the position of the class. No class gets more than it has, so on a set
    that is not balanced the ratio that results differs from R.

    Args:
        counts: (C,) instances of each class, C >= 2.
        profile: `exp:R`, `step:R` or `natural`, R >= 1.

    Returns:
        (C,) int64 counts.

    Raises:
        InputError: an unknown profile, or one that leaves a class without instances.
        ShapeError: fewer than two classes.

    References:
        Cui et al. 2019, *Class-Balanced Loss*, section 5.1 (exp); Cao et al. 2019, *LDAM*, section 4, after Buda et al.
        2018 (step). For an odd number of classes the released code of the former drops one; here it is reduced.

    Example:
        >>> imbalance_profile([5000] * 10, "exp:100").tolist()
        [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    """
    available = np.asarray(counts, dtype=np.int64)
    if available.ndim != 1 or len(available) < 2:
        raise ShapeError(
            f"counts has shape {available.shape}.", hint="Give one count per class, of two or more classes."
        )
    kind, ratio = parse_profile(profile)
    if ratio is None:
        return available.copy()
    n_max, n_classes = int(available.max()), len(available)
    if kind == "exp":
        wanted = n_max * (1 / ratio) ** (np.arange(n_classes) / (n_classes - 1))
    else:
        wanted = np.where(np.arange(n_classes) < n_classes // 2, n_max, n_max / ratio)
    kept = np.minimum(np.floor(wanted + _ROUNDING).astype(np.int64), available)
    if not kept.all():
        first = int(np.flatnonzero(kept == 0)[0])
        raise InputError(
            f"profile {profile!r} leaves class {first} without instances: the largest class has {n_max}, "
            f"class {first} has {available[first]}.",
            hint=f"Choose a ratio of at most {n_max}." if available.all() else "Every class needs an instance first.",
        )
    return kept


@checked(seed=a_seed())
def draw_profile(labels: NDArray[np.int64], kept: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Choose `kept[c]` instances of each class: the customary long-tail CIFAR draw.

    One legacy generator is seeded; for each class in order its positions are shuffled and the first n kept, in that
    order. Seed 0 on the 50,000 training labels of CIFAR-10 gives, row by row, the subset that published work uses.

    Args:
        labels: (N,) class of each instance.
        kept: (C,) how many of each.
        seed: 0 to 2**32 - 1.

    Returns:
        Positions, class by class.
    """
    random = np.random.RandomState(seed)
    chosen = []
    for label, n in enumerate(kept):
        positions = np.flatnonzero(labels == label)
        random.shuffle(positions)
        chosen.append(positions[:n])
    return np.concatenate(chosen)
