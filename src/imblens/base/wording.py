"""How numbers, and errors of other libraries, are written, so that one looks the same in report, terminal and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

FEW = 10  # below this many instances a share is marked "too few to tell"


def percent(share: float) -> str:
    """Write a share.

    Example:
        >>> percent(0.466)
        '47%'
    """
    return f"{100 * share:.0f}%"


def interval(low: float, high: float) -> str:
    """Write the ends of a share's interval in percent, without the sign that stands at the share.

    Example:
        >>> f"{percent(0.47)} {interval(0.441, 0.502)}"
        '47% [44, 50]'
    """
    return f"[{100 * low:.0f}, {100 * high:.0f}]"


def share_with_interval(share: float, low: float, high: float) -> str:
    """Write a share with its interval.

    Example:
        >>> share_with_interval(0.47, 0.441, 0.502)
        '47% [44, 50]'
    """
    return f"{percent(share)} {interval(low, high)}"


def points(change: float) -> str:
    """Write the change of a share in percentage points.

    Example:
        >>> points(0.034), points(-0.02)
        ('+3.4 points', '\N{MINUS SIGN}2.0 points')
    """
    return f"{100 * change:+.1f} points".replace("-", "\N{MINUS SIGN}")


def ratio(value: float) -> str:
    """Write how many times as much, with one decimal below ten and none above.

    Example:
        >>> ratio(1.6), ratio(9.96), ratio(28.57), ratio(1234.0)
        ('1.6', '10', '29', '1,234')
    """
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def counted(n: int, thing: str) -> str:
    """Write a number of things.

    Example:
        >>> counted(1, "test instance"), counted(1200, "test instance")
        ('1 test instance', '1,200 test instances')
    """
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def evidence(n: int, groups: float | None, thing: str, group: str = "group") -> str:
    """Write a number of things and of the groups that they are of, where groups are known.

    Example:
        >>> evidence(21, 1, "positive"), evidence(3, None, "test instance"), evidence(3, 2, "positive", "patient")
        ('21 positives of 1 group', '3 test instances', '3 positives of 2 patients')
    """
    text = counted(n, thing)
    return text if groups is None or groups != groups else f"{text} of {counted(int(groups), group)}"


def listed(names: Sequence[Any], most: int = 10) -> str:
    """Write names in a row, the first `most` of them.

    Example:
        >>> listed(["cat", "dog"]), listed(range(12), 3)
        ('cat, dog', '0, 1, 2 and 9 more')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more


def in_one_line(error: BaseException) -> str:
    """Write the type and the first line of an error, without its full stop.

    Example:
        >>> in_one_line(RuntimeError("no device found.\\nTry again.")), in_one_line(KeyError())
        ('RuntimeError: no device found', 'KeyError')
    """
    first = next(iter(str(error).strip().splitlines()), "").strip().rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def number(value: Any) -> float | None:
    """Return a JSON number; None for NaN, infinity and None.

    Example:
        >>> number(float("nan")) is None, number(2)
        (True, 2.0)
    """
    return None if value is None or not math.isfinite(value) else float(value)
