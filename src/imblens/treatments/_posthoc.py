"""Treatments that correct the logits of the head as it is: logit_adjustment and temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from imblens.base.options import Option
from imblens.run import Head, Run, head_balance
from imblens.treatments._base import CHECK_SPLIT, RANDOM_STATE, Outcome, Treatment
from imblens.treatments._guards import own_head


def logit_adjustment(run: Run, options: Mapping[str, Any]) -> Outcome:
    """Subtract the effect of class frequency on the logits from the bias.

    bias_c <- bias_c - tau log(prior_c), prior_c = share of c among the training instances. With tau = 1 and logits that
    are log posteriors, the prediction is the best one for equally frequent classes. A class without training instances is
    adjusted as the rarest class that has some; a note names it.
    """
    head = own_head(run, "logit_adjustment")
    counts = run.train.class_counts.astype(np.float64)
    notes: tuple[str, ...] = ()
    if not counts.all():
        absent = [name for name, n in zip(run.classes, counts, strict=True) if not n]
        notes = (f"logit_adjustment: no training instance of {', '.join(absent)}; adjusted as the rarest class is.",)
        counts = np.where(counts > 0, counts, counts[counts > 0].min())
    shift = options["tau"] * np.log(counts / run.train.class_counts.sum())
    return Outcome(Head(head.weight, (head.bias - shift).astype(np.float32), head.unit), notes=notes + _twice(run))


def temperature(run: Run, options: Mapping[str, Any]) -> Outcome:
    """Divide all logits by one number: predictions stay, confidence changes.

    logits <- logits / temperature. "auto" takes the temperature with the least class-balanced negative log-likelihood
    on held-out instances.
    """
    head = own_head(run, "temperature")
    factor = np.float32(1 / options["temperature"])
    return Outcome(Head(head.weight * factor, head.bias * factor, head.unit))


def _twice(run: Run) -> tuple[str, ...]:
    balance = head_balance(run)
    if not balance.balanced:
        return ()
    why = {
        "training": f"the network was trained with {balance.by}, which weighs classes by their counts",
        "treatment": f"{balance.by} has balanced this head already",
    }.get(balance.source, balance.reason)
    return (f"logit_adjustment: {why}; adjusting for class frequency again over-corrects.",)


LOGIT_ADJUSTMENT = Treatment(
    "logit_adjustment",
    "posthoc",
    "Rare classes are predicted too rarely: the first thing to try; nothing is trained.",
    "Menon et al. 2021, Long-tail learning via logit adjustment, section 4.1",
    logit_adjustment,
    (
        Option(
            "tau",
            "auto",
            "0 changes nothing, 1 is the theory; 'auto' chooses, and keeps 1 where that is as good.",
            "float",
            low=0,
            high=10,
            words=("auto",),
            grid=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0),
            published=1.0,
        ),
        RANDOM_STATE,
        CHECK_SPLIT,
    ),
    needs_head=True,
    trains=False,
)
TEMPERATURE = Treatment(
    "temperature",
    "posthoc",
    "The network is overconfident: lowers confidence, changes no prediction.",
    "Guo et al. 2017, On calibration of modern neural networks, section 4.2",
    temperature,
    (
        Option(
            "temperature",
            "auto",
            "above 1 lowers confidence; 'auto' chooses by likelihood on held-out instances.",
            "float",
            low=1e-3,
            high=1e3,
            words=("auto",),
            grid=tuple(round(float(t), 3) for t in np.geomspace(0.25, 16, 37)),
        ),
        RANDOM_STATE,
        CHECK_SPLIT,
    ),
    needs_head=True,
    trains=False,
    criterion="balanced_nll",
    unvalidated="temperature: training features do not show the confidence on new instances, so this temperature is a guess; "
    "pass validation, or set it.",
)
POSTHOC = (LOGIT_ADJUSTMENT, TEMPERATURE)
