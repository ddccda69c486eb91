"""Finished blocks of long work, kept beside the file that they are for, so that a killed command continues."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from imblens.base.files import write_atomic


def parts_folder(out: Path) -> Path:
    """Hidden folder beside `out` in which its finished blocks are kept until it is complete."""
    return out.with_name(f".{out.name}.parts")


def digest_of(*values: Any) -> str:
    """Short digest of bytes, text and arrays; arrays of the same type, shape and numbers have the same.

    Example:
        >>> digest_of("a", np.eye(2)) == digest_of("a", np.eye(2)), digest_of("a", None) == digest_of("b", None)
        (True, False)
    """
    found = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            kept = value.astype("U") if value.dtype == object else value
            found.update(f"{kept.dtype} {kept.shape}".encode())
            found.update(np.ascontiguousarray(kept).data)
        else:
            found.update(value if isinstance(value, bytes) else repr(value).encode())
        found.update(b"\0")
    return found.hexdigest()[:32]


def kept_table(folder: Path, place: int, digest: str, make: Callable[[], pa.Table]) -> pa.Table:
    """Return block number `place` of this digest as it was kept, else make and keep it."""
    path = folder / f"{place:06d}-{digest}.arrow"
    try:
        with pa.OSFile(str(path)) as file:
            return ipc.open_file(file).read_all()
    except (OSError, pa.ArrowException):
        pass
    table = make()

    def write(file: Any) -> None:
        with ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    write_atomic(path, write)
    return table


def kept_arrays(folder: Path, digest: str, make: Callable[[], Sequence[Any]]) -> list[Any]:
    """The same for arrays, in one .npz."""
    path = folder / f"{digest}.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]
    except (OSError, ValueError, EOFError, KeyError):
        pass
    arrays = [np.asarray(array) for array in make()]
    write_atomic(path, lambda file: np.savez(file, *arrays))
    return arrays


def forget(out: Path) -> None:
    """Remove the kept blocks of `out`."""
    shutil.rmtree(parts_folder(out), ignore_errors=True)
