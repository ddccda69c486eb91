"""The listed errors at native size, a page for each class, in a folder beside the report."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.files import write_text
from imblens.base.progress import tracked
from imblens.base.wording import counted
from imblens.report import _errors, _image_sheet

if TYPE_CHECKING:
    from imblens.report._data import AuditFields

FOLDER, INDEX = "gallery", "index.html"
PAGE_BYTES = 8_000_000  # of the images of one page
EXACT = 128 * 128  # pixels up to which an image is stored without loss
Image = NDArray[np.uint8]
Find = Callable[[str, str], "Image | None"]  # (split, id) to the image (H, W, 3) or (H, W)


def write_gallery(audit: AuditFields | None, out: Path, find: Find | None) -> int:
    """Write gallery/index.html and a page for each class with listed errors; return the number of errors shown.

    Args:
        audit: with the lens `errors`; None removes a gallery that was written earlier.
        out: folder of the report.
        find: gives an image at its native size; where it is None or gives None, the stored thumbnail is shown.
    """
    folder = out / FOLDER
    shown, pages = 0, []
    by_class: dict[str, list[dict[str, Any]]] = {}
    for row in [] if audit is None else _errors.rows(audit):
        by_class.setdefault(row["class"], []).append(row)
    totals = {} if audit is None else _errors.totals(audit)
    for name, rows in tracked(by_class.items(), "gallery"):
        assert audit is not None
        wanted = list(_errors.wanted_images(rows))
        stored = _image_sheet.stored(audit.run, wanted)
        budget = PAGE_BYTES
        entries: list[dict[str, Any]] = []
        for row in rows:
            images = [
                _one(
                    "test",
                    row["id"],
                    f"predicted {row['predicted']} {_errors.chance(row['probability'])}",
                    find,
                    stored,
                )
            ]
            near = row["neighbours"][: _errors.NEAR]
            images += [_one("train", one["id"], f"nearest training: {one['class']}", find, stored) for one in near]
            size = sum(len(image["address"]) for image in images)
            if not images[0]["address"] or size > budget:
                continue
            budget -= size
            entries.append({"id": row["id"], "images": images})
        if not entries:
            continue
        file = f"class-{audit.run.classes.index(name):05d}.html"
        left = totals[name] - len(entries)
        pages.append({"file": file, "name": name, "count": len(entries), "left": left})
        shown += len(entries)
        of = f"{len(entries):,} of " if left else ""
        title = f"{name}: {of}{counted(totals[name], 'misclassified test instance')}"
        write_text(folder / file, _html(title, entries=entries, left=left))
    native = find is not None
    if pages:
        write_text(folder / INDEX, _html("The most confident errors of each class", pages=pages, native=native))
    kept = {INDEX, *(page["file"] for page in pages)} if pages else set()
    for old in folder.glob("*.html") if folder.is_dir() else []:
        if old.name not in kept:
            old.unlink()
    return shown


def _one(
    split: str, name: str, caption: str, find: Find | None, stored: Mapping[tuple[str, str], bytes]
) -> dict[str, Any]:
    image = None if find is None else find(split, name)
    if image is not None:
        kind, content = _encoded(image)
        height, width = image.shape[:2]
    elif (split, name) in stored:
        kind, content = "png", stored[split, name]
        width, height = _image_sheet.size_of(content)
    else:
        kind, content, width, height = "", b"", 0, 0
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}" if content else ""
    alt = f"{'Test' if split == 'test' else 'Training'} instance {name}, {caption}"
    return {"id": name, "address": address, "caption": caption, "alt": alt, "width": width, "height": height}


def _encoded(image: Image) -> tuple[str, bytes]:
    from PIL import Image as Pillow

    out = io.BytesIO()
    exact = image.shape[0] * image.shape[1] <= EXACT
    drawn = Pillow.fromarray(np.ascontiguousarray(image))
    if exact:
        drawn.save(out, "PNG", optimize=False)
    else:
        drawn.convert("RGB").save(out, "JPEG", quality=90)
    return ("png" if exact else "jpeg"), out.getvalue()


def _html(
    title: str,
    *,
    entries: Sequence[Mapping[str, Any]] = (),
    left: int = 0,
    pages: Sequence[Mapping[str, Any]] = (),
    native: bool = False,
) -> str:
    from imblens.base.versions import IMBLENS
    from imblens.report._page import templates

    template = templates().get_template("gallery.html")
    return template.render(title=title, entries=entries, left=left, pages=pages, native=native, version=IMBLENS)
