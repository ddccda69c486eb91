"""One of the processes that train a network together."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from imblens.base.files import write_text
from imblens.data import ImageSet, ImageSplit
from imblens.errors import ImblensError
from imblens.training._plan import TrainingPlan
from imblens.training._prepare import prepare
from imblens.training._ranks import rank, read_json
from imblens.training._train import fit_prepared


def main() -> None:
    """Run one of the processes; its folder is the last argument."""
    shared = Path(sys.argv[-1])
    job = read_json(shared / "job.json")
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
