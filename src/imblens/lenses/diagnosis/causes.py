"""Causes of a class's errors in single-label runs, and how their strengths combine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cause:
    """A possible cause and what helps against it.

    Attributes:
        name: as in the table.
        title: as in a sentence.
        treatment: what to try: a name for `imblens treat`, or what to do with the data, where
            {inputs} stands for images, texts, recordings, rows or instances.
    """

    name: str
    title: str
    treatment: str


# treatment of the head where nothing speaks for another one, by task; `best` was never measured on labels
USUAL = {"multiclass": "best", "multilabel": "refit"}

CAUSES = (
    Cause("few_examples", "few examples", USUAL["multiclass"]),
    Cause("overlap", "overlap", USUAL["multiclass"]),
    Cause("sub_concepts", "a rare sub-concept", "collect or augment {inputs} of its rare sub-concept"),
    Cause("label_noise", "wrong labels", "check its label suspects, then train without them"),
    Cause(
        "uncovered_range",
        "test instances that training does not cover",
        "collect {inputs} like its misclassified test {inputs}",
    ),
    Cause("few_features", "few features", USUAL["multiclass"]),
    Cause("shortcut", "a shortcut", "vary what it relies on (border, colour, surroundings), then train again"),
    Cause("shortcut_colours", "a colour shortcut", "vary the background, then train again"),
)
# cause -> the causes that lead to it, with the share of its strength that they explain where they are clear
LEADS_TO: dict[str, dict[str, float]] = {
    "overlap": {"few_examples": 0.5, "uncovered_range": 0.7, "sub_concepts": 0.5},
    "few_examples": {"overlap": 0.3, "uncovered_range": 0.6, "sub_concepts": 0.6, "label_noise": 0.5},
    "sub_concepts": {"label_noise": 0.3},
    "few_features": {"few_examples": 0.5},
    "shortcut_colours": {"shortcut": 1.0},
}
COMPLETE = (
    0.8  # strength of overlap from which other causes explain less of it; at 1 nothing: no line separates the two
)


def strengths(measured: Mapping[str, float]) -> list[tuple[Cause, float]]:
    """Strength of each cause in one class, less what other causes explain.

    Args:
        measured: strength in [0, 1] by cause, from `MEASURES`; what is missing has strength 0.

    Example:
        >>> found = strengths({"overlap": 0.8, "uncovered_range": 1.0})
        >>> {cause.name: round(strength, 2) for cause, strength in found if strength}
        {'overlap': 0.24, 'uncovered_range': 1.0}
    """
    own = {
        name: float(np.prod([1 - share * measured.get(other, 0.0) for other, share in LEADS_TO.get(name, {}).items()]))
        for name in measured
    }
    complete = max(0.0, measured.get("overlap", 0.0) - COMPLETE) / (1 - COMPLETE)
    if complete:
        own["overlap"] += complete * (1 - own["overlap"])
    return [(cause, measured.get(cause.name, 0.0) * own.get(cause.name, 1.0)) for cause in CAUSES]
