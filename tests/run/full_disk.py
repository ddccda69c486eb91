"""A disk that is full at the n-th write, and what is mapped while files of a run are renamed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

WRITES = ("os.fsync", "pathlib.Path.replace", "pathlib.Path.mkdir")  # what a write of a run needs of the system


@contextmanager
def full_at(call: str, number: int) -> Iterator[list[Any]]:
    """In the block, that call to the system finds the disk full, once; gives what it was called with."""
    seen: list[Any] = []
    real = resolve_name(call)

    def counted(*args: Any, **options: Any) -> Any:
        seen.append(args)
        if len(seen) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, counted)
        yield seen


def state(folder: Path) -> dict[Path, bytes | None]:
    """Files with their content, and folders."""
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@contextmanager
def mapped_when_renamed() -> Iterator[list[list[str]]]:
    """Gives, of every run that the block puts in its place, its files that are mapped; Windows could not rename them."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("maps are read from Linux")
    found: list[list[str]] = []
    real = resolve_name("imblens.run._write:_put_in_place")

    def seen(stage: Path, path: Path) -> None:
        found.append([line for line in maps.read_text().splitlines() if str(stage.resolve()) in line])
        real(stage, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imblens.run._write._put_in_place", seen)
        yield found
