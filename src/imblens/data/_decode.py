"""Decoding of images; faults of image files are handled here."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from imblens.errors import InputError

Pixels = NDArray[np.uint8]  # (H, W, 3)
PixelRange = tuple[float, float]  # values that become 0 and 255
MAX_PIXELS = 64_000_000  # a 10 kB file can claim 80 million pixels; Pillow itself only warns above 89 million
FORMATS: tuple[str, ...] = (
    "PNG",
    "JPEG",
    "BMP",
    "DIB",
    "GIF",
    "WEBP",
    "TIFF",
    "PPM",
)  # Pillow knows more, some run other programs
if find_spec("PIL.AvifImagePlugin") is not None:
    FORMATS = (*FORMATS, "AVIF")
_JPEG = [".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp"]
_OTHERS = [".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif"]
SUFFIXES = frozenset([*_JPEG, *_OTHERS])
_STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 turn the image by a quarter


def is_image(path: Path) -> bool:
    """Return whether a file is an image by its suffix or, without a known one, by its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return head.startswith(_STARTS) or head[8:12] == b"WEBP" or head[4:12] == b"ftypavif"


def decode(encoded: bytes | Path, where: str, pixel_range: PixelRange | None = None) -> Pixels:
    """Decode an image to (H, W, 3) uint8.

    Greyscale is replicated, transparency laid on white, the first frame taken, the EXIF orientation applied.

    Args:
        encoded: the file's bytes, or its path.
        where: how messages name the image.
        pixel_range: black and white of greyscale images of more than 8 bits; values beyond are clipped. Without it the
            full 16-bit range becomes 0 to 255.

    Raises:
        InputError: not an image of a known format, damaged, too large, or of 32-bit pixels without a range.
    """
    with _opened(encoded, where) as image:
        image.load()
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        return _to_rgb(ImageOps.exif_transpose(image) if turned else image, where, pixel_range)


def decoded_size(encoded: bytes | Path, where: str) -> tuple[int, int]:
    """Return (H, W) of an image from its header, without decoding it."""
    with _opened(encoded, where) as image:
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        width, height = image.size
    return (width, height) if turned else (height, width)


def wide_values(encoded: bytes | Path) -> NDArray[Any] | None:
    """Return the values of a greyscale image of more than 8 bits; None for others, and for one that cannot be read."""
    with suppress(InputError), _opened(encoded, "") as image:  # reported where the image is decoded
        return np.array(image) if image.mode.startswith(("I", "F")) else None
    return None


def narrow_colours(encoded: bytes | Path) -> int | None:
    """Return the highest value, of 255, of a colour image of 16 bits per channel; None for others."""
    with suppress(InputError), _opened(encoded, "") as image:  # reported where the image is decoded
        tiles = getattr(image, "tile", [])  # of image files only
        raw = str(tiles[0][3]) if tiles else ""
        return int(np.array(image)[..., :3].max()) if image.mode in ("RGB", "RGBA") and ";16" in raw else None
    return None


def scaled(values: NDArray[Any], pixel_range: PixelRange) -> NDArray[np.uint8]:
    """Return values as 0 (black) to 255 (white), rounded and clipped; what is not a number is black."""
    black, white = pixel_range
    shares = (values.astype(np.float64) - black) / (white - black)
    return np.rint(np.clip(np.nan_to_num(shares, nan=0.0), 0, 1) * 255).astype(np.uint8)


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize to (H, W), bilinear and anti-aliased; the same array where it has that size already."""
    if image.shape[:2] == size:
        return image
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


class _Silenced:
    """Whether warnings of decoding are ignored for all threads, which share their filters."""

    held = False


@contextmanager
def decoding_silently() -> Iterator[None]:
    """Ignore the warnings of decoding, in other threads too, which then leave the filters of warnings as they are."""
    if _Silenced.held:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(PIL|imblens\.data\._decode)\b")
        _Silenced.held = True
        try:
            yield
        finally:
            _Silenced.held = False


@contextmanager
def _opened(encoded: bytes | Path, where: str) -> Iterator[Image.Image]:
    """Open an image that is not too large; what Pillow raises while it is read becomes an error that names it."""
    silent = _Silenced.held
    with nullcontext() if silent else warnings.catch_warnings():
        if not silent:
            warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded, formats=FORMATS) as image:
                _refuse_large(image, where)
                yield image
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
            raise _unreadable(where, error) from error


def _refuse_large(image: Image.Image, where: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{where} has {width} x {height} pixels, more than the {MAX_PIXELS // 10**6} million that are read.",
            hint="Scale it down first, or leave it out if it is not yours: a small file can claim any size.",
        )


def _to_rgb(image: Image.Image, where: str, pixel_range: PixelRange | None) -> Pixels:
    if image.mode.startswith(("I", "F")):
        wide = np.array(image)
        if pixel_range is None and (image.mode == "F" or wide.min() < 0 or wide.max() > 65535):
            raise InputError(
                f"{where} has 32-bit pixels, whose range from black to white is not known.",
                hint="Give it: pixel_range=(BLACK, WHITE) or --pixel-range BLACK,WHITE.",
            )
        grey = scaled(wide, pixel_range or (0, 65535))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.array(image.convert("RGB"))


def _unreadable(where: str, error: Exception) -> InputError:
    if isinstance(error, Image.DecompressionBombError):
        reason = "it claims more pixels than are safe to read"
    elif isinstance(error, UnidentifiedImageError):
        reason = f"it is not one of {', '.join(FORMATS)}"
    elif isinstance(error, FileNotFoundError):
        reason = "the file is no longer there"
    else:
        reason = str(error) or type(error).__name__
    return InputError(f"{where} cannot be read as an image: {reason}.", hint="Repair or remove it, then try again.")
