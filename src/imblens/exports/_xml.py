"""XML whose texts may be any class name: what XML cannot hold is written as an escape."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from imblens.base.files import write_bytes

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    r"""Return text that XML 1.0 can hold; other characters become escapes.

    >>> legal("a\x1b[2J & <b>")
    'a\\x1b[2J & <b>'
    """
    return _ILLEGAL.sub(lambda match: ascii(match[0])[1:-1], text)


def element(
    tag: str, within: ElementTree.Element | None = None, text: object = None, /, **attributes: object
) -> ElementTree.Element:
    """Make an element, in another one where given."""
    found = ElementTree.Element(tag) if within is None else ElementTree.SubElement(within, tag)
    for name, value in attributes.items():
        found.set(name, legal(str(value)))
    if text is not None:
        found.text = legal(str(text))
    return found


def write_xml(path: Path, root: ElementTree.Element, *, declaration: bool = True) -> Path:
    """Write as UTF-8, atomically; return the path. Label Studio refuses a declaration."""
    ElementTree.indent(root)
    write_bytes(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=declaration) + b"\n")
    return path
