"""Training on several devices: one process each, gradients averaged (Lightning's DDP)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.base.files import write_text
from imblens.errors import ImblensError
from imblens.training._plan import TrainingPlan
from imblens.training._ranks import RANK, WORLD, read_json

if TYPE_CHECKING:
    from imblens.data import ImageSet


def train_in_processes(
    image_set: ImageSet, plan: TrainingPlan, folder: Path, *, resume: bool, progress: bool
) -> dict[str, Any]:
    """Train in one process for each device; return what the first states of itself.

    The processes read training and validation images from a temporary folder, and the first writes the network,
    checkpoints and log into `folder`, as a training in one process does.

    Raises:
        ImblensError: a process failed; the others are ended.
        KeyboardInterrupt: the user stopped it.
    """
    with tempfile.TemporaryDirectory(prefix="imblens-devices-") as temporary:
        shared = Path(temporary)
        _write_job(shared, image_set, plan, folder, resume=resume, progress=progress)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        threads = str(max(1, (os.cpu_count() or 1) // plan.devices))
        known = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            WORLD: str(plan.devices),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        typed = [sys.executable, "-c", "from imblens.training._worker import main; main()", temporary]
        processes = [
            subprocess.Popen(typed, env={**os.environ, **known, RANK: str(number)}) for number in range(plan.devices)
        ]
        try:
            _wait(processes)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(read_json(shared / "stopped.json").get("message", "")) from None
        finally:
            _end(processes)
        failed = [process.returncode for process in processes if process.returncode]
        error = read_json(shared / "error.json")
        if error:
            raise ImblensError(error["message"], hint=error["hint"])
        if failed:
            raise ImblensError(
                f"a training process ended with exit code {failed[0]}.", hint="The reason is printed above."
            )
        return read_json(shared / "done.json")


def _write_job(
    shared: Path, image_set: ImageSet, plan: TrainingPlan, folder: Path, *, resume: bool, progress: bool
) -> None:
    splits = {"train": image_set.train, **({} if image_set.val is None else {"val": image_set.val})}
    for name, split in splits.items():
        np.save(shared / f"{name}-images.npy", split.array())
        np.save(shared / f"{name}-labels.npy", split.targets)
    weights = None if plan.weights is None else str(Path(plan.weights).resolve())
    job = {
        "name": image_set.name,
        "classes": list(image_set.classes),
        "task": image_set.task,
        "source": {key: value for key, value in image_set.source.items() if key == "task"},
        "splits": list(splits),
        "plan": {**asdict(plan), "weights": weights},
        "folder": str(folder.resolve()),
        "resume": resume,
        "progress": progress,
    }
    write_text(shared / "job.json", json.dumps(job))


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all have ended, or one has failed: the others would wait for it for ever."""
    while any(process.poll() is None for process in processes):
        if any(process.returncode for process in processes):
            time.sleep(2.0)
            return
        time.sleep(0.05)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Give processes that were stopped time to write, then end them."""
    until = time.monotonic() + 10
    failed = any(process.returncode for process in processes)
    while not failed and time.monotonic() < until and any(process.poll() is None for process in processes):
        time.sleep(0.05)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
