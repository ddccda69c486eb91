"""The page of a lens: one text that the documentation, the terminal and the report all show."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

HEADINGS = (
    "What it says",
    "How it is computed",
    "How to read it",
    "When it misleads",
    "What to try",
    "Source",
)


@lru_cache(maxsize=64)
def lens_page(name: str) -> dict[str, str]:
    """Return the sections of a lens's page, heading -> Markdown text; empty where the lens has no page.

    The pages lie in `docs/lenses` of the repository and are packed into the wheel as `imblens/lenses/pages`.

    Args:
        name: of a lens. Anything but letters, digits, `_` and `-` is no page: a name is never used as a path.

    Example:
        >>> lens_page("../../etc/passwd")
        {}
    """
    if not name.replace("_", "").replace("-", "").isalnum():
        return {}
    here = Path(__file__).resolve().parent
    for folder in (here / "pages", *(parent / "docs" / "lenses" for parent in here.parents[1:3])):
        file = folder / f"{name}.md"
        if file.is_file():
            return sections(file.read_text(encoding="utf-8"))
    return {}


def sections(text: str) -> dict[str, str]:
    """Split Markdown at its `## ` headings; what stands before the first is left out.

    Example:
        >>> sections("# a\\n## What it says\\nThis.\\n## Source\\nThat.")
        {'What it says': 'This.', 'Source': 'That.'}
    """
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        if line.startswith("## ") and not fenced:
            current = found.setdefault(line[3:].strip(), [])
        elif current is not None:
            current.append(line)
    return {heading: "\n".join(lines).strip() for heading, lines in found.items()}
