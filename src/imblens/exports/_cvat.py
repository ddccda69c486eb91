"""CVAT: annotations in "CVAT for images 1.1", the labels of the task, and thumbnails where they are the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imblens.base.files import write_text
from imblens.base.progress import tracked
from imblens.exports._job import Instance, Job, write_json
from imblens.exports._xml import element, legal, write_xml

FACTS = ("id", "split", "predicted", "confidence", "suggested", "suspect_score", "archetype")


def write_cvat(job: Job, out: Path) -> Path:
    """Write annotations.xml, labels.json, images.txt, and images/ where stored thumbnails are the images.

    Every image has its label as a tag, with what is known of it as attributes. CVAT finds an image of the task by its name.
    Sizes are those of the files; of images at an address they are unknown and left out.

    References:
        CVAT, XML annotation format, version 1.1, annotation mode.
    """
    instances = job.instances()
    sizes = [job.media.size(one.at) for one in tracked(instances, "reading sizes of images")]
    root = element("annotations")
    element("version", root, "1.1")
    task = element("task", element("meta", root))
    for tag, text in (("name", f"imblens {job.what}"), ("size", len(instances)), ("mode", "annotation")):
        element(tag, task, text)
    listed = element("labels", task)
    for name in job.run.classes:
        label = element("label", listed)
        element("name", label, name)
        element("type", label, "tag")
        attributes = element("attributes", label)
        for fact in FACTS:
            described = element("attribute", attributes)
            for tag, text in (("name", fact), ("mutable", "False"), ("input_type", "text")):
                element(tag, described, text)
            element("default_value", described, "")
            element("values", described, "")
    for number, (one, size) in enumerate(zip(instances, sizes, strict=True)):
        measures = {} if size is None else {"width": size[0], "height": size[1]}
        image = element("image", root, id=number, name=job.media.names[one.at], **measures)
        for name in one.labels:
            given = element("tag", image, label=name, source="file")
            for fact, value in _facts(one).items():
                element("attribute", given, value, name=fact)
    job.media.write(out / "images")
    write_json(out / "labels.json", _labels(job))
    write_text(out / "images.txt", "".join(f"{name}\n" for name in job.media.names))
    return write_xml(out / "annotations.xml", root)


def _facts(one: Instance) -> dict[str, str]:
    found = {name: value for name, value in one.facts().items() if name in FACTS}
    return {name: f"{value:.4f}" if isinstance(value, float) else str(value) for name, value in found.items()}


def _labels(job: Job) -> list[dict[str, Any]]:
    attributes = [
        {"name": fact, "mutable": False, "input_type": "text", "default_value": "", "values": [""]} for fact in FACTS
    ]
    return [{"name": legal(name), "type": "tag", "attributes": attributes} for name in job.run.classes]
