"""Several rooms in a row: balance, train, capture, audit. Commands and studies share these. Importing imports no torch."""

from imblens.workflows._class_colours import class_colours as class_colours
from imblens.workflows._native_images import native_images as native_images
from imblens.workflows._new_images import images_of_run as images_of_run
from imblens.workflows._new_images import new_instances as new_instances
from imblens.workflows._new_images import save_treated as save_treated
from imblens.workflows._settings import Settings as Settings
from imblens.workflows._settings import assign_settings as assign_settings
from imblens.workflows._train_capture import OVERSAMPLED as OVERSAMPLED
from imblens.workflows._train_capture import train_and_capture as train_and_capture
from imblens.workflows._train_capture import train_capture_audit as train_capture_audit
from imblens.workflows._train_capture import training_facts as training_facts
