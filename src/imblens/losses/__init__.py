"""Losses for imbalanced classes: (logits, targets, class counts) -> loss. Importing this imports no torch."""

from typing import TYPE_CHECKING, Any

from imblens.losses._build import LossEntry, build_loss, find_loss, loss_descriptions, loss_names, loss_page

if TYPE_CHECKING:
    from imblens.losses._base import ClassLoss as ClassLoss
    from imblens.losses._labels import LabelLoss as LabelLoss

__all__ = [
    "ClassLoss",
    "LabelLoss",
    "LossEntry",
    "build_loss",
    "find_loss",
    "loss_descriptions",
    "loss_names",
    "loss_page",
]


def __getattr__(name: str) -> Any:
    if name == "ClassLoss":
        from imblens.losses._base import ClassLoss

        return ClassLoss
    if name == "LabelLoss":
        from imblens.losses._labels import LabelLoss

        return LabelLoss
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
