"""The memory that balancing with synthetic images takes, before any is made."""

from __future__ import annotations

from imblens.base.memory import refuse_too_large
from imblens.data import ImageSet
from imblens.synthesis._registry import find_oversampler


def oversampling_memory(image_set: ImageSet, method: str) -> int:
    """Return about how many bytes `oversample_pixels` takes; nothing is decoded or made.

    bytes = (classes with images x images of the largest) x (height x width x 3) x bytes per value of the method

    The last factor was measured: 14 for SMOTE and its kin, which hold originals, new images and both together in float32.

    Args:
        image_set: the set; its first image stands for the size of all.
        method: a name of `oversampler_descriptions()`.

    Raises:
        MissingError: no such over-sampler.
        InputError: it needs more than half of this machine's memory.

    Example:
        >>> from imblens.data import digits
        >>> oversampling_memory(digits(), "smote")  # 10 x 89 images of 32 x 32 x 3 values
        38277120
    """
    oversampler = find_oversampler(method)
    counts, train = image_set.class_counts, image_set.train
    n_after = int((counts > 0).sum() * counts.max())
    height, width = train.size or train.source.size(int(train.rows[0]))
    dim = height * width * 3
    needed = n_after * dim * oversampler.bytes_per_value
    refuse_too_large(
        needed,
        f"{oversampler.name} on {n_after:,} images of {height} x {width} needs about",
        hint="Use smaller images, or resample features instead: imblens treat RUN --with ...",
    )
    return needed
