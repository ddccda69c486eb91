"""From a run to the files of another tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imblens.base.files import claim
from imblens.base.registry import Registry
from imblens.errors import InputError
from imblens.exports._coco import write_coco
from imblens.exports._cvat import write_cvat
from imblens.exports._datalab import check_datalab, write_datalab
from imblens.exports._fiftyone import check_fiftyone, write_fiftyone
from imblens.exports._job import Job, need_images
from imblens.exports._label_studio import write_label_studio
from imblens.exports._media import media
from imblens.exports._select import select
from imblens.exports._spotlight import write_spotlight
from imblens.report import Audit
from imblens.run import Run, as_run


@dataclass(frozen=True)
class Export:
    """One format.

    Attributes:
        name: as in `imblens export RUN --to NAME`.
        purpose: one line.
        what: the instances that are exported by default.
        use: how the files are opened, with `{out}` for their folder and `{image}` for the type of a column of images.
        write: writes the files of a job into a folder, and returns the main one.
        check: refuses a job before anything is written.
    """

    name: str
    purpose: str
    what: str
    use: str
    write: Callable[[Job, Path], Path]
    check: Callable[[Job], None] = lambda job: None


def _built_in() -> dict[str, Export]:
    found = (
        Export(
            "label-studio",
            "Label Studio: tasks with pre-annotations, and the labelling interface.",
            "suspects",
            "Make a project, paste {out}/interface.xml as its labelling interface, import {out}/tasks.json. With --images "
            "DIR, serve the files: LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true "
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=DIR label-studio",
            write_label_studio,
        ),
        Export(
            "cvat",
            "CVAT: labels of the task, and its annotations as tags (CVAT for images 1.1).",
            "suspects",
            "cvat-cli task create suspects --labels {out}/labels.json --annotation_path {out}/annotations.xml "
            "--annotation_format 'CVAT 1.1' local {out}/images/*",
            write_cvat,
            need_images,
        ),
        Export(
            "coco",
            "JSON in the layout of COCO: images, categories, a label of the whole image as an annotation.",
            "suspects",
            "pycocotools.coco.COCO('{out}/annotations.json')",
            write_coco,
            need_images,
        ),
        Export(
            "fiftyone",
            "FiftyOne: a data set with labels, predictions, suggestions and facts of every image.",
            "predictions",
            "fiftyone.Dataset.from_dir('{out}', dataset_type=fiftyone.types.FiftyOneDataset)",
            write_fiftyone,
            check_fiftyone,
        ),
        Export(
            "spotlight",
            "Renumics Spotlight: one Parquet file with facts, images or texts, and embeddings.",
            "predictions",
            "renumics.spotlight.show('{out}/instances.parquet', dtype={{{image}'embedding': 'Embedding'}})",
            write_spotlight,
        ),
        Export(
            "datalab",
            "cleanlab's Datalab: labels, probabilities out of sample and features of the training instances.",
            "predictions",
            "table = pandas.read_parquet('{out}/instances.parquet'); "
            "lab = cleanlab.Datalab({{'label': table['label'].tolist()}}, label_name='label'); "
            "lab.find_issues(pred_probs=numpy.stack(table['pred_probs']), features=numpy.stack(table['features']))",
            write_datalab,
            check_datalab,
        ),
    )
    return {one.name: one for one in found}


EXPORTS: Registry[Export] = Registry("export", _built_in)


def exports() -> dict[str, Export]:
    """Every format by name.

    Example:
        >>> sorted(exports())[:3]
        ['coco', 'cvat', 'datalab']
    """
    return EXPORTS.copy()


def find_export(name: str) -> Export:
    """Return a format by name.

    Raises:
        MissingError: no such format; the hint names the nearest.

    Example:
        >>> find_export("coco").name
        'coco'
    """
    return EXPORTS.find(name)


def export(
    found: Run | Audit,
    to: str,
    out: str | Path,
    *,
    what: str | None = None,
    of: str | None = None,
    ids: Sequence[str] | str | Path | None = None,
    limit: int | None = None,
    images: str | Path | None = None,
    force: bool = False,
) -> Path:
    """Write label suspects, errors or all predictions in the format of another tool.

    Args:
        found: a run, or its audit.
        to: the format: "label-studio", "cvat", "coco", "fiftyone", "spotlight" or "datalab".
        out: folder; created when missing.
        what: "suspects" (training instances whose label is doubtful, highest score first), "errors" (misclassified test
            instances, most confident first) or "predictions" (all). By default suspects for tools that annotate, else all.
        of: only instances of this class.
        ids: only these instances: texts, or the path of a CSV with a column `id`, such as a report's list of ticked ones.
        limit: at most so many instances, 1 or more.
        images: folder or address (https://...) below which the ids of the run are names of image files. By default the
            stored thumbnails (64 pixels at most) are exported, of texts their first 300 characters.
        force: overwrite the files of an earlier export in `out`.

    Returns:
        The path of the main file.

    Raises:
        MissingError: no such format, class, id, folder or image file.
        InputError: nothing to export.
        NotApplicable: the run lacks what the format needs; states the reason.
        ExistsError: `out` holds files and `force` is false.
        StorageError: the disk is full or read-only.

    Example:
        >>> import numpy as np, tempfile
        >>> features = np.r_[np.zeros(30), 9 * np.ones(30)][:, None] + np.linspace(0, 1, 60)[:, None]
        >>> run = Run.from_arrays(train=(features, ["cat"] * 29 + ["dog"] + ["dog"] * 30))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = export(run, "label-studio", folder)
        ...     path.name, path.read_text().count('"predictions"')
        ('tasks.json', 1)
    """
    run = found.run if isinstance(found, Audit) else as_run(found, "export")
    one = find_export(to)
    target = Path(out)
    if target.exists() and not target.is_dir():
        raise InputError(f"out={target} is a file.", hint="Give a folder.")
    table = select(run, what or one.what, of=of, ids=ids, limit=limit)
    job = Job(run, table, what or one.what, media(run, table, images))
    one.check(job)
    return one.write(job, claim(target, force=force))
