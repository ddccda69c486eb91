"""Opening zip archives of arrays (.npz) that may be damaged or hostile: one policy for runs and for image sets."""

from __future__ import annotations

import math
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import memory_limit, refuse_full
from imblens.errors import InputError, StorageError

MAX_RATIO = 200  # real features and images compress by less than 10; a bomb by 1000
LARGE_BYTES = 2**26  # below it, no ratio is suspicious
BLOCK = 2**22  # bytes that are copied at a time
STREAMED = 2**30  # bytes of an archive above which large arrays are mapped
IN_MEMORY = 2**26  # bytes of an array that is read into memory all the same
AGAIN = "Write it again with numpy.savez."


class ArrayArchive:
    """An opened .npz whose directory was checked; see `open_arrays`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
        self.path = path
        self._archive, self._members = archive, members

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self._members)

    @property
    def unpacked(self) -> int:
        """Bytes of all arrays."""
        return sum(info.file_size for info in self._members.values())

    @property
    def large(self) -> bool:
        """Whether `loaded` maps arrays above 64 MiB: all together they have more than 1 GiB."""
        return self.unpacked > STREAMED

    def loaded(self, key: str) -> NDArray[Any]:
        """One array: mapped, where both it and the archive are large, else in memory.

        Raises:
            InputError, StorageError: as `mapped`.
        """
        return self.mapped(key) if self.large and self._members[key].file_size > IN_MEMORY else self.read(key)

    def read(self, key: str) -> NDArray[Any]:
        """Read one array.

        Raises:
            InputError: an object array (which only a pickle could restore), a header that claims another size than the
                member has, or damage; the message names file and key.
        """
        with self._opened(key), self._archive.open(self._members[key]) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array

    def columns(self, key: str, most: int) -> NDArray[Any]:
        """Read the first columns of a matrix (n, m), at most so many; the others take no memory.

        Raises:
            InputError: as `read`; the array is not a matrix that lies row by row.
        """
        with self._opened(key) as (file, shape, fortran, dtype):
            if fortran or len(shape) != 2:
                raise ValueError(f"shape {shape} is not a matrix of rows")
            found = np.empty((shape[0], min(shape[1], most)), dtype)
            row = shape[1] * dtype.itemsize
            step = max(1, BLOCK // max(1, row))
            for low in range(0, len(found), step):
                size = min(step, len(found) - low)
                rows = np.frombuffer(file.read(size * row), dtype).reshape(size, shape[1])
                found[low : low + size] = rows[:, : found.shape[1]]
            return found

    def mapped(self, key: str) -> NDArray[Any]:
        """Read one array as `read` does, into a temporary file without a name that is mapped: it takes no memory.

        Raises:
            InputError: as `read`.
            StorageError: the folder for temporary files has too little space.
        """
        refuse_full(self._members[key].file_size, f"{self.path}: {key!r} needs")
        with self._opened(key) as (file, shape, fortran, dtype), tempfile.TemporaryFile(prefix="imblens-") as place:
            shutil.copyfileobj(file, place, BLOCK)
            place.flush()
            return np.memmap(place, dtype, "r", shape=shape, order="F" if fortran else "C")

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]]:
        """The file of an array after its header, shape, whether it is in Fortran's order, and type."""
        info = self._members[key]
        try:
            with self._archive.open(info) as file:
                version = np.lib.format.read_magic(file)
                readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                if version not in readers:
                    raise ValueError(f"format version {version}")
                shape, fortran, dtype = readers[version](file)
                if dtype.hasobject:
                    raise InputError(
                        f"{self.path}: {key!r} is an object array, which only a pickle could restore.",
                        hint=f"Save {key} with a numeric or text dtype.",
                    )
                claimed, held = math.prod(int(n) for n in shape) * dtype.itemsize, info.file_size - file.tell()
                if min(shape, default=0) < 0 or claimed != held:
                    raise InputError(f"{self.path}: {key!r} claims shape {shape}, but has {held} bytes.", hint=AGAIN)
                yield file, shape, fortran, dtype
        except (InputError, StorageError):
            raise
        except (
            ValueError,
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise InputError(f"{self.path}: {key!r} cannot be read ({error}).", hint=AGAIN) from error


@contextmanager
def open_arrays(path: Path, *, hint: str = AGAIN, mapped: bool = False) -> Iterator[ArrayArchive]:
    """Open an .npz after checking its directory: no bomb, no repeated names, no path names, nothing larger than memory.

    Args:
        path: the file.
        hint: what to do about a file that is damaged or no archive.
        mapped: whether the reader maps large arrays; the archive may then be larger than memory.

    Raises:
        InputError: not a zip archive, or one of the above.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an .npz.", hint="Give the archive itself.")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        raise InputError(f"{path} is damaged, or not an .npz archive ({error}).", hint=hint) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the file.") from error
    with archive:
        yield ArrayArchive(path, archive, _checked_members(path, archive.infolist(), hint, mapped))


def _checked_members(path: Path, infos: list[zipfile.ZipInfo], hint: str, mapped: bool) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        key = info.filename.removesuffix(".npy")
        if set(key) & set("/\\\0") or ".." in key:
            raise InputError(f"{path} holds a member named {info.filename!a}.", hint="Keys must be plain names.")
        if key in members:
            raise InputError(f"{path} holds two members named {info.filename!a}.", hint=hint)
        members[key] = info
    unpacked = sum(info.file_size for info in members.values())
    packed = path.stat().st_size  # members may share bytes, so their own sizes prove nothing
    if unpacked > LARGE_BYTES and unpacked > MAX_RATIO * packed:
        raise InputError(
            f"{path} would grow from {packed / 1e6:.1f} MB to {unpacked / 1e6:,.0f} MB, more than {MAX_RATIO}-fold.",
            hint="Do not read it unless you made it; then store it uncompressed, with numpy.savez.",
        )
    if unpacked > memory_limit() and not mapped:
        raise InputError(
            f"{path} holds {unpacked / 1e9:.1f} GB, more than half of this machine's memory.",
            hint="Store features as a run folder or Parquet, images as a folder or Parquet.",
        )
    return members
