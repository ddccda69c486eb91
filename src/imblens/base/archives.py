"""Opening zip archives of arrays (.npz) that may be damaged or hostile: one policy for runs and for image sets."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import memory_limit
from imblens.errors import InputError

MAX_RATIO = 200  # real features and images compress by less than 10; a bomb by 1000
LARGE_BYTES = 2**26  # below it, no ratio is suspicious
AGAIN = "Write it again with numpy.savez."


class ArrayArchive:
    """An opened .npz whose directory was checked; see `open_arrays`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
        """Keep what `open_arrays` found."""
        self.path = path
        self._archive, self._members = archive, members

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self._members)

    def read(self, key: str) -> NDArray[Any]:
        """Read one array.

        Raises:
            InputError: an object array (which only a pickle could restore), a header that claims another size than the
                member has, or damage; the message names file and key.
        """
        info = self._members[key]
        try:
            with self._archive.open(info) as file:
                version = np.lib.format.read_magic(file)
                readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                if version not in readers:
                    raise ValueError(f"format version {version}")
                shape, _, dtype = readers[version](file)
                start = file.tell()
            if dtype.hasobject:
                raise InputError(
                    f"{self.path}: {key!r} is an object array, which only a pickle could restore.",
                    hint=f"Save {key} with a numeric or text dtype.",
                )
            claimed = math.prod(int(n) for n in shape) * dtype.itemsize
            if min(shape, default=0) < 0 or claimed != info.file_size - start:
                raise InputError(
                    f"{self.path}: {key!r} claims shape {shape}, but holds {info.file_size - start} bytes.", hint=AGAIN
                )
            with self._archive.open(info) as file:
                array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
                return array
        except InputError:
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
def open_arrays(path: Path, *, hint: str = AGAIN) -> Iterator[ArrayArchive]:
    """Open an .npz after checking its directory: no bomb, no repeated names, no path names, nothing larger than memory.

    Args:
        path: the file.
        hint: what to do about a file that is damaged or no archive.

    Raises:
        InputError: not a zip archive, or one of the above.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an .npz.", hint="Give the archive itself.")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is damaged, or not an .npz archive ({error}).", hint=hint) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the file.") from error
    with archive:
        yield ArrayArchive(path, archive, _checked_members(path, archive.infolist(), hint))


def _checked_members(path: Path, infos: list[zipfile.ZipInfo], hint: str) -> dict[str, zipfile.ZipInfo]:
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
            f"{path} would unpack from {packed / 1e6:.1f} MB to {unpacked / 1e6:,.0f} MB, more than {MAX_RATIO}-fold.",
            hint="Do not read it unless you made it; then store it uncompressed, with numpy.savez.",
        )
    if unpacked > memory_limit():
        raise InputError(
            f"{path} holds {unpacked / 1e9:.1f} GB, more than half of this machine's memory.",
            hint="Store features as a run folder or Parquet, images as a folder or Parquet.",
        )
    return members
