"""Arrays that may be larger than memory: in an unnamed temporary file that is removed with the array."""

from __future__ import annotations

import math
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import refuse_full


def mapped_array(shape: tuple[int, ...], dtype: Any, what: str) -> NDArray[Any]:
    """An array of zeros that is mapped to a file in the folder for temporary files (TMPDIR).

    Args:
        shape, dtype: of the array.
        what: subject and verb of the message: "40 images need".

    Raises:
        StorageError: that folder has too little space.

    Example:
        >>> array = mapped_array((2, 3), np.uint8, "two rows need")
        >>> array[1] = 7
        >>> array.tolist()
        [[0, 0, 0], [7, 7, 7]]
    """
    refuse_full(math.prod(shape) * np.dtype(dtype).itemsize, what)
    with tempfile.TemporaryFile(prefix="imblens-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)
