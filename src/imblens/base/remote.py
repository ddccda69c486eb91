"""Paths of object storage (`s3://`, `gs://`, `memory://`, ...) through fsspec: copied to local files, and back.

Arrays are mapped, so they have to be local files. What is read is copied into the folder for temporary files (TMPDIR) and
stays there until the process ends; what is written is written there first and copied when it is complete.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from imblens.base.memory import refuse_full
from imblens.errors import DependencyError, ExistsError, ImblensError, InputError, StorageError

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)  # pathlib leaves one slash of two
TEMPORARY = ".imblens-tmp-"  # start of the names of files that are being written
LAST = ("run.json", "findings.json", "report.html")  # without these, what was copied is incomplete


def address_of(path: str | Path) -> str | None:
    """The address in object storage that a path is; None for a local path.

    >>> address_of("s3://bucket/run"), address_of(Path("s3://bucket/run")), address_of("runs/first")
    ('s3://bucket/run', 's3://bucket/run', None)
    """
    found = _ADDRESS.fullmatch(str(path))
    if found is None:
        return None
    protocol, rest = found[1].lower(), found[2].rstrip("/")
    return f"{protocol}:///{rest}" if protocol in ("file", "local") else f"{protocol}://{rest}"


class Copies:
    """Local copies of files in object storage, and what was written beside them."""

    def __init__(self) -> None:
        self._temporary: Any = None
        self._places: dict[str, Path] = {}  # address of a folder -> its local folder
        self._copied: dict[
            Path, tuple[int, int]
        ] = {}  # local file -> size and time when it was equal to the remote one

    def local(self, address: str) -> Path:
        """The local path that stands for an address; nothing is copied."""
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="imblens-remote-")
        parent, _, name = address.rpartition("/")
        if name in ("", ".", ".."):
            raise InputError(f"{address} names no file or folder.", hint="Give its whole address.")
        if parent not in self._places:
            folder = Path(self._temporary.name) / str(len(self._places))
            folder.mkdir()
            self._places[parent] = folder
        return self._places[parent] / name

    def fetch(self, address: str) -> Path:
        """Copy a file or folder here, where it exists, and return the local path.

        Raises:
            DependencyError: a package is not installed.
            InputError: unknown protocol, or reading is refused.
            StorageError: the folder for temporary files has too little space.
        """
        local = self.local(address)
        self._drop(local)
        with _explained(address, "read"):
            system, root = _file_system(address)
            found = _files(system, root)
            refuse_full(sum(found.values()), f"{address} needs")
            targets = {}
            for file in found:
                inside = PurePosixPath(file[len(root) :].lstrip("/"))
                if ".." in inside.parts:
                    raise InputError(f"{address} holds a file named {file!r}.", hint="Rename it.")
                targets[file] = local / inside if inside.parts else local
            for target in targets.values():
                target.parent.mkdir(parents=True, exist_ok=True)
            if targets:
                system.get(list(targets), [str(target) for target in targets.values()])
        for target in targets.values():
            self._copied[target] = _state(target)
        return local

    def _drop(self, local: Path) -> None:
        """Remove an earlier copy; arrays that are mapped keep what they had."""
        if local.is_dir():
            shutil.rmtree(local)
        else:
            local.unlink(missing_ok=True)
        for file in [file for file in self._copied if local in (file, *file.parents)]:
            del self._copied[file]

    def exists(self, address: str) -> bool:
        """Whether there is a file, or a folder that holds one, at an address."""
        with _explained(address, "read"):
            system, root = _file_system(address)
            return bool(_files(system, root))

    def push(self, *, only: Path | None = None) -> list[str]:
        """Copy files that are new or changed to their addresses, remove those that were deleted; return the addresses.

        Args:
            only: a local path: this file, or what is in this folder.

        Raises:
            StorageError: writing is refused; local copies stay until the process ends.
        """
        pushed = []
        for parent, folder in self._places.items():
            within = folder if only is None else only
            if only is not None and folder not in (only, *only.parents):
                continue
            present = [file for file in (within, *within.rglob("*")) if file.is_file() and TEMPORARY not in str(file)]
            changed = [file for file in present if self._copied.get(file) != _state(file)]
            gone = [file for file in self._copied if within in (file, *file.parents) and not file.exists()]
            changed.sort(key=lambda file: (file.name in LAST, file))
            for file in [*gone, *(file for file in changed if file.name in LAST and file in self._copied)]:
                _remove(f"{parent}/{file.relative_to(folder).as_posix()}")
                del self._copied[file]
            for file in changed:
                address = f"{parent}/{file.relative_to(folder).as_posix()}"
                with _explained(address, "written"):
                    system, root = _file_system(address)
                    system.makedirs(root.rpartition("/")[0], exist_ok=True)
                    system.put_file(str(file), root)
                self._copied[file] = _state(file)
                pushed.append(address)
        return pushed

    def origin(self, local: Path) -> str | None:
        """The address that a local file is a copy of; None where it is not a copy."""
        for parent, folder in self._places.items():
            if folder in local.parents:
                return f"{parent}/{local.relative_to(folder).as_posix()}"
        return None

    def look(self, local: Path) -> None:
        """Before writing to a local path that stands for an address: copy what is there, once."""
        address = self.origin(local)
        if address is not None and not local.exists():
            self.fetch(address)

    def named(self, text: str) -> str:
        """Text in which local copies are called by their addresses."""
        for parent, folder in self._places.items():
            text = text.replace(str(folder), parent)
        return text

    def forget(self) -> None:
        """Remove the local copies."""
        if self._temporary is not None:
            self._temporary.cleanup()
        self.__init__()  # type: ignore[misc]


COPIES = Copies()  # of this process
ImblensError.names.append(COPIES.named)


def fetched(path: str | Path) -> Path:
    """The local path of a file or folder, which is copied here first if it lies in object storage."""
    address = address_of(path)
    return Path(path) if address is None else COPIES.fetch(address)


def prepared(path: str | Path, *, force: bool) -> Path:
    """The local path to write to, with what lies at `path` already; `COPIES.push` copies it when it is complete.

    Raises:
        ExistsError: something lies there in object storage, and `force` is false.
    """
    address = address_of(path)
    if address is None:
        return Path(path)
    if not force and COPIES.exists(address):
        raise ExistsError(f"{address} already exists.", hint="Add --force (in Python, force=True), or choose another.")
    return COPIES.fetch(address)


@contextmanager
def written(path: str | Path, *, force: bool) -> Iterator[Path]:
    """`prepared`; what is complete at the end of the block is copied to where `path` lies."""
    local = prepared(path, force=force)
    yield local
    COPIES.push(only=local)


def _file_system(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it."""
    protocol = address.partition("://")[0]
    try:
        import fsspec.core
    except ImportError as error:
        raise DependencyError(
            f"{address} needs fsspec, which is not installed.", hint="Run: pip install 'imblens[remote]'"
        ) from error
    try:
        system, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        from fsspec.registry import known_implementations

        known = known_implementations.get(protocol, {}).get("class", "")
        package = getattr(error.__cause__, "name", None) or known.partition(".")[0]
        raise DependencyError(
            f"{protocol}:// needs {package}, which is not installed.", hint=f"Run: pip install {package}"
        ) from error
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        raise InputError(
            f"no storage is known for {protocol}:// ({address}).", hint="Known are, for example, s3:// and gs://."
        ) from error
    return system, str(root).rstrip("/")


def _files(system: Any, root: str) -> dict[str, int]:
    """Paths and sizes of a file, or of all files in a folder; of neither, nothing."""
    system.invalidate_cache()
    found = system.find(root, detail=True)
    return {str(name): int(facts.get("size") or 0) for name, facts in sorted(found.items())}


def _remove(address: str) -> None:
    with _explained(address, "written"):
        system, root = _file_system(address)
        if system.exists(root):
            system.rm_file(root)


@contextmanager
def _explained(address: str, done: str) -> Iterator[None]:
    """Turn the errors of a storage, which are of many kinds (no rights, no network), into one sentence."""
    try:
        yield
    except ImblensError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        kind = InputError if done == "read" else StorageError
        raise kind(f"{address} cannot be {done}: {reason}.", hint="Check the address and your rights.") from error


def _state(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns
