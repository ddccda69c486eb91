"""Global state that training changes, and restoring it."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from imblens.base.random_state import torch_state_kept


def derived_seed(seed: int, *place: int) -> int:
    """Return a seed for one place (stream, epoch, ...) of a training: independent of those for other places."""
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint32)[0])


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - other people's networks may draw from it
    torch.manual_seed(seed)


@contextmanager
def left_as_found() -> Iterator[None]:
    """Restore random states, torch's switches, the environment and signal handlers, also after an error."""
    with torch_state_kept(), _switches_kept():
        yield


@contextmanager
def _switches_kept() -> Iterator[None]:
    gradients, cudnn = torch.is_grad_enabled(), (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    matmul = torch.get_float32_matmul_precision()
    variables = dict(os.environ)
    main = threading.current_thread() is threading.main_thread()
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)} if main else {}
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warn)
        torch.set_float32_matmul_precision(matmul)
        for name in set(os.environ) - set(variables):
            del os.environ[name]
        os.environ.update(variables)
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's banners, tips and warnings from the terminal; imblens reports what users need to know."""
    import lightning.pytorch  # noqa: F401 - sets levels of its own when it is imported

    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch", "lightning.fabric")]
    loggers += [logging.getLogger(f"{logger.name}.utilities.rank_zero") for logger in loggers[1:]]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(lightning|pytorch_lightning|lightning_fabric|kornia|torch)\b")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
