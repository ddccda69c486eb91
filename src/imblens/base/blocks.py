"""Rows in blocks of bounded memory, for arithmetic that needs several wide copies of a batch."""

from __future__ import annotations

from collections.abc import Iterator

BLOCK_NUMBERS = 2**20  # numbers in one block: 8 MiB in float64


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices that cover `n_rows` rows in order, each of at most `BLOCK_NUMBERS` numbers.

    >>> list(row_blocks(5, 2**19))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, BLOCK_NUMBERS // max(1, n_columns))
    for low in range(0, n_rows, step):
        yield slice(low, min(low + step, n_rows))
