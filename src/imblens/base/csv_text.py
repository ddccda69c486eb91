"""Tables as CSV that no spreadsheet executes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")


def csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
    r"""A frame as CSV: shortest digits that read back to the same number, an empty cell where a value is unknown.

    A text that a spreadsheet would take for a formula gets a `'` in front (= + - @, tab, carriage return, NUL); numbers
    are left alone, so a class named "-1" is written `'-1` while -1.0 stays.

    Example:
        >>> import pandas as pd
        >>> csv_text(pd.DataFrame({"class": ["=1+1", "cat"], "shift": [-0.5, 2.0]}))
        "class,shift\n'=1+1,-0.5\ncat,2.0\n"
    """
    safe = table.copy()
    for name in safe.columns:
        if not _numeric(safe[name]):
            safe[name] = safe[name].astype(object).map(_guarded)
    safe.columns = [_guarded(str(name)) for name in safe.columns]
    text: str = safe.to_csv(index=False, lineterminator="\n", header=header)
    if "\r" in text:  # only this line end makes the writer quote a carriage return, which else would start a row
        text = safe.to_csv(index=False, lineterminator="\r\n", header=header)
    return text


def _numeric(column: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype))


def _guarded(cell: Any) -> Any:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return "'" + cell.replace("\0", "")
    return cell.replace("\0", "") if isinstance(cell, str) else cell
