"""Treatments that replace the head: crt, tau_norm, lws, ncm (Kang et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.options import Option
from imblens.errors import NotApplicable
from imblens.run import ClassMoments, Head, Run, in_blocks
from imblens.treatments._base import CHECK_SPLIT, RANDOM_STATE, Outcome, Treatment
from imblens.treatments._guards import own_head
from imblens.treatments._retrain import COMMON, Curve, recipe_of, start_of
from imblens.treatments._train_head import train_head

PAPER = "Kang et al. 2020, Decoupling representation and classifier for long-tailed recognition, section 4.1"


def crt(run: Run, options: Mapping[str, Any]) -> Outcome:
    """Train a new head on class-balanced draws of the real features.

    Kang et al.: classifier re-training. The head starts from zeros, where they start at random: with weight decay the
    minimum is one, so that only the seed would matter.
    """
    recipe = recipe_of(options, balanced=True)
    curve = Curve(run)
    head = train_head(
        np.asarray(run.train.features),
        run.train.labels,
        run.n_classes,
        recipe=recipe,
        start=start_of(run, options),
        seed=options["random_state"],
        after_epoch=curve.add if options["curve"] else None,
    )
    return Outcome(head, facts={"recipe": recipe.as_meta(), **curve.facts()})


def tau_norm(run: Run, options: Mapping[str, Any]) -> Outcome:
    """Divide every row of the head's weight by its length to the power tau, and drop the bias.

    weight_c <- weight_c / |weight_c|^tau, as Kang et al.; then all rows are multiplied by one number, so that the mean
    length, and with it the confidence, stays as it was. Predictions do not depend on it.

    Raises:
        NotApplicable: no head, or a row of zeros.
    """
    head = own_head(run, "tau_norm")
    length = np.linalg.norm(head.weight.astype(np.float64), axis=1)
    if not length.all():
        name = run.classes[int(np.argmin(length))]
        raise NotApplicable(f"tau_norm: the head's weight for class {name!r} is zero, so it has no direction to keep.")
    scaled = head.weight / (length ** options["tau"])[:, None]
    scaled *= length.mean() / np.linalg.norm(scaled, axis=1).mean()
    return Outcome(Head(scaled.astype(np.float32), np.zeros(run.n_classes, np.float32), head.unit))


def lws(run: Run, options: Mapping[str, Any]) -> Outcome:
    """Learn one factor per class for the head's logits, every class counting the same.

    logit_c <- factor_c logit_c, weight and bias otherwise kept, as the authors' code (their formula has no bias). We
    find the minimum of the class-balanced cross-entropy + weight_decay / 2 sum (factor - 1)^2 instead of stopping a
    descent early: on features that a network has memorised, factors would grow without limit. All factors are then
    divided by their mean, which changes no prediction and keeps the confidence as it was.
    """
    head = own_head(run, "lws")
    factor = _learn_factors(head, run.train.features, run.train.labels, options["weight_decay"])
    scaled, bias = head.weight * factor[:, None], head.bias * factor
    facts = {"factors": dict(zip(run.classes, factor.tolist(), strict=True))}
    return Outcome(Head(scaled.astype(np.float32), bias.astype(np.float32), head.unit), facts=facts)


def ncm(run: Run, options: Mapping[str, Any]) -> Outcome:
    """Predict the class whose mean is nearest, written as a linear head.

    logit_c = (mean_c . x - |mean_c|^2 / 2) / s2, which is -|x - mean_c|^2 / (2 s2) up to a term that all classes share;
    s2 is the variance within classes, averaged over features and instances, so that the softmax is the posterior of
    equally likely isotropic Gaussians. Kang et al. also try features of unit length; a linear head cannot do that.

    Raises:
        NotApplicable: a class has no training instance.
    """
    del options
    moments = run.train.reduce(lambda: ClassMoments(run.n_classes, run.dim))
    if not moments.count.all():
        name = run.classes[int(np.argmin(moments.count))]
        raise NotApplicable(f"ncm: class {name!r} has no training instance, so it has no mean.")
    spread = float((moments.count[:, None] * moments.variance).sum() / (moments.count.sum() * run.dim)) or 1.0
    centre = moments.mean.mean(axis=0)  # a shift shared by all classes changes no prediction, and keeps numbers small
    middle = moments.mean - centre
    bias = -(middle**2).sum(axis=1) / 2 - middle @ centre
    return Outcome(Head((middle / spread).astype(np.float32), (bias / spread).astype(np.float32)))


def _learn_factors(head: Head, features: NDArray[Any], labels: NDArray[np.int64], decay: float) -> NDArray[np.float64]:
    """(C,) factors for the logits, with mean 1; logits that are large together are computed again for each step."""
    from scipy.optimize import minimize

    n_classes = len(head.bias)
    counts = np.bincount(labels, minlength=n_classes)
    weight = 1.0 / counts[labels] / np.count_nonzero(counts)  # every class counts the same
    blocks = list(in_blocks(len(labels), n_classes))

    def logits_of(rows: slice) -> NDArray[np.float64]:
        return head(np.asarray(features[rows])).astype(np.float64)

    only = logits_of(blocks[0]) if len(blocks) == 1 else None

    def loss(factor: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        away = factor - 1
        value, found = decay / 2 * float(away @ away), decay * away
        for rows in blocks:
            logits, own, truth = logits_of(rows) if only is None else only, weight[rows], labels[rows]
            at = np.arange(len(truth))
            scaled = logits * factor
            scaled -= scaled.max(axis=1, keepdims=True)
            of_truth = scaled[at, truth]
            slope = np.exp(scaled, out=scaled)
            total = slope.sum(axis=1, keepdims=True)
            value += float(own @ (np.log(total[:, 0]) - of_truth))
            slope /= total
            slope[at, truth] -= 1
            slope *= logits
            found += own @ slope
        return value, found

    start = np.ones(n_classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(1e-3, None)] * n_classes).x
    return found / found.mean()


CRT = Treatment(
    "crt",
    "head",
    "The classifier is biased towards frequent classes: trains a new head with class-balanced sampling.",
    PAPER,
    crt,
    tuple(replace(option, default="zeros") if option.name == "start" else option for option in COMMON),
    reads_head=False,
)
TAU_NORM = Treatment(
    "tau_norm",
    "head",
    "Weight norms fall with class size: evens them out; nothing is trained.",
    PAPER,
    tau_norm,
    (
        Option(
            "tau",
            "auto",
            "0 keeps the norms, 1 makes them equal; 'auto' chooses, and keeps 1 where that is as good.",
            "float",
            low=0,
            high=5,
            words=("auto",),
            grid=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
            published=1.0,
        ),
        RANDOM_STATE,
        CHECK_SPLIT,
    ),
    needs_head=True,
    per_label="tau_norm equalises the norms of competing rows; in multi-label runs, rows do not compete.",
    per_label_hint="Try logit_adjustment, crt or eos, which treat each label separately.",
)
LWS = Treatment(
    "lws",
    "head",
    "As tau_norm, with the factor of every class learned.",
    PAPER,
    lws,
    (Option("weight_decay", 0.01, "pulls factors toward 1.", "float", low=0), RANDOM_STATE, CHECK_SPLIT),
    needs_head=True,
)
NCM = Treatment(
    "ncm",
    "head",
    "Few instances, good features, poor head: predicts the class whose mean is nearest.",
    PAPER,
    ncm,
    (RANDOM_STATE, CHECK_SPLIT),
    reads_head=False,
)
HEADS = (CRT, TAU_NORM, LWS, NCM)
