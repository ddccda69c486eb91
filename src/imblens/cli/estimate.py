"""imblens estimate: accuracy per class where there are no labels, or few."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.cli._names import unused
from imblens.cli._shared import Json, begin, emit, examples, progress, rows, shown, step

EXAMPLES = examples(
    "imblens estimate RUN --unlabelled NEW.npz",
    "imblens estimate RUN --unlabelled NEW.npz --labels labels.csv --out estimate",
)


def command(
    source: Path = typer.Argument(..., metavar="RUN|ARRAYS.npz", help="A captured run, or an archive of arrays."),
    unlabelled: Path = typer.Option(
        ...,
        "--unlabelled",
        metavar="DATA|ARRAYS.npz",
        help="features or logits, and ids, in an .npz; features in an .npy; the test split of another run; or images, where "
        "imblens trained the network.",
    ),
    labels: Path | None = typer.Option(
        None, "--labels", metavar="FILE.csv", help="Columns id, label: known labels of some of these instances."
    ),
    choose_on: str = typer.Option(
        "val", "--choose-on", metavar="val|test", help="Without --labels: split on which probabilities are calibrated."
    ),
    out: Path | None = typer.Option(None, "--out", metavar="DIR", help="Also write tables and estimate.json."),
    force: bool = typer.Option(False, "--force", help="Overwrite the content of --out."),
    as_json: bool = Json,
) -> None:
    """Estimate recall, precision, confusion and share of each class on data without labels, or refuse to."""
    from imblens.decisions import estimate, read_labels, refused, share_lines
    from imblens.run import Run
    from imblens.workflows import new_instances

    run = Run.load(source)
    if out is not None:
        begin(out, force=force)
    data = new_instances(source, unlabelled, progress=progress)
    known = None if labels is None else read_labels(run, labels, data)
    with step(f"estimated on {len(data.ids):,} instances"):
        found = estimate(run, unlabelled=data, labels=known, choose_on=choose_on)
    if found.verdict == "refused":
        raise refused(found)
    if out is not None:
        found.save(out, force=True)
    table = found.tables["estimate"]
    emit(
        {"summary": found.summary, **{name: one.to_dict("records") for name, one in found.tables.items()}},
        [
            *rows(table[[name for name in table if not name.startswith("precision_")]]),
            *found.lines(),
            *share_lines(found)[:5],
            *found.notes,
            *([f"estimate: {out}"] if out is not None else []),
            f"next: {shown('imblens', 'predict', source, unlabelled, '--out', unused('predictions.parquet'))}",
        ],
        as_json=as_json,
    )
