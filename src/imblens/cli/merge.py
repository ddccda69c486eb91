"""imblens merge: the shards of one capture as one run."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.cli._shared import Force, Json, Out, emit_run, examples

EXAMPLES = examples("imblens merge PART_0 PART_1 --out RUN")


def command(
    parts: list[Path] = typer.Argument(
        ..., metavar="PART ...", help="What `imblens capture --shard i/n` wrote, all n in any order."
    ),
    out: Path = Out,
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Join the shards of one capture into one run; the command that it prints adds concepts and shortcuts."""
    from imblens.run import merge

    run = merge(parts, out, force=force)
    emit_run(run, out, f"merged {len(parts)} shards:", as_json=as_json)
