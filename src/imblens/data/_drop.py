"""Leaving out single training images, such as mislabelled ones."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imblens.data._images import ImageSet, count_classes, planted_in
from imblens.errors import InputError, MissingError

_GUARDED = (
    "'=",
    "'+",
    "'-",
    "'@",
    "'\t",
    "'\r",
)  # prefixes of cells that a spreadsheet would otherwise run as formulas


def drop_images(image_set: ImageSet, file: str | Path) -> ImageSet:
    """Leave out the training images that a CSV file names in its column `id`; other columns are ignored.

    The list of label suspects in a report downloads such a file. The set's `source` states under `dropped` what was left
    out, with the file's name and SHA-256. Test and val never change.

    Raises:
        MissingError: no such file, or an id that no training image has.
        InputError: not a CSV with a column `id`, no id in it, or a class would lose all its training images.
    """
    path = Path(file)
    wanted, digest = _read(path)
    train = image_set.train
    known = {str(name): place for place, name in enumerate(train.ids)}
    ids = [name if name in known or not name.startswith(_GUARDED) else name[1:] for name in wanted]
    unknown = [name for name in ids if name not in known]
    if unknown:
        held_out = {str(name) for split in (image_set.test, image_set.val) if split is not None for name in split.ids}
        where = "are held-out images" if all(name in held_out for name in unknown) else "name no training image"
        listed = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
        raise MissingError(
            f"--drop {path}: {len(unknown)} of {len(ids)} ids {where} of {image_set.name}: {listed}.",
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


def _read(path: Path) -> tuple[list[str], str]:
    """Read the column `id`, each id once, and the file's SHA-256."""
    try:
        raw = path.read_bytes()
        rows = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        if "id" not in (rows.fieldnames or ()):
            found = ", ".join(map(repr, (rows.fieldnames or ())[:5])) or "nothing"
            raise InputError(
                f"--drop {path} has no column 'id'; its first line holds {found}.",
                hint="Give the CSV that the report's list of label suspects downloads, or one with a column id.",
            )
        ids = list(dict.fromkeys(row["id"] for row in rows if row["id"]))
    except FileNotFoundError as error:
        raise MissingError(f"--drop {path}: there is no such file.", hint="Give a CSV with a column id.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"--drop {path} cannot be read: {error}.", hint="Give a CSV in UTF-8 with a column id."
        ) from error
    if not ids:
        raise InputError(f"--drop {path} names no instance.", hint="Leave --drop out, or tick suspects in the report.")
    return ids, hashlib.sha256(raw).hexdigest()
