"""Writing files so that a reader sees the old one or the new one, never a part of one."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from imblens.base.locks import take
from imblens.base.remote import COPIES, TEMPORARY
from imblens.errors import ExistsError, StorageError

_MADE: list[Path] = []  # folders that `claim` made in this process


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write `path` through a temporary file in the same folder, flushed to disk, then renamed.

    Args:
        path: final name; its folder is made when missing.
        write: receives the open binary file.

    Raises:
        StorageError: the disk is full or the folder is read-only; `path` is as it was before.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=_temporary_of(path), dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _temporary_of(path: Path) -> str:
    """How the temporary files of `path` begin: by which `claim_file` recognises what a killed process left."""
    return f"{TEMPORARY}{zlib.crc32(os.fsencode(path.name)):08x}-"


def temporary_folder(within: Path) -> Path:
    """Make a folder in `within` that `sweep` removes where a kill left it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=within))
    except OSError as error:
        raise storage_error(within, error) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, atomically."""
    write_atomic(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    write_bytes(path, text.encode("utf-8"))


def sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left in `folder`."""
    for stale in folder.rglob(TEMPORARY + "*"):
        if stale.is_dir():
            shutil.rmtree(stale, ignore_errors=True)
        else:
            stale.unlink(missing_ok=True)


def claim(out: Path, *, force: bool) -> Path:
    """Check, before long work, that `out` can be written as a folder; make it and return it.

    Raises:
        ExistsError: `out` holds something and `force` is false, or is a file.
        StorageError: the folder cannot be made or written to, or another process writes it (see `imblens.base.locks`).
    """
    COPIES.look(out)
    try:
        if out.exists() and not out.is_dir():
            raise ExistsError(f"--out {out} is a file.", hint="Choose a folder for --out.")
        if out.is_dir() and any(out.iterdir()) and not force:
            raise ExistsError(f"{out} already exists.", hint="Add --force (in Python, force=True), or choose another.")
        if not out.exists():
            out.mkdir(parents=True)
            _MADE.append(out)
        take(out)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=out)
        os.close(handle)
        Path(name).unlink()
    except (ExistsError, StorageError):
        raise
    except OSError as error:
        raise storage_error(out, error) from error
    sweep(out)
    return out


def claim_file(path: Path, *, force: bool) -> Path:
    """Check, before long work, that the file `path` can be written, and remove what a killed process left of it; return it.

    Raises:
        ExistsError: it exists and `force` is false, or is a folder.
        StorageError: its folder cannot be made or written to.
    """
    COPIES.look(path)
    if path.is_dir():
        raise ExistsError(f"{path} is a folder.", hint="Give the name of a file.")
    if path.exists() and not force:
        raise ExistsError(f"{path} already exists.", hint="Add --force (in Python, force=True), or choose another.")
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            _MADE.append(path.parent)
        handle, _ = tempfile.mkstemp(prefix=_temporary_of(path), dir=path.parent)
        os.close(handle)
        for stale in path.parent.glob(_temporary_of(path) + "*"):
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
    return path


def release() -> None:
    """Remove the folders that `claim` made and no file was written to: a refused command leaves nothing behind."""
    while _MADE:
        folder = _MADE.pop()
        if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
            shutil.rmtree(folder)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def storage_error(path: Path, error: OSError) -> StorageError:
    """What to raise where the system refused to write `path`, which was left as it was."""
    reason, hint = error.strerror or str(error), "Choose another --out."
    if error.errno == errno.ENOSPC or "requested and" in str(error):
        folder = next((p for p in (path, *path.parents) if p.exists()), Path())
        reason = f"disk full, {shutil.disk_usage(folder).free / 1e6:.1f} MB free"
        hint = "Free some space, or choose another --out."
    return StorageError(f"cannot write {path}: {reason}; nothing under that name was changed.", hint=hint)
