"""What every layout shares: numbering labels, the 80:20 split, and the checks between splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.split_names import SPLITS as SPLITS
from imblens.base.split_names import split_of as split_of
from imblens.base.wording import listed
from imblens.data._any_label import BINARY, binary_splits
from imblens.data._images import ImageSet, ImageSplit, count_classes
from imblens.errors import InputError, ShapeError, did_you_mean

HELD_OUT = 0.2


def assemble(
    name: str,
    splits: Mapping[str, ImageSplit],
    classes: Sequence[str],
    *,
    seed: int | None,
    source: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> ImageSet:
    """Put splits together: settle which is held out, check classes, count.

    Without test, val is held out; without both, a fifth of train is, stratified by class. With `seed` None nothing is
    held out of train.

    Raises:
        InputError: fewer than two classes, class names twice, or a class without training images.
    """
    remarks = list(notes)
    if len(classes) == 1 and splits["train"].multilabel and 0 < splits["train"].labels.mean() < 1:
        splits, left_out = binary_splits(splits)
        classes, source = (f"no {classes[0]}", *classes), {**source, "task": BINARY}
        remarks.append(f"One label only: {classes[0]!r} was added for images without it.")
        remarks += left_out
    names = checked_classes(classes)
    train, test, val = splits["train"], splits.get("test"), splits.get("val")
    what = str(source.get("group", "patient"))  # what `patients` are
    _refuse_untrained(splits, names)
    made = "as given"
    if test is None and val is not None:
        test, val = val, None
        made = "val held out"
        remarks.append("There is no test split: val is the held-out split.")
    elif test is None and seed is None:
        made = "train only"
        remarks.append(f"There is no test split: all {len(train):,} images are training images.")
    elif test is None and seed is not None:
        kept, held, alone, copies = split_off(train, len(names), seed)
        train, test = train.subset(kept), train.subset(held)
        made = "80:20"
        apart = f", no {what} on both sides" if train.patients is not None else ""
        remarks.append(
            f"There is no test split: {len(held):,} of {len(kept) + len(held):,} images were held out "
            f"(80:20{_as_far(len(held), len(kept))}, stratified by class{apart}, seed {seed})."
        )
        if alone and not train.multilabel:
            remarks.append(
                f"Classes with too few images to hold one out: {listed([repr(names[c]) for c in alone], 5)}."
            )
        if copies:
            remarks.append(f"Exact copies of other images, kept on one side of the split: {copies:,}.")
    given = {name: part for name, part in (("train", train), ("test", test), ("val", val)) if part is not None}
    shared = shared_patients(given)
    remarks += [
        f"{_plural(what)} in both {one} and {other}: {n:,}. Figures on {other} will be better than on new ones."
        for (one, other), n in shared.items()
    ]
    multilabel = train.multilabel
    counts = {
        split: count_classes(images.labels, len(names)).tolist()
        for split, images in (("train", train), ("test", test), ("val", val))
        if images is not None
    }
    if multilabel:
        bare = [n for n, count in zip(names, counts["train"], strict=True) if not count]
        if bare:
            remarks.append(f"Classes without a training image: {', '.join(map(repr, bare))}.")
    unseen = [n for n, count in zip(names, counts.get("test", ()), strict=False) if not count]
    if unseen and (multilabel or made != "80:20"):
        remarks.append(f"Classes without a held-out image: {', '.join(map(repr, unseen))}.")
    return ImageSet(
        name=name,
        classes=names,
        task="multilabel" if multilabel else "multiclass",
        train=train,
        test=test,
        val=val,
        notes=tuple(remarks),
        source={
            **source,
            **({} if train.patients is None else {"group": what}),
            "split": made,
            "profile": "natural",
            "seed": seed,
            "counts": counts,
            **({"shared_patients": {f"{a} and {b}": n for (a, b), n in shared.items()}} if shared else {}),
        },
    )


def _plural(what: str) -> str:
    """Name groups at the start of a sentence; the name of a column stays as it is."""
    return f"{what.capitalize()}s" if what in ("patient", "source image") else f"Groups ({what})"


def checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Check that there are two class names or more, none twice."""
    names = tuple(str(c) for c in classes)
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise InputError(
            f"comparing classes needs at least two, found {found}.",
            hint="Give the folder that holds train/ and test/, or one subfolder per class.",
        )
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise InputError(f"the class name {twice!r} appears twice.", hint="Class names must differ.")
    return names


def split_off(
    images: ImageSplit, n_classes: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int], int]:
    """Hold out a fifth of each class; exact copies of an image, and images of one patient, stay together.

    A multi-label image counts as one of its rarest class, and so do the images of a patient. A class of one stays
    in training. Where labels are many for the images, and so most classes of one, more images are held out up to a
    fifth, as long as every label keeps half of its own.

    Returns:
        Positions kept, positions held out (both sorted), classes with none held out, and how many copies there are.
    """
    labels = images.labels
    if labels.ndim == 2:
        counts = count_classes(labels, n_classes)
        rarity = np.where(labels > 0, counts, np.iinfo(np.int64).max)  # (N, C)
        strata = np.where(labels.any(axis=1), rarity.argmin(axis=1), n_classes)
    else:
        strata = labels
    copy_of = _copies(images)
    group, strata = _groups(copy_of, images.patients, strata, count_classes(labels, n_classes))
    alone, held = [], []
    for stratum in range(n_classes + 1):
        first = np.flatnonzero((strata == stratum) & (group == np.arange(len(group))))  # one of each group of copies
        n_held = max(1, round(HELD_OUT * len(first))) if len(first) > 1 else 0
        if len(first) and not n_held and stratum < n_classes:
            alone.append(stratum)
        held.append(np.random.default_rng([seed, stratum]).permutation(first)[:n_held])
    out = np.isin(group, np.concatenate(held))
    if labels.ndim == 2:
        out = _filled_up(out, group, labels, np.random.default_rng([seed, n_classes + 1]))
    copies = int((copy_of != np.arange(len(copy_of))).sum())
    return np.flatnonzero(~out), np.flatnonzero(out), alone, copies


def _as_far(n_held: int, n_kept: int) -> str:
    off = abs(n_held / (n_held + n_kept) - HELD_OUT) > HELD_OUT / 4
    return " as far as classes and patients allow" if off else ""


def _filled_up(
    out: NDArray[np.bool_], group: NDArray[np.int64], labels: NDArray[Any], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Hold out more groups, in a drawn order, until a fifth of the images is; every label keeps half of its own."""
    out, limit = out.copy(), labels.sum(axis=0, dtype=np.int64) // 2
    wanted = round(HELD_OUT * len(out))
    for one in rng.permutation(np.unique(group[~out])):
        if out.sum() >= wanted:
            break
        with_it = out | (group == one)
        if with_it.sum() <= wanted and (labels[with_it].sum(axis=0, dtype=np.int64) <= limit).all():
            out = with_it
    return out


def shared_patients(splits: Mapping[str, ImageSplit]) -> dict[tuple[str, str], int]:
    """Return how many patients two splits share, for those that share any."""
    known = {
        name: {whom for whom in p.patients.tolist() if not whom.startswith("?")}
        for name, p in splits.items()
        if p.patients is not None
    }
    pairs = combinations(known, 2)
    found = {pair: sum(not p.startswith("?") for p in known[pair[0]] & known[pair[1]]) for pair in pairs}
    return {pair: n for pair, n in found.items() if n}


def _groups(
    copy_of: NDArray[np.int64],
    patients: NDArray[np.object_] | None,
    strata: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join copies and patients into groups, each called by its first image, and give groups of patients one stratum."""
    if patients is None:
        return copy_of, strata
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(copy_of)
    links = np.unique(patients, return_index=True, return_inverse=True)
    first_of_patient = links[1][links[2]]
    ends = (np.tile(np.arange(n, dtype=np.int32), 2), np.concatenate([copy_of, first_of_patient]).astype(np.int32))
    component = connected_components(coo_array((np.ones(2 * n), ends), shape=(n, n)), directed=False)[1]
    _, first, member = np.unique(component, return_index=True, return_inverse=True)
    rank = np.empty(len(counts) + 1, dtype=np.int64)  # 0 for the rarest class, last for no class
    rank[np.append(np.argsort(counts, kind="stable"), len(counts))] = np.arange(len(counts) + 1)
    rarest = np.full(len(first), len(counts))
    np.minimum.at(rarest, member, rank[strata])
    return first[member], np.argsort(rank)[rarest][member]


def number_labels(
    raw: Mapping[str, NDArray[Any]], names: Sequence[str] | None, where: str
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Turn the labels of all splits into class numbers, or check multi-hot rows.

    Args:
        raw: per split (N,) whole numbers or text, or (N, C) multi-hot.
        names: class names where the data gives them; without them classes are named after the labels' sorted values.
        where: how messages name the data.

    Raises:
        ShapeError, InputError: splits that disagree, numbers out of range, text that is not a class name.
    """
    width = {s: a.shape[1] if a.ndim == 2 else 0 for s, a in raw.items()}
    if len(set(width.values())) > 1:
        raise ShapeError(
            f"{where}: the splits' labels have different columns ({', '.join(f'{s} {w}' for s, w in width.items())}).",
            hint="Give every split the same labels.",
        )
    n_columns = width["train"]
    if n_columns:
        for split, array in raw.items():
            if array.dtype.kind not in "iufb" or not np.isin(array, (0, 1)).all():
                raise InputError(
                    f"{where}: {split} labels have {n_columns} columns, but hold more than 0 and 1.",
                    hint="A multi-hot row marks each class that applies; one label per image is one number.",
                )
        if names is not None and len(names) != n_columns:
            raise ShapeError(
                f"{where}: there are {len(names)} class names for {n_columns} label columns.", hint="Give one each."
            )
        return {s: a.astype(np.uint8) for s, a in raw.items()}, tuple(names or map(str, range(n_columns)))
    arrays = {split: _plain_labels(array, f"{where}: {split} labels") for split, array in raw.items()}
    if len({a.dtype.kind for a in arrays.values()}) > 1:
        raise InputError(f"{where}: some splits have text as labels, others numbers.", hint="Give all in one kind.")
    text = arrays["train"].dtype.kind == "O"
    if names is None:
        values = sorted({v for a in arrays.values() for v in np.unique(a).tolist()})
        if text and all(v.isascii() and v.isdecimal() for v in values):
            values = sorted(values, key=lambda v: (int(v), v))
        if not text and values[0] < 0:
            split = next(s for s, array in arrays.items() if array.min() < 0)
            row = int(np.flatnonzero(arrays[split] < 0)[0])
            raise InputError(
                f"{where}: {split} row {row} has label {arrays[split][row]}, and classes are numbered from 0.",
                hint="-1 often marks images whose label is not given: leave them out, or label them.",
            )
        position = {v: i for i, v in enumerate(values)}
        names = [str(v) for v in values]
    elif text:
        position = {n: i for i, n in enumerate(names)}
    else:
        position = {i: i for i in range(len(names))}
    numbered = {}
    for split, array in arrays.items():
        distinct, inverse = np.unique(array, return_inverse=True)
        odd = next((v for v in distinct.tolist() if v not in position), None)
        if odd is not None:
            row = int(np.flatnonzero(array == odd)[0])
            hint = did_you_mean(str(odd), list(names)) if text else f"Classes are numbered 0 to {len(names) - 1}."
            if odd == -1:
                hint = "-1 marks images whose label is not given: leave that split out, or label it."
            raise InputError(f"{where}: {split} row {row} has label {odd!r}, which is not a class.", hint=hint)
        numbered[split] = np.array([position[v] for v in distinct.tolist()], dtype=np.int64)[inverse]
    return numbered, tuple(names)


def one_label_each(labels: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return (N, C) labels as (N,) class numbers where every row of every split marks exactly one class; and a note."""
    hot = all(array.ndim == 2 and array.shape[1] > 1 and (array.sum(axis=1) == 1).all() for array in labels.values())
    if not hot:
        return dict(labels), []
    note = "Every row of labels marks exactly one class: read as single-label."
    return {split: array.argmax(axis=1).astype(np.int64) for split, array in labels.items()}, [note]


def unique_ids(values: Sequence[str | None] | None, split: str, n: int) -> NDArray[np.object_]:
    """Return `values` where they are n unique texts, else numbered rows such as train/000012."""
    if values is not None and all(values) and len(set(values)) == n:
        return np.array([clean_text(str(v)) for v in values], dtype=object)
    return np.array([f"{split}/{i:06d}" for i in range(n)], dtype=object)


def clean_text(name: str) -> str:
    """Return a file name as text that any encoder accepts: bytes that are not UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _refuse_untrained(splits: Mapping[str, ImageSplit], names: tuple[str, ...]) -> None:
    if splits["train"].multilabel:
        return
    counts = {s: count_classes(p.labels, len(names)) for s, p in splits.items()}
    empty = [i for i, count in enumerate(counts["train"]) if not count]
    if not empty:
        return
    elsewhere = [s for s in counts if s != "train" and any(counts[s][i] for i in empty)]
    found = f", though {' and '.join(elsewhere)} has some" if elsewhere else ""
    raise InputError(
        f"train holds no image of {listed([repr(names[i]) for i in empty], 5)}{found}.",
        hint="Add training images of it, or take the class out of the data.",
    )


def _plain_labels(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Return int64, or an object array of text."""
    if array.dtype.kind in "US":
        return np.array([v.decode() if isinstance(v, bytes) else v for v in array.tolist()], dtype=object)
    if array.dtype.kind == "O":
        odd = next((i for i, v in enumerate(array.tolist()) if not isinstance(v, str)), None)
        if odd is not None:
            raise InputError(f"{where} hold {array[odd]!r} in row {odd}.", hint="Label every image.")
        return array
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        row = int(np.flatnonzero(~(np.isfinite(array) & (array == np.floor(array))))[0])
        raise InputError(f"{where} hold {array[row]} in row {row}.", hint="A label is a whole number or a name.")
    if array.dtype.kind not in "iufb":
        raise InputError(f"{where} have dtype {array.dtype}.", hint="A label is a whole number or a name.")
    return array.astype(np.int64)


def _copies(images: ImageSplit) -> NDArray[np.int64]:
    """Return (N,) the position of the first exact copy of each image (its own where there is none before)."""
    seen: dict[bytes, int] = {}
    group = [seen.setdefault(images.source.digest(int(row)), i) for i, row in enumerate(images.rows)]
    return np.array(group, dtype=np.int64)
