"""From an Altair chart to what a page and a folder of figures need: SVG, PNG and a compact, safe specification.

A static drawing never depends on what was drawn before it in the process: counters
that Altair and Vega put into names and ids are replaced by positions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Thread
from typing import Any

from imblens.base.memory import refuse_few_addresses
from imblens.base.progress import tracked
from imblens.charts import CHOSEN
from imblens.report._bitmap import small_bitmap
from imblens.report._specification import (
    MANY_ROWS,
    OF_ALL_OBJECTS,
    Spec,
    class_columns,
    follow_choice,
    merged,
    plain_names,
    set_apart,
    sized,
    specification,
    used_columns,
)
from imblens.report._svg import slim
from imblens.report._theme import THEME

WIDTH = 800  # pixels of a static drawing, labels included
ADDRESSES = 72 * 2**30  # bytes that the drawing engine reserves when it starts, and room for the rest
PNG_SCALE = 1.5
DRAWING_BYTES = 20_000  # of an SVG, above which a bitmap is tried
PNG_PIXELS = 3e6
MANY_MARKS = 50  # elements of a drawing above which it is one image in the page, and a canvas when live


@dataclass(frozen=True)
class Figure:
    """One chart, drawn and ready to be drawn again.

    Attributes:
        name: as the finding calls it.
        spec: Vega-Lite without data, sizes in "container", the chosen class as a signal.
        data: rows of each data set that `spec` names.
        svg: the static drawing, with unique ids, safe inside HTML.
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

    @property
    def heavy(self) -> bool:
        """Whether a page may show a bitmap instead of its SVG."""
        return self.many or len(self.svg.encode()) > DRAWING_BYTES

    @cached_property
    def webp(self) -> bytes:
        """The bitmap for pages, of fewer colours."""
        return small_bitmap(self.png)


@lru_cache(maxsize=1)
def room_to_draw() -> None:
    """Refuse to draw under a limit on address space with which the drawing engine would end the process.

    It is called where the engine starts, and by commands before anything is computed for a report.
    """
    refuse_few_addresses(ADDRESSES, "drawing charts needs")


def draw(name: str, chart: Any, classes: Sequence[str]) -> Figure:
    """Draw one chart.

    Args:
        name: unique within a page; it becomes part of the ids.
        chart: of any kind; "container" stands for the width of the page.
        classes: names of the run, to find the data column that names the class of a mark.
    """
    return _drawn(name, specification(chart), classes)


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
        return [drawing.result() for drawing in tracked(waiting, "drawing charts")]


def _attempted(chart: Any) -> Spec | Exception:
    try:
        return specification(chart)
    except Exception as error:
        return error


def bitmaps(figures: Iterable[Figure]) -> list[bytes]:
    """Bitmaps of figures, in their order."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        drawn = list(figures)
        return list(tracked(pool.map(lambda figure: figure.png, drawn), "drawing bitmaps", len(drawn)))


def _drawn(name: str, made: Spec, classes: Sequence[str]) -> Figure:
    import vl_convert

    room_to_draw()
    spec = plain_names(made)
    if not OF_ALL_OBJECTS.isdisjoint(classes):
        spec, classes = set_apart(spec), set_apart(list(classes))
    data = spec.pop("datasets", {})
    if spec.get("width") == "container" and ("mark" in spec or "layer" in spec):
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}  # the width holds labels and legend too
    static = sized(json.loads(json.dumps(spec)), WIDTH)
    static["config"] = merged(THEME, spec.pop("config", {}))
    static["datasets"] = data
    drawing = vl_convert.vegalite_to_svg(static, vl_version=grammar(), allowed_base_urls=[])
    spec.pop("$schema", None)
    keys = class_columns(data, classes)
    if keys:
        follow_choice(spec, keys)
        declared = spec.setdefault("params", [])
        if CHOSEN not in (parameter["name"] for parameter in declared):
            declared.append({"name": CHOSEN, "value": ""})
    many = max((len(rows) for rows in data.values()), default=0) > MANY_ROWS
    used = {key: used_columns(rows, spec) for key, rows in data.items()}
    return Figure(name, spec, used, slim(drawing, name), many, tuple(keys))


def warm_up() -> None:
    """Start the drawing engine (0.4 s on one core, without holding the interpreter): call it from a thread."""
    import vl_convert

    vl_convert.vegalite_to_svg({"data": {"values": [{"a": 1}]}, "mark": "point"})


def warm_up_beside() -> None:
    """Start the drawing engine in a thread, if there is room for it."""
    room_to_draw()
    Thread(target=warm_up, daemon=True).start()


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


@lru_cache(maxsize=1)
def grammar() -> str | None:
    """The Vega-Lite version that Altair writes, if the engine knows that version; else the engine's latest."""
    import altair as alt
    import vl_convert

    wanted = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return wanted if wanted in vl_convert.get_vegalite_versions() else None
