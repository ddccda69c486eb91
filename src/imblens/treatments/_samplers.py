"""Treatments that resample features and retrain the head: EOS, BalancedSVM, and imbalanced-learn's own by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError, NotApplicable, did_you_mean
from imblens.run import Head, Part, Run, Split
from imblens.treatments._base import CHECK_SPLIT, RANDOM_STATE, Option, Outcome, Resampled, Treatment
from imblens.treatments._draw import draw_eos, interpolate, lonely_note
from imblens.treatments._numeric import Frame, check_counts, enough_for_smote, refuse_too_large
from imblens.treatments._train_head import Recipe, released_recipe, train_head

STRATEGY = Option(
    "sampling_strategy",
    "auto",
    "which classes to resample; 'auto' is all but the largest (over) or all but the smallest (under).",
    "counts",
    words=("auto", "minority", "not minority", "not majority", "all"),
)
SMOTE_K = Option(
    "k_neighbors",
    "auto",
    "neighbours within a class to go between; 'auto' is 5, or as many as the smallest class allows (told).",
    "int",
    low=1,
    words=("auto",),
)
HEAD_OPTIONS = (
    Option("epochs", 10, "passes over real and synthetic features.", "int", low=1),
    Option("learning_rate", "auto", "'auto' is 2, or 0.1 in the released recipe.", "float", low=1e-9, words=("auto",)),
    Option("weight_decay", "auto", "'auto' is 0.0002.", "float", low=0, words=("auto",)),
    Option("batch_size", 128, "features in a step at most; fewer where features are few.", "int", low=1),
    Option(
        "start", "head", "fine-tune the network's own head, or begin anew.", "text", words=("head", "zeros", "random")
    ),
    Option(
        "recipe",
        "scaled",
        "'scaled' centres and scales features and lowers the rate along a cosine; 'released' is the EOS authors'.",
        "text",
        words=("scaled", "released"),
    ),
)
COMMON = (*HEAD_OPTIONS, RANDOM_STATE, CHECK_SPLIT)


def recipe_of(options: Mapping[str, Any], *, balanced: bool = False) -> Recipe:
    """Return the recipe that a treatment's options describe."""
    released = options.get("recipe") == "released"
    default = released_recipe() if released else Recipe()
    rate, decay = options["learning_rate"], options["weight_decay"]
    return replace(
        default,
        epochs=options["epochs"],
        learning_rate=default.learning_rate if rate == "auto" else rate,
        weight_decay=default.weight_decay if decay == "auto" else decay,
        batch_size=options["batch_size"],
        balanced=balanced,
    )


def start_of(run: Run, options: Mapping[str, Any]) -> Any:
    """Return the head to start from: the network's own, where asked for and known."""
    if options["start"] == "head":
        return run.head if run.head is not None else "zeros"
    return options["start"]


def retrain(run: Run, resampled: Resampled, options: Mapping[str, Any]) -> Outcome:
    """Train a head on resampled features."""
    real = np.asarray(run.train.features)[resampled.kept]
    features = np.concatenate([real, resampled.new])
    labels = np.concatenate([run.train.labels[resampled.kept], resampled.new_labels])
    recipe = recipe_of(options)
    head = train_head(
        features, labels, run.n_classes, recipe=recipe, start=start_of(run, options), seed=options["random_state"]
    )
    counts = np.bincount(labels, minlength=run.n_classes)
    facts = {
        **resampled.facts,
        "counts": dict(zip(run.classes, counts.tolist(), strict=True)),
        "synthetic": len(resampled.new),
        "recipe": recipe.as_meta(),
    }
    return Outcome(head, _synthetic(run, resampled, head), facts, resampled.notes)


def targets(run: Run, strategy: Any, name: str) -> Any:
    """Return a sampling strategy with class names replaced by their positions.

    Raises:
        InputError: an unknown class name.
    """
    if not isinstance(strategy, Mapping):
        return strategy
    place = {label: i for i, label in enumerate(run.classes)}
    found = {}
    for label, count in strategy.items():
        if str(label) not in place:
            raise InputError(
                f"{name}: sampling_strategy names class {label!r}, which this run does not have.",
                hint=did_you_mean(str(label), run.classes),
            )
        found[place[str(label)]] = count
    return found


def wanted_counts(run: Run, strategy: Any, name: str) -> dict[int, int]:
    """Return how many instances to add, by class; classes without training instances are left out."""
    counts = run.train.class_counts
    strategy = targets(run, strategy, name)
    if isinstance(strategy, Mapping):
        check_counts(name, strategy, dict(enumerate(counts.tolist())), run.classes)
        return {int(label): int(count - counts[label]) for label, count in strategy.items() if count > counts[label]}
    smallest = int(np.argmin(np.where(counts > 0, counts, counts.max() + 1)))
    chosen = np.flatnonzero((counts > 0) & (counts < counts.max()))
    if strategy == "minority":
        chosen = chosen[chosen == smallest]
    elif strategy == "not minority":
        chosen = chosen[chosen != smallest]
    return {int(label): int(counts.max() - counts[label]) for label in chosen}


# ----------------------------------------------------------------------------------------------------- our own samplers


def _eos(run: Run, options: Mapping[str, Any]) -> Resampled:
    features, labels = np.asarray(run.train.features), run.train.labels
    wanted = wanted_counts(run, options["sampling_strategy"], "eos")
    refuse_too_large("eos", sum(wanted.values()), features)
    k = min(options["k_neighbors"], len(features) - 1)
    notes: tuple[str, ...] = ()
    if k < options["k_neighbors"]:
        notes = (
            f"eos: k_neighbors={options['k_neighbors']} is more than the {k} other instances; all of them were taken.",
        )
    draw = draw_eos(features, labels, run.neighbours(k).indices, wanted, options["random_state"], options["indexing"])
    facts = {"bases": {run.classes[label]: n for label, n in draw.bases.items()}, "k_neighbors": k}
    return Resampled(
        np.arange(len(features)),
        interpolate(features, draw, options["direction"]),
        draw.label,
        draw.base,
        draw.enemy,
        facts,
        (*notes, *lonely_note(draw, run.classes, labels, k)),
    )


def _balanced_svm(run: Run, options: Mapping[str, Any]) -> Resampled:
    from imblens.treatments._balanced_svm import BalancedSVM

    features, labels = np.asarray(run.train.features), run.train.labels
    wanted = wanted_counts(run, options["sampling_strategy"], "balanced_svm")
    k, notes = smote_k(run, options["k_neighbors"], wanted, "balanced_svm")
    counts = run.train.class_counts
    sampler = BalancedSVM(
        k,
        sampling_strategy={label: int(counts[label] + n) for label, n in wanted.items()},
        random_state=options["random_state"],
        fit_on=options["fit_on"],
    )
    joined, answers = sampler.fit_resample(features, labels)
    n = len(features)
    return Resampled(
        np.arange(n),
        joined[n:],
        answers[n:].astype(np.int64),
        sampler.sample_indices_[n:],
        sampler.mate_indices_,
        {"k_neighbors": k, "relabelled": sampler.n_relabelled_},
        notes,
    )


def smote_k(run: Run, k: Any, wanted: Mapping[int, int], name: str) -> tuple[int, tuple[str, ...]]:
    """Return SMOTE's k and what is to be told of it.

    Raises:
        InputError: a class has one instance, or fewer than a given k needs.
    """
    counts = {run.classes[label]: int(run.train.class_counts[label]) for label in wanted}
    if k != "auto" or not counts:
        k = 5 if k == "auto" else k
        _enough(name, k, counts)
        return k, ()
    smallest = min(counts, key=lambda label: counts[label])
    fitting = max(1, min(5, counts[smallest] - 1))
    _enough(name, fitting, counts)
    if fitting == 5:
        return 5, ()
    return fitting, (
        f"{name}: k_neighbors={fitting} instead of 5, as class {smallest!r} has {counts[smallest]} instances.",
    )


def _enough(name: str, k: int, counts: dict[str, int]) -> None:
    """`enough_for_smote`, with a way out that can be typed as well."""
    try:
        enough_for_smote(name, k, counts)
    except InputError as error:
        least, lone = min(counts.values()), sum(count == 1 for count in counts.values())
        hint = f"Pass k_neighbors={_at_most(least - 1)}, or 'auto'."
        if lone:
            hint = "Use eos or random, which can start from one instance"
            hint += (
                "." if lone > 1 else ', or --set "sampling_strategy=not minority", which leaves that class as it is.'
            )
        raise InputError(error.message, hint=hint) from None


# --------------------------------------------------------------------------------------------- imbalanced-learn's own


def _imblearn(
    run: Run, options: Mapping[str, Any], *, name: str, steps: tuple[str, ...], fixed: Mapping[str, Any]
) -> Resampled:
    features, labels = np.asarray(run.train.features), run.train.labels
    n = len(features)
    notes: tuple[str, ...] = ()
    sampler = _make(run, options, steps[0], fixed)
    if "k_neighbors" in sampler.get_params() and name != "kmeans_smote":
        wanted = wanted_counts(run, options["sampling_strategy"], name)
        k, notes = smote_k(run, options["k_neighbors"], wanted, name)
        sampler.set_params(k_neighbors=k)
    frame = Frame(features)
    scaled = frame.inside(features)
    rows, answers = _fit_resample(run, name, sampler, scaled, labels)
    origin = _origin(sampler, len(rows), n)
    if len(steps) > 1:  # over-sampling, then cleaning of real and synthetic alike
        cleaner = _make(run, {**options, "sampling_strategy": "all"}, steps[1], fixed)
        _fit_resample(run, name, cleaner, rows, answers)
        kept = cleaner.sample_indices_
        rows, answers, origin = rows[kept], answers[kept], origin[kept]
    real = origin >= 0
    notes += _left_unbalanced(run, options, name, steps, answers)
    new = ~real
    base = np.full(int(new.sum()), -1)
    toward = base.copy()
    if hasattr(sampler, "base_indices_") and len(steps) == 1:
        base, toward = sampler.base_indices_, sampler.mate_indices_
    return Resampled(
        origin[real], frame.outside(rows[new]).astype(np.float32), answers[new].astype(np.int64), base, toward,
        {key: value for key, value in sampler.get_params().items() if key in {"k_neighbors", "n_neighbors"}}, notes,
    )  # fmt: skip


def _make(run: Run, options: Mapping[str, Any], path: str, fixed: Mapping[str, Any]) -> Any:
    module, _, cls = path.rpartition(".")
    sampler = getattr(import_module(module), cls)()
    known = sampler.get_params()
    chosen = {**fixed, **{key: value for key, value in options.items() if value != "auto"}}
    if "sampling_strategy" in chosen:
        chosen["sampling_strategy"] = targets(run, chosen["sampling_strategy"], cls)
    return sampler.set_params(**{key: value for key, value in chosen.items() if key in known})


def _fit_resample(
    run: Run, name: str, sampler: Any, rows: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is said by `_left_unbalanced`
            return sampler.fit_resample(rows, labels)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        message, hint = _translated(run, sampler, labels, reason) or (
            f"imbalanced-learn's {type(sampler).__name__} cannot resample this run: {reason}",
            "Try eos or smote, which need less of a class.",
        )
        raise NotApplicable(f"{name}: {message}", hint=hint) from error


def _translated(run: Run, sampler: Any, labels: NDArray[Any], reason: str) -> tuple[str, str] | None:
    """What imbalanced-learn's reason means for this run, and what to do; None where it is not known."""
    counts = np.bincount(labels, minlength=run.n_classes)
    few = re.search(r"n_neighbors = (\d+), n_samples_fit = (\d+)", reason)
    if few is not None and (counts == int(few[2])).any():
        needed, there = int(few[1]), int(few[2])
        named = f"class {run.classes[int(np.argmax(counts == there))]!r} has {_instances(there)}"
        k = getattr(sampler, "n_neighbors", None)
        if not isinstance(k, int):
            return f"{named}, and {needed} are needed.", "Try eos or random, which can start from one instance."
        fitting = there - needed + k
        lower = f"Pass n_neighbors={_at_most(fitting)}, or try" if fitting > 0 else "Try"
        return (
            f"{named}, and n_neighbors={k} needs {needed}.",
            f"{lower} eos or random, which can start from one instance.",
        )
    poor = re.search(r"No clusters found with sufficient samples of class (\d+)", reason)
    if poor is not None and int(poor[1]) < run.n_classes:
        label = int(poor[1])
        return (
            f"no cluster holds enough of class {run.classes[label]!r}, which has {_instances(counts[label])}.",
            "Try eos, which needs no clusters.",
        )
    if "belong to the majority class" in reason and len(labels) == len(run.train):
        near = labels[run.neighbours(sampler.n_neighbors).indices]
        alone = [label for label in sampler.sampling_strategy_ if (near[labels == label] == label).all()]
        if alone:
            names = ", ".join(repr(run.classes[label]) for label in alone)
            return (
                f"no instance of class {names} has another class among its {sampler.n_neighbors} nearest neighbours, "
                "and adasyn draws only near those.",
                "Raise n_neighbors, or try smote or eos, which draw there too.",
            )
    return None


def _at_most(n: int) -> str:
    return "1" if n == 1 else f"{n} or lower"


def _instances(n: int) -> str:
    return f"{n} instance{'' if n == 1 else 's'}"


def _origin(sampler: Any, n_rows: int, n: int) -> NDArray[np.int64]:
    """(n_rows,) training row of each resampled one, -1 for synthetic ones."""
    if hasattr(sampler, "sample_indices_"):
        return np.asarray(sampler.sample_indices_, dtype=np.int64)
    if type(sampler).__name__ == "ClusterCentroids":
        return np.full(n_rows, -1)
    origin = np.full(n_rows, -1)
    origin[:n] = np.arange(n)  # over-samplers keep the originals first
    return origin


def _left_unbalanced(
    run: Run, options: Mapping[str, Any], name: str, steps: tuple[str, ...], answers: NDArray[Any]
) -> tuple[str, ...]:
    """Say which classes an over-sampler left well below what was asked."""
    if "over_sampling" not in steps[0] or len(steps) > 1:
        return ()
    counts = np.bincount(answers, minlength=run.n_classes)
    wanted = wanted_counts(run, options["sampling_strategy"], name)
    short = [
        f"{run.classes[label]!r} at {counts[label]:,} of {run.train.class_counts[label] + n:,}"
        for label, n in wanted.items()
        if counts[label] < 0.9 * (run.train.class_counts[label] + n)
    ]
    if not short:
        return ()
    return (
        f"{name} left class {', '.join(short)}: it samples only near a border that it did not find there. Try eos.",
    )


def _synthetic(run: Run, resampled: Resampled, head: Head) -> Split | None:
    import pandas as pd

    if not len(resampled.new):
        return None
    table = pd.DataFrame({"id": [f"synthetic-{i}" for i in range(len(resampled.new))]})
    ids = np.append(run.train.ids.astype(object), [None])
    for column, rows in (("base", resampled.base), ("toward", resampled.toward)):
        table[column] = ids[rows]  # row -1 is the None at the end: not known
    part = Part(np.ascontiguousarray(resampled.new, dtype=np.float32), resampled.new_labels, table=table)
    return Split((part,), run.classes, "synthetic", head)


# ------------------------------------------------------------------------------------------------------- declarations

_NEIGHBOURS = Option("n_neighbors", 3, "neighbours that a row is compared with.", "int", low=1)
_OVER, _UNDER = "imblearn.over_sampling", "imblearn.under_sampling"


def _sampler(
    name: str,
    purpose: str,
    paper: str,
    resample: Callable[[Run, Mapping[str, Any]], Resampled],
    options: tuple[Option, ...],
) -> Treatment:
    def apply(run: Run, settings: Mapping[str, Any]) -> Outcome:
        return retrain(run, resample(run, settings), settings)

    return Treatment(name, "sampler", purpose, paper, apply, (*options, STRATEGY, *COMMON), resample=resample)


def _declare(
    name: str, purpose: str, paper: str, *steps: str, options: tuple[Option, ...] = (), **fixed: Any
) -> Treatment:
    return _sampler(name, purpose, paper, partial(_imblearn, name=name, steps=steps, fixed=fixed), options)


EOS = _sampler(
    "eos",
    "Rare classes lose to a neighbour and new instances fall outside what they covered: widens them toward it.",
    "Dablain et al. 2022, Efficient Augmentation for Imbalanced Deep Learning",
    _eos,
    (
        Option(
            "k_neighbors",
            "auto",
            "neighbours among which enemies are looked for; 'auto' chooses, and keeps 10 where that is as good.",
            "int",
            low=1,
            words=("auto",),
            grid=(10, 50, 200),
            published=10,
        ),
        Option("direction", "toward", "toward the enemy, or away as the paper's formula.", "text", words=("toward", "away")),
        Option(
            "indexing", "exact", "'released' repeats the authors' script, one neighbour off.", "text",
            words=("exact", "released"),
        ),
    ),
)  # fmt: skip
BALANCED_SVM = _sampler(
    "balanced_svm",
    "As smote, where classes overlap: samples among another class are handed to that class.",
    "Farquad and Bose 2012, Preprocessing unbalanced data using support vector machine",
    _balanced_svm,
    (
        SMOTE_K,
        Option("fit_on", "resampled", "what the machine learns from.", "text", words=("resampled", "original")),
    ),
)
SAMPLERS = (
    EOS,
    BALANCED_SVM,
    _declare(
        "smote", "A first, mild try at balancing: points between instances of a rare class.",
        "Chawla et al. 2002, SMOTE", "imblens.treatments._balanced_svm.RecordingSMOTE", options=(SMOTE_K,),
    ),
    _declare(
        "borderline_smote", "Rare classes are confused at one border: points between the instances there.",
        "Han et al. 2005, Borderline-SMOTE", f"{_OVER}.BorderlineSMOTE",
        options=(
            SMOTE_K,
            Option("m_neighbors", 10, "neighbours that tell whether an instance is in danger.", "int", low=1),
            Option("kind", "borderline-1", "the paper's variant.", "text", words=("borderline-1", "borderline-2")),
        ),
    ),
    _declare(
        "svm_smote", "As borderline_smote, with the border from a support vector machine.",
        "Nguyen et al. 2011, Borderline over-sampling for imbalanced data classification", f"{_OVER}.SVMSMOTE",
        options=(SMOTE_K, Option("m_neighbors", 10, "neighbours that tell danger from noise.", "int", low=1)),
    ),
    _declare(
        "kmeans_smote", "Rare classes come in clumps: points within clusters that they dominate.",
        "Last et al. 2017, Oversampling for imbalanced learning based on k-means and SMOTE", f"{_OVER}.KMeansSMOTE",
        options=(
            Option("k_neighbors", 2, "neighbours within a class and cluster.", "int", low=1),
            Option(
                "cluster_balance_threshold", "auto", "least share of a class in a cluster to sample there.", "float",
                low=0, words=("auto",),
            ),
        ),
    ),
    _declare(
        "adasyn", "As smote, with more points for instances among enemies.", "He et al. 2008, ADASYN",
        f"{_OVER}.ADASYN", options=(Option("n_neighbors", 5, "neighbours that tell how hard an instance is.", "int", low=1),),
    ),
    _declare(
        "random", "The simplest balance: repeats instances of rare classes.", "imbalanced-learn, RandomOverSampler",
        f"{_OVER}.RandomOverSampler",
    ),
    _declare(
        "random_under", "The largest classes are huge and redundant: keeps as many as the smallest class has.",
        "imbalanced-learn, RandomUnderSampler", f"{_UNDER}.RandomUnderSampler",
    ),
    _declare(
        "near_miss", "As random_under, keeping what lies near the rare class.",
        "Mani and Zhang 2003, kNN approach to unbalanced data distributions", f"{_UNDER}.NearMiss",
        options=(_NEIGHBOURS, Option("version", 1, "the paper's variant.", "int", low=1, high=3)),
    ),
    _declare(
        "cluster_centroids", "As random_under, replacing a large class by its cluster centres.",
        "imbalanced-learn, ClusterCentroids", f"{_UNDER}.ClusterCentroids",
    ),
    _declare(
        "instance_hardness_threshold", "Large classes hold mislabelled instances: drops those hard to classify.",
        "Smith et al. 2014, An instance level analysis of data complexity", f"{_UNDER}.InstanceHardnessThreshold",
    ),
    _declare(
        "tomek_links", "Cleans a border: drops large-class members of mutual nearest pairs across classes.",
        "Tomek 1976, Two modifications of CNN", f"{_UNDER}.TomekLinks",
    ),
    _declare(
        "edited_nearest_neighbours", "Cleans a border: drops instances that their neighbours outvote.",
        "Wilson 1972, Asymptotic properties of nearest neighbor rules", f"{_UNDER}.EditedNearestNeighbours",
        options=(_NEIGHBOURS,),
    ),
    _declare(
        "repeated_edited_nearest_neighbours", "edited_nearest_neighbours until nothing changes.",
        "Tomek 1976, An experiment with the edited nearest-neighbor rule",
        f"{_UNDER}.RepeatedEditedNearestNeighbours", options=(_NEIGHBOURS,),
    ),
    _declare(
        "all_knn", "edited_nearest_neighbours with growing neighbourhoods.",
        "Tomek 1976, An experiment with the edited nearest-neighbor rule", f"{_UNDER}.AllKNN", options=(_NEIGHBOURS,),
    ),
    _declare(
        "condensed_nearest_neighbour", "Keeps only what a nearest-neighbour rule needs; slow beyond some thousands.",
        "Hart 1968, The condensed nearest neighbor rule", f"{_UNDER}.CondensedNearestNeighbour",
    ),
    _declare(
        "one_sided_selection", "condensed_nearest_neighbour once, then tomek_links.",
        "Kubat and Matwin 1997, Addressing the curse of imbalanced training sets", f"{_UNDER}.OneSidedSelection",
    ),
    _declare(
        "neighbourhood_cleaning_rule", "Cleans around the rare class more than elsewhere.",
        "Laurikkala 2001, Improving identification of difficult small classes", f"{_UNDER}.NeighbourhoodCleaningRule",
        options=(_NEIGHBOURS,),
    ),
    _declare(
        "smote_enn", "smote, then drops what its neighbours outvote, real or synthetic.",
        "Batista et al. 2004, A study of the behavior of several methods for balancing training data",
        "imblens.treatments._balanced_svm.RecordingSMOTE", f"{_UNDER}.EditedNearestNeighbours", options=(SMOTE_K,),
    ),
    _declare(
        "smote_tomek", "smote, then drops mutual nearest pairs across classes.",
        "Batista et al. 2003, Balancing training data for automated annotation of keywords",
        "imblens.treatments._balanced_svm.RecordingSMOTE", f"{_UNDER}.TomekLinks", options=(SMOTE_K,),
    ),
)  # fmt: skip
