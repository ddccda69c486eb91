"""Results that are computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Memo:
    """Results by key. A copy, a deep copy and a pickle of it are empty: results are computed again elsewhere.

    Threads may share it: two that ask for the same key at once may both compute it, and both get the first result.

    Example:
        >>> memo = Memo()
        >>> memo.get("sum", lambda: 1 + 2), memo.get("sum", lambda: 5), memo.known("product")
        (3, 3, None)
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}

    def get(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """Return the result kept under `key`; where there is none, compute and keep it."""
        if key not in self._results:
            self._results.setdefault(key, compute())
        result: Result = self._results[key]
        return result

    def known(self, key: Hashable) -> Any:
        """Return the result kept under `key`, or None; compute nothing."""
        return self._results.get(key)

    def put(self, key: Hashable, result: Any) -> None:
        """Keep `result` under `key`, in place of an earlier one."""
        self._results[key] = result

    def __reduce__(self) -> tuple[type[Memo], tuple[()]]:
        """Copy and pickle as an empty memo."""
        return Memo, ()
