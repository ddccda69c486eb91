"""A static drawing made small: what no reader sees is taken out, ids are numbered."""

from __future__ import annotations

import re

from imblens.report._theme import FONTS

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
