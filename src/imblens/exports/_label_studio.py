"""Label Studio: tasks with pre-annotations, and the labelling interface that shows them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imblens.exports._job import Instance, Job, write_json
from imblens.exports._xml import element, legal, write_xml

MODEL = "imblens"


def write_label_studio(job: Job, out: Path) -> Path:
    """Write tasks.json and interface.xml.

    The pre-annotation is the suggested class of a label suspect, else the network's prediction; `data` holds the label,
    the facts and one line `about` them. Images are files below a folder (served as local files), addresses, or thumbnails
    as data URIs. Without images, texts or ids are shown.

    References:
        Label Studio, Import pre-annotated data (basic JSON format); tags Image, Text, Choices, Header.
    """
    tasks = [_task(job, one) for one in job.instances()]
    kind = "image" if job.media.are_images else "text"
    view = element("View")
    element("Header", view, value="$about")
    element(kind.title(), view, name=kind, value=f"${kind}")
    several = "multiple" if job.run.train.multilabel else "single"
    choices = element("Choices", view, name="class", toName=kind, choice=several, showInline="true")
    for name in job.run.classes:
        element("Choice", choices, value=name)
    write_xml(out / "interface.xml", view, declaration=False)
    return write_json(out / "tasks.json", tasks)


def _task(job: Job, one: Instance) -> dict[str, Any]:
    kind = "image" if job.media.are_images else "text"
    data = {**one.facts(), "about": one.about(), kind: _shown(job, one)}
    guess, score = (one.predicted, one.confidence) if one.suggested is None else ([one.suggested], one.score)
    if not guess:
        return {"data": data}
    result = {
        "from_name": "class",
        "to_name": kind,
        "type": "choices",
        "value": {"choices": [legal(name) for name in guess]},
    }
    prediction: dict[str, Any] = {"model_version": MODEL, "result": [result]}
    if score is not None:
        prediction["score"] = score
    return {"data": data, "predictions": [prediction]}


def _shown(job: Job, one: Instance) -> str:
    media, value = job.media, job.media.shown[one.at]
    if media.kind == "file":
        return f"/data/local-files/?d={quote(media.names[one.at])}"
    if media.kind == "thumbnail":
        return "" if value is None else f"data:image/png;base64,{base64.b64encode(value).decode()}"
    return value if isinstance(value, str) else one.id
