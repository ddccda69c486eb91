"""Leaving out single training images, such as mislabelled ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imblens.base.id_list import read_ids, unguarded
from imblens.base.wording import listed
from imblens.data._images import ImageSet, count_classes, planted_in
from imblens.errors import InputError, MissingError


def drop_images(image_set: ImageSet, file: str | Path) -> ImageSet:
    """Leave out the training images that a CSV file names in its column `id`; other columns are ignored.

    The list of label suspects in a report downloads such a file. The set's `source` states under `dropped` what was left
    out, with the file's name and SHA-256. Test and val never change.

    Raises:
        MissingError: no such file, or an id that no training image has.
        InputError: not a CSV with a column `id`, no id in it, or a class would lose all its training images.

    Example:
        >>> import tempfile
        >>> from imblens.data import digits
        >>> images = digits()
        >>> file = Path(tempfile.mkdtemp()) / "wrong-labels.csv"
        >>> _ = file.write_text("id" + chr(10) + images.train.ids[0])
        >>> len(images.train), len(drop_images(images, file).train)
        (305, 304)
    """
    path = Path(file)
    wanted, digest = read_ids(path, "--drop")
    train = image_set.train
    known = {str(name): place for place, name in enumerate(train.ids)}
    ids = [unguarded(name, known) for name in wanted]
    unknown = [name for name in ids if name not in known]
    if unknown:
        held_out = {str(name) for split in (image_set.test, image_set.val) if split is not None for name in split.ids}
        where = "are held-out images" if all(name in held_out for name in unknown) else "name no training image"
        raise MissingError(
            f"--drop {path}: {len(unknown)} of {len(ids)} ids {where} of {image_set.name}: "
            f"{listed([repr(name) for name in unknown], 3)}.",
            hint=f"Use the same data, --profile and --seed as the report; its ids look like {str(train.ids[0])!r}.",
        )
    stays = np.ones(len(train), dtype=bool)
    stays[[known[name] for name in ids]] = False
    left = train.subset(stays)
    before, after = (count_classes(split.labels, image_set.n_classes) for split in (train, left))
    for name, had, has in zip(image_set.classes, before, after, strict=True):
        if had and not has:
            raise InputError(
                f"--drop {path} names all {had} training images of {name!r}.", hint="Keep at least one of each class."
            )
    source: dict[str, Any] = {**image_set.source}
    source["counts"] = {**source.get("counts", {}), "train": after.tolist()}
    source["dropped"] = {"file": path.name, "sha256": digest, "count": len(ids), "ids": sorted(ids)}
    return replace(
        image_set,
        train=left,
        notes=(*image_set.notes, f"{len(ids):,} training images were left out, as listed in {path.name}."),
        planted=planted_in(image_set.planted, set(left.ids.tolist())),
        source=source,
    )
