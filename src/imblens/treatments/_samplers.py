"""Treatments that resample features and retrain the head: EOS, BalancedSVM, and imbalanced-learn's own by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imblens.base.options import Option
from imblens.resampling import (
    FEWER,
    Resampled,
    TrainingRows,
    draw_eos,
    fitting_k,
    interpolate,
    isolated_note,
    refuse_too_many,
    resample_with,
)
from imblens.run import Run
from imblens.treatments._base import Treatment
from imblens.treatments._retrain import COPIES, sampler

SMOTE = "imblens.resampling.RecordingSMOTE"
STRATEGY = Option(
    "sampling_strategy",
    "auto",
    "which classes to resample; 'auto' is all but the largest (over) or all but the smallest (under), a number the least "
    "count of a class (over).",
    "counts",
    words=("auto", "minority", "not minority", "not majority", "all"),
)
SMOTE_K = Option(
    "k_neighbors",
    "auto",
    "neighbours within a class to interpolate with; 'auto' is 5, or as many as the smallest class allows.",
    "int",
    low=1,
    words=("auto",),
)


def _rows(run: Run) -> TrainingRows:
    return TrainingRows(np.asarray(run.train.features), run.train.labels, run.classes)


def _eos(run: Run, options: Mapping[str, Any]) -> Resampled:
    rows = _rows(run)
    wanted = rows.wanted(options["sampling_strategy"], "eos")
    refuse_too_many("eos", sum(wanted.values()), rows.features, COPIES, hint=FEWER)
    k = min(options["k_neighbors"], len(rows.features) - 1)
    notes: tuple[str, ...] = ()
    if k < options["k_neighbors"]:
        notes = (
            f"eos: k_neighbors={options['k_neighbors']} is more than the {k} other instances; all of them were used.",
        )
    neighbours = run.neighbours(k).indices
    draw = draw_eos(rows.features, rows.labels, neighbours, wanted, options["random_state"], options["indexing"])
    return Resampled(
        np.arange(len(rows.features)),
        interpolate(rows.features, draw, options["direction"]),
        draw.label,
        draw.base,
        draw.enemy,
        {"bases": {run.classes[label]: n for label, n in draw.bases.items()}, "k_neighbors": k},
        (*notes, *isolated_note(draw, run.classes, rows.labels, k)),
    )


def _search_neighbours(run: Run, candidates: Sequence[Mapping[str, Any]]) -> None:
    """Search once, at the largest K: every candidate reads a part of that graph."""
    run.neighbours(max(int(options["k_neighbors"]) for options in candidates))


def _balanced_svm(run: Run, options: Mapping[str, Any]) -> Resampled:
    from imblens.resampling import BalancedSVM

    rows = _rows(run)
    wanted = rows.wanted(options["sampling_strategy"], "balanced_svm")
    k, notes = fitting_k(rows, options["k_neighbors"], wanted, "balanced_svm")
    sampler = BalancedSVM(
        k,
        sampling_strategy={label: int(rows.counts[label] + n) for label, n in wanted.items()},
        random_state=options["random_state"],
        fit_on=options["fit_on"],
    )
    sampler._precision = options.get("precision", np.float64)
    features, labels = sampler.fit_resample(rows.features, rows.labels)
    n = len(rows.features)
    facts = {"k_neighbors": k, "relabelled": sampler.n_relabelled_}
    return Resampled(
        np.arange(n),
        features[n:],
        labels[n:].astype(np.int64),
        sampler.sample_indices_[n:],
        sampler.mate_indices_,
        facts,
        notes,
    )


_NEIGHBOURS = Option("n_neighbors", 3, "neighbours that a row is compared with.", "int", low=1)
_OVER, _UNDER = "imblearn.over_sampling", "imblearn.under_sampling"


def _declare(name: str, purpose: str, paper: str, *steps: str, options: tuple[Option, ...] = ()) -> Treatment:
    def resample(run: Run, settings: Mapping[str, Any]) -> Resampled:
        return resample_with(_rows(run), settings, name=name, steps=steps)

    return sampler(name, purpose, paper, resample, (*options, STRATEGY))


EOS = sampler(
    "eos",
    "Rare classes are confused with a similar class and exceed their training range: extends it toward that class.",
    "Dablain et al. 2022, Efficient Augmentation for Imbalanced Deep Learning",
    _eos,
    (
        Option(
            "k_neighbors",
            "auto",
            "neighbours that are searched for enemies; 'auto' chooses, and keeps 10 unless another is clearly better.",
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
        STRATEGY,
    ),
    prepare=_search_neighbours,
)  # fmt: skip
BALANCED_SVM = sampler(
    "balanced_svm",
    "As smote, where classes overlap: samples among another class get its label.",
    "Farquad and Bose 2012, Preprocessing unbalanced data using support vector machine",
    _balanced_svm,
    (
        SMOTE_K,
        Option("fit_on", "resampled", "rows that the machine is fitted on.", "text", words=("resampled", "original")),
        STRATEGY,
    ),
)
SAMPLERS = (
    EOS,
    BALANCED_SVM,
    _declare(
        "smote", "A mild first balance: points between instances of a rare class.",
        "Chawla et al. 2002, SMOTE", SMOTE, options=(SMOTE_K,),
    ),
    _declare(
        "borderline_smote", "Rare classes are confused at one border: points between the instances there.",
        "Han et al. 2005, Borderline-SMOTE", f"{_OVER}.BorderlineSMOTE",
        options=(
            SMOTE_K,
            Option("m_neighbors", 10, "neighbours that decide whether an instance is in danger.", "int", low=1),
            Option("kind", "borderline-1", "the paper's variant.", "text", words=("borderline-1", "borderline-2")),
        ),
    ),
    _declare(
        "svm_smote", "As borderline_smote, with the border from a support vector machine.",
        "Nguyen et al. 2011, Borderline over-sampling for imbalanced data classification", f"{_OVER}.SVMSMOTE",
        options=(SMOTE_K, Option("m_neighbors", 10, "neighbours that separate danger from noise.", "int", low=1)),
    ),
    _declare(
        "kmeans_smote", "Rare classes form clusters: points within the clusters that they dominate.",
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
        "adasyn", "As smote, with more points for instances among other classes.", "He et al. 2008, ADASYN",
        f"{_OVER}.ADASYN", options=(Option("n_neighbors", 5, "neighbours that set the difficulty.", "int", low=1),),
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
        "near_miss", "As random_under, keeping instances near the rare class.",
        "Mani and Zhang 2003, kNN approach to unbalanced data distributions", f"{_UNDER}.NearMiss",
        options=(_NEIGHBOURS, Option("version", 1, "the paper's variant.", "int", low=1, high=3)),
    ),
    _declare(
        "cluster_centroids", "As random_under, replacing a large class by its cluster centres.",
        "imbalanced-learn, ClusterCentroids", f"{_UNDER}.ClusterCentroids",
    ),
    _declare(
        "instance_hardness_threshold", "Large classes contain mislabelled instances: drops those hard to classify.",
        "Smith et al. 2014, An instance level analysis of data complexity", f"{_UNDER}.InstanceHardnessThreshold",
    ),
    _declare(
        "tomek_links", "Cleans a border: drops large-class members of mutual nearest pairs across classes.",
        "Tomek 1976, Two modifications of CNN", f"{_UNDER}.TomekLinks",
    ),
    _declare(
        "edited_nearest_neighbours", "Cleans a border: drops instances whose neighbours have another class.",
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
        "condensed_nearest_neighbour", "Keeps only what a nearest-neighbour rule needs; slow for many instances.",
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
        "smote_enn", "smote, then drops instances, real or synthetic, whose neighbours have another class.",
        "Batista et al. 2004, A study of the behavior of several methods for balancing training data",
        SMOTE, f"{_UNDER}.EditedNearestNeighbours", options=(SMOTE_K,),
    ),
    _declare(
        "smote_tomek", "smote, then drops mutual nearest pairs across classes.",
        "Batista et al. 2003, Balancing training data for automated annotation of keywords",
        SMOTE, f"{_UNDER}.TomekLinks", options=(SMOTE_K,),
    ),
)  # fmt: skip
