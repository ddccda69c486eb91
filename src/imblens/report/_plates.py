"""Plates of prototypes: an image of each archetype of each class above the colours that the class relies on, for papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import escape

from imblens.base.archetypes import ARCHETYPES
from imblens.base.wording import percent
from imblens.report._image_sheet import size_of, thumbnails
from imblens.report._lens_parts import prototypes, table_of
from imblens.report._overlays import data_address

if TYPE_CHECKING:
    import pandas as pd

    from imblens.report._data import AuditFields

COLOURS = "colours"
MOST, ENDS = 12, 6  # classes up to which all have a row; of more, so many of the largest and of the smallest
LEFT, SIDE, GAP, BAR, HEAD, SMALL = 68, 56, 6, 9, 14, 7  # pixels of a drawing of 96 pixels an inch
NAMED = 0.1  # share of a colour from which it is named


def plate(audit: AuditFields) -> str:
    """Return the plate as SVG, as wide as a column of a page; "" where the run keeps no images of prototypes.

    A row a class, largest class first; a column an archetype, in IML's order. Images have the pixels that the run keeps,
    which are those of the set up to 64 on the longer side. Under them, the class's most salient colours, by share.

    Args:
        audit: with the lens `archetypes`; the lens `colours` adds the colours.

    References:
        IML, Figs 4 and 9.
    """
    found = prototypes(audit.findings)
    wanted = {str(row["prototype"]) for rows in found.values() for row in rows if row["prototype"]}
    images = thumbnails(audit.run.train, wanted) if wanted else {}
    counts = dict(zip(audit.run.classes, audit.run.train.class_counts.tolist(), strict=True))
    order = sorted(audit.run.classes, key=lambda name: -counts[name])
    order = [name for name in order if any(str(row["prototype"]) in images for row in found.get(name, []))]
    if not order:
        return ""
    shown = order if len(order) <= MOST else [*order[:ENDS], *order[-ENDS:]]
    colours = table_of(audit.findings, COLOURS, COLOURS, "class", "band", "share", "red", "green", "blue")
    row_height = SIDE + GAP + (BAR + SMALL + 3 if colours is not None else 0) + GAP
    width, height = LEFT + len(ARCHETYPES) * (SIDE + GAP), HEAD + row_height * len(shown)
    parts = [_text(kind, LEFT + (SIDE + GAP) * x, 9, 9) for x, kind in enumerate(ARCHETYPES)]
    for y, name in enumerate(shown):
        top = HEAD + row_height * y
        parts.append(_text(name, 0, top + SIDE / 2, 9, 13))
        parts.append(_text(f"{counts[name]:,} in training", 0, top + SIDE / 2 + 11, SMALL))
        first = {str(row["archetype"]): images.get(str(row["prototype"])) for row in reversed(found.get(name, []))}
        for x, kind in enumerate(ARCHETYPES):
            png = first.get(kind)
            if png is not None:
                parts.append(_image(png, LEFT + (SIDE + GAP) * x, top))
        if colours is not None:
            bands = colours[(colours["class"] == name) & (colours["share"] > 0)]
            parts += _bar(
                bands.sort_values("share", ascending=False, kind="stable"), top + SIDE + 3, width - LEFT - GAP
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="#ffffff"></rect>{"".join(parts)}</svg>'
    )


def _bar(bands: pd.DataFrame, top: float, width: float) -> list[str]:
    """Shares of colours, in the mean colour of each, the largest named."""
    parts, left = [], float(LEFT)
    for row in bands.to_dict("records"):
        wide = float(row["share"]) * width
        fill = "#{:02x}{:02x}{:02x}".format(*(round(float(row[key])) for key in ("red", "green", "blue")))
        parts.append(
            f'<rect x="{left:.2f}" y="{top:g}" width="{wide:.2f}" height="{BAR}" fill="{fill}" stroke="#767676" '
            'stroke-width="0.4"></rect>'
        )
        if row["share"] >= NAMED:
            text = f"{row['band']} {percent(float(row['share']))}"
            if wide > 3.6 * len(text):
                parts.append(_text(text, left, top + BAR + SMALL, SMALL))
        left += wide
    return parts


def _image(png: bytes, left: float, top: float) -> str:
    """An image in its own pixels: enlarged without smoothing, its longer side as long as a place allows."""
    size = size_of(png)
    scale = SIDE / max(size)
    width, height = size[0] * scale, size[1] * scale
    return (
        f'<image x="{left + (SIDE - width) / 2:g}" y="{top + (SIDE - height) / 2:g}" width="{width:g}" height="{height:g}" '
        f'image-rendering="optimizeSpeed" href="{data_address(png, "png")}"></image>'
    )


def _text(text: Any, x: float, y: float, size: int, most: int = 40) -> str:
    cut = str(text) if len(str(text)) <= most else f"{str(text)[: most - 1]}…"
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="#1a212b">{escape(cut)}</text>'.replace("\0", "")
