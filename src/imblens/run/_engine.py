"""Where statistics over the parts of a split are computed: in this process, or as tasks of a Ray cluster."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import numpy as np

from imblens.base.remote import COPIES, fetched
from imblens.errors import DependencyError, ImblensError, InputError, MissingError, did_you_mean
from imblens.run._head import Head
from imblens.run._part import Part, mapped_file
from imblens.run.statistics import Statistic

Result = TypeVar("Result")
ENGINES = ("local", "ray")
RETRIES = 3  # of a task whose worker was killed
WAITING = 2  # tasks for each core that are submitted or whose results wait to be read
_CHOSEN: ContextVar[str] = ContextVar("engine", default="local")


@contextmanager
def engine(name: str, address: str | None = None) -> Iterator[None]:
    """Compute statistics with an engine inside the `with` block; the results do not depend on the engine.

    "ray" submits one task per part of a split. A task whose worker is killed is tried again, up to three times. It uses the
    cluster that this process is connected to or that `address` or RAY_ADDRESS names; otherwise it starts one on this machine
    and stops it afterwards. Workers read arrays on disk themselves, so the run must be on a path that all of them can read;
    arrays in memory are sent. Exact neighbours are tasks too, of blocks of instances, where there are more than some 16,000;
    an approximate search and the embedding map are computed in this process.

    Args:
        name: "local" or "ray".
        address: of a Ray cluster: "HOST:PORT", "ray://HOST:PORT", or "auto" for the one of this machine.

    Raises:
        MissingError: no such engine, or no cluster at the address.
        InputError: an address without Ray.
        DependencyError: Ray is not installed.
    """
    if name not in ENGINES:
        raise MissingError(f"there is no engine {name!r}.", hint=did_you_mean(name, ENGINES))
    if name == "local":
        if address is not None:
            raise InputError(
                f"the address {address!r} is that of a Ray cluster.", hint="Add --engine ray, or leave the address out."
            )
        yield
        return
    with connected(address):
        token = _CHOSEN.set(name)
        try:
            yield
        finally:
            _CHOSEN.reset(token)


def part_statistics(
    parts: Sequence[Part], n_classes: int, head: Head | None, make: Callable[[], Statistic[Result]]
) -> Iterator[Statistic[Result]]:
    """One statistic per part of a split, updated with that part, in the order of the parts.

    Args:
        parts: the parts of the split.
        n_classes: C.
        head: computes logits where none are stored.
        make: returns a new, empty statistic.
    """
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])]).tolist()
    if not uses_ray() or len(parts) == 1:
        for part, start in zip(parts, starts, strict=True):
            yield _updated(make(), part, start, n_classes, head)
        return
    names = ("features", "labels", "logits")
    packed = [{name: _file_or_array(getattr(part, name)) for name in names} for part in parts]
    yield from tasks(_task, list(zip(packed, starts, strict=True)), shared=(make(), n_classes, head))


def uses_ray() -> bool:
    """Whether this thread computes with Ray."""
    return _CHOSEN.get() == "ray"


def tasks(
    function: Callable[..., Result], given: Sequence[tuple[Any, ...]], *, gpus: int = 0, shared: Any = None
) -> Iterator[Result]:
    """What a function returns for every tuple of arguments, in their order, computed by Ray; see `connected`.

    At any time two tasks for each core of the cluster are submitted, so that memory does not grow with the number of tasks.

    Args:
        function: of a module that workers can import.
        given: arguments of each task. A task whose worker is killed is tried again, up to three times.
        gpus: that a task needs.
        shared: the first argument of all tasks unless it is None; sent once to each machine, where workers share its arrays.

    Raises:
        ImblensError: Ray could not compute a task: its worker was killed each time, a machine ended, memory was full.
        InputError: a worker could not read or write a file.
        Exception: what the function raised.
    """
    import ray

    cluster: Any = ray  # parts of which have no types
    remote: Any = ray.remote(max_retries=RETRIES, num_gpus=gpus)(function)
    waiting: deque[Any] = deque()
    try:
        first = () if shared is None else (ray.put(shared),)
        for arguments in given:
            waiting.append(remote.remote(*first, *arguments))
            if len(waiting) >= WAITING * max(1, int(cluster.cluster_resources().get("CPU", 1))):  # which may change
                yield cluster.get(waiting.popleft())
        while waiting:
            yield cluster.get(waiting.popleft())
    except cluster.exceptions.RayError as error:
        raise _explained(error, cluster.exceptions.RayError) from error


def _explained(error: Any, of_ray: type[Exception]) -> Exception:
    """What a task that failed is reported as: an exception of its function as it was, one of Ray as a sentence."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, OSError) and not isinstance(cause, ImblensError) and cause.filename:
        return InputError(
            f"a worker of Ray cannot use {cause.filename}: {cause.strerror}.",
            hint="Give paths that all machines of the cluster can read and write.",
        )
    if isinstance(cause, Exception) and not isinstance(cause, of_ray):
        return cause
    reason = next(iter(str(error).split("\n")), "").strip().rstrip(".") or type(error).__name__
    return ImblensError(
        f"Ray could not compute a task: {type(error).__name__}: {reason}.",
        hint="See `ray status` and the logs of the cluster; give its machines more memory, or leave out --engine.",
    )


def _updated(
    statistic: Statistic[Result], part: Part, start: int, n_classes: int, head: Head | None
) -> Statistic[Result]:
    for batch in part.batches(start, n_classes, head, logits=statistic.needs_logits):
        statistic.update(batch)
    return statistic


def _task(shared: tuple[Statistic[Result], int, Head | None], packed: dict[str, Any], start: int) -> Statistic[Result]:
    statistic, n_classes, head = shared
    part = Part(**{name: _unpacked(value) for name, value in packed.items()})
    return _updated(deepcopy(statistic), part, start, n_classes, head)  # what Ray passes is read-only


def _file_or_array(array: Any) -> Any:
    """The .npy file of an array that is mapped whole, its address where that is a copy of a file in object storage; any
    other array itself (a temporary file has no name)."""
    mapped = mapped_file(array)
    if mapped is None:
        return array
    file = mapped.resolve()
    address = COPIES.origin(file)
    if address is None:
        return file
    return array if address.startswith("memory://") else address  # which no other process has


def _unpacked(value: Any) -> Any:
    if isinstance(value, (str, Path)):
        return np.load(fetched(value), mmap_mode="r", allow_pickle=False)
    return value


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to Ray. A cluster started here is stopped; it leaves no file and sends no usage report."""
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
    place: dict[str, Any] = {"address": "local", "_temp_dir": folder}
    if address is not None or "RAY_ADDRESS" in os.environ:
        place = {} if address is None else {"address": address}
    try:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # otherwise Ray sends a usage report
        if "_temp_dir" in place and not any(name.startswith("RAY_AUTH_TOKEN") for name in os.environ):
            os.environ["RAY_AUTH_TOKEN"] = token_hex(32)  # otherwise Ray writes one to the home folder
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **place)
        except (ConnectionError, ValueError) as error:
            raise MissingError(
                f"there is no Ray cluster at {address or os.environ.get('RAY_ADDRESS')}: {str(error).splitlines()[0]}",
                hint="Start one with `ray start --head`, or leave the address out.",
            ) from error
        yield
    finally:
        ray.shutdown()
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        shutil.rmtree(folder, ignore_errors=True)
