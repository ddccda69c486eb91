"""The little Markdown that lens pages are written in, as escaped HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

_INLINE = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\([^)]*\)")


def prose(text: str) -> Markup:
    """Render paragraphs, bullets, headings, fenced code, tables, `code`, **bold**, *emphasis*; a link becomes its text.

    Everything else is text. No tag of the source survives, and no address: a report links to nothing outside itself.

    Example:
        >>> prose("**a** <b> `c`")
        Markup('<p><strong>a</strong> &lt;b&gt; <code>c</code></p>')
    """
    return Markup("\n").join(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[Markup]:
    position = 0
    while position < len(lines):
        line = lines[position]
        if not line.strip():
            position += 1
        elif line.startswith("```"):
            end = next((i for i in range(position + 1, len(lines)) if lines[i].startswith("```")), len(lines))
            yield Markup("<pre><code>{}</code></pre>").format("\n".join(lines[position + 1 : end]))
            position = end + 1
        elif line.startswith("#"):
            yield Markup("<p><strong>{}</strong></p>").format(_inline(line.lstrip("# ")))
            position += 1
        else:
            end = position + 1
            while end < len(lines) and lines[end].strip() and not lines[end].startswith(("```", "#")):
                end += 1
            yield _block(lines[position:end])
            position = end


def _block(lines: list[str]) -> Markup:
    if lines[0].lstrip().startswith("|"):
        return _table(lines)
    first = next((i for i, line in enumerate(lines) if _bullet(line)), None)
    if first is None:
        return Markup("<p>{}</p>").format(_inline(" ".join(line.strip() for line in lines)))
    items: list[str] = []
    for line in lines[first:]:
        if _bullet(line):
            items.append(re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", line))
        else:
            items[-1] += " " + line.strip()
    listed = Markup("").join(Markup("<li>{}</li>").format(_inline(item)) for item in items)
    lead = _block(lines[:first]) if first else Markup("")
    return lead + Markup("<ul>{}</ul>").format(listed)


def _bullet(line: str) -> bool:
    return re.match(r"\s*(?:[-*]|\d+\.)\s+\S", line) is not None


def _table(lines: list[str]) -> Markup:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    body = [row for row in rows[1:] if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(_inline(cell)) for cell in rows[0])
    cells = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(_inline(cell)) for cell in row))
        for row in body
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, cells)


def _inline(text: str) -> Markup:
    out, position = Markup(""), 0
    for found in _INLINE.finditer(text):
        out += escape(text[position : found.start()])
        code, bold, slanted, label = found.groups()
        if code is not None:
            out += Markup("<code>{}</code>").format(code)
        elif bold is not None:
            out += Markup("<strong>{}</strong>").format(_inline(bold))
        elif slanted is not None:
            out += Markup("<em>{}</em>").format(_inline(slanted))
        else:
            out += _inline(label)
        position = found.end()
    return out + escape(text[position:])
