"""Class activation maps compared with boxes, in the forward pass that reads the features."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from imblens.errors import NotApplicable
from imblens.extraction._boxes import Boxed, boxed, mask_of
from imblens.extraction._probes import Probe, ProbeBatch

Floats = NDArray[np.float64]
MEASURES = ("cam_iobb", "cam_ior", "cam_iou", "cam_pointing", "box_share")
KEPT = 24  # images of each class whose maps are kept, at most
FIRST = 8  # of them whatever the network predicts: the same for every network, so that maps can be compared
VIEW = 224  # pixels of the longer side of a kept image
THUMBNAIL = 64  # pixels of the longer side of a thumbnail
MAP = 32  # positions of the longer side of a kept map
_AT_ONCE = 64  # maps that are resized to the images' size together


class Alignment(Probe):
    """Compares the class activation map of each class that has boxes in an image with those boxes.

    The map is Grad-CAM at the last convolutional maps: their sum weighted by the mean gradient of the class's logit,
    without rectification. With global average pooling and a linear head that is CAM up to a factor. It is scaled to
    [0, 1] by its smallest and largest value and resized to the image (bilinear). With B the pixels in boxes:

    - `cam_iobb` = sum of the map in B / pixels of B: how much of the boxes is activated (a soft recall);
    - `cam_ior` = sum of the map in B / sum of the map: how much of the activation is in the boxes (a soft precision);
    - `cam_iou` = sum of the map in B / (pixels of B + sum of the map outside of B);
    - `cam_pointing` = 1 where the centre of the strongest position lies in a box, else 0;
    - `box_share` = pixels of B / all pixels, which is what `cam_ior` is for a map that is even.

    Each is a column (C,), NaN for classes without a box in the image and for maps that are constant. For the first
    8 images of each class, and for later ones that the network gets wrong until there are 24, `view` (the image as the
    network sees it, at most 224 pixels), `boxes` (n * 5: class and edges as shares of width and height) and `cam` (the
    maps of their classes in ascending order, uint8, row by row, of the size that `describe` gives) are kept for overlays.

    References:
        LOOKING, section 4 and Table 1; Selvaraju et al. 2017, Grad-CAM (there rectified); Zhou et al. 2016, CAM; Zhang
        et al. 2018, Top-down neural attention by excitation backprop, for the pointing game (there with a tolerance of
        15 pixels, here with none).
    """

    name: ClassVar[str] = "alignment"
    map_gradient: ClassVar[bool] = True

    def __init__(self, layer: str, n_classes: int, split: str, *, pooled_by: torch.Tensor | None = None) -> None:
        """ForwardPass at the maps that `layer` gives, on the images of `split`.

        `pooled_by`: the head's weight (C, channels), where it reads the mean of the rectified maps, which no module gives.
        """
        self.layers = (layer,)
        self._pooled_by = pooled_by
        self._n_classes, self._split = n_classes, split
        self._kept = np.zeros(n_classes, dtype=np.int64)
        self._map_size: tuple[int, int] | None = None
        self._begun = False

    def begin(self, split: str) -> bool:
        """Return whether `split` is measured."""
        self._begun = True
        return split == self._split

    def update(self, batch: ProbeBatch) -> dict[str, NDArray[Any]]:
        """Return the columns.

        Raises:
            NotApplicable: the logits do not depend on the maps, or the output is not maps.
        """
        maps = batch.maps[self.layers[0]]
        if not self._begun:
            self._class_maps(batch, maps, np.zeros(len(maps), dtype=np.int64))
            return {}
        n = len(maps)
        columns: dict[str, NDArray[Any]] = {
            name: np.full((n, self._n_classes), np.nan, dtype=np.float32) for name in MEASURES
        }
        columns |= {name: np.full(n, None, dtype=object) for name in ("view", "boxes", "cam")}
        if batch.pixels is None:
            return columns
        size = (batch.pixels.shape[1], batch.pixels.shape[2])
        pairs = boxed(batch.boxes, self._n_classes, size)
        cams = scaled_maps(lambda labels: self._class_maps(batch, maps, labels), maps, pairs)  # (pairs, h, w)
        for start in range(0, len(pairs), _AT_ONCE):
            some = pairs[start : start + _AT_ONCE]
            found = overlaps(cams[start : start + _AT_ONCE], some, size)
            for name, values in zip(MEASURES, found.T, strict=True):
                columns[name][[pair.row for pair in some], [pair.label for pair in some]] = values
        self._keep(columns, batch.pixels, pairs, cams, _missed(batch, pairs))
        return columns

    def describe(self) -> dict[str, Any]:
        """Return where the maps come from, on which split, and the size of the kept ones."""
        size = None if self._map_size is None else list(self._map_size)
        rectified = self._pooled_by is not None
        return {"layer": self.layers[0], "rectified": rectified, "split": self._split, "map_size": size}

    def _class_maps(self, batch: ProbeBatch, maps: torch.Tensor, labels: NDArray[np.int64]) -> torch.Tensor:
        """The map of one class for each image of the batch, (b, h, w)."""
        if self._pooled_by is None:
            return _class_maps(batch, maps, labels)
        weight = self._pooled_by[labels][
            :, :, None, None
        ]  # the slope of the logit at every position, but for 1 / (h * w)
        return (weight * maps.relu()).sum(dim=1).detach()

    def _keep(
        self,
        columns: dict[str, NDArray[Any]],
        pixels: NDArray[np.uint8],
        pairs: list[Boxed],
        cams: torch.Tensor,
        missed: NDArray[np.bool_],
    ) -> None:
        by_row: dict[int, list[int]] = {}
        for i, pair in enumerate(pairs):
            by_row.setdefault(pair.row, []).append(i)
        height, width = pixels.shape[1:3]
        for row, places in by_row.items():
            labels = [pairs[i].label for i in places]
            if (self._kept[labels] >= np.where(missed[places], KEPT, FIRST)).all():
                continue
            self._kept[labels] += 1
            small = _small(cams[places])
            self._map_size = (small.shape[1], small.shape[2])
            columns["view"][row] = encoded(pixels[row])
            columns["cam"][row] = small.tobytes()
            columns["boxes"][row] = np.concatenate(
                [
                    np.column_stack([np.full(len(pairs[i].edges), pairs[i].label), pairs[i].edges / ([width, height] * 2)])
                    for i in places
                ]
            ).astype(np.float32).ravel()  # fmt: skip


def _missed(batch: ProbeBatch, pairs: list[Boxed]) -> NDArray[np.bool_]:
    """Whether the network gets the image of each pair wrong; multi-label: whether it misses that label."""
    logits = batch.logits.detach().cpu().numpy()
    if batch.labels.ndim == 1:
        wrong = logits.argmax(axis=1) != batch.labels
        return np.array([wrong[pair.row] for pair in pairs], dtype=bool)
    return np.array([logits[pair.row, pair.label] <= 0 for pair in pairs], dtype=bool)


def scaled_maps(
    class_maps: Callable[[NDArray[np.int64]], torch.Tensor], maps: torch.Tensor, pairs: list[Boxed]
) -> torch.Tensor:
    """Class activation map of each pair, scaled to [0, 1]: (pairs, h, w) float32; NaN where a map is constant.

    `class_maps` gives that of one class for each image. It is called for the first boxed class of every image, for the
    second, and so on.
    """
    cams = torch.full((len(pairs), *maps.shape[2:]), torch.nan)
    for place in range(max((pair.place for pair in pairs), default=-1) + 1):
        chosen = [i for i, pair in enumerate(pairs) if pair.place == place]
        labels = np.zeros(len(maps), dtype=np.int64)
        rows = [pairs[i].row for i in chosen]
        labels[rows] = [pairs[i].label for i in chosen]
        cams[chosen] = class_maps(labels)[rows].float().cpu()
    low, high = cams.amin(dim=(1, 2), keepdim=True), cams.amax(dim=(1, 2), keepdim=True)
    return torch.where(high > low, (cams - low) / (high - low), torch.nan)


def overlaps(cams: torch.Tensor, pairs: list[Boxed], size: tuple[int, int]) -> Floats:
    """The `MEASURES` of scaled maps (n, h, w) against the boxes of `pairs` in images of `size`: (n, 5)."""
    wide = functional.interpolate(cams[:, None].double(), size=size, mode="bilinear", align_corners=False)[:, 0].numpy()
    found = np.full((len(pairs), len(MEASURES)), np.nan)
    peaks = cams.flatten(1).argmax(dim=1).numpy()
    for i, pair in enumerate(pairs):
        mask = mask_of(pair.ranges, size)
        area = int(mask.sum())
        total, inside = wide[i].sum(), wide[i][mask].sum()
        if np.isnan(total):
            continue
        y, x = np.divmod(peaks[i], cams.shape[2])
        y, x = (y + 0.5) * size[0] / cams.shape[1], (x + 0.5) * size[1] / cams.shape[2]
        x0, y0, x1, y1 = pair.edges.T
        hit = bool(((x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)).any())
        found[i] = inside / area, inside / total, inside / (area + total - inside), hit, area / mask.size
    return found


def _class_maps(batch: ProbeBatch, maps: torch.Tensor, labels: NDArray[np.int64]) -> torch.Tensor:
    """Grad-CAM of one class for each image of the batch, (b, h, w), as Captum's LayerGradCam."""
    if maps.ndim != 4 or len(maps) != len(labels):
        raise NotApplicable(f"the layer gives shape {tuple(maps.shape)}, not maps (b, channels, h, w).")
    if not batch.logits.requires_grad:
        raise NotApplicable("the gradient between the maps and the logits is cut (detached).")
    chosen = batch.logits.gather(1, torch.from_numpy(labels).to(batch.logits.device)[:, None])
    slope = batch.gradient(chosen, maps)
    return (slope.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).detach()


def _small(cams: torch.Tensor) -> NDArray[np.uint8]:
    """Maps as 0 to 255, at most 32 positions on the longer side; a constant map as 0."""
    height, width = cams.shape[1:]
    longer = max(height, width)
    if longer > MAP:
        size = (max(1, round(height * MAP / longer)), max(1, round(width * MAP / longer)))
        cams = functional.adaptive_avg_pool2d(cams, size)
    levels = (cams.nan_to_num(0) * 255).round().to(torch.uint8).contiguous()
    array: NDArray[np.uint8] = levels.numpy()
    return array


def encoded(image: NDArray[np.uint8], most: int = VIEW) -> bytes:
    """Encode an image (H, W, 3), scaled down to at most 224 pixels, or `most`: PNG up to 64 pixels, JPEG above."""
    scaled = Image.fromarray(image)
    if max(scaled.size) > most:
        scaled.thumbnail((most, most), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    if max(scaled.size) > 64:
        scaled.save(file, format="JPEG", quality=85)
    else:
        scaled.save(file, format="PNG")
    return file.getvalue()


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """Encode an image (H, W, 3) as PNG, scaled down to at most 64 pixels."""
    return encoded(image, THUMBNAIL)
