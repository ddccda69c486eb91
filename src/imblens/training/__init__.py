"""Training with Lightning: plan, schedules, samplers, checkpoints, resuming. Importing this imports no torch.

Names that need torch are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from imblens.training._mixing import MIXINGS, Mixed, Mixing, batch_options, rebalanced_mixup, remix
from imblens.training._pixels import channel_statistics, rare_classes
from imblens.training._plan import TrainingPlan
from imblens.training._prepare import check_training
from imblens.training._samplers import Batches, draw_epoch, find_sampler, sampler_descriptions
from imblens.training._schedules import SCHEDULES, Schedule, find_schedule, schedule_descriptions
from imblens.training._train import Trained, train

if TYPE_CHECKING:
    from imblens.training._features import eos_in_batch
    from imblens.training._global_state import left_as_found, quiet_lightning, seed_everything
    from imblens.training._lightning import fit
    from imblens.training._module import Fitting, augmentation, shrunk
    from imblens.training._recolour import Recolour
    from imblens.training._tallies import Aurocs, Recalls

_LAZY = {
    "Aurocs": "_tallies",
    "Fitting": "_module",
    "Recalls": "_tallies",
    "Recolour": "_recolour",
    "augmentation": "_module",
    "eos_in_batch": "_features",
    "fit": "_lightning",
    "left_as_found": "_global_state",
    "quiet_lightning": "_global_state",
    "seed_everything": "_global_state",
    "shrunk": "_module",
}
__all__ = [
    "MIXINGS",
    "SCHEDULES",
    "Aurocs",
    "Batches",
    "Fitting",
    "Mixed",
    "Mixing",
    "Recalls",
    "Recolour",
    "Schedule",
    "Trained",
    "TrainingPlan",
    "augmentation",
    "batch_options",
    "channel_statistics",
    "check_training",
    "draw_epoch",
    "eos_in_batch",
    "find_sampler",
    "find_schedule",
    "fit",
    "left_as_found",
    "quiet_lightning",
    "rare_classes",
    "rebalanced_mixup",
    "remix",
    "sampler_descriptions",
    "schedule_descriptions",
    "seed_everything",
    "shrunk",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load what needs torch."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"imblens.training.{_LAZY[name]}"), name)
