"""Where pixels come from: an array, encoded bytes in memory, or files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imblens.data._decode import PixelRange, Pixels, decode, decoded_size
from imblens.errors import InputError, ShapeError


class Source(Protocol):
    """Images by row. `name` is the row's name in messages, `digest` is equal for exact copies."""

    def __len__(self) -> int: ...

    def name(self, row: int) -> str:
        """Return the image's name in messages."""

    def image(self, row: int) -> Pixels:
        """Return (H, W, 3) uint8; the caller may change it."""

    def size(self, row: int) -> tuple[int, int]:
        """Return (H, W)."""

    def digest(self, row: int) -> bytes:
        """Return a fingerprint that is equal for exact copies."""


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Images in one array: (N, H, W) greyscale or (N, H, W, 3), uint8."""

    images: NDArray[np.uint8]
    label: str = "image"

    def __len__(self) -> int:
        return len(self.images)

    def name(self, row: int) -> str:
        """Return the array's name with the row."""
        return f"{self.label}[{row}]"

    def image(self, row: int) -> Pixels:
        """Return a copy of the row, greyscale replicated."""
        return in_colour(self.images[row])

    def size(self, row: int) -> tuple[int, int]:
        """Return (H, W)."""
        height, width = self.images.shape[1:3]
        return int(height), int(width)

    def digest(self, row: int) -> bytes:
        """Hash the pixels."""
        return hashlib.sha256(self.images[row].tobytes()).digest()


@dataclass(frozen=True, eq=False)
class EncodedSource:
    """Encoded images in memory: a pyarrow ChunkedArray of binary values without nulls."""

    encoded: Any
    label: str
    pixel_range: PixelRange | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    def name(self, row: int) -> str:
        """Return the split with the row."""
        return f"{self.label} row {row}"

    def image(self, row: int) -> Pixels:
        """Decode the row."""
        return decode(self.encoded_image(row), self.name(row), self.pixel_range)

    def encoded_image(self, row: int) -> bytes:
        """Return the row's bytes."""
        return bytes(self.encoded[row].as_py())

    def size(self, row: int) -> tuple[int, int]:
        """Read the header of the row."""
        return decoded_size(self.encoded[row].as_py(), self.name(row))

    def digest(self, row: int) -> bytes:
        """Hash the encoded bytes."""
        return hashlib.sha256(self.encoded[row].as_py()).digest()


@dataclass(frozen=True, eq=False)
class FileSource:
    """Image files below a folder."""

    root: Path
    files: tuple[str, ...]
    pixel_range: PixelRange | None = None

    def __len__(self) -> int:
        return len(self.files)

    def name(self, row: int) -> str:
        """Return the path, quoted: a file name may hold anything."""
        return ascii(str(self.root / self.files[row]))

    def image(self, row: int) -> Pixels:
        """Decode the file."""
        return decode(self.encoded_image(row), self.name(row), self.pixel_range)

    def encoded_image(self, row: int) -> Path:
        """Return the file's path."""
        return self.root / self.files[row]

    def size(self, row: int) -> tuple[int, int]:
        """Read the header of the file."""
        return decoded_size(self.root / self.files[row], self.name(row))

    def digest(self, row: int) -> bytes:
        """Hash the file."""
        try:
            return hashlib.sha256((self.root / self.files[row]).read_bytes()).digest()
        except OSError as error:
            raise InputError(
                f"{self.name(row)} cannot be read: {error.strerror}.", hint="Check the file and its permissions."
            ) from error


def in_colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy as (..., H, W, 3); greyscale (..., H, W) is replicated."""
    if images.shape[-1] == 3 and images.ndim >= 3:
        return images.copy()
    return np.repeat(images[..., None], 3, axis=-1)


def image_array(values: Any, name: str) -> NDArray[np.uint8]:
    """Check an array of images and return it as (N, H, W) or (N, H, W, 3) uint8.

    Raises:
        ShapeError: another shape; channels first is recognised and reported.
        InputError: not whole numbers from 0 to 255.
    """
    array = np.asarray(values)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    turned = array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] != 3
    if array.ndim not in (3, 4) or 0 in array.shape or (array.ndim == 4 and array.shape[3] != 3):
        advice = (
            f"Move the channels last: {name}.transpose(0, 2, 3, 1)." if turned else "Give (N, H, W) or (N, H, W, 3)."
        )
        raise ShapeError(f"{name} has shape {array.shape}; images need (N, H, W) or (N, H, W, 3), N > 0.", hint=advice)
    if array.ndim == 3 and array.shape[2] == 3:
        raise ShapeError(
            f"{name} has shape {array.shape}, which looks like one colour image.", hint="Give (N, H, W, 3)."
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        scaled = array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1
        raise InputError(
            f"{name} holds {array.dtype} values from {array.min()} to {array.max()}; pixels are whole numbers from 0 "
            "to 255.",
            hint=f"Convert with ({name} * 255).round().astype('uint8')."
            if scaled
            else "Scale to 0-255 and store as uint8.",
        )
    return array.astype(np.uint8)
