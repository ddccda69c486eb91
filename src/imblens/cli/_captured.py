"""The work of `imblens capture` from plain options: here, a part of it, or all of it by the workers of a Ray cluster."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from imblens.base.remote import COPIES
from imblens.cli._shared import Stopped
from imblens.errors import ImblensError, InputError
from imblens.run import Additions, Run

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Asked:
    """Options of `imblens capture`, which other processes can be sent.

    Attributes:
        data: folder, archive or name.
        reading: further arguments of `load_images`.
        model, weights, unsafe_pickle, seed: the network.
        capture: further arguments of `capture`.
        words: the command line that completes a run which is merged from shards, but for the run.
    """

    data: str
    reading: Mapping[str, Any]
    model: str
    weights: Path | None
    unsafe_pickle: bool
    seed: int
    capture: Mapping[str, Any]
    words: Sequence[str] = ()

    def images(self) -> Any:
        """The data set."""
        from imblens.data import load_images

        return load_images(self.data, **self.reading)

    def run(self, images: Any, out: Path, progress: Progress, part: tuple[int, int] | None = None) -> Run:
        """Capture the images, or part i of n of them, into a folder that was claimed."""
        from imblens.extraction import TrainingMeans, capture
        from imblens.models import weights_digest

        options = dict(self.capture)
        splits = splits_of(images)
        meta: dict[str, Any] = {}
        if part is not None:
            lacking = {"concepts": options["concepts"], "maps": options["maps"], "command": list(self.words)}
            splits, meta = sharded(splits, *part, lacking)
            options["probes"] = [TrainingMeans()] if options["shortcuts"] else []
            options |= {"shortcuts": False, "concepts": None}  # both depend on the whole training split
            progress(meta["notes"][0])
        network = self._network(images, progress)
        if part is not None:
            meta["shard"]["network"] = meta["to_complete"]["network"] = weights_digest(network)
        made = {"factory": self.model, "weights": None if self.weights is None else self.weights.name}
        return capture(
            network,
            **splits,
            classes=images.classes,
            **options,
            out=out,
            force=True,
            progress=progress,
            meta={"data": images.source, "model": made, "seed": self.seed, **meta},
        )

    def lacking(self, images: Any, run: Run, progress: Progress) -> Additions:
        """What a run that was merged from shards lacks, measured on all images."""
        from imblens.extraction import check_incomplete, lacking

        check_incomplete(run)
        names = ("outputs", "layer", "features", "preprocessing")
        options = {name: self.capture[name] for name in names}
        splits = {name: split for name, split in splits_of(images).items() if name != "val"}
        network = self._network(images, progress)
        return lacking(run, network, splits, classes=images.classes, **options, progress=progress)

    def _network(self, images: Any, progress: Progress) -> Any:
        import torch

        from imblens.models import load_weights, make_network

        height, width = (self.capture["preprocessing"] or {}).get("size") or images.train.image(0).shape[:2]
        torch.manual_seed(self.seed)  # of weights that are drawn, and of what else a function that builds it may draw
        network = make_network(self.model, images.n_classes, size=(int(height), int(width)))
        if self.weights is not None:
            load_weights(network, self.weights, unsafe_pickle=self.unsafe_pickle, progress=progress)
        elif not Path(self.model.removeprefix("transformers:")).is_dir():
            progress("no --weights: the network is captured as it was built; one built by name is untrained.")
        return network


def splits_of(images: Any) -> dict[str, Any]:
    """The splits that are captured."""
    return {
        "train": images.train,
        "test": images.held_out,
        "val": images.val if images.test is not None else None,
    }


def sharded(
    splits: Mapping[str, Any], index: int, of: int, lacking: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every N-th image of each split from the I-th on, and what the run records about it."""
    from imblens.run import NO_BOXES, NOT_YET, ONLY_TRAINING, TO_COMPLETE, shard_note

    found: dict[str, Any] = {}
    for name, split in splits.items():
        if split is not None and len(split) < of:
            raise InputError(
                f"--shard {index}/{of}: the {name} split has {len(split)} images only.", hint="Choose fewer parts."
            )
        found[name] = None if split is None else split.subset(range(index, len(split), of))
    counts = {name: len(split) for name, split in splits.items() if split is not None}
    shard = {"index": index, "of": of, "instances": counts}
    meta: dict[str, Any] = {"shard": shard, "notes": [shard_note(index, of)], TO_COMPLETE: dict(lacking)}
    boxed = [name for name, split in splits.items() if split is not None and any(map(len, split.boxes or ()))]
    if "test" not in boxed:
        meta[TO_COMPLETE]["concepts"] = None
    reason = NOT_YET["concepts"] if "test" in boxed else ONLY_TRAINING if "train" in boxed else NO_BOXES
    meta["concepts"] = {"skipped": reason}
    return found, meta


def by_ray(asked: Asked, images: Any, out: Path, progress: Progress, address: str | None) -> Run:
    """Capture in Ray tasks, a shard each, into OUT/parts, and merge them, and add what needs all images.

    A task whose worker is killed is tried again.

    OUT/parts is removed when the shards are merged; if that fails, the finished ones stay there.

    Two shards for every GPU of the cluster, or every core where it has none. All workers must be able to read the data and
    to write to `out`.
    """
    from imblens.cli._completing import completed_after_merge, refuse_copies
    from imblens.run import connected, merge

    parts = out / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    with connected(address):
        with finished_kept(parts, out, progress):
            refuse_copies(asked, out)
            merge(_shards_by_ray(asked, images, parts, progress), out, force=True)
        shutil.rmtree(parts, ignore_errors=True)
        return completed_after_merge(asked, out, progress)


def _shards_by_ray(asked: Asked, images: Any, parts: Path, progress: Progress) -> list[Path]:
    """The folders of the shards, each captured by a task."""
    from imblens.cli._completing import of_cluster
    from imblens.run import tasks

    gpus, workers = of_cluster()
    smallest = min(len(split) for split in splits_of(images).values() if split is not None)
    of = max(1, min(2 * workers, smallest))
    folders = [parts / f"shard-{index}" for index in range(of)]
    given = [(asked, str(Path.cwd()), folder.absolute(), index, of) for index, folder in enumerate(folders)]
    for index, failed in enumerate(tasks(shard_task, given, gpus=min(gpus, 1))):
        if failed is not None:
            raise InputError(failed)
        progress(f"captured {index + 1} of {of} shards")
    return folders


@contextmanager
def finished_kept(parts: Path, out: Path, progress: Progress) -> Iterator[None]:
    """After an error or Ctrl-C, keep the shards that were captured, and add to the message how they become the run."""
    try:
        yield
    except BaseException as error:
        finished = [folder for folder in parts.glob("shard-*") if (folder / "run.json").exists()]
        if not finished or COPIES.origin(out) is not None:
            shutil.rmtree(parts, ignore_errors=True)
            raise
        for folder in set(parts.iterdir()) - set(finished):
            shutil.rmtree(folder, ignore_errors=True)
        hint = _to_finish(finished, parts, out)
        if isinstance(error, ImblensError):
            raise type(error)(error.message, hint=f"{error.hint} {hint}".lstrip()) from error
        if isinstance(error, KeyboardInterrupt):
            raise Stopped("interrupted.", hint=hint) from None
        progress(hint)
        raise


def _to_finish(finished: Sequence[Path], parts: Path, out: Path) -> str:
    """What is kept, and what to type."""
    of = int(json.loads((finished[0] / "run.json").read_text(encoding="utf-8"))["shard"]["of"])
    joined = f"imblens merge {quote(str(parts))}/shard-* --out {quote(str(out))} --force"
    if len(finished) == of:
        return f"All {of} shards are kept in {parts} until you remove them; join them with: {joined}"
    names = {folder.name for folder in finished}
    lacking = next(index for index in range(of) if f"shard-{index}" not in names)
    return (
        f"{len(finished)} of {of} shards are kept in {parts}. Capture the others, the next with --shard {lacking}/{of} "
        f"--out {quote(str(parts / f'shard-{lacking}'))}, then join them with: {joined}"
    )


def shard_task(asked: Asked, place: str, out: Path, index: int, of: int) -> str | None:
    """What a worker does; what imblens reports is returned, with the shard that it is about."""
    os.chdir(place)
    try:
        out.mkdir(parents=True, exist_ok=True)
        asked.run(asked.images(), out, str, (index, of))
    except ImblensError as error:
        return f"shard {index}/{of}: {error}"
    return None
