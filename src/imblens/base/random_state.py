"""The global random states of Python and NumPy, as they were found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put the global random states back: what we import or call may draw from them, as scikit-learn does at import.

    >>> random.seed(3)
    >>> with random_state_kept():
    ...     drawn = random.random()
    >>> drawn == random.random()
    True
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the global one is meant)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
