"""Training with Lightning: schedules, samplers, checkpoints, resuming. Importing this imports no torch."""

from imblens.training._remix import REMIX, checked_remix
from imblens.training._samplers import find_sampler, sampler_descriptions
from imblens.training._schedules import Schedule, find_schedule, schedule_descriptions
from imblens.training._train import Trained, check_training, train

__all__ = [
    "REMIX",
    "Schedule",
    "Trained",
    "check_training",
    "checked_remix",
    "find_sampler",
    "find_schedule",
    "sampler_descriptions",
    "schedule_descriptions",
    "train",
]
