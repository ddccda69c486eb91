"""Figures as compact JSON in a page: rows become columns, texts become positions, numbers get few digits."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imblens.base.plain import plain
from imblens.report._specification import MANY_ROWS

if TYPE_CHECKING:
    from imblens.report._figures import Figure

PLAIN_BYTES = 50_000  # of all columns of data, above which they are deflated in the page


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
    return {"charts": charts, "columns": json.loads(text) if small else _deflated(text)}


def deflated(value: Any) -> str:
    """JSON as a page's script inflates it: deflated, in base64."""
    return _deflated(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _deflated(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _compact(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


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


def json_block(value: Any) -> str:
    """JSON that is safe inside `<script type="application/json">`: no character there can end or open a tag.

    >>> json_block("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = _compact(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
