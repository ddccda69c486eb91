"""The treatment `refit`: cross-entropy solved to its minimum on the stored features, then the class frequencies taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.logistic import fit_logistic
from imblens.base.options import Option
from imblens.run import Head, Run
from imblens.treatments._base import CHECK_SPLIT, RANDOM_STATE, Outcome, Treatment

L2 = 0.1  # near the best likelihood of held-out training features on seven networks
BELOW = 10.0  # by how much an absent class stays below every other logit


def refit(run: Run, options: Mapping[str, Any]) -> Outcome:
    """Fit a new head on all training features, then subtract the logarithm of each class's share from its bias.

    head = argmin sum of cross-entropy + l2 / 2 |weight|^2, features centred and divided by their root-mean-square
    distance from the centre (see `fit_logistic`); then bias_c <- bias_c - log(prior_c), as `logit_adjustment` with tau = 1.
    The minimum is one: no seed, rate or number of epochs matters.

    A class without training instances is never predicted; a note names it.

    References:
        Kang et al. 2020, section 4.1 (a head refitted on fixed features); Menon et al. 2021, section 4.1 (the prior). Both
        descend instead of solving, and Kang et al. draw classes evenly.
    """
    labels = run.train.labels
    present = np.flatnonzero(run.train.class_counts)
    features = np.asarray(run.train.features)
    weight, bias = fit_logistic(features, np.searchsorted(present, labels), len(present), l2=options["l2"])
    bias = bias - np.log(run.train.class_counts[present] / len(labels))
    notes: tuple[str, ...] = ()
    if len(present) < run.n_classes:
        absent = [name for name, n in zip(run.classes, run.train.class_counts, strict=True) if not n]
        notes = (f"refit: no training instance of {', '.join(absent)}; the new head never predicts it.",)
        weight, bias = _with_absent(weight, bias, present, run.n_classes, features)
    return Outcome(Head(weight.astype(np.float32), bias.astype(np.float32)), notes=notes)


def _with_absent(
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    present: NDArray[np.int64],
    n_classes: int,
    features: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the other classes the row of the class of least logits, lowered."""
    mean = features.mean(axis=0, dtype=np.float64)
    least = int(np.argmin(weight @ mean + bias))
    all_weights = np.repeat(weight[[least]], n_classes, axis=0)
    all_biases = np.full(n_classes, bias[least] - BELOW)
    all_weights[present], all_biases[present] = weight, bias
    return all_weights, all_biases


REFIT = Treatment(
    "refit",
    "head",
    "As crt, but solved to the minimum: often the best head where training features show errors.",
    "Kang et al. 2020, section 4.1, and Menon et al. 2021, section 4.1; solved exactly",
    refit,
    (
        Option(
            "l2",
            L2,
            "penalty on the weight, for features scaled to unit spread; 'auto' chooses.",
            "float",
            low=1e-6,
            words=("auto",),
            grid=(0.02, 0.1, 0.5, 2.5),
            published=L2,
        ),
        RANDOM_STATE,
        CHECK_SPLIT,
    ),
    reads_head=False,
)
