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
from imblens.errors import ImblensError, InputError
from imblens.training._plan import TrainingPlan

if TYPE_CHECKING:
    from imblens.data import ImageSet

RANK, WORLD = "LOCAL_RANK", "IMBLENS_DEVICES"  # of this process, how many there are


def refuse_missing(devices: int, *, batch: int, features: str = "") -> None:
    """Refuse more devices than there are, and what cannot be split over several.

    Args:
        devices: asked for.
        batch: images of the smallest batch.
        features: what reads the features of a whole batch; "" for nothing.

    Raises:
        InputError: states what was asked, what there is and what to do.
    """
    import torch

    if devices == 1:
        return
    gpus = torch.cuda.device_count()
    known, what = (gpus, "GPU") if gpus else (os.cpu_count() or 1, "processor core")
    if devices > known:
        raise InputError(
            f"{devices} devices were asked for, and this machine has {known} {what}{'s' * (known > 1)}.",
            hint=f"Give --devices {known}, or leave it out." if known > 1 else "Leave out --devices.",
        )
    if batch < devices:
        raise InputError(
            f"batches of {batch} images cannot be split over {devices} devices.", hint="Raise --batch-size."
        )
    if features:
        raise InputError(
            f"{features} reads the features of a whole batch, which several devices split.",
            hint="Leave out --devices.",
        )


def rank() -> int:
    """Return the number of this process among those of the training, 0 where there is one."""
    return int(os.environ.get(RANK, 0)) if WORLD in os.environ else 0


def world() -> int:
    """Return how many processes train together."""
    return int(os.environ.get(WORLD, 1))


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
        typed = [sys.executable, "-c", "from imblens.training._devices import main; main()", temporary]
        processes = [
            subprocess.Popen(typed, env={**os.environ, **known, RANK: str(number)}) for number in range(plan.devices)
        ]
        try:
            _wait(processes)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_read(shared / "stopped.json").get("message", "")) from None
        finally:
            _end(processes)
        failed = [process.returncode for process in processes if process.returncode]
        error = _read(shared / "error.json")
        if error:
            raise ImblensError(error["message"], hint=error["hint"])
        if failed:
            raise ImblensError(
                f"a training process ended with exit code {failed[0]}.", hint="The reason is printed above."
            )
        return _read(shared / "done.json")


def main() -> None:
    """Run one of the processes; its folder is the last argument."""
    from imblens.data import ImageSet, ImageSplit
    from imblens.training._prepare import prepare
    from imblens.training._train import fit_prepared

    shared = Path(sys.argv[-1])
    job = _read(shared / "job.json")
    splits = {
        name: ImageSplit.from_arrays(
            np.load(shared / f"{name}-images.npy", mmap_mode="r"), np.load(shared / f"{name}-labels.npy")
        )
        for name in job["splits"]
    }
    named = {"name": job["name"], "classes": tuple(job["classes"]), "task": job["task"], "source": job["source"]}
    image_set = ImageSet(train=splits["train"], val=splits.get("val"), **named)
    folder, resume = Path(job["folder"]), bool(job["resume"])
    try:
        prepared = prepare(image_set, TrainingPlan(**job["plan"]), folder, resume=resume)
        trained = fit_prepared(
            image_set, prepared, folder, resume=resume, progress=bool(job["progress"]) and rank() == 0
        )
    except ImblensError as error:
        if rank() == 0:
            write_text(shared / "error.json", json.dumps({"message": error.message, "hint": error.hint}))
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        if rank() == 0:
            write_text(shared / "stopped.json", json.dumps({"message": str(stop)}))
        raise SystemExit(130) from None
    if rank() == 0:
        write_text(shared / "done.json", json.dumps({"device": trained.meta["device"]}))


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


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
