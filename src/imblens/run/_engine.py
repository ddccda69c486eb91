"""Where statistics over the parts of a split are computed: in this process, or as tasks of a Ray cluster."""

from __future__ import annotations

import logging
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from imblens.errors import DependencyError, MissingError, did_you_mean

if TYPE_CHECKING:
    from imblens.run._split import Part, Split
    from imblens.run.statistics import Statistic

Result = TypeVar("Result")
ENGINES = ("local", "ray")
_CHOSEN: ContextVar[str] = ContextVar("engine", default="local")


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Compute statistics with an engine while the block lasts; results are the same with each.

    "ray" makes a task of every part of a split. It uses the cluster that this process is connected to or that RAY_ADDRESS
    names, else it starts one on this machine and ends it afterwards. Arrays that lie on disk are read by the workers, so a
    run must be on a path that all of them see; arrays in memory are sent. What needs all instances at once (the neighbour
    graph, the map) is computed here in any case.

    Args:
        name: "local" or "ray".

    Raises:
        MissingError: no such engine.
        DependencyError: Ray is not installed.
    """
    if name not in ENGINES:
        raise MissingError(f"there is no engine {name!r}.", hint=did_you_mean(name, ENGINES))
    if name == "local":
        yield
        return
    with _cluster():
        token = _CHOSEN.set(name)
        try:
            yield
        finally:
            _CHOSEN.reset(token)


def computed(split: Split, make: Callable[[], Statistic[Result]]) -> Iterator[Statistic[Result]]:
    """A statistic for every part of `split` that has seen its part, in the order of the parts."""
    starts = np.cumsum([0, *(len(part) for part in split.parts[:-1])]).tolist()
    if _CHOSEN.get() == "local" or len(split.parts) == 1:
        for part, start in zip(split.parts, starts, strict=True):
            yield _seen(make(), split, part, start)
        return
    import ray

    task: Any = ray.remote(_task)
    bare = replace(split, parts=(), _cache={})
    tasks = [task.remote(make(), bare, _packed(part), start) for part, start in zip(split.parts, starts, strict=True)]
    for running in tasks:
        yield ray.get(running)


def _seen(statistic: Statistic[Result], split: Split, part: Part, start: int) -> Statistic[Result]:
    for batch in split.part_batches(part, start, logits=statistic.needs_logits):
        statistic.update(batch)
    return statistic


def _task(statistic: Statistic[Result], split: Split, packed: dict[str, Any], start: int) -> Statistic[Result]:
    from imblens.run._split import Part

    part = Part(**{name: _unpacked(value) for name, value in packed.items()})
    return _seen(deepcopy(statistic), split, part, start)  # what Ray brings cannot be written to


def _packed(part: Part) -> dict[str, Any]:
    return {name: _where(getattr(part, name)) for name in ("features", "labels", "logits")}


def _where(array: Any) -> Any:
    """The file of an array that is mapped whole; any other array itself."""
    whole = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)
    return Path(array.filename).resolve() if whole else array


def _unpacked(value: Any) -> Any:
    if isinstance(value, Path):
        return np.load(value, mmap_mode="r", allow_pickle=False)
    return value


@contextmanager
def _cluster() -> Iterator[None]:
    """A connection to Ray; what was started here is ended, and nothing of it stays on disk or goes out."""
    environment = dict(os.environ)
    try:
        import ray
    except ImportError as error:
        raise DependencyError(
            "the engine 'ray' needs Ray, which is not installed.",
            hint="Run `pip install 'imblens[ray]'`, or leave out --engine.",
        ) from error
    if ray.is_initialized():
        yield
        return
    folder = tempfile.mkdtemp(prefix="imblens-ray-")
    place: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"address": "local", "_temp_dir": folder}
    try:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else Ray tells its makers that it was started
        if place and not any(name.startswith("RAY_AUTH_TOKEN") for name in os.environ):
            os.environ["RAY_AUTH_TOKEN"] = token_hex(32)  # else Ray leaves one in the home folder
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **place)
        yield
    finally:
        ray.shutdown()
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        shutil.rmtree(folder, ignore_errors=True)
