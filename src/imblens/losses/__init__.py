"""Losses for imbalanced classes: (logits, targets, class counts) -> loss. Importing this imports no torch."""

from imblens.losses._build import LossEntry, build_loss, find_loss, loss_descriptions, loss_names, loss_page

__all__ = ["LossEntry", "build_loss", "find_loss", "loss_descriptions", "loss_names", "loss_page"]
