"""Several rooms in a row: balance, train, capture, audit. Commands and studies share these. Importing imports no torch."""

from imblens.workflows._class_colours import class_colours
from imblens.workflows._native_images import native_images
from imblens.workflows._new_images import images_of_run, new_instances, save_treated
from imblens.workflows._settings import Settings, assign_settings
from imblens.workflows._train_capture import OVERSAMPLED, train_and_capture, train_capture_audit, training_facts

__all__ = [
    "OVERSAMPLED",
    "Settings",
    "assign_settings",
    "class_colours",
    "images_of_run",
    "native_images",
    "new_instances",
    "save_treated",
    "train_and_capture",
    "train_capture_audit",
    "training_facts",
]
