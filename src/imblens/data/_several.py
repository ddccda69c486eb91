"""Images decoded by several threads: Pillow decodes outside the interpreter's lock."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import cores, refuse_too_large
from imblens.base.scratch import mapped_array
from imblens.data._decode import Pixels

SEVERAL = 16  # images from which several threads decode
CACHE_BYTES = 2 * 2**30  # decoded images above which they lie in a mapped file
AHEAD = 256  # images that are decoded ahead of their use


def decoded_in_order(
    decode: Callable[[int], Pixels], rows: Sequence[int] | NDArray[Any], *, several: bool
) -> Iterator[Pixels]:
    """Yield decode(row) for every row, in order, by `several` threads where wanted; the first that fails raises."""
    if not several or len(rows) < SEVERAL:
        yield from (decode(int(row)) for row in rows)
        return
    with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:  # what threads filter ends with the block
        for low in range(0, len(rows), AHEAD):
            yield from pool.map(lambda row: decode(int(row)), rows[low : low + AHEAD])


def room_for(n: int, image: Pixels, *, mapped: bool) -> NDArray[np.uint8]:
    """An array for n images like one; above 2 GiB a `mapped` one lies in a file.

    Raises:
        InputError: it is not mapped, and would take more than half of this machine's memory.
        StorageError: the folder for temporary files has too little space.
    """
    shape, what = (n, *image.shape), f"{n} images of {image.shape[0]} x {image.shape[1]} need"
    if mapped and n * image.nbytes > CACHE_BYTES:
        return mapped_array(shape, np.uint8, what)
    refuse_too_large(n * image.nbytes, what, hint="Read them in batches, or pass a smaller size.")
    return np.empty(shape, dtype=np.uint8)
