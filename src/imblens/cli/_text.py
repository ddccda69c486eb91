"""Names of classes and files as text for a terminal."""

from __future__ import annotations

from unicodedata import category

from imblens.base.remote import COPIES


def one_line(text: str) -> str:
    """Apply `printable` and escape line breaks too, since class names may contain them."""
    return printable(text.replace("\n", "\\n"))


def printable(text: str) -> str:
    """Escape control and direction characters: a class name must not move the cursor or reverse a line."""
    text = COPIES.named(text)
    return "".join(c if c == "\n" or category(c) not in ("Cc", "Cf") else ascii(c)[1:-1] for c in text)
