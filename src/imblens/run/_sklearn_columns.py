"""What scikit-learn's X holds besides features: names, and a column per instance with its id, text or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.run._table_columns import PREVIEW, list_column


def names_out(steps: Sequence[Any], X: Any, dim: int) -> list[str] | None:
    """Names of the features that enter the last step; None where a step does not give them."""
    names: Any = [str(name) for name in X.columns] if hasattr(X, "columns") else None
    for step in steps:
        if step is None or step == "passthrough" or not hasattr(step, "transform"):
            continue
        try:
            names = [str(name) for name in step.get_feature_names_out(names)]
        except Exception:  # whatever a transformer of somebody raises
            return None
    if names is None and not steps:
        names = [f"x{k}" for k in range(dim)]
    return list(names) if names is not None and len(names) == dim else None


def instance_tables(inputs: Mapping[str, Any], transformed: bool) -> tuple[dict[str, Any], list[str] | None]:
    """Per-instance columns of every split: id where the index gives one, text, or the numbers of a row."""
    tables: dict[str, Any] = {}
    names: list[str] | None = None
    for split, X in inputs.items():
        columns: dict[str, Any] = {}
        if isinstance(X, (pd.DataFrame, pd.Series)):
            columns["id"] = [str(value) for value in X.index]
        texts = _texts(X)
        if texts is not None:
            columns["preview"] = [text[:PREVIEW] for text in texts]
        elif transformed:
            numbers, own = _row_numbers(X)
            if numbers is not None:
                columns["values"], names = list_column(numbers), own
        if columns:
            tables[split] = pd.DataFrame(columns)
    return tables, names


def _texts(X: Any) -> list[str] | None:
    """The texts of a list, a series, or a frame with one column of text."""
    if hasattr(X, "columns"):
        if len(X.columns) != 1:
            return None
        X = X.iloc[:, 0] if hasattr(X, "iloc") else X
    values = X.tolist() if hasattr(X, "tolist") else list(X) if isinstance(X, (list, tuple)) else []
    return values if values and all(isinstance(value, str) for value in values) else None


def _row_numbers(X: Any) -> tuple[NDArray[np.float32] | None, list[str] | None]:
    if hasattr(X, "select_dtypes"):
        numeric = X.select_dtypes("number")
        if numeric.shape[1] == 0:
            return None, None
        return numeric.to_numpy(np.float32, na_value=np.nan), [str(name) for name in numeric.columns]
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "fiu":
        return X.astype(np.float32), [f"x{k}" for k in range(X.shape[1])]
    return None, None


def joined(one: Any, other: Any) -> Any:
    """The columns of both frames; None where both are None."""
    known = [frame for frame in (one, other) if frame is not None]
    return pd.concat(known, axis=1) if known else None
