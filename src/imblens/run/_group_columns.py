"""Groups that a user passes beside arrays, as the column `group` of each split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.errors import InputError, ShapeError
from imblens.run._part import GROUP


def checked_groups(groups: Any, lengths: Mapping[str, int]) -> dict[str, NDArray[np.object_]]:
    """Return the groups of every split as text.

    Args:
        groups: mapping from split to a group per instance.
        lengths: instances of each split.

    Raises:
        InputError: no mapping, or a split that does not exist.
        ShapeError: not one group per instance.
    """
    if groups is None:
        return {}
    if not isinstance(groups, Mapping):
        raise InputError("groups is not a mapping.", hint='Pass groups={"train": [...], "test": [...]}.')
    found = {}
    for name, values in groups.items():
        if values is None:
            continue
        if name not in lengths:
            raise InputError(
                f"groups names the split {name!r}, which is not given.", hint=f"Given: {', '.join(lengths)}."
            )
        listed = values.tolist() if hasattr(values, "tolist") else list(values)
        if len(listed) != lengths[name]:
            raise ShapeError(
                f"groups has {len(listed)} entries for {lengths[name]} {name} instances.", hint="Give one per instance."
            )
        found[str(name)] = np.array([None if v is None or v != v or v == "" else str(v) for v in listed], dtype=object)
    return found


def group_tables(groups: Mapping[str, NDArray[np.object_]]) -> dict[str, pd.DataFrame]:
    """Return the column `group` of each split as a frame."""
    return {name: pd.DataFrame({GROUP: pd.Series(values, dtype=object)}) for name, values in groups.items()}
