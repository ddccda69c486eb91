"""imbalanced-learn's own samplers on the training rows of a run, with checks that name the class and the remedy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import counted
from imblens.errors import InputError, NotApplicable, did_you_mean
from imblens.resampling._numeric import Frame, check_counts, enough_for_smote, refuse_too_many
from imblens.run import nearest

PUBLISHED_K = 5  # SMOTE's
START_FROM_ONE = "eos or random, which can start from one instance."
FEWER = (
    "Pass sampling_strategy=100 for at least 100 instances of each class, or another number; or take crt, which draws "
    "classes evenly and makes no rows."
)
OF_LABELS = ("RandomOverSampler", "RandomUnderSampler")  # samplers that read labels only
# samplers that search k neighbours (k: the option) among all rows, the row itself left out
AMONG_ALL = {
    "ADASYN": "n_neighbors",
    "BorderlineSMOTE": "m_neighbors",
    "SVMSMOTE": "m_neighbors",
    "EditedNearestNeighbours": "n_neighbors",
    "RepeatedEditedNearestNeighbours": "n_neighbors",
    "AllKNN": "n_neighbors",
    "NeighbourhoodCleaningRule": "n_neighbors",
}


@dataclass(frozen=True)
class Resampled:
    """Rows to train on.

    Attributes:
        kept: (n,) training rows, repeated where a sampler copies.
        new: (m, D) synthetic features.
        new_labels: (m,).
        base, toward: (m,) training rows a synthetic one lies between, -1 where the sampler does not report them.
        facts: plain JSON values worth keeping.
        notes: what the user should know, one sentence each.
    """

    kept: NDArray[np.int64]
    new: NDArray[np.float32]
    new_labels: NDArray[np.int64]
    base: NDArray[np.int64]
    toward: NDArray[np.int64]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingRows:
    """What a sampler reads.

    Attributes:
        features: (N, D).
        labels: (N,) 0 to C - 1.
        classes: C names.
    """

    features: NDArray[Any]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(C,) instances."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def strategy(self, strategy: Any, name: str) -> Any:
        """Return a sampling strategy with class names replaced by their positions; a number is the least count of a class.

        Raises:
            InputError: an unknown class name.
        """
        if isinstance(strategy, int):
            return {int(label): strategy for label in np.flatnonzero((self.counts > 0) & (self.counts < strategy))}
        if not isinstance(strategy, Mapping):
            return strategy
        place = {label: i for i, label in enumerate(self.classes)}
        for label in strategy:
            if str(label) not in place:
                raise InputError(
                    f"{name}: sampling_strategy names class {label!r}, which this run does not have.",
                    hint=did_you_mean(str(label), self.classes),
                )
        return {place[str(label)]: count for label, count in strategy.items()}

    def wanted(self, strategy: Any, name: str) -> dict[int, int]:
        """Return how many instances to add, by class; classes without training instances are left out."""
        counts = self.counts
        strategy = self.strategy(strategy, name)
        if isinstance(strategy, Mapping):
            check_counts(name, strategy, dict(enumerate(counts.tolist())), self.classes)
            return {
                int(label): int(count - counts[label]) for label, count in strategy.items() if count > counts[label]
            }
        smallest = int(np.argmin(np.where(counts > 0, counts, counts.max() + 1)))
        chosen = np.flatnonzero((counts > 0) & (counts < counts.max()))
        if strategy == "minority":
            chosen = chosen[chosen == smallest]
        elif strategy == "not minority":
            chosen = chosen[chosen != smallest]
        return {int(label): int(counts.max() - counts[label]) for label in chosen}


def fitting_k(rows: TrainingRows, k: Any, wanted: Mapping[int, int], name: str) -> tuple[int, tuple[str, ...]]:
    """Return SMOTE's k, lowered where "auto" meets a small class, and a note on that.

    Raises:
        InputError: a class has one instance, or fewer than a given k needs.
    """
    counts = {rows.classes[label]: int(rows.counts[label]) for label in wanted}
    if k != "auto" or not counts:
        k = PUBLISHED_K if k == "auto" else k
        _enough(name, k, counts)
        return k, ()
    smallest = min(counts, key=lambda label: counts[label])
    fitting = max(1, min(PUBLISHED_K, counts[smallest] - 1))
    _enough(name, fitting, counts)
    if fitting == PUBLISHED_K:
        return PUBLISHED_K, ()
    return fitting, (
        f"{name}: k_neighbors={fitting} instead of 5, as class {smallest!r} has {counts[smallest]} instances.",
    )


def _enough(name: str, k: int, counts: dict[str, int]) -> None:
    """`enough_for_smote`, with a hint that can be typed on the command line as well."""
    try:
        enough_for_smote(name, k, counts)
    except InputError as error:
        least, singles = min(counts.values()), sum(count == 1 for count in counts.values())
        hint = f"Pass k_neighbors={_at_most(least - 1)}, or 'auto'."
        if singles:
            hint = f"Use {START_FROM_ONE}"
            if singles == 1:
                hint = f'{hint[:-1]}, or --set "sampling_strategy=not minority", which leaves that class as it is.'
        raise InputError(error.message, hint=hint) from None


def resample_with(rows: TrainingRows, options: Mapping[str, Any], *, name: str, steps: tuple[str, ...]) -> Resampled:
    """Resample with imbalanced-learn's samplers, features centred and scaled first.

    Args:
        rows: the training rows.
        options: of the treatment; "auto" leaves the sampler's own default. `precision` is of `Frame`.
        name: of the treatment, for messages.
        steps: dotted paths: the sampler, then a cleaner of real and synthetic rows alike.

    Raises:
        InputError: an option does not fit the classes.
        NotApplicable: the sampler cannot work on these rows; the message is the reason.
    """
    n = len(rows.features)
    notes: tuple[str, ...] = ()
    sampler = _configured(rows, options, name, steps[0])
    smote_k = sampler.get_params().get("k_neighbors") is not None and not hasattr(sampler, "kmeans_estimator")
    if smote_k:
        wanted = rows.wanted(options["sampling_strategy"], name)
        k, notes = fitting_k(rows, options["k_neighbors"], wanted, name)
        sampler.set_params(k_neighbors=k)
    if type(sampler).__name__ in OF_LABELS:
        return _repeated(rows, options, name, sampler)
    precision = options.get("precision", np.float64)
    if smote_k or "over_sampling" in type(sampler).__module__:
        n_new = sum(rows.wanted(options["sampling_strategy"], name).values())
        refuse_too_many(name, n_new, rows.features, itemsize=np.dtype(precision).itemsize, hint=FEWER)
    frame = Frame(rows.features, precision)
    scaled = TrainingRows(frame.inside(rows.features), rows.labels, rows.classes)
    _check_neighbours(scaled, name, sampler, options)
    features, labels = _fit_resample(scaled, name, sampler)
    origin = _origin(sampler, len(features), n)
    if len(steps) > 1:
        cleaner = _configured(rows, {**options, "sampling_strategy": "all"}, name, steps[1])
        _fit_resample(TrainingRows(features, labels, rows.classes), name, cleaner)
        kept = cleaner.sample_indices_
        features, labels, origin = features[kept], labels[kept], origin[kept]
    elif "over_sampling" in type(sampler).__module__ or hasattr(sampler, "base_indices_"):
        notes += _left_unbalanced(rows, options, name, labels)
    new = origin < 0
    base = np.full(int(new.sum()), -1)
    toward = base.copy()
    if hasattr(sampler, "base_indices_") and len(steps) == 1:
        base, toward = sampler.base_indices_, sampler.mate_indices_
    return Resampled(
        origin[~new],
        frame.outside(features, np.flatnonzero(new)),
        labels[new].astype(np.int64),
        base,
        toward,
        {key: value for key, value in sampler.get_params().items() if key in {"k_neighbors", "n_neighbors"}},
        notes,
    )


def _repeated(rows: TrainingRows, options: Mapping[str, Any], name: str, sampler: Any) -> Resampled:
    """Rows that a sampler repeats or drops by their labels alone: features are not copied."""
    places = np.arange(len(rows.labels))
    _fit_resample(TrainingRows(places[:, None], rows.labels, rows.classes), name, sampler)
    kept = np.asarray(sampler.sample_indices_, dtype=np.int64)
    over = "over_sampling" in type(sampler).__module__
    notes = _left_unbalanced(rows, options, name, rows.labels[kept]) if over else ()
    none = np.empty(0, np.int64)
    return Resampled(kept, np.empty((0, rows.features.shape[1]), np.float32), none, none, none, {}, notes)


def _configured(rows: TrainingRows, options: Mapping[str, Any], name: str, path: str) -> Any:
    module, _, cls = path.rpartition(".")
    sampler = getattr(import_module(module), cls)()
    known = sampler.get_params()
    chosen = {key: value for key, value in options.items() if value != "auto"}
    if "sampling_strategy" in chosen:
        chosen["sampling_strategy"] = rows.strategy(chosen["sampling_strategy"], name)
    return sampler.set_params(**{key: value for key, value in chosen.items() if key in known})


def _check_neighbours(rows: TrainingRows, name: str, sampler: Any, options: Mapping[str, Any]) -> None:
    """Refuse more neighbours than a class, or all classes together, can give.

    Raises:
        NotApplicable: names the class, what it has and what is needed.
    """
    kind, params = type(sampler).__name__, sampler.get_params()
    option = AMONG_ALL.get(kind)
    if option is not None and len(rows.labels) <= params[option]:
        k = params[option]
        raise NotApplicable(
            f"{name}: {option}={k} needs {k + 1} training instances, and there are {len(rows.labels)}.",
            hint=f"Pass {option}={_at_most(len(rows.labels) - 1)}.",
        )
    counts = rows.counts
    if kind == "ADASYN":
        k, wanted = params["n_neighbors"], rows.wanted(options["sampling_strategy"], name)
        isolated = ", ".join(repr(rows.classes[label]) for label in wanted if not _has_enemies(rows, label, k))
        if isolated:
            raise NotApplicable(
                f"{name}: no instance of class {isolated} has another class among its {k} nearest neighbours, "
                "and adasyn draws only near those.",
                hint="Raise n_neighbors, or try smote or eos, which draw there too.",
            )
        for label in wanted:
            _check_class(rows, name, label, k, itself=1)
    elif kind == "NearMiss":
        smallest = int(np.argmin(np.where(counts > 0, counts, counts.max() + 1)))
        _check_class(rows, name, smallest, params["n_neighbors"], itself=0)


def _check_class(rows: TrainingRows, name: str, label: int, k: int, *, itself: int) -> None:
    count = int(rows.counts[label])
    if count >= k + itself:
        return
    fitting = count - itself
    lower = f"Pass n_neighbors={_at_most(fitting)}, or try" if fitting > 0 else "Try"
    raise NotApplicable(
        f"{name}: class {rows.classes[label]!r} has {counted(count, 'instance')}, and n_neighbors={k} needs {k + itself}.",
        hint=f"{lower} {START_FROM_ONE}",
    )


def _has_enemies(rows: TrainingRows, label: int, k: int) -> bool:
    members = rows.features[rows.labels == label]
    near = nearest(rows.features, members, k + 1)[0]  # the instance itself is of its class: it does not count
    return bool((rows.labels[near] != label).any())


def _fit_resample(rows: TrainingRows, name: str, sampler: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `_left_unbalanced` states what matters
            return sampler.fit_resample(rows.features, rows.labels)
    except (ValueError, RuntimeError) as error:
        label = _without_cluster(rows, sampler)
        if label is not None:
            raise NotApplicable(
                f"{name}: no cluster holds enough of class {rows.classes[label]!r}, which has "
                f"{counted(int(rows.counts[label]), 'instance')}.",
                hint="Try eos, which needs no clusters.",
            ) from error
        reason = str(error).strip().split("\n")[0]
        raise NotApplicable(
            f"{name}: imbalanced-learn's {type(sampler).__name__} cannot resample this run: {reason}",
            hint="Try eos or smote, which need less of a class.",
        ) from error


def _without_cluster(rows: TrainingRows, sampler: Any) -> int | None:
    """Return the first class for which no cluster of a KMeansSMOTE qualifies, by its own rule; None for other samplers."""
    fitted: Any = getattr(sampler, "kmeans_estimator_", None)
    if not hasattr(fitted, "labels_"):
        return None
    total = sum(sampler.sampling_strategy_.values())
    size = np.bincount(fitted.labels_, minlength=fitted.n_clusters)
    for label, n_wanted in sampler.sampling_strategy_.items():
        if not n_wanted:
            continue
        own = np.bincount(fitted.labels_[rows.labels == label], minlength=fitted.n_clusters)
        threshold = sampler.cluster_balance_threshold_
        least = n_wanted / total / 2 if threshold == "auto" else threshold
        if not ((own >= sampler.nn_k_.n_neighbors) & (own >= least * size)).any():
            return int(label)
    return None


def _at_most(n: int) -> str:
    return "1" if n == 1 else f"{n} or lower"


def _origin(sampler: Any, n_rows: int, n: int) -> NDArray[np.int64]:
    """(n_rows,) training row of each resampled one, -1 for synthetic ones."""
    if hasattr(sampler, "sample_indices_"):
        return np.asarray(sampler.sample_indices_, dtype=np.int64)
    origin = np.full(n_rows, -1)
    if type(sampler).__name__ != "ClusterCentroids":  # which keeps no row
        origin[:n] = np.arange(n)  # over-samplers keep the originals first
    return origin


def _left_unbalanced(
    rows: TrainingRows, options: Mapping[str, Any], name: str, labels: NDArray[Any]
) -> tuple[str, ...]:
    """Name the classes that an over-sampler left well below the counts requested."""
    counts = np.bincount(labels, minlength=len(rows.classes))
    wanted = rows.wanted(options["sampling_strategy"], name)
    short = [
        f"{rows.classes[label]!r} at {counts[label]:,} of {rows.counts[label] + n:,}"
        for label, n in wanted.items()
        if counts[label] < 0.9 * (rows.counts[label] + n)
    ]
    if not short:
        return ()
    return (f"{name} left class {', '.join(short)}: it samples only near a border, and found none there. Try eos.",)
