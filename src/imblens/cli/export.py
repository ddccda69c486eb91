"""imblens export: suspects, errors and predictions in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.cli import _tables as tables
from imblens.cli._explain import explain, named
from imblens.cli._lists import use
from imblens.cli._shared import CLAIMED, Force, Json, Out, emit, examples, progress

EXAMPLES = examples(
    "imblens export RUN --to label-studio --out tasks",
    "imblens export RUN --to cvat --ids wrong-labels.csv --images PHOTOS --out cvat",
    "imblens export RUN --to spotlight --out view",
)


def command(
    source: Path = typer.Argument(..., metavar=tables.SOURCE, help="A captured run, an archive or a table."),
    to: str = typer.Option(
        ...,
        "--to",
        metavar="label-studio|cvat|coco|fiftyone|spotlight|datalab",
        help="Format; imblens list exports explains them.",
        autocompletion=named("exports"),
    ),
    out: Path = Out,
    what: str | None = typer.Option(
        None,
        "--what",
        metavar="suspects|errors|predictions",
        help="Instances to export; by default label suspects for label-studio, cvat and coco, all for the others. "
        "Not with datalab, which takes all training instances.",
    ),
    of: str | None = typer.Option(None, "--class", metavar="NAME", help="Only instances of this class."),
    ids: Path | None = typer.Option(
        None,
        "--ids",
        metavar="FILE.csv",
        help="Only instances in its column id, such as the list that a report downloads.",
    ),
    limit: int | None = typer.Option(None, "--limit", metavar="N", help="At most N instances, the first in order."),
    images: str | None = typer.Option(
        None,
        "--images",
        metavar="DIR|URL",
        help="Folder or URL in which the ids of the run are image files; default: the stored thumbnails.",
    ),
    columns: tables.TableOptions = tables.TableOptions(),
    explain_format: str | None = explain("exports"),
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Write label suspects, errors or predictions for Label Studio, CVAT, COCO readers, FiftyOne, Spotlight or Datalab."""
    from imblens.exports import export, find_export

    one = find_export(to)
    run = tables.load(source, columns)
    progress(f"exporting to {one.name}")
    CLAIMED.append(out)
    path = export(run, to, out, what=what, of=of, ids=ids, limit=limit, images=images, force=force)
    what = what or one.what
    has_images = images is not None or run.train.preview_kind == "image"
    emit(
        {"export": path, "to": one.name, "what": what},
        [f"export: {path}", f"use: {use(one, out, images=has_images)}"],
        as_json=as_json,
    )
