"""The global random states of Python, NumPy and PyTorch, as they were found."""

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


@contextmanager
def torch_state_kept() -> Iterator[None]:
    """As `random_state_kept`, with the generators of PyTorch, of every device in use."""
    import torch

    cpu = torch.get_rng_state()
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = torch.cuda.get_rng_state_all() if in_use else []
    with random_state_kept():
        try:
            yield
        finally:
            torch.set_rng_state(cpu)
            if devices:
                torch.cuda.set_rng_state_all(devices)
