"""SVHN, format 2: cropped digits in MATLAB files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import refuse_too_large
from imblens.data._images import ImageSet
from imblens.data.public._files import folder_with, set_of_arrays
from imblens.errors import InputError, MissingError

_DIGITS = [str(digit) for digit in range(10)]


def read_svhn(name: str, root: Path, seed: int | None) -> ImageSet:
    """Read train_32x32.mat and test_32x32.mat. MATLAB's label 10 is the digit 0; `extra` is not used, as in the papers.

    Raises:
        MissingError: a file is not there.
        InputError: it is not a MATLAB file of images X (32, 32, 3, N) and labels y (N, 1).
    """
    folder = folder_with(root, "train_32x32.mat")
    splits = {split: _read(folder / f"{split}_32x32.mat") for split in ("train", "test")}
    return set_of_arrays(name, splits, _DIGITS, seed=seed, source={"path": str(folder), "layout": "svhn format 2"})


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from scipy.io import loadmat, whosmat

    if not path.is_file():
        raise MissingError(f"there is no {path}.")
    try:
        shapes = {name: (shape, kind) for name, shape, kind in whosmat(path)}
        shape, kind = shapes.get("X", ((), ""))
        if len(shape) != 4 or shape[:3] != (32, 32, 3) or kind != "uint8" or shapes.get("y", ((),))[0] != (shape[3], 1):
            found = ", ".join(f"{name} {shape}" for name, (shape, _) in shapes.items()) or "nothing"
            raise InputError(
                f"{path} holds {found}; expected X (32, 32, 3, N) of bytes and y (N, 1).",
                hint="Give the cropped digits (format 2), whole.",
            )
        refuse_too_large(math.prod(shape), f"{path} claims", hint="Is it the published file?")
        arrays = loadmat(path, variable_names=["X", "y"])
    except InputError:
        raise
    except Exception as error:  # SciPy's reader raises nearly anything on damaged files
        raise InputError(
            f"{path} cannot be read as a MATLAB file: {error or type(error).__name__}.", hint="Download it again."
        ) from error
    labels = arrays["y"][:, 0].astype(np.int64)
    if (labels < 1).any() or (labels > 10).any():
        raise InputError(
            f"{path}: labels run from {labels.min()} to {labels.max()}, not 1 to 10.", hint="Download it again."
        )
    return np.ascontiguousarray(arrays["X"].transpose(3, 0, 1, 2)), labels % 10
