"""scikit-learn's handwritten digits: an image set that needs no download."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imblens.base.arguments import a_seed, checked
from imblens.data._assemble import assemble
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._mirrored import unmirrored

_ZOOM = 4


@checked(seed=a_seed())
def digits(seed: int = 0, *, profile: str = "exp:20") -> ImageSet:
    """Return scikit-learn's 1,797 digits as 32 x 32 greyscale images, half held out, training split then long-tailed.

    The 8 x 8 originals are enlarged by repeating pixels. The halves are stratified by class and do not depend on the
    profile. Images are named after their position in `sklearn.datasets.load_digits`. Training does not mirror them.

    Args:
        seed: draws the halves, and the images that the profile keeps.
        profile: see `imbalance_profile`.

    References:
        Alpaydin and Kaynak 1998, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository.

    Example:
        >>> digits(seed=0).class_counts.tolist()
        [89, 65, 47, 33, 24, 17, 12, 8, 6, 4]
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), 0 to 16
    pixels = small.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)
    labels = bunch.target.astype(np.int64)
    ids = [f"digits/{i:06d}" for i in range(len(labels))]
    whole = ImageSplit.from_arrays(pixels, labels, ids=ids, name="digits")
    held = []
    for label in range(10):
        positions = np.random.default_rng([seed, label]).permutation(np.flatnonzero(labels == label))
        held.append(positions[: len(positions) // 2])
    test = np.sort(np.concatenate(held))
    train = np.setdiff1d(np.arange(len(labels)), test)
    images = assemble(
        "digits",
        {"train": whole.subset(train), "test": whole.subset(test)},
        [str(i) for i in range(10)],
        seed=seed,
        source={"path": "digits", "layout": "built-in"},
    )
    images = unmirrored(replace(images, source={**images.source, "split": "50:50"}))
    return images.with_profile(profile, seed)
