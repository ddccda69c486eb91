"""Running the jobs of a study, in this process or in several; each job writes its cells as they are finished."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from imblens.base.progress import duration, tracked
from imblens.errors import ImblensError
from imblens.studies._store import Store

DETAILS = "details"
UNTREATED = "none"  # treatment, over-sampler: the network as it is


class Job(ABC):
    """A unit of work: usually one trained network and everything measured on it. It can be pickled.

    Attributes:
        details: names of the rows for figures that every cell keeps; `measure` yields them by name as the value `DETAILS`.
    """

    details: tuple[str, ...] = ()

    @property
    @abstractmethod
    def label(self) -> str:
        """Name in progress lines."""

    @property
    @abstractmethod
    def cells(self) -> list[dict[str, Any]]:
        """Return the key of every cell: plain JSON values, the columns by which results are grouped."""

    @abstractmethod
    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield (key, values) for each of the `wanted` cells, as soon as it is finished."""

    def images(self, store: Store) -> dict[str, Path]:
        """Return sheets of synthetic images, by name."""
        return {}


def open_cells(job: Job, store: Store) -> list[dict[str, Any]]:
    """Return the keys of the cells of a job that are not finished."""
    return [key for key in job.cells if store.finished(key, job.details) is None]


def do(jobs: Sequence[Job], store: Store, *, workers: int, progress: Callable[[str], object]) -> None:
    """Run the jobs that are not finished.

    Args:
        jobs: each may run in another process.
        store: where cells are read and written.
        workers: processes, each with its share of the cores; 1 uses this one.
        progress: called with a line for every finished job.
    """
    start = time.monotonic()
    open_jobs = [job for job in jobs if open_cells(job, store)]
    done = len(jobs) - len(open_jobs)
    if done:
        progress(f"{done} of {len(jobs)} jobs were finished before.")

    def report(job: Job) -> None:
        nonlocal done
        done += 1
        finished = done - (len(jobs) - len(open_jobs))
        left = (time.monotonic() - start) / finished * (len(open_jobs) - finished)
        progress(f"{done}/{len(jobs)}  {job.label}  (about {duration(left)} left)")

    workers = min(workers, len(open_jobs))
    if workers <= 1:
        for job in tracked(open_jobs, lambda job: job.label):
            _work(job, store)
            report(job)
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin_worker, (os.getpid(), threads)) as pool:
        running = {pool.submit(_work, job, store): job for job in open_jobs}
        try:
            for future in tracked(as_completed(running), "jobs", len(running)):
                future.result()
                report(running[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _work(job: Job, store: Store) -> None:
    """Measure the open cells of a job. A cell that the input does not allow is finished with the reason."""
    try:
        for key, values in job.measure(store, open_cells(job, store)):
            store.write(key, {name: value for name, value in values.items() if name != DETAILS}, values.get(DETAILS))
    except ImblensError as error:
        raise type(error)(f"{job.label}: {error.message}", hint=error.hint) from error


def _begin_worker(parent: int, threads: int) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[name] = str(threads)
    import torch

    torch.set_num_threads(threads)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: int) -> None:
    """End this process when its parent has ended: nothing else would end it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
