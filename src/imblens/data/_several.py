"""Images decoded by several threads: Pillow decodes outside the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import cores, refuse_too_large
from imblens.base.scratch import mapped_array
from imblens.data._decode import Pixels, decoding_silently

Item = TypeVar("Item")
Result = TypeVar("Result")
SEVERAL = 16  # images from which several threads decode
CACHE_BYTES = 2 * 2**30  # decoded images above which they lie in a mapped file
AHEAD = 256  # images that are decoded ahead of their use


def decoded_in_order(
    decode: Callable[[int], Result], rows: Sequence[int] | NDArray[Any], *, several: bool
) -> Iterator[Result]:
    """Yield decode(row) for every row, in order, by `several` threads where wanted; the first that fails raises."""
    if not several or len(rows) < SEVERAL:
        yield from (decode(int(row)) for row in rows)
        return
    with decoding_silently(), ThreadPoolExecutor(cores()) as pool:
        for low in range(0, len(rows), AHEAD):
            yield from pool.map(lambda row: decode(int(row)), rows[low : low + AHEAD])


def one_ahead(read: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Yield read(item) for every item, in order; while one is used, the next is read in a thread.

    An error is raised where the item that fails would come; the thread ends with the loop, also with one that fails.

    Example:
        >>> list(one_ahead(lambda number: number**2, range(4)))
        [0, 1, 4, 9]
    """
    with decoding_silently(), ThreadPoolExecutor(1) as pool:
        coming: Future[Result] | None = None
        for item in items:
            result = None if coming is None else (coming.result(),)
            coming = pool.submit(read, item)  # not before: what waits would still be read after an error or Ctrl-C
            if result is not None:
                yield result[0]
        if coming is not None:
            yield coming.result()


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
