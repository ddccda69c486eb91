"""One HTML file that opens from disk, makes no requests and shows its results before any script runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from imblens.report._html import Shown, heading, kept_apart, turned, whole

if TYPE_CHECKING:
    from jinja2 import Environment

    from imblens.report._figures import Figure

TEMPLATES = Path(__file__).with_name("templates")
NARROWED = (  # as in style.css, which does not reach into an image
    b"><style>@font-face{font-family:Narrowed;src:local('DejaVu Sans'),local('DejaVuSans'),local('Verdana');"
    b"size-adjust:87%}</style>"
)


@dataclass(frozen=True)
class Plot:
    """A figure as the page shows it."""

    id: str
    name: str
    title: str
    label: str
    drawing: Markup
    table: Shown | None = None


def render(
    template: str, *, figures: Iterable[Figure], data: Mapping[str, Any], live: bool = True, **context: Any
) -> str:
    """Fill a template; the charts' specifications and the scripts go in with a policy that admits only them.

    `live` is whether charts come alive; a page without charts does not hold the script that draws them.
    """
    from imblens.base.versions import IMBLENS
    from imblens.charts import CHOSEN
    from imblens.report._figures import vega_bundle
    from imblens.report._packing import json_block, packed
    from imblens.report._theme import THEME

    environment = templates(tuple(turned(context.pop("names", ()))))
    vega, script = vega_bundle() if live else "", (TEMPLATES / "page.js").read_text(encoding="utf-8")
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


def class_rows(rows: Iterable[Mapping[str, Any]], names: Iterable[str], mean: str | None) -> list[str]:
    """Rows of the table of classes as HTML, for the script to insert where a reader asks for them."""
    parts: Any = templates(tuple(turned(names))).get_template("parts.html").module
    return [str(parts.class_row(row, mean)).strip() for row in rows]


@lru_cache(maxsize=4)
def templates(isolated: tuple[str, ...] = ()) -> Environment:
    """The compiled templates, for pages that isolate the same names."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["whole"] = partial(whole, isolated=isolated)
    environment.filters["kept_apart"] = partial(kept_apart, isolated=isolated)
    return environment


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
    if figure.heavy and (figure.many or len(figure.webp) < len(svg)):
        return _image("image/webp", figure.webp)
    if figure.dense:
        return _image("image/svg+xml", svg.replace(b">", NARROWED, 1))
    return Markup(figure.svg)  # from vl-convert, which escapes every text


def image(figure: Figure) -> Markup:
    """The static drawing as a separate image: notebooks that are not trusted show no SVG inside HTML."""
    return drawing(figure) if figure.heavy else _image("image/svg+xml", figure.svg.encode())


def _image(kind: str, content: bytes) -> Markup:
    encoded = base64.b64encode(content).decode("ascii")
    return Markup('<img class="drawing" alt="" src="data:{};base64,{}">').format(kind, encoded)
