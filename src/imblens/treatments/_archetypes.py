"""Resampling by archetype: typical instances of large classes are thinned, border and rare ones of small classes grown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.archetypes import ARCHETYPES, BORDER, OUTLIER, RARE, SAFE, archetype_codes
from imblens.base.options import Option
from imblens.resampling import Resampled, class_seeds, refuse_too_many
from imblens.run import Run, nearest
from imblens.treatments._retrain import COPIES, sampler


def archetype_rows(run: Run, options: Mapping[str, Any]) -> Resampled:
    """Drop and add training rows by their archetype.

    An instance is safe, border, rare or outlier by how many of its k nearest others share its class (with k = 5: 4 to 5, 2
    to 3, 1, 0; the lens `archetypes`). A class is large where it has more instances than the mean class.

    1. Large classes lose their outliers, then safe instances at random until they have the mean count; `safe_kept` of the
       safe ones always stay.
    2. Every class then grows to the count of the largest: sample = base + r (mate - base), r uniform in [0, 1); base drawn
       evenly from its border and rare instances (where it has none, from all that it has), mate evenly from the base's
       k nearest instances of its class. A class of one instance is repeated.

    References:
        Dablain et al. 2022, Interpretable ML for Imbalanced Data (IML), section IV-C, use cases, which suggests this and
        measures nothing. Count, thinning and interpolation are ours.
    """
    features, labels = np.asarray(run.train.features), run.train.labels
    near = run.neighbours(options["k"]).indices  # (N, k)
    codes = archetype_codes((labels[near] == labels[:, None]).sum(axis=1), near.shape[1])
    counts = np.bincount(labels, minlength=run.n_classes)
    mean = counts[counts > 0].mean()
    streams = {
        label: np.random.default_rng(seed) for label, seed in class_seeds(labels, options["random_state"]).items()
    }
    kept = np.ones(len(labels), dtype=bool)
    for label in np.flatnonzero(counts > mean):
        members = np.flatnonzero(labels == label)
        outliers = members[codes[members] == OUTLIER]
        if len(outliers) < len(members):
            kept[outliers] = False
        safe = members[codes[members] == SAFE]
        spare = min(int(kept[members].sum() - np.ceil(mean)), int(len(safe) * (1 - options["safe_kept"])))
        if spare > 0:
            kept[streams[int(label)].choice(safe, size=spare, replace=False)] = False
    after = np.bincount(labels[kept], minlength=run.n_classes)
    wanted = {
        int(label): int(after.max() - after[label]) for label in np.flatnonzero(after) if after[label] < after.max()
    }
    refuse_too_many("archetype_resampling", sum(wanted.values()), features, COPIES)
    drawn = [
        _between(features, labels, codes, kept, label, n, options["k"], streams[label]) for label, n in wanted.items()
    ]
    base, toward = (np.concatenate([pair[i] for pair in drawn]) if drawn else np.empty(0, np.int64) for i in (0, 1))
    step = np.concatenate([pair[2] for pair in drawn])[:, None] if drawn else np.empty((0, 1))
    new = features[base] + step.astype(features.dtype) * (features[toward] - features[base])
    dropped = {name: int((~kept & (codes == code)).sum()) for code, name in enumerate(ARCHETYPES)}
    return Resampled(
        np.flatnonzero(kept),
        new.astype(np.float32),
        labels[base],
        base,
        toward,
        {"k": options["k"], "dropped": dropped},
    )


def _between(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    codes: NDArray[np.int8],
    kept: NDArray[np.bool_],
    label: int,
    n_wanted: int,
    k: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return base, mate and step of the samples of one class."""
    members = np.flatnonzero((labels == label) & kept)
    bases = members[np.isin(codes[members], (BORDER, RARE))]
    bases = bases if len(bases) else members
    own = np.searchsorted(members, bases)  # (b,) places of the bases among the members
    k = min(k, len(members) - 1)
    u, v, r = rng.random((n_wanted, 3)).T
    chosen = (u * len(bases)).astype(np.int64)
    if k < 1:
        return bases[chosen], bases[chosen], r
    found = nearest(features[members], features[bases], k + 1)[
        0
    ]  # (b, k + 1): the base itself is among them, or a copy
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False  # k + 1 copies came before it
    mates = found[others].reshape(len(bases), k)
    return bases[chosen], members[mates[chosen, (v * k).astype(np.int64)]], r


ARCHETYPE_RESAMPLING = sampler(
    "archetype_resampling",
    "Many safe instances in large classes, border and rare ones in small classes: thins the first, grows the others.",
    "Dablain et al. 2022, Interpretable ML for Imbalanced Data, section IV-C (a suggestion; the rule is ours)",
    archetype_rows,
    (
        Option("k", 5, "neighbours that decide the archetype, and that a point is drawn toward.", "int", low=1),
        Option("safe_kept", 0.5, "share of a large class's safe instances that always stays.", low=0, high=1),
    ),
)
