"""Four kinds of instances, by how many of their nearest others share the class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ARCHETYPES = ("safe", "border", "rare", "outlier")
SAFE, BORDER, RARE, OUTLIER = range(4)


def archetype_codes(same: NDArray[np.integer[Any]], seen: Any) -> NDArray[np.int8]:
    """(n,) kinds of instances of whose `seen` nearest others `same` share the class: of five 4 or 5, 2 or 3, 1, 0.

    Example:
        >>> [ARCHETYPES[code] for code in archetype_codes(np.array([5, 3, 1, 0]), 5)]
        ['safe', 'border', 'rare', 'outlier']
    """
    codes = np.select([same == 0, same * 5 >= 4 * seen, same * 5 >= 2 * seen], [OUTLIER, SAFE, BORDER], RARE)
    return codes.astype(np.int8)
