"""Image sets whose images are not of their class when they are mirrored left to right."""

from __future__ import annotations

from dataclasses import replace

from imblens.data._images import ImageSet

MIRRORED = "may_be_mirrored"  # key of `ImageSet.source`; a set without it may be mirrored


def unmirrored(images: ImageSet) -> ImageSet:
    """Return the set with the declaration that a mirrored image is not of its class, so that training mirrors none.

    Sets of digits have it. It is `source["may_be_mirrored"] = False`; an augmentation that is asked for wins over it.

    Example:
        >>> import numpy as np
        >>> from imblens.data import ImageSplit
        >>> split = ImageSplit.from_arrays(np.zeros((2, 8, 8), np.uint8), [0, 1])
        >>> unmirrored(ImageSet("letters", ("b", "d"), "multiclass", split)).source
        {'may_be_mirrored': False}
    """
    return replace(images, source={**images.source, MIRRORED: False})
