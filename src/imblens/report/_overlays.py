"""Class activation maps laid over the images that they are of, with the boxes: of one run, or of several side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from imblens.base.wording import percent

if TYPE_CHECKING:
    from imblens.run import Run, Split

CLASSES = 12  # that are shown, the first of the order given
COLUMNS = {"id", "view", "boxes", "cam", "cam_ior", "box_share"}
VIEW_BYTES = 2**17
KEY = (
    "Light marks the strongest activation for the class; maps are scaled individually. White frames are the boxes. "
    "Hover over an image to see it without its map."
)
SIDE, GAP, LINE, LEFT = 160, 12, 18, 110  # of the figure, in pixels
# from dark to light in even steps of lightness, so that it reads without hue as well
HEAT = np.array([(20, 11, 52), (88, 24, 110), (165, 44, 96), (225, 100, 48), (251, 180, 26), (252, 255, 164)], float)


@dataclass(frozen=True)
class Kept:
    """What a run keeps of one image for one class.

    Attributes:
        view: PNG or JPEG.
        boxes: (n, 4) x0, y0, x1, y1 as shares of width and height.
        cam: (h, w) uint8.
        ior: share of the map in the boxes.
        box_share: share of the image in boxes.
        probability: what the network gives the class, or None.
    """

    view: bytes
    boxes: NDArray[np.float64]
    cam: NDArray[np.uint8]
    ior: float
    box_share: float
    probability: float | None


def overlays(run: Run, order: Sequence[str]) -> list[dict[str, Any]]:
    """For each class three images: the map least, middling and most in the boxes, of those that the run keeps.

    Args:
        run: with maps.
        order: classes, those to show first.

    Returns:
        For each class `name` and `images`, each with `caption` and `views` (one, with `drawing`, `caption`, and for a
        figure by itself `head` and `brief`).
    """
    kept = kept_maps(run)
    groups = []
    for name in [name for name in order if kept.get(name)][:CLASSES]:
        ranked = sorted(kept[name].items(), key=lambda item: (item[1].ior, item[0]))
        places = {0: "least in the boxes", len(ranked) // 2: "in the middle", len(ranked) - 1: "most in the boxes"}
        images = []
        for place in sorted(places):
            key, one = ranked[place]
            label = f"Activation map of {name} on image {key}: {percent(one.ior)} of it in the boxes"
            images.append(
                {
                    "caption": f"{key}: {places[place]}",
                    "views": [
                        {
                            "drawing": drawing(one, label),
                            "caption": caption(one),
                            "head": places[place],
                            "brief": brief(one),
                        }
                    ],
                }
            )
        groups.append({"name": name, "images": images})
    return groups


def side_by_side(runs: Sequence[Run], names: Sequence[str], mark: str = "view") -> list[dict[str, Any]]:
    """For each class two images that several runs keep, with every run's map on each; empty for fewer than two runs.

    The images stand at one and three quarters of the order by the first run's share of the map in the boxes, so that
    none is chosen for what the other runs make of it. `mark` begins the ids of the images.
    """
    all_kept = [(name, kept_maps(run)) for name, run in zip(names, runs, strict=True)]
    all_kept = [(name, kept) for name, kept in all_kept if kept]
    if len(all_kept) < 2:
        return []
    first = all_kept[0][1]
    groups: list[dict[str, Any]] = []
    for label in [label for label in runs[0].classes if label in first][:CLASSES]:
        shared = [key for key in first[label] if all(key in kept.get(label, {}) for _, kept in all_kept)]
        ranked = sorted(shared, key=lambda key: (first[label][key].ior, key))
        images: list[dict[str, Any]] = []
        for key in dict.fromkeys(ranked[place] for place in (len(ranked) // 4, 3 * len(ranked) // 4) if ranked):
            views = []
            for number, (name, kept) in enumerate(all_kept):
                one = kept[label][key]
                text = f"Activation map of {label} on image {key} by {name}: {percent(one.ior)} of it in the boxes"
                shown = f"{mark}-{len(groups)}-{len(images)}"
                drawn = drawing(one, text, define=shown) if not number else drawing(one, text, use=shown)
                views.append(
                    {"drawing": drawn, "caption": f"{name}: {caption(one)}", "head": name, "brief": brief(one)}
                )
            images.append({"caption": key, "views": views})
        if images:
            groups.append({"name": label, "images": images})
    return groups


def kept_maps(run: Run) -> dict[str, dict[str, Kept]]:
    """What the run keeps, by class and by the image's id; empty where it keeps none, or has another head by now."""
    size = _map_size(run)
    split = next((s for s in (run.test, run.train) if s is not None and set(s.columns) >= COLUMNS), None)
    if split is None or "treatment" in run.meta or size is None:
        return {}
    table = split.instances(["id", "view", "boxes", "cam"])
    ior, share = split.matrix("cam_ior"), split.matrix("box_share")
    found: dict[str, dict[str, Kept]] = {}
    for row in np.flatnonzero(table["view"].notna()).tolist():
        view, cam = table["view"].iloc[row], table["cam"].iloc[row]
        boxes = np.asarray(table["boxes"].iloc[row], dtype=np.float64).reshape(-1, 5)
        labels = np.unique(boxes[:, 0]).astype(int).tolist()
        if not _is_image(view) or len(cam) != len(labels) * size[0] * size[1]:
            continue
        maps = np.frombuffer(cam, np.uint8).reshape(-1, *size)
        for label, one in zip(labels, maps, strict=True):
            if not 0 <= label < run.n_classes or not np.isfinite(ior[row, label]):
                continue
            found.setdefault(run.classes[label], {})[str(table["id"].iloc[row])] = Kept(
                bytes(view),
                boxes[boxes[:, 0] == label, 1:],
                one,
                float(ior[row, label]),
                float(share[row, label]),
                _probability(split, row, label),
            )
    return found


def drawing(one: Kept, label: str, *, define: str = "", use: str = "") -> Markup:
    """An image under its map and boxes, as SVG.

    Args:
        one: what to draw.
        label: its text for those who do not see it.
        define: an id under which other drawings may use the image.
        use: the id of an image that another drawing defined.
    """
    width, height = _size(one.view)
    frame = f'width="{width}" height="{height}" preserveAspectRatio="none"'
    if use:
        image = f'<use class="under" href="#{use}"></use>'
    else:
        kind = "png" if one.view.startswith(b"\x89PNG") else "jpeg"
        named = f' id="{define}"' if define else ""
        image = f'<image{named} class="under" {frame} href="{data_address(one.view, kind)}"></image>'
    boxes = "".join(
        f'<rect x="{x0 * width:.1f}" y="{y0 * height:.1f}" width="{(x1 - x0) * width:.1f}" height="{(y1 - y0) * height:.1f}"'
        f' fill="none" vector-effect="non-scaling-stroke" stroke="{stroke}" stroke-width="{thick}"></rect>'
        for x0, y0, x1, y1 in one.boxes.tolist()
        for stroke, thick in (("#000", 4), ("#fff", 2))
    )
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{image}'
        f'<image class="map" {frame} href="{data_address(heat(one.cam), "png")}"></image>{boxes}</svg>'
    )


def heat(cam: NDArray[np.uint8]) -> bytes:
    """A map (h, w) as a PNG that is clear where it is 0 and nearly opaque where it is 255."""
    from PIL import Image

    level = cam.astype(float) / 255 * (len(HEAT) - 1)
    below = np.minimum(level.astype(int), len(HEAT) - 2)
    part = (level - below)[..., None]
    colour = (1 - part) * HEAT[below] + part * HEAT[below + 1]
    opacity = 0.75 * cam.astype(float)[..., None]
    file = io.BytesIO()
    Image.fromarray(np.concatenate([colour, opacity], axis=-1).round().astype(np.uint8), "RGBA").save(file, "PNG")
    return file.getvalue()


def caption(one: Kept) -> str:
    """Describe how much of the map is in the boxes, and the predicted probability."""
    text = f"{percent(one.ior)} of the map in boxes that cover {percent(one.box_share)}"
    return text if one.probability is None else f"{text}; probability {percent(one.probability)}"


def brief(one: Kept) -> str:
    """Return the same in fewer words."""
    text = f"{percent(one.ior)} in boxes"
    return text if one.probability is None else f"{text}, probability {percent(one.probability)}"


def maps_figure(panels: Sequence[tuple[Sequence[Run], Sequence[str]]], rows: int = 2) -> str:
    """The maps of several runs on the same images as one figure; "" where no image is kept by two runs (LOOKING, Fig. 1).

    Args:
        panels: runs and their names, one below the other.
        rows: most images of a panel, each of another class.
    """
    groups = []
    for place, (runs, names) in enumerate(panels):
        for group in side_by_side(runs, names, f"view-{place}")[:rows]:
            groups.append({"name": group["name"], "images": group["images"][:1]})
    return maps_svg(groups) if groups else ""


def maps_svg(groups: Sequence[Mapping[str, Any]]) -> str:
    """The images of `overlays` or `side_by_side` as one figure: a row an image, or a class; a column a map."""
    rows = []
    for group in groups:
        shown = [image["views"] for image in group["images"]]
        alone = all(len(views) == 1 for views in shown)
        rows += [(group["name"], views) for views in ([[views[0] for views in shown]] if alone else shown)]
    width = LEFT + (SIDE + GAP) * max(len(views) for _, views in rows)
    height = GAP + LINE + (SIDE + LINE + GAP) * len(rows)
    parts = [_text(view["head"], LEFT + (SIDE + GAP) * x, GAP + 2, 22) for x, view in enumerate(rows[0][1])]
    for y, (name, views) in enumerate(rows):
        top = GAP + LINE + (SIDE + LINE + GAP) * y
        parts.append(_text(name, GAP, top + SIDE / 2, 15))
        for x, view in enumerate(views):
            left = LEFT + (SIDE + GAP) * x
            parts.append(_placed(str(view["drawing"]), left, top))
            parts.append(_text(view["brief"], left, top + SIDE + 3, 30))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><style>.under{{filter:grayscale(1)}}</style>'
        f'<rect width="100%" height="100%" fill="#ffffff"></rect>{"".join(parts)}</svg>'
    )


def _placed(drawing: str, left: float, top: float) -> str:
    """Put a drawing at its place; lines as wide as on a page, also where a reader knows no lines that do not scale."""
    scale = float(drawing.split('viewBox="0 0 ', 1)[1].split(" ", 1)[0]) / SIDE
    for width in (4, 2):
        fixed = f' stroke-width="{width}"></rect>'
        drawing = drawing.replace(fixed, f' stroke-width="{width * scale:.2f}"></rect>')
    drawing = drawing.replace(' vector-effect="non-scaling-stroke"', "")
    return drawing.replace("<svg ", f'<svg x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" ', 1)


def _text(text: str, x: float, y: float, most: int) -> str:
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return f'<text x="{x:g}" y="{y + 10:g}" fill="#1a212b">{escape(cut)}</text>'.replace("\0", "")


def _probability(split: Split, row: int, label: int) -> float | None:
    if not split.has_logits:
        return None
    from scipy.special import expit, softmax

    logits = split.logits_of(np.array([row]))[0].astype(np.float64)
    return float(expit(logits[label]) if split.multilabel else softmax(logits)[label])


def data_address(content: bytes, kind: str) -> str:
    """Return an image as an address that needs no file."""
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")


def _size(view: bytes) -> tuple[int, int]:
    from PIL import Image

    with Image.open(io.BytesIO(view)) as image:
        return int(image.size[0]), int(image.size[1])


def _is_image(view: Any) -> bool:
    if not isinstance(view, (bytes, bytearray)) or len(view) > VIEW_BYTES:
        return False
    if not bytes(view).startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return False
    try:
        width, height = _size(bytes(view))
    except OSError:
        return False
    return 0 < width <= 1024 and 0 < height <= 1024


def _map_size(run: Run) -> tuple[int, int] | None:
    noted = run.meta.get("alignment")
    size = noted.get("map_size") if isinstance(noted, Mapping) else None
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        return None
    height, width = size
    return (height, width) if all(isinstance(s, int) and 0 < s <= 64 for s in size) else None
