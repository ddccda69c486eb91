"""Finished cells of a study on disk: one small file each, so that no kill loses a finished one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from imblens.base.files import claim, write_text
from imblens.errors import InputError

SPEC = "study.json"


@dataclass(frozen=True)
class Store:
    """The folders of a study and of its networks.

    Attributes:
        folder: with `cells/`, one JSON file for every finished cell.
        networks: trained networks, a folder each; several studies may share it.
    """

    folder: Path
    networks: Path

    @classmethod
    def open(cls, folder: Path, spec: Mapping[str, Any], *, networks: Path | None = None, force: bool = False) -> Store:
        """Open or create the folder of a study; cells finished by an earlier start of the same study are kept.

        Raises:
            InputError: the folder holds another study.
            ExistsError: it holds something else, and `force` is false.
        """
        store = cls.peek(folder, spec, networks=networks, force=force)
        known = folder / SPEC
        claim(folder, force=force or known.exists())
        write_text(known, json.dumps(spec, indent=2) + "\n")
        return store

    @classmethod
    def peek(cls, folder: Path, spec: Mapping[str, Any], *, networks: Path | None = None, force: bool = False) -> Store:
        """Read the folder of a study, whether it exists or not; write nothing.

        Raises:
            InputError: the folder holds another study.
        """
        known = folder / SPEC
        if known.exists() and not force:
            stored = _read(known)
            if stored != json.loads(json.dumps(spec)):
                name = stored.get("name", "?") if isinstance(stored, dict) else "?"
                raise InputError(
                    f"{folder} holds another study, or this one with other settings ({name}).",
                    hint="Repeat the settings it was started with, or choose another --out.",
                )
        return cls(folder, folder / "networks" if networks is None else networks)

    def finished(self, key: Mapping[str, Any], details: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the values of a cell, or None where it is not finished (or its file is damaged, or lacks `details`)."""
        stored = self._stored(key)
        if stored is None or not ("failed" in stored["values"] or set(details) <= set(stored.get("details", {}))):
            return None
        values: dict[str, Any] = stored["values"]
        return values

    def _stored(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        path = self._cell(key)
        stored = _read(path) if path.exists() else None
        return stored if isinstance(stored, dict) and stored.get("key") == dict(key) else None

    def write(
        self, key: Mapping[str, Any], values: Mapping[str, Any], details: Mapping[str, Any] | None = None
    ) -> None:
        """Store the values of a cell, and rows that figures need, by name."""
        kept = {"key": dict(key), "values": dict(values), **({"details": dict(details)} if details else {})}
        text = json.dumps(kept, indent=1, allow_nan=False)
        write_text(self._cell(key), text + "\n")

    def network(self, key: Mapping[str, Any]) -> Path:
        """Return the folder of the network that `key` describes."""
        return self.networks / _digest(key)

    def frame(self, keys: list[dict[str, Any]]) -> pd.DataFrame:
        """Return one row for every finished cell among `keys`, in their order."""
        rows = [{**key, **values} for key in keys if (values := self.finished(key)) is not None]
        return pd.DataFrame(rows)

    def details(self, keys: list[dict[str, Any]], name: str) -> pd.DataFrame:
        """Return the rows that were kept under a name, behind the key of their cell."""
        found = [(key, self._stored(key)) for key in keys]
        rows = [
            {**key, **row}
            for key, stored in found
            if stored is not None
            for row in stored.get("details", {}).get(name, [])
        ]
        return pd.DataFrame(rows)

    def _cell(self, key: Mapping[str, Any]) -> Path:
        return self.folder / "cells" / f"{_digest(key)}.json"


def _digest(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
