"""What rows of `benchmarks.memory.commands` need beside a run: its shards, and a capture of arrays in a process of its own.

`python -m benchmarks.memory.prepare RUN OUT` captures the features of a run, as arrays, with a network whose last layer is the
head of the run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from imblens.run import Part, Run, Split

SHARDS = 4


def shards(run: Path, place: Path) -> list[Path]:
    """Write what `imblens capture --shard i/4` would have: instances i, i + 4, ... of every split. Those there are kept."""
    folders = [place / f"shard-{i}" for i in range(SHARDS)]
    whole = Run.load(run)
    counts = {name: len(split) for name, split in whole.splits.items()}
    for i, folder in enumerate(folders):
        if (folder / "run.json").exists():
            continue
        parts = {
            name: Split(
                (Part(np.ascontiguousarray(split.features[i::SHARDS]), split.labels[i::SHARDS]),),
                whole.classes,
                name,
                whole.head,
            )
            for name, split in whole.splits.items()
        }
        meta = {"shard": {"index": i, "of": SHARDS, "instances": counts}}
        Run(parts["train"], parts["test"], whole.head, whole.classes, meta=meta).save(folder, force=True)
    return folders


def main() -> None:
    import torch

    from imblens import capture

    run = Run.load(sys.argv[1])
    assert run.head is not None
    last = torch.nn.Linear(run.dim, run.n_classes)
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(run.head.weight))
        last.bias.copy_(torch.from_numpy(run.head.bias))
    data = {name: (np.array(split.features), split.labels) for name, split in run.splits.items()}
    capture(
        torch.nn.Sequential(torch.nn.Identity(), last),
        train=data["train"],
        test=data["test"],
        classes=run.classes,
        out=sys.argv[2],
        force=True,
    )


if __name__ == "__main__":
    main()
