"""Logits that a run of many classes does not keep, since its head gives them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run._head import Head
from imblens.run._part import Part

MANY_CLASSES = 200  # above which logits are left out where the head gives them
NEARLY = 1e-4  # of the largest logit: what two orders of summation differ by at most, and far less than a half-precision head


def head_gives(made: NDArray[Any], logits: NDArray[Any]) -> bool:
    """Whether logits (n, C) that a head made are those of the network: the same predictions, and equal but for rounding.

    >>> head_gives(np.array([[1.0, 2.0]]), np.array([[1.00001, 2.0]])), head_gives(np.eye(2), 1.01 * np.eye(2))
    (True, False)
    """
    if not len(logits):
        return True
    close = float(np.abs(made - logits).max()) <= NEARLY * float(np.abs(logits).max())
    return close and bool((made.argmax(axis=1) == logits.argmax(axis=1)).all())


def may_leave_out(labels: NDArray[Any], n_classes: int) -> bool:
    """Whether logits of instances with those labels are left out where the head gives them: many classes, one label each."""
    return labels.ndim == 1 and n_classes > MANY_CLASSES


def leave_out(part: Part, head: Head | None) -> Part:
    """The part without its logits where there are many classes and the head gives them; else the part itself."""
    if head is None or part.logits is None or not may_leave_out(part.labels, len(head.bias)):
        return part
    batches = part.batches(0, len(head.bias), head, logits=True)
    if all(head_gives(head(batch.features), np.asarray(batch.logits)) for batch in batches):
        return replace(part, logits=None)
    return part
