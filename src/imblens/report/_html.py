"""Parts of a page: tables as HTML, names and numbers in text, headings and anchors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional

import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
    import pandas as pd

FEW_ROWS = 40  # of a table in the page; the CSV holds all
WHOLE_ROWS, CLASS_ROWS = 100, 60  # of a table with several rows per class: whole up to here, else shared among classes
ALL_CLASSES = 200  # a table of one row per class is shown whole up to here
MEASURES = (
    "share",
    "forecast",
    "shared",
    "rate_ratio",
    "frequency",
    "score",
)  # the first of these columns decides which rows of a class are shown
HEADINGS = {
    "co_occurrence": "Co-occurrence",
    "alignment_iobb": "Activated share of the boxes",
    "alignment_pointing": "Pointing game",
    "concepts_disjoint": "Concepts, disjoint",
}


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


def heading(name: str) -> str:
    """A chart's name as a heading: "class_accuracy" -> "Class accuracy"."""
    if name in HEADINGS:
        return HEADINGS[name]
    text = name.replace("_", " ").strip() or "chart"
    return text[0].upper() + text[1:]


def anchor(name: str) -> str:
    """Return the name of a lens as an id that is unique within the page."""
    return "lens-" + (re.sub(r"[^A-Za-z0-9_-]+", "-", name) or "unnamed")


def shown(table: pd.DataFrame, name: str, file: str, n_classes: int) -> Shown:
    """A table, whole where it has a row per class or few more, else rows of every class, else its first rows."""
    kept = ""
    of = next((key for key in ("class", "reference") if key in table.columns and len(table) > n_classes), "")
    if not of:
        part = table.head(ALL_CLASSES if len(table) <= n_classes else FEW_ROWS)
    elif len(table) <= WHOLE_ROWS:
        part = table
    elif table[of].nunique() <= ALL_CLASSES:
        each = max(1, CLASS_ROWS // table[of].nunique())
        by = next((key for key in MEASURES if key in table.columns and _is_number(table[key])), "")
        ranked = table.sort_values(by, ascending=False, kind="stable", na_position="last") if by else table
        part = table.loc[ranked.groupby(of, sort=False).head(each).index.sort_values()]
        kept = f"the {f'{each} ' if each > 1 else ''}{'largest' if by else 'first'} of each {of}" + (
            f" by {by}" if by else ""
        )
    else:
        part = table.head(FEW_ROWS)
    return Shown(name, file, table_html(part), f"{len(part):,}", f"{len(table):,}", len(part) < len(table), kept)


def table_html(table: pd.DataFrame) -> Markup:
    """A frame as an HTML table; every cell is text, unknown values are a dash.

    The classes r1, r2, ... of the table name its columns of numbers (style.css), which is shorter than a class for each cell.
    """
    columns = [(str(name), _is_number(table[name])) for name in table.columns]
    breakable = [str(escape(name)).replace("_", '_<span class="br"></span>') for name, _ in columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in breakable)
    cells = [[_cell_html(cell(value), numeric) for value in table[name].tolist()] for name, numeric in columns]
    marks = " ".join(f"r{place}" for place, (_, numeric) in enumerate(columns, start=1) if numeric)
    names = [name for name, _ in columns]
    of = f' data-of="{names.index("class")}"' if "class" in names else ""  # the script finds the rows of a class there
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    kind = f' class="{marks}"' if marks else ""
    return Markup(f"<table{kind}{of}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _cell_html(text: str, numeric: bool) -> str:
    kind = ' class="long"' if len(text) > 40 and not numeric else ""
    return f"<td{kind}>{escape(text)}</td>"


def cell(value: Any) -> str:
    """Write a value: thousands in groups, four digits, a dash where it is unknown."""
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
    """Mark text so that no line breaks inside "47% [44, 50]" or "+3.4 points", and no name changes its direction.

    Args:
        text: what to show.
        isolated: names to isolate from the direction of the surrounding text.

    >>> whole("<b> rises by +3.4 points to 47% [44, 50]")
    Markup('&lt;b&gt; rises by <span class="nb">+3.4 points</span> to <span class="nb">47% [44, 50]</span>')
    """
    return _marked(text, isolated, r"[+\u2212]?\d+(?:\.\d+)? points|(?:\d+% )?\[[+\u2212]?[\d.]+, [+\u2212]?[\d.]+\]")


def kept_apart(text: str, isolated: Sequence[str] = ()) -> Markup:
    """Mark text so that no name changes its direction; numbers may break, unlike in `whole`."""
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
    """Return the names that run from right to left, or that contain characters which change the direction of text."""
    turning = {"R", "AL", "AN", "RLE", "LRE", "RLO", "LRO", "RLI", "LRI", "FSI", "PDF", "PDI"}
    return [name for name in names if any(bidirectional(character) in turning for character in name)]


def short(text: str, length: int) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= length else text[: length - 1] + "…"
