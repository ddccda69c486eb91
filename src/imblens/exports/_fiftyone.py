"""FiftyOne: a data set on disk, one sample for each image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imblens.errors import InputError
from imblens.exports._job import Instance, Job, need_images, write_json


def check_fiftyone(job: Job) -> None:
    """Refuse images that are not files: FiftyOne reads them from disk."""
    need_images(job)
    if job.media.kind == "address":
        raise InputError("fiftyone reads images from disk, not from an address.", hint="Give a folder with --images.")


def write_fiftyone(job: Job, out: Path) -> Path:
    """Write metadata.json, samples.json, and data/ where stored thumbnails are the images.

    A sample has ground_truth and predictions (Classification, in a multi-label run Classifications), suggested of a label
    suspect, the text `imblens_id`, suspect_score and archetype. Its tags are its split, "error" where the prediction is not
    the label, and "suspect".

    References:
        FiftyOne, FiftyOneDataset: serialised samples (the form without a version, from which fields are inferred).
    """
    samples = [_sample(job, one) for one in job.instances() if job.media.shown[one.at] is not None]
    job.media.write(out / "data")
    write_json(out / "metadata.json", {"media_type": "image", "info": {"classes": list(job.run.classes)}})
    return write_json(out / "samples.json", {"samples": samples})


def _sample(job: Job, one: Instance) -> dict[str, Any]:
    source = job.media.shown[one.at]
    found: dict[str, Any] = {
        "filepath": str(source) if job.media.kind == "file" else f"data/{job.media.names[one.at]}",
        "tags": [one.split],
        "imblens_id": one.id,
        "ground_truth": _label(job, one.labels),
    }
    if one.predicted or (job.run.train.multilabel and job.run.splits[one.split].has_logits):
        found["predictions"] = _label(job, one.predicted, one.confidence)
        if set(one.predicted) != set(one.labels):
            found["tags"].append("error")
    if one.suggested is not None:
        found["suggested"] = _label(job, [one.suggested], one.score)
        found["tags"].append("suspect")
    if one.score is not None:
        found["suspect_score"] = one.score
    if one.archetype is not None:
        found["archetype"] = one.archetype
    return found


def _label(job: Job, labels: list[str], confidence: float | None = None) -> dict[str, Any]:
    each = [
        {"_cls": "Classification", "label": name} | ({} if confidence is None else {"confidence": confidence})
        for name in labels
    ]
    return {"_cls": "Classifications", "classifications": each} if job.run.train.multilabel else each[0]
