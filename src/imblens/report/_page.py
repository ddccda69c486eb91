"""One HTML file that opens from disk, asks for nothing and shows its answer before any script runs."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional

import numpy as np
from markupsafe import Markup, escape

from imblens.base.wording import percent

if TYPE_CHECKING:
    import pandas as pd

    from imblens.report._figures import Figure
    from imblens.run import Run

TEMPLATES = Path(__file__).with_name("templates")
FEW_ROWS = 40  # of a table in the page; the CSV holds all
CLASS_ROWS = 100  # of a table with several rows per class: whole up to here, else shared among the classes
ALL_CLASSES = 200  # a table of one row per class is shown whole up to here
MEASURES = (
    "share",
    "forecast",
    "shared",
    "rate_ratio",
    "frequency",
    "score",
)  # the first says which rows of a class lead
HEADINGS = {
    "co_occurrence": "Co-occurrence",
    "alignment_iobb": "Share of the boxes that is lit",
    "alignment_pointing": "Pointing game",
    "concepts_disjoint": "Concepts, disjoint",
}
DRAWING_BYTES = 20_000  # of an SVG, above which a bitmap is tried
BITMAP_BYTES, COLOURS = 60_000, 48
NARROWED = (  # as in style.css, which does not reach into an image
    b"><style>@font-face{font-family:Narrowed;src:local('DejaVu Sans'),local('DejaVuSans'),local('Verdana');"
    b"size-adjust:87%}</style>"
)
HASH_BYTES = 2**28  # arrays in memory above this are described, not hashed


@dataclass(frozen=True)
class Plot:
    """A figure as the page shows it."""

    id: str
    name: str
    title: str
    label: str
    drawing: Markup
    table: Shown | None = None


@dataclass(frozen=True)
class Shown:
    """A table as the page shows it."""

    name: str
    file: str
    html: Markup
    rows: str
    all_rows: str
    left_out: bool
    kept: str = ""  # which rows, where they are not the first


def render(template: str, *, figures: Iterable[Figure], data: Mapping[str, Any], **context: Any) -> str:
    """Fill a template; the charts' specifications and the scripts go in with a policy that admits only them."""
    import jinja2

    from imblens.base.versions import IMBLENS
    from imblens.charts import CHOSEN
    from imblens.report._figures import THEME, json_block, packed, vega_bundle

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = context.pop("names", ())
    environment.filters["whole"] = partial(whole, isolated=turned(names))
    environment.filters["kept_apart"] = partial(kept_apart, isolated=turned(names))
    vega, script = vega_bundle(), (TEMPLATES / "page.js").read_text(encoding="utf-8")
    block = {
        **data,
        "signal": CHOSEN,
        "config": THEME,
        **packed(figures),
    }
    return environment.get_template(template).render(
        policy=policy(vega, script),
        version=IMBLENS,
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        vega=Markup(vega),
        script=Markup(script),
        data=Markup(json_block(block)),
        **context,
    )


def policy(*scripts: str) -> str:
    """A content security policy under which only these scripts run, and nothing leaves the page."""
    hashes = " ".join(_digest(script) for script in scripts)
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}; "
        "base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=8)
def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def plot(figure: Figure, name: str, sentence: str, table: Shown | None, *, title: str = "") -> Plot:
    """A figure with its title, a sentence for those who cannot see it, and its table."""
    title = title or heading(name)
    label = f"{title}. {sentence}".strip()
    if len(label) > 600:
        label = label[:599].rsplit(" ", 1)[0] + " …"
    return Plot(figure.name, name, title, label, drawing(figure), table)


def drawing(figure: Figure) -> Markup:
    """The static drawing: SVG; as one image where it has many marks; as a bitmap where that is smaller."""
    svg = figure.svg.encode()
    if figure.many or len(svg) > DRAWING_BYTES:
        bitmap = small_bitmap(figure.png)
        if figure.many or len(bitmap) < len(svg):
            return _image("image/webp", bitmap)
    if figure.dense:
        return _image("image/svg+xml", svg.replace(b">", NARROWED, 1))
    return Markup(figure.svg)  # from vl-convert, which escapes every text


def _image(kind: str, content: bytes) -> Markup:
    encoded = base64.b64encode(content).decode("ascii")
    return Markup('<img class="drawing" alt="" src="data:{};base64,{}">').format(kind, encoded)


def small_bitmap(png: bytes) -> bytes:
    """A bitmap of fewer colours, and of fewer pixels until it fits: lossless, so that text and cells stay sharp."""
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    while True:
        out = io.BytesIO()
        few = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
        few.putpalette([255 if value > 247 else value for value in few.getpalette() or []])  # white stays white
        few.convert("RGB").save(out, "WEBP", lossless=True, method=4)
        if out.tell() <= BITMAP_BYTES or image.width < 200:
            return out.getvalue()
        smaller = max(0.5, 0.95 * math.sqrt(BITMAP_BYTES / out.tell()))
        image = image.resize((int(image.width * smaller), int(image.height * smaller)), Image.Resampling.LANCZOS)


def heading(name: str) -> str:
    """A chart's name as a heading: "class_accuracy" -> "Class accuracy"."""
    if name in HEADINGS:
        return HEADINGS[name]
    text = name.replace("_", " ").strip() or "chart"
    return text[0].upper() + text[1:]


def shown(table: pd.DataFrame, name: str, file: str, n_classes: int) -> Shown:
    """A table, whole where it has a row per class or few more, else rows of every class, else its first rows."""
    kept = ""
    of = next((key for key in ("class", "reference") if key in table.columns and len(table) > n_classes), "")
    if not of:
        part = table.head(ALL_CLASSES if len(table) <= n_classes else FEW_ROWS)
    elif len(table) <= CLASS_ROWS:
        part = table
    elif table[of].nunique() <= ALL_CLASSES:
        each = max(1, CLASS_ROWS // table[of].nunique())
        by = next((key for key in MEASURES if key in table.columns and _is_number(table[key])), "")
        ranked = table.sort_values(by, ascending=False, kind="stable", na_position="last") if by else table
        part = table.loc[ranked.groupby(of, sort=False).head(each).index.sort_values()]
        kept = f"of each {of} the {f'{each} ' if each > 1 else ''}" + (f"largest by {by}" if by else "first")
    else:
        part = table.head(FEW_ROWS)
    return Shown(name, file, table_html(part), f"{len(part):,}", f"{len(table):,}", len(part) < len(table), kept)


def table_html(table: pd.DataFrame) -> Markup:
    """A frame as an HTML table; every cell is text, unknown values are a dash."""
    columns = [(str(name), _is_number(table[name])) for name in table.columns]
    marks = {True: ' class="n"', False: ""}
    head = "".join(f'<th scope="col"{marks[numeric]}>{_breakable(name)}</th>' for name, numeric in columns)
    cells = [[_cell_html(cell(value), numeric) for value in table[name].tolist()] for name, numeric in columns]
    of = [str(value) for value in table["class"].tolist()] if "class" in table.columns else [""] * len(table)
    body = "".join(
        f'<tr data-class="{escape(name)}">{"".join(row)}</tr>'
        for name, row in zip(of, zip(*cells, strict=True), strict=True)
    )
    return Markup(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _breakable(name: str) -> str:
    """A column's name that breaks after its underscores."""
    return str(escape(name)).replace("_", '_<span class="br"></span>')


def _cell_html(text: str, numeric: bool) -> str:
    kind = ' class="n"' if numeric else ' class="long"' if len(text) > 40 else ""
    return f"<td{kind}>{escape(text)}</td>"


def cell(value: Any) -> str:
    """A value as a reader wants it: thousands in groups, four digits, a dash where it is unknown."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if number.is_integer() and abs(number) < 1e9:
            return f"{int(number):,}"
        return f"{number:.4g}"
    return str(value)


def _is_number(column: Any) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(column.dtype)) and not is_bool_dtype(column.dtype)


def whole(text: str, isolated: Sequence[str] = ()) -> Markup:
    """Text in which no line breaks inside "47 %" or "[44, 50]", and no name turns what stands around it.

    Args:
        text: what to show.
        isolated: names to keep apart from the direction of their surroundings.

    >>> whole("<b> is right 47 % of the time")
    Markup('&lt;b&gt; is right <span class="nb">47 %</span> of the time')
    """
    return _marked(text, isolated, r"[+\u2212]?\d+(?:\.\d+)? (?:%|points)|\[[+\u2212]?[\d.]+, [+\u2212]?[\d.]+\]")


def kept_apart(text: str, isolated: Sequence[str] = ()) -> Markup:
    """Text in which no name turns what stands around it; without `whole`'s element for every number."""
    return _marked(text, isolated, "")


def _marked(text: str, isolated: Sequence[str], unbroken: str) -> Markup:
    names = "|".join(re.escape(str(escape(name))) for name in sorted(isolated, key=len, reverse=True))

    def marked(found: re.Match[str]) -> str:
        if found.lastgroup == "name":
            return f"<bdi>{found.group()}</bdi>"
        return f'<span class="nb">{found.group()}</span>'

    pattern = "|".join(part for part in (f"(?P<name>{names})" if names else "", unbroken) if part)
    return Markup(re.sub(pattern, marked, str(escape(text))) if pattern else str(escape(text)))


def turned(names: Iterable[str]) -> list[str]:
    """Those names that run from right to left, or that hold characters which turn the text after them."""
    turning = {"R", "AL", "AN", "RLE", "LRE", "RLO", "LRO", "RLI", "LRI", "FSI", "PDF", "PDI"}
    return [name for name in names if any(bidirectional(character) in turning for character in name)]


def describe(meta: Mapping[str, Any]) -> str:
    """A run in a few words: data (the last part of a path), network, loss, treatment, as far as they are known.

    >>> describe({"data": {"path": "/home/me/cells"}, "arch": "resnet32", "loss": "ce"})
    'cells · resnet32 · ce'
    """
    words = []
    for key in ("data", "arch" if meta.get("arch") else "model", "loss", "treatment"):
        value = meta.get(key)
        if isinstance(value, Mapping):
            value = next((value[k] for k in ("name", "arch", "source", "path", "factory") if value.get(k)), None)
        if key == "data" and isinstance(value, str):
            value = value.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
        if isinstance(value, (str, int, float)) and str(value):
            words.append(short(str(value), 80))
    return " · ".join(words)


def short(text: str, length: int) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= length else text[: length - 1] + "…"


def facts(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What made a run, one flat row per value; versions apart."""
    return [(key, short(text, 300)) for key, text in _flat(meta) if not key.startswith("versions")]


def _flat(value: Any, key: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for inner in sorted(value, key=str):
            yield from _flat(value[inner], f"{key} {inner}".strip())
    elif isinstance(value, (list, tuple)):
        yield key, ", ".join(cell(v) for v in value)
    elif value is not None:
        yield key, f"{value:.6g}" if isinstance(value, float) else str(value)


def used_versions(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Versions of what made this page, and of what captured the run where that is known."""
    from importlib.metadata import version

    from imblens.base.versions import versions

    now = {**versions(), "altair": version("altair"), "vl-convert": version("vl-convert-python")}
    found = [(f"{name} (audit)", text) for name, text in now.items()]
    then = meta.get("versions")
    if isinstance(then, Mapping):
        found += [(f"{name} (capture)", str(text)) for name, text in sorted(then.items())]
    return found


def digests(run: Run) -> list[tuple[str, str]]:
    """SHA-256 of a run's files as its manifest has them, or of its arrays where it was never stored."""
    import json

    if run.path is not None and (run.path / "run.json").exists():
        files = json.loads((run.path / "run.json").read_text(encoding="utf-8")).get("files", {})
        return [(name, str(known.get("sha256", ""))) for name, known in sorted(files.items())]
    arrays: dict[str, Any] = {}
    for name, split in run.splits.items():
        for number, part in enumerate(split.parts):
            named = {"features": part.features, "labels": part.labels, "logits": part.logits}
            arrays |= {f"{name}/part-{number:05d} {key}": a for key, a in named.items() if a is not None}
    if run.head is not None:
        arrays |= {"head weight": run.head.weight, "head bias": run.head.bias}
    if sum(array.nbytes for array in arrays.values()) > HASH_BYTES:
        return []
    return [(key, hashlib.sha256(np.ascontiguousarray(a).data).hexdigest()) for key, a in arrays.items()]


def anchor(name: str) -> str:
    """A lens's name as an id that nothing else in the page has."""
    return "lens-" + (re.sub(r"[^A-Za-z0-9_-]+", "-", name) or "unnamed")


def share_text(pair: tuple[str, float] | None) -> str:
    """A class and a share: "deer (43 %)"."""
    return "–" if pair is None else f"{pair[0]} ({percent(pair[1])})"
