"""Colour bands of the most salient pixels, per class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.archetypes import ARCHETYPES
from imblens.base.arrays import divide
from imblens.base.intervals import wilson
from imblens.base.wording import FEW, number
from imblens.errors import NotApplicable
from imblens.lenses._contract import Finding, lens
from imblens.lenses.archetypes.measure import archetype_members
from imblens.lenses.colours.standing_out import standing_out
from imblens.run import Run, Split

Floats = NDArray[np.float64]
NEUTRAL = frozenset({"black", "gray", "white"})


@lens(
    "Which colours drive predictions?",
    order=120,
    needs=("train:band_count", "train:band_rgb", "train:band_present"),
)
def colours(run: Run, *, k: int = 5) -> Finding:
    """Shares of fourteen colour bands among the most salient pixels, per class of the training split.

    share_cb = salient pixels of band b in images of class c / salient pixels in images of class c

    An image's salient pixels are the tenth with the largest gradient of the largest logit; capture finds them and
    their bands. Shares of a class sum to 1. A band that only one class relies on may be the object itself (a red fire
    engine) or a shortcut (the sky behind aeroplanes): look at the images. The gradient shows where the prediction is most
    sensitive, not what it is based on. A class whose images hold much of a colour has much of it among any tenth of its
    pixels: compare `share` with `present`.

    Args:
        run: captured from a network on images.
        k: neighbours that decide whether an instance is safe, border, rare or an outlier, as in `archetypes`.

    Returns:
        Table `colours`: class, band, share, red, green, blue (mean of the band's pixels, 0 to 255, NaN where there are
        none), share_low, share_high (95% Wilson interval whose number of trials is what the spread between images
        leaves of them), others (mean share in the other classes), present (share of the band among all pixels of the
        class's images), image_count. Table `colours_archetype`: class,
        archetype, band, share, image_count. Summary: `bands`, each with its mean colour over all classes;
        `classes_standing_out`.

    Raises:
        NotApplicable: the run was captured without colours, from inputs that are not images, or with another head.

    References:
        IML, section III-G, Alg. 4 and Fig. 7. There the bands are boxes in RGB that leave gaps, so shares do not sum
        to 1. The interval is Korn and Graubard's idea of an effective sample size (1998, Survey Methodology 24) in
        Wilson's formula, since pixels of one image are not independent.
    """
    if "treatment" in run.meta:
        raise NotApplicable(
            "colours: gradients were computed through the network's own head, and this run has another. Put the head "
            "into the network (run.install(model)) and capture it again."
        )
    bands = _band_names(run)
    sums = _group_sums(run.train, _members(run.train.labels, run.n_classes), len(bands))
    share = divide(sums.count, sums.total[:, None])
    low, high = _interval(sums, share)
    table = _class_table(run, bands, sums, share).assign(share_low=low.ravel(), share_high=high.ravel())
    table["others"] = _others(share).ravel()
    table["present"] = divide(sums.present, sums.present.sum(axis=1, keepdims=True)).ravel()
    table["image_count"] = np.repeat(sums.images, len(bands)).astype(np.int64)
    return Finding(
        {"colours": table, "colours_archetype": _archetype_table(run, bands, k)},
        _summary(bands, sums, table),
        notes=_notes(run, bands, sums),
    )


@dataclass(frozen=True)
class _Sums:
    """Sums over the images of each of G groups; they add over parts.

    Attributes:
        images: (G,) with salient pixels.
        total: (G,) salient pixels.
        count: (G, B) of them in each band.
        squares: (G, B, 3) sums of count^2, count * total and total^2 over images.
        rgb: (G, B, 3) sums of red, green and blue.
        present: (G, B) of all pixels in each band.
        silent: images without salient pixels.
    """

    images: Floats
    total: Floats
    count: Floats
    squares: Floats
    rgb: Floats
    present: Floats
    silent: int

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def _members(labels: NDArray[Any], n_groups: int) -> Any:
    """(G, N) sparse, 1 where an image belongs to a group; `labels` (N,) or multi-hot (N, G)."""
    from scipy.sparse import csc_array

    if labels.ndim == 2:
        return csc_array(labels.T.astype(np.float64))
    return csc_array((np.ones(len(labels)), labels, np.arange(len(labels) + 1)), shape=(n_groups, len(labels)))


def _group_sums(split: Split, groups: Any, n_bands: int) -> _Sums:
    """Sum over images by group: `groups` is (G, N) sparse, 1 where an image belongs."""
    found: _Sums | None = None
    start = 0
    for part in split.parts:
        count = part.matrix("band_count").astype(np.float64)  # (n, B)
        rgb = part.matrix("band_rgb").astype(np.float64)  # (n, B * 3)
        members = groups[:, start : start + len(part)]  # (G, n)
        start += len(part)
        total = count.sum(axis=1)
        squares = [count**2, count * total[:, None], np.broadcast_to(total[:, None] ** 2, count.shape)]
        sums = _Sums(
            members @ (total > 0),
            members @ total,
            members @ count,
            np.stack([members @ values for values in squares], axis=-1),
            (members @ rgb).reshape(-1, n_bands, 3),
            members @ part.matrix("band_present").astype(np.float64),
            int(np.count_nonzero(total == 0)),
        )
        found = sums if found is None else found + sums
    assert found is not None
    return found


def _interval(sums: _Sums, share: Floats) -> tuple[Floats, Floats]:
    """95% interval of each share: Wilson's, with the effective number of trials given the variation between images."""
    images = np.broadcast_to(sums.images[:, None], share.shape)
    # squared residuals of count = share * total over images: the variance of a ratio of sums
    residual = sums.squares @ np.array([1.0, 0.0, 0.0])
    residual = residual - 2 * share * sums.squares[..., 1] + share**2 * sums.squares[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(residual, 0) / sums.total[:, None] ** 2 * images / (images - 1)
        trials = share * (1 - share) / variance
    unclear = (images < 2) | ~np.isfinite(trials)  # one image, or a share of 0 or 1 in all of them
    trials = np.where(unclear, images, np.minimum(trials, sums.total[:, None]))
    trials = np.where(images > 0, trials, 0)
    return wilson(share * trials, trials)


def _class_table(run: Run, bands: list[str], sums: _Sums, share: Floats) -> pd.DataFrame:
    mean = divide(sums.rgb, sums.count[..., None]).reshape(-1, 3)
    return pd.DataFrame(
        {
            "class": np.repeat(run.classes, len(bands)),
            "band": np.tile(bands, run.n_classes),
            "share": share.ravel(),
            "red": mean[:, 0],
            "green": mean[:, 1],
            "blue": mean[:, 2],
        }
    )


def _archetype_table(run: Run, bands: list[str], k: int) -> pd.DataFrame:
    """Shares per class and archetype; in a multi-label run an image has an archetype for each label."""
    from scipy.sparse import csc_array

    n_kinds = len(ARCHETYPES)
    rows, labels, _, codes = archetype_members(run, k)
    size = (run.n_classes * n_kinds, len(run.train))
    groups = csc_array((np.ones(len(rows)), (labels * n_kinds + codes, rows)), shape=size)
    sums = _group_sums(run.train, groups, len(bands))
    share = divide(sums.count, sums.total[:, None])
    return pd.DataFrame(
        {
            "class": np.repeat(run.classes, n_kinds * len(bands)),
            "archetype": np.tile(np.repeat(ARCHETYPES, len(bands)), run.n_classes),
            "band": np.tile(bands, run.n_classes * n_kinds),
            "share": share.ravel(),
            "image_count": np.repeat(sums.images, len(bands)).astype(np.int64),
        }
    )


def _others(share: Floats) -> Floats:
    """(C, B) mean share of each band over the other classes that have one."""
    known = np.isfinite(share)
    filled = np.where(known, share, 0)
    return divide(filled.sum(axis=0) - filled, known.sum(axis=0) - known.astype(np.float64))


def _band_names(run: Run) -> list[str]:
    described = run.meta.get("colours")
    if not isinstance(described, Mapping) or not isinstance(described.get("bands"), Mapping):
        raise NotApplicable("colours: the run does not name its colour bands. Capture it again.")
    return list(described["bands"])


def _summary(bands: list[str], sums: _Sums, table: pd.DataFrame) -> dict[str, Any]:
    mean = divide(sums.rgb.sum(axis=0), sums.count.sum(axis=0)[:, None])
    return {
        "bands": {
            name: {"share": number(share), "colour": _hexadecimal(rgb)}
            for name, share, rgb in zip(bands, sums.count.sum(axis=0) / max(sums.total.sum(), 1), mean, strict=True)
        },
        "classes_standing_out": int(standing_out(table)["class"].nunique()),
    }


def _hexadecimal(rgb: Floats) -> str | None:
    return None if np.isnan(rgb).any() else "#{:02x}{:02x}{:02x}".format(*np.round(rgb).astype(int))


def _notes(run: Run, bands: list[str], sums: _Sums) -> tuple[str, ...]:
    notes = []
    seen = {name for name, count in zip(bands, sums.count.sum(axis=0), strict=True) if count}
    if seen and seen <= NEUTRAL:
        notes.append("The images are grey: only black, gray and white occur, so shares reflect brightness.")
    if sums.silent:
        notes.append(
            f"{sums.silent:,} of {len(run.train):,} images have no gradient and do not count: "
            "their prediction does not change with any pixel."
        )
    empty = [name for name, images in zip(run.classes, sums.images, strict=True) if not images]
    if empty:
        notes.append(f"No salient pixels in any image of {', '.join(empty)}: not assessed.")
    few = [name for name, images in zip(run.classes, sums.images, strict=True) if 0 < images < FEW]
    if few:
        notes.append(f"Fewer than {FEW} images of {', '.join(few)}: too few to tell.")
    return tuple(notes)
