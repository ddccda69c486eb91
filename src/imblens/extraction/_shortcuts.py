"""What a class loses without a possible shortcut in its images: border, colour, tint, surroundings of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d, interpolate

from imblens.base.arrays import divide
from imblens.errors import InputError, NotApplicable
from imblens.extraction._bands import BANDS, band_of
from imblens.extraction._boxes import boxed, mask_of
from imblens.extraction._colours import Colours
from imblens.extraction._probes import Probe, ProbeBatch
from imblens.run import INPUT_MEAN, NOT_YET

CUES = ("border", "colour", "tint", "surroundings")
PER_CLASS, FEWEST, IN_ALL = 50, 10, 5000  # images of a class, at least so many where classes are many, and of all
WIDTH = 0.15  # of the border, as a share of each side
MOST_REMOVED = 0.9  # share of the pixels of a colour or around boxes; what would be left of more shows no object
GRID, ROUNDS = 16, 3  # the fill is averaged on a grid of about 16 x 16, and smoothed three times
SMALLEST = 8  # pixels of a side
OF_BANDS = ("band_count", "band_present")  # columns of `Colours`: salient pixels and all pixels of each band
FAINT = 1e-3  # weight of the mean of all that stays, where nothing near does


class Shortcuts(Probe):
    """Runs a sample of each class again with one cue removed, and stores the change.

    The first 50 images of each class (fewer above 100 classes: 5,000 in all, at least 10 of each) of the test split, of
    training where there is none. For each cue the sample runs through the network once more:

    - border: the outer 15% of each side;
    - colour: every pixel of the colour band that the class has, among its salient or among all its training pixels, most
      above the other classes' mean share;
    - tint: the mean of each channel is shifted to that of the training images;
    - surroundings: what lies outside of the boxes of the class.

    Removed pixels of borders and colours are filled with a smooth mean of those that stay nearby. Surroundings are filled with
    the mean colour of the training images without the class (a smooth mean where there are none): what stays is the object,
    which would be spread over its outline. Where training itself is measured, means and shares are of the images read so far.
    A cue that would remove more than nine tenths of an image is not tried on it.

    Columns: `cut_class` (the class for which an image was sampled, -1: none), `cut_before` (1 where it was predicted),
    `cut_right` (4,) the same without each cue, and `cut_logit` (4,) the change of the class's logit. In single-label runs
    logits are taken less their mean over classes. NaN: not tried.
    """

    name: ClassVar[str] = "shortcuts"

    def __init__(self, n_classes: int, split: str, colours: Colours | None = None) -> None:
        """Sample `split`; `colours` runs before this probe and finds the salient pixels of training images."""
        self._n_classes, self._measured, self._colours = n_classes, split, colours
        self._most = max(FEWEST, min(PER_CLASS, IN_ALL // n_classes))
        self._split: str | None = None
        self._seen = np.zeros(n_classes, np.int64)
        self._total: Any = 0.0  # of the channels' means
        self._n_total = 0
        self._own_total: Any = 0.0  # (C, channels) the same of the images of each class
        self._n_own = np.zeros(n_classes, np.int64)
        self._bands = np.zeros((2, n_classes, len(BANDS)))  # salient and present pixels of training images

    def begin(self, split: str) -> bool:
        """Return whether `split` is measured, or read for means before that."""
        self._split = split
        return split in ("train", self._measured)

    def update(self, batch: ProbeBatch) -> dict[str, NDArray[Any]]:
        """Return the columns on the measured split, none on another.

        Raises:
            NotApplicable: the inputs are not images that can be changed and run alone.
        """
        inputs = self._checked(batch)
        if self._split is None:
            self._try(batch, inputs)
            return {}
        if self._split == "train":
            self._add(batch, inputs)
        return self.cut(batch, self.sample(batch.labels)) if self._split == self._measured else {}

    def describe(self) -> dict[str, Any]:
        """Return cues in column order, the split, the sample's size and the colour that was removed for each class."""
        names = list(BANDS)
        return {
            "cues": list(CUES),
            "split": self._measured,
            "per_class": self._most,
            "bands": [None if band < 0 else names[band] for band in self._chosen_bands().tolist()],
        }

    def _checked(self, batch: ProbeBatch) -> torch.Tensor:
        inputs = batch.inputs
        if inputs is None or batch.again is None:
            raise NotApplicable("the network takes several inputs; only images are changed.")
        if inputs.ndim != 4 or inputs.shape[1] not in (1, 3) or not inputs.is_floating_point():
            raise NotApplicable(f"the inputs have shape {tuple(inputs.shape[1:])}; only images are changed.")
        if min(inputs.shape[2:]) < SMALLEST:
            raise NotApplicable(f"the images have fewer than {SMALLEST} pixels on a side.")
        if batch.pixels is None:
            raise NotApplicable("the images behind the inputs are unknown; pass preprocessing={mean, std}.")
        return inputs.detach()

    def _try(self, batch: ProbeBatch, inputs: torch.Tensor) -> None:
        assert batch.again is not None
        try:
            batch.again(inputs[:1])
        except (InputError, RuntimeError) as error:
            raise NotApplicable(f"the network cannot run on a few changed images: {error}") from error

    def _add(self, batch: ProbeBatch, inputs: torch.Tensor) -> None:
        """Add to the means of channels and to the colours of each class."""
        latest = None if self._colours is None else self._colours.latest
        counts = None if not latest else [latest[name] for name in OF_BANDS]
        self.learn(channel_means(inputs), batch.labels, counts)

    def learn(self, means: NDArray[Any], labels: NDArray[Any], bands: Sequence[NDArray[Any]] | None) -> None:
        """Add training images.

        Args:
            means: (b, channels) mean of each channel of the inputs.
            labels: (b,) or (b, C).
            bands: (b, 14) salient pixels of each colour band, and (b, 14) all pixels of it; None where they are not known.
        """
        means = means.astype(np.float64)
        of_class = labels == 1 if labels.ndim == 2 else labels[:, None] == np.arange(self._n_classes)
        self._total = self._total + means.sum(axis=0)
        self._n_total += len(means)
        self._own_total = self._own_total + of_class.T.astype(np.float64) @ means
        self._n_own += of_class.sum(axis=0)
        if bands is None or means.shape[1] != 3:
            return
        for place, found in enumerate(bands):
            counts = found.astype(np.float64)
            if labels.ndim == 2:
                self._bands[place] += labels.T.astype(np.float64) @ counts
            else:
                np.add.at(self._bands[place], labels, counts)

    def _chosen_bands(self) -> NDArray[np.int64]:
        """(C,) the band that a class has most above the others, -1 where none is known."""
        shares = np.stack([divide(kind, kind.sum(axis=1, keepdims=True)) for kind in self._bands])
        known = np.isfinite(shares)
        filled = np.where(known, shares, 0.0)
        n_others = np.maximum(known.sum(axis=1, keepdims=True) - known, 1)
        above = np.where(known, filled - (filled.sum(axis=1, keepdims=True) - filled) / n_others, -1.0).max(axis=0)
        return np.where(above.max(axis=1) > 0, above.argmax(axis=1), -1)

    def sample(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """(b,) the class for which an image is sampled, the one with fewest so far; -1 for none. Labels in their order."""
        found = np.full(len(labels), -1)
        for row, own in enumerate(labels):
            of = np.flatnonzero(own) if labels.ndim == 2 else np.array([own])
            if len(of):
                label = int(of[self._seen[of].argmin()])
                if self._seen[label] < self._most:
                    self._seen[label] += 1
                    found[row] = label
        return found

    def cut(self, batch: ProbeBatch, sampled: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The columns of a batch of which images were sampled for those classes, -1 for none."""
        inputs = self._checked(batch)
        n = len(inputs)
        rows = np.flatnonzero(sampled >= 0)
        before, right, change = np.full(n, np.nan), np.full((n, len(CUES)), np.nan), np.full((n, len(CUES)), np.nan)
        if len(rows):
            single = batch.labels.ndim == 1
            of = sampled[rows]
            plain = batch.logits.detach()[rows.tolist()].float().cpu().numpy()
            own, before[rows] = _own(plain, of, single)
            for place, (images, tried) in enumerate(self._changed(batch, inputs, rows, of)):
                if not tried.any():
                    continue
                assert batch.again is not None
                logits = batch.again(images[tried.tolist()]).float().cpu().numpy()
                after, hit = _own(logits, of[tried], single)
                right[rows[tried], place], change[rows[tried], place] = hit, after - own[tried]
        return {
            "cut_class": sampled.astype(np.int32),
            "cut_before": before.astype(np.float32),
            "cut_right": right.astype(np.float32),
            "cut_logit": change.astype(np.float32),
        }

    def _changed(
        self, batch: ProbeBatch, inputs: torch.Tensor, rows: NDArray[np.int64], of: NDArray[np.int64]
    ) -> list[tuple[torch.Tensor, NDArray[np.bool_]]]:
        """Return the sampled images without each cue, and which of them could be changed."""
        assert batch.pixels is not None
        images = inputs[rows.tolist()]
        n, height, width = len(images), images.shape[2], images.shape[3]
        everything, nothing = np.ones(n, bool), np.zeros(n, bool)
        inner = np.zeros((height, width), bool)
        high, wide = max(1, round(WIDTH * height)), max(1, round(WIDTH * width))
        inner[high : height - high, wide : width - wide] = True
        found = [(without(images, np.repeat(inner[None], n, axis=0)), everything)]
        bands = self._chosen_bands()[of]
        keep = band_of(batch.pixels[rows]) != bands[:, None, None]
        some = (bands >= 0) & ~keep.all(axis=(1, 2)) & (keep.mean(axis=(1, 2)) >= 1 - MOST_REMOVED)
        found.append((without(images, keep), some))
        if images.shape[1] == 3 and self._n_total:
            mean = torch.as_tensor(self._total / self._n_total).to(images)[None, :, None, None]
            found.append((images - images.mean(dim=(2, 3), keepdim=True) + mean, everything))
        else:
            found.append((images, nothing))
        inside = np.ones((n, height, width), bool)
        for one in boxed(batch.boxes, self._n_classes, (height, width)):
            for place in np.flatnonzero((rows == one.row) & (of == one.label)).tolist():
                inside[place] = mask_of(one.ranges, (height, width))
        left = inside.mean(axis=(1, 2))
        found.append((self._alone(images, inside, of), (left < 1) & (left >= 1 - MOST_REMOVED)))
        return found

    def _alone(self, images: torch.Tensor, inside: NDArray[np.bool_], of: NDArray[np.int64]) -> torch.Tensor:
        """What is inside on the mean colour of training images of other classes."""
        if not self._n_total:
            return without(images, inside)
        n_others = (self._n_total - self._n_own[of])[:, None]
        fill = torch.as_tensor((self._total - self._own_total[of]) / np.maximum(n_others, 1)).to(images)
        stays, known = (torch.as_tensor(one, device=images.device)[:, None] for one in (inside, n_others > 0))
        alone = torch.where(stays, images, fill[:, :, None, None])
        return alone if n_others.all() else torch.where(known[..., None], alone, without(images, inside))


class TrainingMeans(Shortcuts):
    """What `Shortcuts` needs of every training image, where one capture reads a part of them only.

    Column of the training split: `input_mean` (channels,), the mean of each channel of the network's input. With the colour
    bands that `Colours` stores, `complete` tries the shortcuts once the parts are joined.
    """

    def __init__(self) -> None:
        """Sample nothing."""
        super().__init__(1, "train")

    def begin(self, split: str) -> bool:
        """Return whether `split` is read."""
        self._split = split
        return split == "train"

    def update(self, batch: ProbeBatch) -> dict[str, NDArray[Any]]:
        """Return `input_mean` (b, channels).

        Raises:
            NotApplicable: as for `Shortcuts`.
        """
        inputs = self._checked(batch)
        if self._split is None:
            self._try(batch, inputs)
            return {}
        return {INPUT_MEAN: channel_means(inputs)}

    def describe(self) -> dict[str, Any]:
        """Return why no shortcut was tried."""
        return {"skipped": NOT_YET["shortcuts"]}


def channel_means(inputs: torch.Tensor) -> NDArray[np.float32]:
    """(b, channels) the mean of each channel of images (b, channels, H, W)."""
    means: NDArray[np.float32] = inputs.detach().float().mean(dim=(2, 3)).cpu().numpy()
    return means


def without(images: torch.Tensor, keep: NDArray[np.bool_]) -> torch.Tensor:
    """Fill pixels with a smooth mean of those that stay.

    Args:
        images: (n, channels, H, W).
        keep: (n, H, W): the pixels that stay.

    Returns:
        Like `images`. Where nothing stays, an image is as it was.
    """
    weight = torch.as_tensor(keep, device=images.device)[:, None].to(images.dtype)
    size = images.shape[2:]
    step = max(1, max(size) // GRID)
    total, mass = (
        avg_pool2d(values, step, ceil_mode=True, count_include_pad=False) for values in (images * weight, weight)
    )
    for _ in range(ROUNDS):
        total, mass = (avg_pool2d(values, 3, stride=1, padding=1, count_include_pad=False) for values in (total, mass))
    level = (images * weight).sum(dim=(2, 3), keepdim=True) / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    fill = (total + FAINT * level) / (mass + FAINT)
    fill = interpolate(fill, size=size, mode="bilinear", align_corners=False)
    changed = torch.where(weight > 0, images, fill)
    return torch.where(weight.amax(dim=(2, 3), keepdim=True) > 0, changed, images)


def _own(logits: NDArray[Any], of: NDArray[np.int64], single: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the logit of each image's class and whether it is predicted."""
    rows = np.arange(len(logits))
    own = logits[rows, of]
    if not single:
        return own, own > 0
    return own - logits.mean(axis=1), logits.argmax(axis=1) == of
