"""Whether a head is balanced over classes: stated, known from training or a treatment, or inferred from its logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from imblens.base.arrays import some_rows
from imblens.run._run import Run
from imblens.run._share_fit import share_fit
from imblens.run._validation import stated_balance

BALANCING = frozenset({"weighted_ce", "cb_ce", "cb_focal", "logit_adjusted", "wbce", "cb_focal_bce"})  # losses
MIDDLE = 0.5  # of log shares that logits lack: 0 after training without weights, 1 for a balanced head
ERRORS = 2.0  # standard errors that a head must lie away from the middle to be judged
UNEVEN = 1.5  # largest class over the smallest, from which training by shares and balance differ
MOST_ROWS, MOST_NUMBERS = 5_000, 2**20  # training instances that are read, and their logits


@dataclass(frozen=True)
class HeadBalance:
    """Whether a head is balanced over classes, and how that is known.

    Attributes:
        balanced: None where it is undetermined.
        source: how it is known.
        by: the loss, the schedule, the sampler or the treatment that balanced it, or "".
        missing: multiple of the logarithm of the class shares that the training logits lack to fit the training labels: 0 after
            cross-entropy without weights, 1 for a balanced head. NaN where it was not measured.
        error: its standard error.
    """

    balanced: bool | None
    source: Literal["stated", "training", "treatment", "inferred", "unknown"]
    by: str = ""
    missing: float = float("nan")
    error: float = float("nan")

    @property
    def reason(self) -> str:
        """A clause that states why the head counts as balanced, or not."""
        if self.source == "stated":
            return "the head was stated to be balanced" if self.balanced else "the head was stated not to be balanced"
        if self.source == "inferred":
            return (
                f"the head is inferred to be {'balanced' if self.balanced else 'unbalanced'} from its training logits"
            )
        return f"{self.by} has balanced the head" if self.by else "the head is not known to be balanced"

    def sentence(self) -> str:
        """A sentence for reports on a balanced head; "" on others, which count as not balanced.

        Example:
            >>> HeadBalance(True, "training", "cb_ce").sentence()
            'Head balance: cb_ce has balanced the head.'
        """
        if not self.balanced:
            return ""
        if self.source == "inferred":
            return (
                f"Head balance: inferred. To fit the training labels, the training logits lack {self.missing:.2f} (standard "
                f"error {self.error:.2f}) times the logarithm of the class shares: 0 after training without weights, 1 in a "
                "balanced head. Taken as balanced; state it with `head_balanced` if you know."
            )
        return f"Head balance: {self.reason}."


def head_balance(run: Run) -> HeadBalance:
    """Return whether a run's head is balanced over classes, so that correcting it for class frequency over-corrects.

    A treatment of imblens that balances comes first, then the statement `meta["head_balanced"]`, then the training: a loss
    that weighs classes, deferred re-weighting, or class-balanced sampling. Else it is inferred from the training logits of
    single-label runs whose largest class is at least 1.5 times the smallest: they lack b log(shares) to fit the labels, and b
    lies two standard errors above 0.5 (balanced) or below it (not balanced). A head that has memorised its instances has
    a large error, and is mostly undetermined.

    Raises:
        InputError: `meta["head_balanced"]` is neither true nor false.

    Example:
        >>> x, y = np.array([[0.0], [1.0], [2.0]]), [0, 0, 1]
        >>> head_balance(Run.from_arrays(train=(x, y), meta={"head_balanced": True})).source
        'stated'
    """
    return run.remember("head balance", lambda: _known(run.meta) or _inferred(run))


def _known(meta: Mapping[str, Any]) -> HeadBalance | None:
    """What is known without looking at logits."""
    stated = stated_balance(meta)
    before = meta.get("treatment")
    while isinstance(before, Mapping):
        if before.get("criterion") != "balanced_nll":  # which calibrates and does not balance
            return HeadBalance(True, "treatment", str(before["name"]))
        before = before.get("before")
    if stated is not None:
        return HeadBalance(stated, "stated")
    loss = meta.get("loss")
    if isinstance(loss, str) and loss in BALANCING:
        return HeadBalance(True, "training", loss)
    if meta.get("drw") is True:
        return HeadBalance(True, "training", "deferred re-weighting")
    if meta.get("sampler") == "class_balanced":
        return HeadBalance(True, "training", "class-balanced sampling")
    return None


def _inferred(run: Run) -> HeadBalance:
    """What the training logits show."""
    unknown = HeadBalance(None, "unknown")
    counts = run.train.class_counts
    present = np.flatnonzero(counts)
    if run.task != "multiclass" or not run.train.has_logits or len(present) < 2:
        return unknown
    if counts.max() < UNEVEN * counts[present].min():
        return unknown
    most = min(MOST_ROWS, max(2, MOST_NUMBERS // len(present)))
    rows = np.sort(some_rows(np.arange(len(run.train)), most, np.random.default_rng(0)))
    labels = np.searchsorted(present, run.train.labels[rows])
    missing, error = share_fit(run.train.logits_of(rows)[:, present], labels, counts[present])
    if abs(missing - MIDDLE) <= ERRORS * error:
        return HeadBalance(None, "unknown", "", missing, error)
    return HeadBalance(missing > MIDDLE, "inferred", "", missing, error)
