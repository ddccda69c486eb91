"""From an Altair chart to what a page and a folder of figures need: SVG, PNG and a compact, safe specification.

One theme for all charts lives here. A static drawing never depends on what was drawn before it in the process: counters
that Altair and Vega put into names and ids are replaced by positions.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from imblens.charts import CHOSEN

WIDTH = 800  # pixels of a static drawing, labels included
PNG_SCALE = 1.5
PNG_PIXELS = 3e6
MANY_ROWS = 1000  # rows of data above which a drawing is a bitmap in the page
PLAIN_BYTES = 50_000  # of all columns of data, above which they are deflated in the page
MANY_MARKS = 50  # elements of a drawing above which it is one image in the page, and a canvas when live
# names that every JavaScript object has: Vega takes a class of such a name for a group that it knows already
OF_ALL_OBJECTS = frozenset({
    "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__", "constructor",
    "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
})  # fmt: skip
INK, MUTED, GRID = "#1d2530", "#4d5866", "#e3e7ec"
FONTS = (
    "Liberation Sans, Arial, Helvetica, Narrowed, sans-serif"  # the first is inside vl-convert, the next measure alike
)

THEME: dict[str, Any] = {
    "aria": False,  # the figure around a chart carries its sentence
    "background": None,
    "font": FONTS,
    "padding": {"left": 2, "right": 8, "top": 4, "bottom": 4},
    "view": {"stroke": None, "continuousWidth": 320, "continuousHeight": 260},
    "axis": {
        "domainColor": "#aab3be",
        "gridColor": GRID,
        "labelColor": INK,
        "labelFontSize": 12,
        "tickColor": "#aab3be",
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisQuantitative": {"tickCount": 6},
    "header": {"labelColor": INK, "labelFontSize": 12, "titleColor": MUTED, "titleFontWeight": "normal"},
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 200,
        "orient": "top",
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gradientLength": 160,
        "gradientThickness": 10,
        "columns": 4,
    },
    "title": {"anchor": "start", "color": INK, "fontSize": 13, "fontWeight": 600, "subtitleColor": MUTED},
    "text": {"color": INK},
    "range": {
        "category": ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000"],
    },
}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One chart, drawn and ready to be drawn again.

    Attributes:
        name: as the finding calls it.
        spec: Vega-Lite without data, sizes in "container", the chosen class as a signal.
        data: rows of each data set that `spec` names.
        svg: the static drawing, ids of its own, safe to stand in HTML.
        many: whether it holds so much data that a page shows a bitmap of it.
        keys: columns of its data that name the classes of a mark; none where it is of all classes together.
    """

    name: str
    spec: Spec
    data: Mapping[str, Sequence[Mapping[str, Any]]]
    svg: str
    many: bool
    keys: tuple[str, ...] = ()

    @property
    def dense(self) -> bool:
        """Whether its marks are too many to be elements of a page."""
        return self.many or self.svg.count("<") - self.svg.count("</") > MANY_MARKS

    @cached_property
    def png(self) -> bytes:
        """The bitmap on white, twice as wide as the SVG, or less where that would be more than `PNG_PIXELS`."""
        import vl_convert

        opening = self.svg.index(">") + 1
        size = re.search(r' width="([\d.]+)" height="([\d.]+)"', self.svg[:opening])
        area = float(size[1]) * float(size[2]) if size else WIDTH**2
        white = '<rect width="100%" height="100%" fill="#ffffff"/>'
        drawn: bytes = vl_convert.svg_to_png(
            self.svg[:opening] + white + self.svg[opening:], scale=min(PNG_SCALE, math.sqrt(PNG_PIXELS / area))
        )
        return drawn


def draw(name: str, chart: Any, classes: Sequence[str]) -> Figure:
    """Draw one chart.

    Args:
        name: unique within a page; it becomes part of the ids.
        chart: of any kind; "container" stands for the width of the page.
        classes: names of the run, to find the data column that names the class of a mark.
    """
    return _drawn(name, _specification(chart), classes)


def draw_all(charts: Iterable[tuple[str, Any]], classes: Sequence[str]) -> list[Figure | Exception]:
    """Draw charts one after the other while the next specification is being made; a failure takes its chart's place."""
    from concurrent.futures import ThreadPoolExecutor

    def attempt(name: str, made: Spec | Exception) -> Figure | Exception:
        try:
            return made if isinstance(made, Exception) else _drawn(name, made, classes)
        except Exception as error:
            return error

    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(attempt, name, _attempted(chart)) for name, chart in charts]
        return [drawing.result() for drawing in waiting]


def _attempted(chart: Any) -> Spec | Exception:
    try:
        return _specification(chart)
    except Exception as error:
        return error


def bitmaps(figures: Iterable[Figure]) -> list[bytes]:
    """Bitmaps of figures, in their order."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda figure: figure.png, figures))


def _drawn(name: str, made: Spec, classes: Sequence[str]) -> Figure:
    import vl_convert

    spec = _plain_names(made)
    if not OF_ALL_OBJECTS.isdisjoint(classes):
        spec, classes = _set_apart(spec), _set_apart(list(classes))
    data = spec.pop("datasets", {})
    if spec.get("width") == "container" and ("mark" in spec or "layer" in spec):
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}  # the width holds labels and legend too
    static = _sized(json.loads(json.dumps(spec)), WIDTH)
    static["config"] = merged(THEME, spec.pop("config", {}))
    static["datasets"] = data
    drawing = vl_convert.vegalite_to_svg(static, vl_version=grammar(), allowed_base_urls=[])
    spec.pop("$schema", None)
    keys = _class_columns(data, classes)
    if keys:
        _follow_choice(spec, keys)
        declared = spec.setdefault("params", [])
        if CHOSEN not in (parameter["name"] for parameter in declared):
            declared.append({"name": CHOSEN, "value": ""})
    many = max((len(rows) for rows in data.values()), default=0) > MANY_ROWS
    used = {key: _used(rows, spec) for key, rows in data.items()}
    return Figure(name, spec, used, slim(drawing, name), many, tuple(keys))


def warm_up() -> None:
    """Start the drawing engine (0.4 s on one core, without holding the interpreter): call it from a thread."""
    import vl_convert

    vl_convert.vegalite_to_svg({"data": {"values": [{"a": 1}]}, "mark": "point"})


@lru_cache(maxsize=1)
def vega_bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script: the file made when the package was built, or made now."""
    made = Path(__file__).with_name("vega.js")
    if made.exists():
        script = made.read_text(encoding="utf-8")
    else:
        import vl_convert

        script = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
    # what an HTML parser would do to a script before hashing it, and the two texts that would end it early
    script = script.replace("\r\n", "\n").replace("\r", "\n")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def packed(figures: Iterable[Figure]) -> dict[str, Any]:
    """Turn rows into columns, texts into positions in a list of texts, numbers into few digits: small in a page.

    Returns:
        `charts` (specification, data sets as numbers of rows and places of columns) and `columns`: each is kept once, for
        charts share most of theirs; deflated where they are large.
    """
    places: dict[str, int] = {}
    charts = {}
    for figure in figures:
        data = {
            name: {
                "n": len(rows),
                "columns": {
                    key: places.setdefault(_compact(values), len(places)) for key, values in _columns(rows).items()
                },
            }
            for name, rows in figure.data.items()
        }
        charts[figure.name] = {"spec": figure.spec, "data": data, "dense": figure.dense, "keys": figure.keys}
    text = f"[{','.join(places)}]"
    small = len(text) <= PLAIN_BYTES
    columns = json.loads(text) if small else base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")
    return {"charts": charts, "columns": columns}


def _compact(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in rows[0] if rows else ():
        values = [row.get(key) for row in rows]
        if all(isinstance(value, str) for value in values):
            texts = sorted(set(values))  # type: ignore[type-var]
            place = {text: i for i, text in enumerate(texts)}
            if len(texts) < len(values) / 2:
                found[key] = {"texts": texts, "at": [place[value] for value in values]}
                continue
        digits = 3 if len(values) > MANY_ROWS else 5
        found[key] = [_short(value, digits) for value in values]
    return found


def _short(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.{digits}g}")
    return value


@contextmanager
def _defaults() -> Iterator[None]:
    """Altair as it comes: neither a notebook's theme nor its limit on rows may change a report."""
    import altair as alt

    themes = alt.theme if hasattr(alt, "theme") else alt.themes
    with alt.data_transformers.enable("default", max_rows=None), themes.enable("none"):
        yield


def _specification(chart: Any) -> Spec:
    with _defaults():
        found: Spec = chart.to_dict(validate=False)
    return found


@lru_cache(maxsize=1)
def grammar() -> str | None:
    """The Vega-Lite version that Altair writes, if the engine knows that version; else the engine's latest."""
    import altair as alt
    import vl_convert

    wanted = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return wanted if wanted in vl_convert.get_vegalite_versions() else None


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Spec:
    both = dict(under)
    for key, value in over.items():
        known = both.get(key)
        both[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def _plain_names(spec: Spec) -> Spec:
    """Number parameters and views by position: Altair counts them over the life of the process."""
    declared: list[str] = []
    for node in nodes({key: value for key, value in spec.items() if key != "datasets"}):
        name = node.get("name")
        if isinstance(name, str) and re.fullmatch(r"(param|view|concat|layer)_\d+", name) and name not in declared:
            declared.append(name)
    if not declared:
        return spec
    new = {name: f"{name.split('_')[0]}_at_{i}" for i, name in enumerate(declared)}
    word = re.compile(r"\b(" + "|".join(map(re.escape, declared)) + r")(?=\b|_)")
    data = spec.pop("datasets", {})
    renamed: Spec = _renamed(spec, word, new)
    return {**renamed, "datasets": data}


_NAMING = {
    "name",
    "param",
    "views",
    "expr",
    "test",
    "filter",
    "signal",
    "calculate",
    "select",
    "empty",
    "and",
    "or",
    "not",
}


def _renamed(node: Any, word: re.Pattern[str], new: Mapping[str, str], key: str = "") -> Any:
    if isinstance(node, dict):
        return {k: _renamed(v, word, new, k) for k, v in node.items()}
    if isinstance(node, list):
        return [_renamed(v, word, new, key) for v in node]
    if isinstance(node, str) and key in _NAMING:
        return word.sub(lambda found: new[found.group(1)], node)
    return node


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from nodes(value)


def _set_apart(node: Any) -> Any:
    """Add a no-break space to names that every JavaScript object has; `page.js` removes it."""
    if isinstance(node, dict):
        return {key: _set_apart(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_set_apart(value) for value in node]
    return f"{node}\u00a0" if isinstance(node, str) and node in OF_ALL_OBJECTS else node


def _sized(spec: Spec, width: int) -> Spec:
    """Put pixels in place of "container"."""
    for node in nodes(spec):
        if node.get("width") == "container":
            node["width"] = width
    return spec


def _class_columns(data: Mapping[str, Sequence[Mapping[str, Any]]], classes: Sequence[str]) -> list[str]:
    """Columns that hold names of classes alone: the one a mark is of first, then the one it is mistaken for or shared with."""
    known = set(classes)
    for key in ("name", "class", "reference"):
        for rows in data.values():
            if rows and {row.get(key) for row in rows} <= known:
                others = ("predicted", "adversary", "other")
                return [key, *(other for other in others if {row.get(other) for row in rows} <= known)]
    return []


def _follow_choice(spec: Spec, keys: Sequence[str]) -> None:
    """Let marks of other classes fade while a class is chosen. Marks with an opacity of their own are left alone."""
    for node in nodes(spec):
        mark = node.get("mark")
        encoding = node.get("encoding", {})
        if mark is None or "opacity" in encoding or "aggregate" in json.dumps(encoding):
            continue
        if any("calculate" not in step for step in node.get("transform", ())):  # others may drop the class
            continue
        full = mark.get("opacity", 1) if isinstance(mark, dict) else 1
        if not isinstance(full, (int, float)):
            continue
        test = " || ".join([f"{CHOSEN} == ''", *(f"datum[{json.dumps(key)}] == {CHOSEN}" for key in keys)])
        node["encoding"] = {
            **encoding,
            "opacity": {"condition": {"test": test, "value": full}, "value": round(full * 0.15, 4)},
        }


def _used(rows: Sequence[Mapping[str, Any]], spec: Spec) -> Sequence[Mapping[str, Any]]:
    """Drop the columns that the specification never names."""
    if not rows:
        return rows
    text = json.dumps(spec, ensure_ascii=False)
    kept = [key for key in rows[0] if key in text]
    return [{key: row.get(key) for key in kept} for row in rows]


_EMPTY = re.compile(r'<path[^<>]* d=""[^<>]*/>|<path[^<>]* d="M0,0h0v0h0Z"[^<>]*/>')  # unseen fore- and backgrounds
_ATTRIBUTES = re.compile(r' (?:role|aria-[a-z]+|class|pointer-events|stroke-miterlimit|xmlns:xlink|version)="[^"]*"')
_DEFAULTS = re.compile(
    rf' (?:font-family="{re.escape(FONTS)}"|opacity="1"|stroke-width="1"|transform="translate\(0,0\)")'
)
_LONG = re.compile(r"-?\d+\.\d{3,}")  # a hundredth of a pixel is enough
_OWN_IDS = re.compile(r'(id="|url\(#)((?:gradient_|clip)\d+)')


_LINE = re.compile(
    r'<line(?: transform="translate\((?P<x>[-\d.e]+),(?P<y>[-\d.e]+)\)")? x2="(?P<x2>[-\d.e]+)" y2="(?P<y2>[-\d.e]+)"'
    r"(?P<rest>[^<>]*?)(?:/>|></line>)"
)
_LINES = re.compile(rf"(?:{re.sub(r'[?]P<[a-z0-9]+>', '?:', _LINE.pattern)}){{2,}}")


def _one_path(lines: re.Match[str]) -> str:
    """Grid lines and ticks of one axis as one mark: they are a tenth of a drawing's elements."""
    found = list(_LINE.finditer(lines.group()))
    rest = {line["rest"] for line in found}
    if len(rest) > 1:
        return lines.group()
    steps = (f"M{line['x'] or 0},{line['y'] or 0}l{line['x2']},{line['y2']}" for line in found)
    drawn = "".join(steps)
    return f'<path d="{drawn}"{rest.pop()}/>'


def _hundredth(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def slim(svg: str, name: str) -> str:
    """Take out what no reader sees, and give the ids the chart's name and a position in place of a counter."""
    order: dict[str, str] = {}

    def numbered(found: re.Match[str]) -> str:
        return found.group(1) + order.setdefault(found.group(2), f"{name}-{len(order)}")

    kept: list[str] = []
    groups: list[bool] = []
    for piece in re.split(r"(<[^<>]*>)", _EMPTY.sub("", svg)):
        if not piece.startswith("<"):
            kept.append(piece)
            continue
        tag = piece if "href" in piece else _LONG.sub(_hundredth, piece)
        tag = _OWN_IDS.sub(numbered, _DEFAULTS.sub("", _ATTRIBUTES.sub("", tag)))
        if re.fullmatch(r"<g(?: [^<>]*)?/>", tag):
            continue  # the group of a chart without marks
        if tag.startswith("<g"):
            groups.append(tag != "<g>")
        if tag == "</g>":
            if groups.pop():
                kept.append(tag)
        elif tag != "<g>":
            kept.append(tag)
    text = "".join(kept)
    while (emptied := re.sub(r"<g [^<>]*></g>", "", text)) != text:
        text = emptied
    text = _LINES.sub(_one_path, text)
    return text.replace("<svg ", f'<svg font-family="{FONTS}" ', 1)


def json_block(value: Any) -> str:
    """JSON that can stand inside `<script type="application/json">`: no character there can end or open a tag.

    >>> json_block("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = _compact(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, Iterable):
        return [_finite(inner) for inner in value]
    return value
