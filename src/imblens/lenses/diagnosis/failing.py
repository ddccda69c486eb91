"""Regions of a class in which held-out instances are misclassified, and how many of its training instances lie there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imblens.lenses.diagnosis.regions import FEWEST, MOST, MOST_COUNTED, of_several_groups, others_of
from imblens.lenses.diagnosis.scores import held_out, in_canonical_order
from imblens.run import Run, nearest

NEIGHBOURS, LOST = (
    10,
    3,
)  # an instance lies in the region where 3 of its ten nearest held-out instances are misclassified
RARER = 0.3  # density of training instances there, relative to held-out ones, up to which training has few
WIDTH = 1.96  # standard errors
CLASSES = 4  # that can be judged, without which there is no reference


@dataclass(frozen=True)
class Failing:
    """A part of a class in which the network fails.

    Attributes:
        share: of the held-out instances of the class.
        trained: share of its training instances.
        excess: the first less the second.
        least: the excess less 1.96 standard errors of two independent shares. Neighbours decide for several instances, so this
            is a threshold and no confidence limit.
    """

    share: float
    trained: float
    excess: float
    least: float

    @property
    def rare(self) -> bool:
        """Whether training has few or none of it."""
        return self.trained <= RARER * self.share


NOWHERE = Failing(0.0, 0.0, 0.0, 0.0)


def failing(run: Run) -> Mapping[int, Failing]:
    """Return, for each class with enough instances, the region in which its held-out instances are misclassified.

    An instance lies in it where at least three of its ten nearest held-out instances of the class are misclassified. If
    training and held-out instances have one distribution, equal shares of both lie there. A network that has memorised its
    training instances moves them out of it, so other classes of the same network are the reference of the excess; with fewer
    than four that can be judged, none is. Instances of fewer than three groups are not a region, where groups are known.

    Raises:
        NotApplicable: no held-out split.
    """
    return run.remember("regions that fail", lambda: _failing(run))


def _failing(run: Run) -> dict[int, Failing]:
    split = held_out(run)
    if not split.has_logits:
        return {}
    correct = np.asarray(split.correct)
    found = {}
    judged = np.flatnonzero(np.minimum(run.train.class_counts, split.class_counts) >= FEWEST)
    for label in judged.tolist() if len(judged) >= CLASSES else ():
        rows = in_canonical_order(split, MOST, label)
        lost = ~correct[rows]
        if lost.sum() < LOST:
            found[label] = NOWHERE
            continue
        own = np.asarray(run.train.features[in_canonical_order(run.train, MOST_COUNTED, label)], dtype=np.float64)
        test = np.asarray(split.features[rows], dtype=np.float64)
        near = others_of(nearest(test, test, NEIGHBOURS + 1)[0], NEIGHBOURS)
        inside = _inside(lost, near)
        if not of_several_groups(split, rows[inside & lost]):
            found[label] = NOWHERE
            continue
        share = float(inside.mean())
        trained = float(_inside(lost, nearest(test, own, NEIGHBOURS)[0]).mean())
        excess = share - trained
        error = np.sqrt(share * (1 - share) / len(test) + trained * (1 - trained) / len(own))
        found[label] = Failing(share, trained, excess, excess - WIDTH * float(error))
    return found


def _inside(lost: NDArray[np.bool_], near: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(lost[near].sum(axis=1) >= LOST)
