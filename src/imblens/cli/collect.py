"""imblens collect: which classes gain from more instances, and which instances to label next."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.cli._names import unused
from imblens.cli._shared import Force, Json, begin, emit, examples, progress, rows, shown, step

EXAMPLES = examples(
    "imblens collect RUN --out collect",
    "imblens collect RUN --pool POOL.npz --count 200 --out collect",
    "imblens collect RUN --pool images/ --class fracture --out collect",
)


def command(
    source: Path = typer.Argument(..., metavar="RUN|ARRAYS.npz", help="A captured run, or an archive of arrays."),
    out: Path = typer.Option(..., "--out", metavar="DIR", help="Folder to write: list.csv, tables/, collect.json."),
    pool: Path | None = typer.Option(
        None,
        "--pool",
        metavar="DATA|ARRAYS.npz",
        help="Unlabelled instances to choose from: features or logits, and ids, in an .npz or Parquet; features in an .npy; "
        "the test split of another run; or images, where imblens trained the network.",
    ),
    count: int = typer.Option(100, "--count", metavar="N", help="Length of the list."),
    classes: list[str] = typer.Option(
        [], "--class", metavar="NAME", help="A class that the list is for; may be repeated. Default: the rarest third."
    ),
    gain: bool = typer.Option(True, "--gain/--no-gain", help="Also compute what more instances of each class gain."),
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """State what more instances of each class would gain, and list the instances of a pool to label next."""
    from imblens.decisions import collect
    from imblens.run import Run
    from imblens.workflows import new_instances

    run = Run.load(source)
    begin(out, force=force)
    data = None if pool is None else new_instances(source, pool, progress=progress)
    with step("chose what to collect"):
        found = collect(run, pool=data, count=count, classes=classes or None, gain=gain)
    found.save(out, force=True)
    table = found.tables["classes"]
    columns = [
        "class",
        "train_count",
        "pool_share",
        "expected",
        "recall",
        "gain_2",
        "gain_2_low",
        "gain_2_high",
        "gain_4",
    ]
    emit(
        {
            "out": out,
            "notes": list(found.notes),
            "stated": found.stated._asdict(),
            **{name: one.to_dict("records") for name, one in found.tables.items()},
        },
        [
            *rows(table[[name for name in columns if name in table]]),
            *found.lines(),
            *found.notes,
            *([f"list: {out / 'list.csv'}"] if "list" in found.tables else []),
            f"collect: {out}",
            f"next: {shown('imblens', 'audit', source, '--deploy', out, '--out', unused('audit'))}",
        ],
        as_json=as_json,
    )
