"""`imblens capture --complete RUN`: what a merged run lacks, and the command that adds it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.base.remote import COPIES, address_of
from imblens.errors import ImblensError, InputError

if TYPE_CHECKING:
    from imblens.run import Additions, Run

SHARE = 0.01  # of a channel's activations that are strong, where --concepts is not given
NOT_REPEATED = ("shard", "out", "complete", "force", "as_json", "engine", "address")
Progress = Callable[[str], object]


def typed(context: Any) -> list[str]:
    """The running `imblens capture` in words, but for where it writes and which part it captures."""
    words = ["imblens", "capture"]
    for one in () if context is None else context.command.params:
        source, value = context.get_parameter_source(one.name), context.params.get(one.name)
        if one.name in NOT_REPEATED or source is None or source.name == "DEFAULT":
            continue
        if one.param_type_name == "argument":
            words.append(_text(value))
        elif isinstance(value, bool):
            words.append((one.opts if value else one.secondary_opts)[0])
        else:
            words += [one.opts[0], _text(value)]
    return words


def _text(value: Any) -> str:
    return str(value) if not isinstance(value, Path) else address_of(value) or str(value)


def place_of(out: Path | None, complete: Path | None, shard: str | None) -> Path:
    """The folder that is written; refuse options that cannot be joined."""
    if complete is None:
        if out is None:
            raise InputError("capture needs --out.", hint="Give a new folder; or --complete RUN, of a merged run.")
        return out
    for option, value in (("--out", out), ("--shard", shard)):
        if value is not None:
            raise InputError(f"--complete {complete} writes into that run.", hint=f"Leave out {option}.")
    return complete


def completed(asked: Any, run: Path, engine: str, address: str | None, progress: Progress) -> Run:
    """Add to a merged run what it lacks, measured here or by a worker of Ray."""
    from imblens.extraction import check_incomplete
    from imblens.run import Run, add, connected, lacks

    merged = Run.load(run)
    check_incomplete(merged)
    _check_share(asked, merged)
    if engine == "ray":
        with connected(address):
            refuse_copies(asked, run)
            found = measured_by_ray(asked, merged)
    else:
        found = asked.lacking(asked.images(), merged, progress)
    progress(f"adding {', '.join(lacks(merged))}")
    del merged  # Windows renames no file that is mapped
    return add(run, found)


def completed_after_merge(asked: Any, out: Path, progress: Progress) -> Run:
    """The same after a capture by Ray, to which this process is connected; after an error the merged run is kept."""
    from imblens.cli._shared import Stopped, shown
    from imblens.run import Run, add, lacks

    run = Run.load(out)
    if not lacks(run):
        return run
    names = ", ".join(lacks(run))
    kept = f"{out} is complete but for {names}; add them with: {shown(*asked.words, '--complete', out)}"
    progress(f"adding {names}")
    try:
        found = measured_by_ray(asked, run)
        del run  # Windows renames no file that is mapped
        return add(out, found)
    except ImblensError as error:
        raise type(error)(error.message, hint=f"{error.hint or ''} {kept}".lstrip()) from error
    except KeyboardInterrupt:
        raise Stopped("interrupted.", hint=kept) from None


def _check_share(asked: Any, run: Run) -> None:
    """Refuse a share of strong activations that the shards were not captured with, where it was typed."""
    share, recorded = asked.capture["concepts"], run.meta["to_complete"].get("concepts")
    if share != SHARE and recorded is not None and share != recorded:
        raise InputError(
            f"--concepts {share:g} is not that of the shards of {run.path}, {recorded:g}.", hint="Leave it out."
        )


def refuse_copies(asked: Any, out: Path) -> None:
    """Refuse data and output that only this machine has, where the cluster has several."""
    import ray

    cluster: Any = ray  # parts of which have no types
    copied = COPIES.origin(out) or COPIES.origin(Path(asked.data))
    if copied is not None and sum(bool(node["Alive"]) for node in cluster.nodes()) > 1:
        raise InputError(
            f"{copied} is copied to this machine only, and the cluster has several.",
            hint="Give folders that all machines share.",
        )


def of_cluster() -> tuple[int, int]:
    """The GPUs of the cluster, and how many tasks it runs at once."""
    import ray

    cluster: Any = ray
    resources = cluster.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    return gpus, gpus or int(resources.get("CPU", 1))


def measured_by_ray(asked: Any, run: Run) -> Additions:
    """What a merged run lacks, measured in one task, on a GPU where the cluster has one."""
    from imblens.run import tasks

    assert run.path is not None
    given = [(asked, str(Path.cwd()), Path(run.path).absolute())]
    found = next(iter(tasks(lacking_task, given, gpus=min(of_cluster()[0], 1))))
    if isinstance(found, str):
        raise InputError(found)
    return found


def lacking_task(asked: Any, place: str, run: Path) -> Additions | str:
    """What a worker measures of a merged run; what imblens reports is returned as text."""
    from imblens.run import Run

    os.chdir(place)
    try:
        return asked.lacking(asked.images(), Run.load(run), str)
    except ImblensError as error:
        return str(error)
