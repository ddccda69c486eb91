"""Losses by name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imblens.base.registry import Registry
from imblens.errors import InputError, MissingError, did_you_mean

if TYPE_CHECKING:
    from imblens.losses._base import ClassLoss
    from imblens.losses._labels import LabelLoss


class LossEntry(NamedTuple):
    """A loss that can be built by name.

    Attributes:
        description: one line for lists.
        maker: "module:class" or "module:function", imported when it is built.
        normalised_head: whether it is meant for a network with a cosine head.
        multilabel: whether it is for multi-label data.
    """

    description: str
    maker: str
    normalised_head: bool = False
    multilabel: bool = False


_COUNTS = ("class_counts", "positives", "negatives")
LOSSES: dict[str, LossEntry] = {
    "ce": LossEntry("cross-entropy", "_cross_entropy:CrossEntropy"),
    "weighted_ce": LossEntry("cross-entropy, classes weighted by 1 / count", "_cross_entropy:weighted_cross_entropy"),
    "focal": LossEntry("less weight on easy instances (Lin et al. 2017)", "_focal:Focal"),
    "asl": LossEntry("separate focusing for target and non-target classes (Ben-Baruch et al. 2021)", "_asl:Asymmetric"),
    "ldam": LossEntry("wider margins for rarer classes (Cao et al. 2019)", "_ldam:LDAM", normalised_head=True),
    "cb_ce": LossEntry("cross-entropy by effective number (Cui et al. 2019)", "_class_balanced:class_balanced_ce"),
    "cb_focal": LossEntry("focal by effective number (Cui et al. 2019)", "_class_balanced:class_balanced_focal"),
    "logit_adjusted": LossEntry("logits shifted by log prior (Menon et al. 2021)", "_logit_adjusted:LogitAdjusted"),
    "overlap_ce": LossEntry(
        "cross-entropy with a cost on top features that classes share (suggested by IML)",
        "_overlap:OverlapCrossEntropy",
    ),
    "bce": LossEntry("multi-label: binary cross-entropy", "_labels:binary_cross_entropy", multilabel=True),
    "wbce": LossEntry(
        "multi-label: positives and negatives of a label have equal total weight",
        "_labels:weighted_binary_cross_entropy",
        multilabel=True,
    ),
    "focal_bce": LossEntry(
        "multi-label: less weight on easy labels (Lin et al. 2017)", "_labels:focal_binary", multilabel=True
    ),
    "cb_focal_bce": LossEntry(
        "multi-label: focal by effective number (Cui et al. 2019)",
        "_labels:class_balanced_focal_binary",
        multilabel=True,
    ),
    "asl_bce": LossEntry(
        "multi-label: down-weights easy negatives (Ridnik et al. 2021)",
        "_labels:AsymmetricLabels",
        multilabel=True,
    ),
}

_REGISTRY = Registry("loss", LOSSES)


def loss_names(*, multilabel: bool | None = None) -> tuple[str, ...]:
    """Return the names that `build_loss` knows; `multilabel` selects those for multi-label or for single-label data.

    >>> loss_names(multilabel=False)
    ('ce', 'weighted_ce', 'focal', 'asl', 'ldam', 'cb_ce', 'cb_focal', 'logit_adjusted', 'overlap_ce')
    >>> loss_names(multilabel=True)
    ('bce', 'wbce', 'focal_bce', 'cb_focal_bce', 'asl_bce')
    """
    return tuple(name for name, entry in LOSSES.items() if multilabel in (None, entry.multilabel))


def loss_descriptions() -> dict[str, str]:
    """Return one line for each loss.

    Example:
        >>> sorted(loss_descriptions()) == sorted(loss_names())
        True
    """
    return {name: entry.description for name, entry in LOSSES.items()}


def loss_page(name: str) -> str:
    """Return the docstring of a loss: formula, options, paper. It does not import torch.

    >>> loss_page("focal").splitlines()[0]
    'Cross-entropy with less weight on easy instances: l = -(1 - p_y)^gamma log p_y.'
    """
    module, _, maker = find_loss(name).maker.partition(":")
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    found = next(node for node in tree.body if getattr(node, "name", "") == maker)
    assert isinstance(found, (ast.ClassDef, ast.FunctionDef))
    return ast.get_docstring(found) or ""


def find_loss(name: str) -> LossEntry:
    """Return the entry of a loss; it builds and imports nothing.

    Raises:
        MissingError: there is no such loss.

    Example:
        >>> find_loss("wbce").multilabel
        True
    """
    return _REGISTRY.find(name)


def build_loss(
    name: str,
    class_counts: Sequence[int],
    *,
    negative_counts: Sequence[int] | None = None,
    drw: bool = False,
    **options: Any,
) -> ClassLoss | LabelLoss:
    """Build a loss for classes of those sizes.

    Args:
        name: one of `loss_names()`.
        class_counts: (C,) training instances of each class; a class may have none.
        negative_counts: (C,) negatives of each label in training; for multi-label data, or C = 1: two classes that share
            one output, the second of them positive.
        drw: weight classes by their effective number from 80% of the epochs on (deferred re-weighting).
        options: of that loss, such as `gamma=1.5` for `focal`.

    Returns:
        A module: `loss(logits (N, C), targets (N,))` is one number; for multi-label data, targets are (N, C): 1, 0, or
        -1 where the label is unknown. Call `loss.set_epoch(epoch, epochs)` when an epoch starts.

    Raises:
        MissingError: no loss, or no option, of that name.
        InputError: invalid counts, counts for the other kind of loss, or an option out of its range.

    Example:
        >>> import torch
        >>> loss = build_loss("logit_adjusted", [90, 10])
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1])).item()
        1.203...
    """
    entry = find_loss(name)
    if entry.multilabel != (negative_counts is not None):
        kinds = ("multi-label data", "single-label data")
        found, wanted = kinds if entry.multilabel else kinds[::-1]
        raise InputError(
            f"the loss {name!r} is for {found}, but the data is {wanted.removesuffix(' data')}.",
            hint=f"For {wanted}: {', '.join(loss_names(multilabel=not entry.multilabel))}.",
        )
    if entry.multilabel and drw:
        raise InputError(
            f"deferred re-weighting is for single-label data; {name!r} is for multi-label data.",
            hint="Leave out drw; wbce and cb_focal_bce weight labels by their counts.",
        )
    counts = _checked_counts(class_counts, least=1 if entry.multilabel else 2)
    module, _, maker_name = entry.maker.partition(":")
    maker = getattr(import_module(f"imblens.losses.{module}"), maker_name)
    known = [key for key in inspect.signature(maker).parameters if key not in _COUNTS]
    for key in options:
        if key not in known:
            what = did_you_mean(key, known) if known else "It has no options."
            raise MissingError(f"the loss {name!r} has no option {key!r}.", hint=what)
    if negative_counts is not None:
        negatives = _checked_counts(negative_counts, "negative_counts", least=1)
        if len(negatives) != len(counts):
            raise InputError(
                f"there are {len(negatives)} negative_counts for {len(counts)} class_counts.", hint="Give one each."
            )
        multilabel_loss: LabelLoss = maker(counts, negatives, **options)
        return multilabel_loss
    loss: ClassLoss = maker(counts, **options)
    if drw:
        from imblens.losses._deferred import DeferredReweighting

        loss = DeferredReweighting(loss, counts)
    return loss


def _checked_counts(class_counts: Sequence[int], name: str = "class_counts", *, least: int = 2) -> list[int]:
    try:
        counts = [int(count) for count in class_counts]
        whole = all(count == given for count, given in zip(counts, class_counts, strict=True))
    except (TypeError, ValueError, OverflowError):
        counts, whole = [], False
    if not whole or len(counts) < least or min(counts) < 0 or max(counts) == 0:
        raise InputError(
            f"{name} must be {'two' if least > 1 else 'one'} or more whole numbers that are not all 0, found {class_counts!r}.",
            hint="Give the number of training instances of each class.",
        )
    return counts
