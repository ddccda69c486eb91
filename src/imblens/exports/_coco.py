"""JSON in the layout of COCO: images, categories, and an annotation for each label of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imblens.base.progress import tracked
from imblens.base.versions import IMBLENS
from imblens.exports._job import Job, write_json


def write_coco(job: Job, out: Path) -> Path:
    """Write annotations.json, and images/ where stored thumbnails are the images.

    COCO has no labels of whole images: the box of an annotation is the whole image, and left out with the size where that
    cannot be read (images at an address). `attributes` of an annotation hold what is known of the instance,
    `suggested_category_id` the class that is suggested for a label suspect.

    References:
        COCO, data format: images, annotations, categories.
    """
    number = {name: place for place, name in enumerate(job.run.classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for one in tracked(job.instances(), "reading sizes of images"):
        size = job.media.size(one.at)
        image: dict[str, Any] = {"id": one.at + 1, "file_name": job.media.names[one.at]}
        if size is not None:
            image |= {"width": size[0], "height": size[1]}
        if job.media.kind == "address":
            image["coco_url"] = job.media.shown[one.at]
        images.append(image)
        for name in one.labels:
            label: dict[str, Any] = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": number[name]}
            if size is not None:
                label |= {"bbox": [0, 0, *size], "area": size[0] * size[1]}
            label["iscrowd"] = 0
            if one.suggested is not None:
                label |= {"suggested_category_id": number[one.suggested], "score": one.score}
            label["attributes"] = {key: value for key, value in one.facts().items() if key != "class"}
            annotations.append(label)
    content = {
        "info": {"description": f"{job.what} of imblens", "version": IMBLENS},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": place, "name": name, "supercategory": ""} for name, place in number.items()],
    }
    job.media.write(out / "images")
    return write_json(out / "annotations.json", content)
