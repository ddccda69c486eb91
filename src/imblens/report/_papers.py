"""What goes into a paper: figures at the width of a column as SVG, PDF and PNG, tables for LaTeX."""

from __future__ import annotations

import io
import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.base.files import write_bytes, write_text
from imblens.report._tables import sweep

if TYPE_CHECKING:
    import pandas as pd

    from imblens.report._figures import Figure

COLUMN_MM = 84  # of a page in two columns
COLUMN = round(COLUMN_MM / 25.4 * 96)  # pixels
PAGE = 760  # pixels of rows that leave room for axis and legend on a page of 230 mm
DPI = 300
SIZE = r' width="([\d.]+)" height="([\d.]+)"'
MOST_ROWS = 2_000  # of a table: longer ones are in tables/ alone
LONG = 40  # rows above which a table may break over pages
ROW, CELL_TEXT, LABEL, TITLE = 14, 7, 125, 38  # pixels, pixels, pixels, characters
LETTER, CELL_LETTER = 4.8, 3.9  # pixels of a character of a label, and of a number in a cell
CONFIG: dict[str, Any] = {
    "axis": {"labelFontSize": 9, "titleFontSize": 9, "titlePadding": 4, "labelLimit": LABEL},
    "axisQuantitative": {"tickCount": 4},
    "header": {"labelFontSize": 9},
    "legend": {"labelFontSize": 9, "titleFontSize": 9, "columns": 3, "labelLimit": LABEL, "symbolSize": 40},
    "title": {"fontSize": 10},
    "text": {"fontSize": 8},
}


def write_papers(out: Path, figures: Mapping[str, Figure], tables: Mapping[str, pd.DataFrame]) -> None:
    """Write papers/<name>.svg, .pdf, .png and .tex, and remove those of an earlier report that this one does not have."""
    folder = out / "papers"
    written = set()
    for file, figure in figures.items():
        for kind, content in drawn(figure).items():
            write_bytes(folder / f"{file}.{kind}", content)
            written.add(f"{file}.{kind}")
    for file, table in tables.items():
        if len(table) <= MOST_ROWS:
            write_text(folder / f"{file}.tex", latex(table))
            written.add(f"{file}.tex")
    sweep(folder, written, (".svg", ".pdf", ".png", ".tex"))


def column_figure(name: str, chart: Any) -> dict[str, bytes]:
    """Draw a custom chart, sized for a column of 84 mm (317 pixels), as `svg`, `pdf` and `png`.

    Args:
        name: of the figure, part of the ids in the drawing.
        chart: Altair, or a drawing as SVG, which is brought to that width.
    """
    from imblens.report._figures import draw

    if isinstance(chart, str):
        return files_of(chart, COLUMN)
    return drawn(draw(name, chart, ()))


def drawn(figure: Figure) -> dict[str, bytes]:
    """A figure as wide as a column: `svg` in millimetres, `pdf` with its fonts, `png` at 300 dots an inch on white."""
    import vl_convert

    from imblens.report._figures import grammar
    from imblens.report._specification import merged
    from imblens.report._svg import slim
    from imblens.report._theme import THEME

    spec = _fitted(json.loads(json.dumps(figure.spec)))
    _readable(spec, figure)
    spec["config"] = merged(THEME, CONFIG)
    spec["datasets"] = figure.data
    svg = slim(vl_convert.vegalite_to_svg(spec, vl_version=grammar(), allowed_base_urls=[]), figure.name)
    return files_of(_of_a_column(svg), COLUMN)


def files_of(svg: str, width: int | None = None) -> dict[str, bytes]:
    """Convert an SVG in pixels to `svg` in millimetres, `pdf` and `png` on white, `width` pixels wide where given."""
    import vl_convert

    if width is not None:
        size = re.search(SIZE, svg)
        if size is not None:
            height = float(size[2]) * width / float(size[1])
            svg = svg.replace(size.group(), f' width="{width}" height="{height:.2f}"', 1)
    pdf = vl_convert.svg_to_pdf(_in_units(svg, 72, ""))  # it takes pixels for points
    opening = svg.index(">") + 1
    on_white = svg[:opening] + '<rect width="100%" height="100%" fill="#ffffff"/>' + svg[opening:]
    png = vl_convert.svg_to_png(on_white, scale=DPI / 96)
    return {"svg": _in_units(svg, 25.4, "mm").encode(), "pdf": bytes(pdf), "png": _packed(bytes(png))}


def latex(table: pd.DataFrame) -> str:
    r"""A frame as a LaTeX table with the rules of booktabs; a dash where a value is unknown.

    Example:
        >>> import pandas as pd
        >>> text = latex(pd.DataFrame({"class": ["a_b", "50%"], "share": [0.25, float("nan")]}))
        >>> [line for line in text.splitlines() if "&" in line]
        ['class & share \\\\', 'a\\_b & 0.25 \\\\', '50\\% & -- \\\\']
    """
    safe = table.copy()
    safe.columns = [str(name) for name in safe.columns]
    for name in safe.columns:
        if safe[name].dtype.kind not in "biuf":
            safe[name] = safe[name].map(lambda value: " ".join(value.split()) if isinstance(value, str) else value)
    options: dict[str, Any] = {"index": False, "escape": True, "na_rep": "--", "float_format": "%.4g"}
    text: str = safe.to_latex(longtable=len(safe) > LONG, **options)
    return text


def _fitted(spec: dict[str, Any]) -> dict[str, Any]:
    """Give a specification that fills a page the sizes of a column."""
    from imblens.report._specification import nodes

    for node in nodes(spec):
        if node.get("width") == "container":
            node["width"] = COLUMN
        height = node.get("height")
        if isinstance(height, dict) and "step" in height:
            height["step"] = min(height["step"], ROW)
        elif isinstance(height, (int, float)) and height > COLUMN:
            node["height"] = min(height, PAGE) if _channel(node, "y").get("type") == "nominal" else COLUMN
        title = node.get("title")
        if isinstance(title, str) and len(title) > TITLE:
            node["title"] = textwrap.wrap(title, TITLE)
        if isinstance(node.get("labelLimit"), (int, float)):
            node["labelLimit"] = min(node["labelLimit"], LABEL)
        if isinstance(node.get("columns"), int):
            node["columns"] = min(node["columns"], 3)
        mark = node.get("mark")
        if isinstance(mark, dict) and mark.get("type") == "text":
            mark["fontSize"] = min(mark.get("fontSize", CELL_TEXT), CELL_TEXT)
        if isinstance(mark, dict) and isinstance(mark.get("size"), (int, float)):
            mark["size"] = mark["size"] / 2
    return spec


def _channel(view: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What places the marks of a view, or of its first layer, along an axis."""
    for part in [view, *view.get("layer", [])]:
        if name in part.get("encoding", {}):
            found: dict[str, Any] = part["encoding"][name]
            return found
    return {}


def _readable(spec: dict[str, Any], figure: Figure) -> None:
    """Keep names of rows apart, counts whole and numbers within their cells, where rows are many and names long."""
    rows = next(iter(figure.data.values()), ())
    y = _channel(spec, "y")
    if y.get("type") != "nominal" or not rows:
        return
    names = {str(row.get(str(y.get("field")))) for row in rows}
    axes = [part["encoding"]["y"] for part in [spec, *spec.get("layer", [])] if "y" in part.get("encoding", {})]
    longest = max(map(len, names)) * LETTER
    axis: dict[str, Any] = {}
    if isinstance(spec.get("height"), (int, float)):
        axis = {"labelFontSize": min(9, max(5, int(spec["height"] / len(names)))), "labelOverlap": "parity"}
    elif figure.keys[:1] == ("name",) and longest > LABEL:  # "truck (48, 6.2x rarer)" is two lines
        at = "lastindexof(datum.label, ' (')"
        lines = f"[slice(datum.label, 0, {at}), slice(datum.label, {at} + 1)]"
        axis = {"labelExpr": f"{at} < 0 ? datum.label : {lines}", "labelOffset": -5}
        spec["height"] = {"step": 2 * ROW - 4}
    for one in axes:
        if axis and isinstance(one.get("axis", {}), dict):
            one["axis"] = {**one.get("axis", {}), **axis}
    columns = {str(row.get(str(_channel(spec, "x").get("field")))) for row in rows}
    room = (COLUMN - min(LABEL, longest) - 40) / len(columns)
    for layer in list(spec.get("layer", [])):
        x = layer.get("encoding", {}).get("x", {})
        if x.get("type") == "nominal" and isinstance(x.get("axis"), dict) and x["axis"].get("labelAngle"):
            x["axis"] |= {"labelAngle": -90, "labelLimit": 80}  # slanted ones reach beyond the column
    cells = [layer for layer in spec.get("layer", []) if _kind(layer) == "text"]
    if any(_kind(layer) == "rect" for layer in spec.get("layer", [])):
        for layer in cells:
            text = layer["encoding"].get("text", {})
            written = [row.get(str(text.get("field"))) for row in rows]
            percents = 4 if "%" in str(text.get("format", "")) else 3
            widths = sorted(len(one) if isinstance(one, str) else percents for one in written if one not in (None, ""))
            if widths and widths[int(0.9 * (len(widths) - 1))] * CELL_LETTER > room:
                spec["layer"].remove(layer)


def _kind(layer: Mapping[str, Any]) -> str:
    mark = layer.get("mark")
    return str(mark.get("type") if isinstance(mark, Mapping) else mark)


def _packed(png: bytes) -> bytes:
    """The same pixels in fewer bytes: the drawing engine compresses little."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "PNG", compress_level=9, dpi=(DPI, DPI))
    return out.getvalue()


def _of_a_column(svg: str) -> str:
    """Leave white beside a drawing narrower than a column, so that figures set to one width have letters of one size."""
    box = re.search(SIZE + r' viewBox="0 0 [\d.]+ [\d.]+"', svg)
    if box is None or float(box[1]) >= COLUMN:
        return svg
    wider = f' width="{COLUMN}" height="{box[2]}" viewBox="0 0 {COLUMN} {box[2]}"'
    return svg.replace(box.group(), wider, 1)


def _in_units(svg: str, in_an_inch: float, unit: str) -> str:
    """State the size of a drawing, made at 96 pixels an inch, in another unit."""
    size = re.search(SIZE, svg)
    if size is None:
        return svg
    width, height = (float(size[i]) / 96 * in_an_inch for i in (1, 2))
    return svg.replace(size.group(), f' width="{width:.2f}{unit}" height="{height:.2f}{unit}"', 1)
