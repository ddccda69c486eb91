"""Markdown as escaped HTML and as terminal text, for explanations that report, terminal and documentation share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markupsafe import Markup


def prose(text: str) -> Markup:
    """Render Markdown as HTML: no tag of the source is kept, and a link becomes its text, since reports link to nothing.

    Headings become bold paragraphs: a page has its own outline.

    Example:
        >>> prose("**a** <b> `c` [d](http://e)")
        Markup('<p><strong>a</strong> &lt;b&gt; <code>c</code> d</p>')
    """
    from markupsafe import Markup

    return Markup(_renderer().render(text).strip())


def literal(text: str, *, code: bool = True) -> str:
    """Write text that is data (a class name) as Markdown on one line, in which nothing acts as markup.

    All but letters, digits and spaces become character references, which cannot start markup, a cell or a link.

    Args:
        text: any text.
        code: whether it is set as code, where code hosts expand no mention of a user or an issue either.

    Example:
        >>> literal("a|b <img>"), literal("cat", code=False)
        ('<code>a&#124;b &#60;img&#62;</code>', 'cat')
    """
    safe = "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in " ".join(text.split()))
    return f"<code>{safe}</code>" if code else safe


def sections(text: str) -> dict[str, str]:
    """Split Markdown at its `## ` headings, heading -> text; text before the first is left out.

    Example:
        >>> sections("# a\\n## What it measures\\nThis.\\n## Source\\nThat.")
        {'What it measures': 'This.', 'Source': 'That.'}
    """
    from markdown_it import MarkdownIt

    lines = text.splitlines()
    tokens = MarkdownIt("commonmark").parse(text)
    starts = [
        (token.map[0], token.map[1], tokens[i + 1].content)
        for i, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2" and token.map is not None
    ]
    ends = [start for start, _, _ in starts[1:]] + [len(lines)]
    return {heading: "\n".join(lines[after:end]).strip() for (_, after, heading), end in zip(starts, ends, strict=True)}


@lru_cache(maxsize=1)
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    rules: Any = markdown.renderer.rules  # type: ignore[attr-defined]
    rules["link_open"] = rules["link_close"] = lambda *_: ""
    rules["heading_open"] = lambda *_: "<p><strong>"
    rules["heading_close"] = lambda *_: "</strong></p>\n"
    rules["th_open"] = lambda *_: '<th scope="col">'
    return markdown


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, of cells that are Markdown already.

    Example:
        >>> print(markdown_table(["class", "recall"], [["cat", "90%"]]))
        | class | recall |
        |---|---|
        | cat | 90% |
    """
    first, *others = (f"| {' | '.join(row)} |" for row in (head, *rows))
    return "\n".join([first, "|---" * len(head) + "|", *others])
