"""Names of metrics that every tracker accepts, whatever the classes are called."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

LONGEST = 80  # characters of a class in a name; MLflow takes 250 in all


def metric_names(classes: Sequence[str]) -> list[str]:
    """Return a name for each class that can be part of a metric's name in MLflow, TensorBoard, W&B and Comet.

    Letters, digits, "_", "." and "-" of ASCII stay, accents are dropped, anything else becomes "_": MLflow refuses
    parentheses and commas, and treats a slash as a folder; Lightning's logger for it removes other letters. Classes that
    would share a name, or have none left, get their number. Case does not distinguish names, since some disks ignore it.

    Args:
        classes: C different names.

    Returns:
        C different names, in the same order.

    Example:
        >>> metric_names(["cat", "café (Paris)", "a/b", "a b", "\U0001f600"])
        ['cat', 'cafe_Paris', 'a_b.2', 'a_b.3', 'class.4']
    """
    cleaned = [_clean(name) or f"class.{number}" for number, name in enumerate(classes)]
    keys = [name.casefold() for name in cleaned]
    counts = Counter(keys)
    unchanged: dict[str, int] = {}  # the first class of a name that needs no change keeps it
    for number, (key, name, own) in enumerate(zip(keys, cleaned, classes, strict=True)):
        if name == own:
            unchanged.setdefault(key, number)
    taken = {*unchanged, *(key for key in keys if counts[key] == 1)}
    for number, key in enumerate(keys):
        if counts[key] > 1 and unchanged.get(key) != number:
            name = f"{cleaned[number]}.{number}"
            while name.casefold() in taken:
                name += "_"
            taken.add(name.casefold())
            cleaned[number] = name
    return cleaned


def _clean(name: str) -> str:
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return re.sub("[^A-Za-z0-9_.-]+", "_", plain).strip("_.-")[:LONGEST].strip("_.-")
