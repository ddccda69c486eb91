"""Uncovered ranges in multi-label runs: positive test instances of a label where it has hardly a positive training instance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imblens.base.groups import group_folds
from imblens.base.wording import FEW
from imblens.lenses.diagnosis.label_scores import in_content_order
from imblens.lenses.diagnosis.regions import FEWEST, MOST, MOST_COUNTED, NEIGHBOURS, Region, lone_region
from imblens.lenses.diagnosis.scores import held_out
from imblens.run import Run, Split, class_groups

Rows = NDArray[np.int64]
CHANCE = 0.02  # share in a region up to which it is not named
FOLDS = 4  # parts of the positive training instances; each in turn takes the place of the test instances


@dataclass(frozen=True)
class LabelRegion:
    """The uncovered region of a label, and how much of other instances lies in such a region.

    Attributes:
        region: of its positive held-out instances.
        own: the largest share of a part of its positive training instances (whole groups), against the others.
        negatives: the share of as many of its negative held-out instances, against its negative training instances. Both
            are NaN where 2% of the positives or fewer lie in the region, which is never named.
    """

    region: Region
    own: float
    negatives: float

    def usual(self, others: float) -> float:
        """Return the reference; `others` is the median share of the other labels, NaN with fewer than three.

        It is what parts of the training split have, or what other instances have in common: negatives and other labels, the
        smaller of the two, since labels that occur with this one lack the same instances.
        """
        common = [value for value in (self.negatives, others) if np.isfinite(value)]
        return max(np.nan_to_num(self.own), min(common, default=0.0))


def uncovered_labels(run: Run) -> dict[int, LabelRegion]:
    """Return the uncovered region of each label with enough positives (groups) in both splits; computed once per run.

    As `uncovered`, among the positives of the label. Instances of one group lie near each other, so that they may lie apart
    from all training instances for that reason alone: held-out parts of the training split show how far they do. All
    instances may lie apart from those that a network has memorised: the negatives show how far they do.

    Raises:
        NotApplicable: no held-out split.
    """
    return run.remember("uncovered regions of labels", lambda: _uncovered(run))


def _uncovered(run: Run) -> dict[int, LabelRegion]:
    split = held_out(run)
    predicted = np.asarray(split.logits) > 0 if split.has_logits else None
    enough = np.minimum(class_groups(run.train), class_groups(split)) >= FEW
    found = {}
    for c in np.flatnonzero(enough).tolist():
        own, rows = (_with_value(one, c, present=True) for one in (run.train, split))
        if min(len(own), len(rows)) < FEWEST:
            continue
        correct = None if predicted is None else predicted[:, c]
        region = lone_region(run.train, own[:MOST_COUNTED], split, rows[:MOST], correct)
        references = (np.nan, np.nan)
        if region.share > CHANCE:
            references = (_of_parts(run.train, own), _of_negatives(run.train, split, c, len(rows)))
            if np.isnan(references[0]):
                continue
        found[c] = LabelRegion(region, *references)
    return found


def _with_value(split: Split, c: int, *, present: bool) -> Rows:
    order = in_content_order(split)
    return order[(split.labels[order, c] == present) & split.known[order, c]]


def _of_parts(train: Split, own: Rows) -> float:
    own = own[: FOLDS * MOST]
    fold = np.arange(len(own)) % FOLDS if train.groups is None else group_folds(train.groups[own], FOLDS)
    parts = [(own[fold != one], own[fold == one]) for one in range(FOLDS)]
    large = [(rest, part) for rest, part in parts if min(len(rest), len(part)) > NEIGHBOURS // 2]
    return max((lone_region(train, rest, train, part, None).share for rest, part in large), default=np.nan)


def _of_negatives(train: Split, split: Split, c: int, most: int) -> float:
    own, rows = (_with_value(one, c, present=False) for one in (train, split))
    n = min(most, MOST, len(own), len(rows))
    return np.nan if n < FEWEST else lone_region(train, own[:MOST_COUNTED], split, rows[:n], None).share
