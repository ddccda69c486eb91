"""Public sets through Hugging Face `datasets`, which downloads them into its own cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from imblens.data._assemble import SPLITS, assemble
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._sources import EncodedSource
from imblens.errors import DependencyError, InputError


class Hub(NamedTuple):
    """Where a set is on the hub, and which columns hold it.

    Attributes:
        repository: its name, or a folder on disk that is laid out as one.
        config: which of its configurations.
        image: column of the images.
        labels: column of the labels; or columns of flags, of which `choose` makes (which rows, their labels).
        classes: class names; by default the label column knows them.
    """

    repository: str
    config: str | None
    image: str
    labels: str | Sequence[str]
    classes: Sequence[str] | None = None
    choose: Callable[[NDArray[Any]], tuple[NDArray[np.bool_], NDArray[np.int64]]] | None = None


def read_hub(name: str, hub: Hub, seed: int | None) -> ImageSet:
    """Read a set with `datasets.load_dataset`; images stay encoded, and on disk, until they are looked at.

    Raises:
        DependencyError: `datasets` is not installed.
        InputError: it cannot be fetched, or does not have the columns that it should.
    """
    try:
        import datasets
    except ImportError as error:
        raise DependencyError(
            "--hub needs the package datasets, which is not installed.", hint="pip install 'imblens[hub]'"
        ) from error

    try:
        found = datasets.load_dataset(hub.repository, hub.config)
    except Exception as error:  # connection, missing repository, damaged cache: each its own kind
        first = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(
            f"{name} cannot be fetched from Hugging Face ({hub.repository}): {first}",
            hint=f"Check the connection, or download the files and give --root DIR (imblens list data {name}).",
        ) from error
    splits: dict[str, ImageSplit] = {}
    classes = list(hub.classes or ())
    for key, part in found.items():
        if key not in SPLITS:  # SVHN's extra, for one
            continue
        split = SPLITS[key]
        columns = [hub.labels] if isinstance(hub.labels, str) else list(hub.labels)
        missing = [column for column in (hub.image, *columns) if column not in part.column_names]
        if missing:
            raise InputError(
                f"{hub.repository} has no column {missing[0]!r}; it has {', '.join(part.column_names[:10])}.",
                hint="The set has changed: download the published files and give --root DIR.",
            )
        table = part.with_format("arrow").data.table
        values = np.stack([np.asarray(table[column]) for column in columns], axis=1)
        if hub.choose is None:
            rows, labels = np.arange(len(values)), values[:, 0].astype(np.int64)
            classes = classes or list(part.features[hub.labels].names)
        else:
            kept, labels = hub.choose(values.astype(bool))
            rows = np.flatnonzero(kept)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise InputError(f"{hub.repository}: {key} has images without a label.", hint="Give --root DIR instead.")
        ids = np.array([f"{split}/{row:06d}" for row in rows.tolist()], dtype=object)
        splits[split] = ImageSplit(labels, ids, EncodedSource(_bytes(table[hub.image]), f"{name}/{split}"), rows)
    if "train" not in splits:
        raise InputError(f"{hub.repository} has no train split.", hint="Give --root DIR instead.")
    source = {"path": hub.repository, "layout": "hugging face"}
    return assemble(name, splits, classes, seed=seed, source=source)


def _bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the encoded images of an image column, of any number of chunks."""
    encoded = pc.struct_field(column, "bytes")
    if encoded.null_count:
        raise InputError("some images are not stored in the set, only named.", hint="Give --root DIR instead.")
    return encoded.cast(pa.large_binary())
