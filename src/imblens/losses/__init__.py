"""Losses for imbalanced classes: (logits, targets, class counts) -> loss. Importing this imports no torch."""

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.losses._build import LossEntry as LossEntry
from imblens.losses._build import build_loss as build_loss
from imblens.losses._build import find_loss as find_loss
from imblens.losses._build import loss_descriptions as loss_descriptions
from imblens.losses._build import loss_names as loss_names
from imblens.losses._build import loss_page as loss_page

if TYPE_CHECKING:
    from imblens.losses._base import ClassLoss as ClassLoss
    from imblens.losses._labels import LabelLoss as LabelLoss

__getattr__ = lazy(__name__, {"._base": ("ClassLoss",), "._labels": ("LabelLoss",)})
