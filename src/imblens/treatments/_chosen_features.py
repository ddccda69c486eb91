"""Expansive Over-Sampling that changes chosen features only: uncovered ones, or ones that the enemy's class shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.options import Option
from imblens.resampling import Resampled, TrainingRows, draw_eos, interpolate, isolated_note, refuse_too_many
from imblens.run import ClassMoments, Run, top_k_mask
from imblens.treatments._retrain import COPIES, sampler


def chosen_feature_rows(run: Run, options: Mapping[str, Any]) -> Resampled:
    """Draw as EOS, and move chosen features only.

    sample_d = base_d + r (enemy_d - base_d) for chosen features d, base_d for the others

    - `change=uncovered`: of each class, the `n_features` features in which one more instance is expected farthest outside
      the range of the others: largest (x_(n) - x_(n-1)) + (x_(2) - x_(1)), x_(i) the class's training values in order.
      Divided by n this is the mean leave-one-out generalization gap of that feature. Only training features are read:
      the gap to the test split, which the lens shows, decides nothing here.
    - `change=shared`: features that are among the `n_features` largest class means of both the class and the enemy's class.
      Where two classes share none, the sample is a copy of its base.

    References:
        Dablain et al. 2022, Interpretable ML for Imbalanced Data (IML), section IV-F, use cases: EOS "tailored" to specific
        features is suggested there and not measured. Which features, and the train-side estimate, are ours.
    """
    rows = TrainingRows(np.asarray(run.train.features), run.train.labels, run.classes)
    wanted = rows.wanted("auto", "eos_features")
    refuse_too_many("eos_features", sum(wanted.values()), rows.features, COPIES)
    k = min(options["k_neighbors"], len(rows.labels) - 1)
    neighbours = run.neighbours(k).indices
    draw = draw_eos(rows.features, rows.labels, neighbours, wanted, options["random_state"])
    new = interpolate(rows.features, draw)
    if options["change"] == "uncovered":
        by_class = uncovered_features(rows.features, rows.labels, run.n_classes, options["n_features"])
        changed = by_class[draw.label]  # (n, D)
    else:
        means = run.train.statistic(ClassMoments, run.n_classes, run.dim).mean
        top = top_k_mask(means, min(options["n_features"], run.dim))  # (C, D)
        changed = top[draw.label] & top[rows.labels[draw.enemy]]
    new = np.where(changed, new, rows.features[draw.base])
    per_sample = changed.sum(axis=1)
    facts = {
        "k_neighbors": k,
        "features_changed": float(per_sample.mean()) if len(per_sample) else 0.0,
        "copies": int((per_sample == 0).sum()),
    }
    notes = isolated_note(draw, run.classes, rows.labels, k)
    return Resampled(
        np.arange(len(rows.labels)), new.astype(np.float32), draw.label, draw.base, draw.enemy, facts, notes
    )


def uncovered_features(
    features: NDArray[Any], labels: NDArray[np.int64], n_classes: int, n_features: int
) -> NDArray[np.bool_]:
    """(C, D) the features of each class whose training values least cover one more instance.

    Example:
        >>> values = np.array([[0.0, 0.0], [1.0, 0.1], [2.0, 0.2], [9.0, 0.3]])
        >>> uncovered_features(values, np.zeros(4, dtype=int), 1, 1).tolist()
        [[True, False]]
    """
    expected = np.zeros((n_classes, features.shape[1]))
    for label in np.unique(labels):
        ordered = np.sort(features[labels == label].astype(np.float64), axis=0)
        if len(ordered) > 1:  # of one instance nothing is known: its first features are taken
            expected[label] = (ordered[-1] - ordered[-2]) + (ordered[1] - ordered[0])
    return top_k_mask(expected, min(n_features, features.shape[1]))


CHOSEN_FEATURES = sampler(
    "eos_features",
    "As eos, where only some features are uncovered or shared with another class: changes those and keeps the others.",
    "Dablain et al. 2022, Interpretable ML for Imbalanced Data, section IV-F (a suggestion; the rule is ours)",
    chosen_feature_rows,
    (
        Option("k_neighbors", 10, "neighbours that are searched for enemies.", "int", low=1),
        Option(
            "change",
            "uncovered",
            "features that training values cover least, or that the enemy's class shares.",
            "text",
            words=("uncovered", "shared"),
        ),
        Option("n_features", 10, "how many features of a class are considered.", "int", low=1),
    ),
)
