"""Usual names of splits, in folders, files, columns and tables."""

from __future__ import annotations

import re

SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "eval": "val",
    "evaluation": "val",
}  # usual names of splits: ours


def split_of(name: str) -> str | None:
    """Return the split that a name with other words means, or None.

    >>> split_of("seg_train"), split_of("Testing Set"), split_of("strain")
    ('train', 'test', None)
    """
    found = {SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS}
    return found.pop() if len(found) == 1 else None
