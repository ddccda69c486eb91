"""How batches of a user's data set are read, and the ids of their instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imblens.errors import InputError, ShapeError
from imblens.extraction._inputs import Label, Signature
from imblens.extraction._preprocessing import Preprocessing
from imblens.extraction._previews import Given
from imblens.run import GROUP

Ids = str | Callable[[Any], Sequence[Any]] | Mapping[str, Sequence[Any]] | None
ID_KEYS = ("id", "ids", "idx", "path", "file", "filename", "file_name", "image_path", "image_id")


@dataclass(frozen=True)
class BatchRules:
    """How batches of a user's data set are read.

    Attributes:
        preprocessing: reverts inputs to images.
        signature: arguments of the network's forward.
        label: key, position or function of the batch.
        classes: names, for labels given as text.
        tokenizer: decodes tokens for previews, or None.
        ids: key of the batch, or ids by split, or None.
        previews: as `Previews` takes them.
        groups: key or function of the batch, or groups by split, or None.
    """

    preprocessing: Preprocessing
    signature: Signature
    label: Label = None
    classes: Sequence[str] | None = None
    tokenizer: Any = None
    ids: Ids = None
    previews: Given = True
    groups: Ids = None

    def batch_groups(self, name: str, batch: Any, n: int) -> dict[str, list[Any]]:
        """Return the column of groups, where a key or a function of the batch gives them."""
        if callable(self.groups):
            values = self.groups(batch)
        elif isinstance(self.groups, str):
            values = _entry(batch, self.groups, name, "groups")
        else:
            return {}
        if len(values) != n:
            raise ShapeError(f"groups has {len(values)} entries for {n} {name} instances.", hint="Give one each.")
        return {GROUP: [as_group(value) for value in values]}

    def batch_ids(self, name: str, batch: Any, rows: range, paths: list[str] | None) -> list[str]:
        """Return the ids of a batch: those given, paths of an image folder, or positions."""
        values = None
        if callable(self.ids):
            values = self.ids(batch)
        elif isinstance(self.ids, str):
            values = _entry(batch, self.ids, name, "ids")
        known = (self.ids if isinstance(self.ids, Mapping) else {}).get(name, paths)
        if values is None and known is None and isinstance(batch, Mapping):
            values = next((batch[key] for key in ID_KEYS if _one_each(batch.get(key), len(rows))), None)
        if values is not None:
            if len(values) != len(rows):
                raise ShapeError(
                    f"ids has {len(values)} entries for {len(rows)} {name} instances.", hint="Give one each."
                )
            return [str(value.item() if hasattr(value, "item") else value) for value in values]
        if known is None:
            return [str(i) for i in rows]
        if rows.stop > len(known):
            raise ShapeError(
                f"ids has {len(known)} entries for {name}, which has more instances.", hint="Give one each."
            )
        return [str(known[i]) for i in rows]


def as_group(value: Any) -> str | None:
    """Return a group as text; None where it is not known."""
    value = value.item() if hasattr(value, "item") else value
    return None if value is None or value != value or value == "" else str(value)


def _entry(batch: Any, key: str, name: str, what: str) -> Any:
    if not (key in batch if isinstance(batch, Mapping) else hasattr(batch, key)):
        raise InputError(f"{name} yields no {key!r} for {what}.", hint="Name a key of the batch, or give a list.")
    return batch[key] if isinstance(batch, Mapping) else getattr(batch, key)


def _one_each(values: Any, n: int) -> bool:
    """Whether values are n texts or n whole numbers."""
    if getattr(values, "ndim", 1) != 1 or not hasattr(values, "__len__") or isinstance(values, str) or len(values) != n:
        return False
    if hasattr(values, "is_floating_point"):
        return not values.is_floating_point()
    return all(isinstance(value, (str, int)) for value in values)
