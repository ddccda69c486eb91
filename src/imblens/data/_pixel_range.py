"""Black and white of images with more than 8 bits per channel: as stated, or as the training images show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.data._decode import PixelRange, narrow_colours, wide_values
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._sources import EncodedSource, FileSource
from imblens.errors import InputError

_SAMPLE = 32  # training images, evenly spaced
_BITS = (8, 10, 12, 14, 16)  # of the values that scanners and cameras write


def checked_range(pixel_range: Any) -> PixelRange | None:
    """Return (black, white) as finite numbers, black below white; None stays None.

    Raises:
        InputError: anything else.
    """
    if pixel_range is None:
        return None
    try:
        black, white = (float(value) for value in pixel_range)
    except (TypeError, ValueError):
        black = white = np.nan
    if not (np.isfinite([black, white]).all() and black < white):
        raise InputError(
            f"the pixel range is {pixel_range!r}.",
            hint="Give black and white, such as (0, 4095) or --pixel-range 0,4095.",
        )
    return black, white


def range_of(values: list[NDArray[Any]]) -> PixelRange:
    """Return black and white of images: the full range of their bits, [0, 1] or [-1, 1], else lowest and highest value.

    Example:
        >>> range_of([np.array([0, 3071], np.uint16)]), range_of([np.array([-1000, 400], np.int32)])
        ((0.0, 4095.0), (-1000.0, 400.0))
    """
    finite = [array[np.isfinite(array)] for array in values]
    finite = [array for array in finite if array.size]
    if not finite:
        return 0.0, 1.0
    low, high = float(min(array.min() for array in finite)), float(max(array.max() for array in finite))
    if all(array.dtype.kind in "iu" for array in finite):
        bits = next((b for b in _BITS if high < 2**b), None)
        return (0.0, 2.0**bits - 1) if low >= 0 and bits else (low, max(high, low + 1))
    if low >= -1 and high <= 1:
        return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    if low >= 0 and 128 <= high <= 255:
        return 0.0, 255.0
    return low, high if high > low else low + 1


def range_note(what: str, found: PixelRange, given: bool) -> str:
    """Return the line that states how wide pixels became 0 to 255."""
    how = "as stated" if given else "as the training images show; pixel_range= (--pixel-range) states another"
    return f"{what} have more than 8 bits: {found[0]:,.6g} is black and {found[1]:,.6g} is white, {how}."


def with_range(images: ImageSet, pixel_range: PixelRange | None) -> ImageSet:
    """Return the set with black and white of its 16-bit and 32-bit images, the same in all splits, and a note.

    Without `pixel_range` a sample of up to 32 training images decides (`range_of`), so that the range never depends on
    test. Values beyond it are clipped.
    """
    source = images.train.source
    if not isinstance(source, (FileSource, EncodedSource)):
        return images
    sample = np.unique(np.linspace(0, len(images.train) - 1, min(len(images.train), _SAMPLE)).astype(int))
    encoded = [source.encoded_image(int(images.train.rows[i])) for i in sample]
    wide = [values for one in encoded if (values := wide_values(one)) is not None]
    notes = list(images.notes)
    facts: dict[str, Any] = {}
    if wide:
        found = range_of(wide) if pixel_range is None else pixel_range
        notes.append(range_note("Pixels", found, pixel_range is not None))
        facts["pixel_range"] = list(found)
        ranged = {name: _ranged(split, found) for name, split in images.splits.items()}
        images = replace(images, **dict[str, Any](ranged))
    brightest = [top for one in encoded if (top := narrow_colours(one)) is not None]
    if brightest and max(brightest) < 64:
        notes.append(
            f"Colour images of 16 bits per channel are read by their high bytes, of which the brightest is "
            f"{max(brightest)} of 255: they are nearly black. Save them with 8 bits, scaled to 0 to 255."
        )
    return replace(images, notes=tuple(notes), source={**images.source, **facts})


def _ranged(split: ImageSplit, found: PixelRange) -> ImageSplit:
    source = split.source
    if not isinstance(source, (FileSource, EncodedSource)):
        return split
    return replace(split, source=replace(source, pixel_range=found), _cache={})
