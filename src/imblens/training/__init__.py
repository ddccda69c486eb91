"""Training with Lightning: plan, schedules, samplers, checkpoints, resuming. Importing this imports no torch.

Names that need torch are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.training._mixing import MIXINGS as MIXINGS
from imblens.training._mixing import Mixed as Mixed
from imblens.training._mixing import Mixing as Mixing
from imblens.training._mixing import batch_options as batch_options
from imblens.training._mixing import rebalanced_mixup as rebalanced_mixup
from imblens.training._mixing import remix as remix
from imblens.training._pixels import channel_statistics as channel_statistics
from imblens.training._pixels import rare_classes as rare_classes
from imblens.training._plan import TrainingPlan as TrainingPlan
from imblens.training._samplers import Batches as Batches
from imblens.training._samplers import draw_epoch as draw_epoch
from imblens.training._samplers import sampler_descriptions as sampler_descriptions
from imblens.training._schedules import SCHEDULES as SCHEDULES
from imblens.training._schedules import Schedule as Schedule
from imblens.training._schedules import find_schedule as find_schedule
from imblens.training._schedules import schedule_descriptions as schedule_descriptions

if TYPE_CHECKING:
    from imblens.training._features import eos_in_batch as eos_in_batch
    from imblens.training._global_state import left_as_found as left_as_found
    from imblens.training._global_state import quiet_lightning as quiet_lightning
    from imblens.training._global_state import seed_everything as seed_everything
    from imblens.training._lightning import fit as fit
    from imblens.training._module import Fitting as Fitting
    from imblens.training._module import augmentation as augmentation
    from imblens.training._module import shrunk as shrunk
    from imblens.training._prepare import check_training as check_training
    from imblens.training._recolour import Recolour as Recolour
    from imblens.training._tallies import Aurocs as Aurocs
    from imblens.training._tallies import Recalls as Recalls
    from imblens.training._train import Trained as Trained
    from imblens.training._train import train as train

__getattr__ = lazy(
    __name__,
    {
        "._features": ("eos_in_batch",),
        "._global_state": ("left_as_found", "quiet_lightning", "seed_everything"),
        "._lightning": ("fit",),
        "._module": ("Fitting", "augmentation", "shrunk"),
        "._prepare": ("check_training",),
        "._recolour": ("Recolour",),
        "._tallies": ("Aurocs", "Recalls"),
        "._train": ("Trained", "train"),
    },
    extra="train",
)
