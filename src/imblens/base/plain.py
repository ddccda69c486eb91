"""Values as JSON that every reader accepts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """JSON without NaN and without NumPy: null stands for what is unknown; copies of remote files have their address.

    Example:
        >>> import numpy as np
        >>> plain({"a": np.float32(0.5), "b": float("nan"), "c": (1, np.int64(2))})
        {'a': 0.5, 'b': None, 'c': [1, 2]}
    """
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, Path):
        from imblens.base.remote import COPIES

        return COPIES.named(str(value))
    if hasattr(value, "tolist"):  # arrays and their numbers
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date) else str(value)
