"""The rows that a sampler would train a head on, without training one."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.options import Option
from imblens.errors import InputError, did_you_mean
from imblens.resampling import Resampled
from imblens.run import Run
from imblens.treatments import _guards
from imblens.treatments._registry import all_treatments, find_treatment
from imblens.treatments._retrain import COMMON


def resample(
    run: Run, name: str, *, random_state: int = 0, precision: type[np.floating[Any]] = np.float64, **options: Any
) -> Resampled:
    """Return what a sampler keeps and what it adds.

    Args:
        run: single-label; only features and labels of its training split are read.
        name: of a treatment that resamples, such as `smote` or `eos`.
        random_state: the seed.
        precision: of distances and interpolation; float32 halves the memory and is enough for values such as pixels.
        **options: of the sampler. An option left at "auto" that `treat` would choose keeps the published value.

    Raises:
        MissingError: no such treatment or option.
        InputError: the treatment does not resample, or an option does not fit.
        NotApplicable: the run is multi-label, or the sampler cannot work on these instances.

    Example:
        >>> import numpy as np
        >>> labels = np.repeat([0, 1], [6, 2])
        >>> run = Run.from_arrays(train=(np.arange(8.0)[:, None], labels), classes=["cat", "dog"])
        >>> resample(run, "smote").new_labels.tolist()
        [1, 1, 1, 1]
    """
    treatment = find_treatment(name)
    if treatment.resample is None:
        known = [key for key, other in all_treatments().items() if other.resample is not None]
        raise InputError(f"{treatment.name} does not resample.", hint=did_you_mean(name, known))
    _guards.single_label(run, treatment.name)
    settings = treatment.check({**options, "random_state": random_state})
    for option in treatment.options:
        if option.grid and settings[option.name] == "auto":
            settings[option.name] = option.published
    return treatment.resample(run, {**settings, "precision": precision})


def sampling_options(name: str) -> tuple[Option, ...]:
    """Return the options of a sampler that change which rows there are, the seed left out."""
    return tuple(option for option in find_treatment(name).options if option not in COMMON)
