"""Colours that drive predictions: the colour bands of the most salient pixels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.errors import NotApplicable
from imblens.extraction._bands import BANDS, band_of
from imblens.extraction._probes import Probe, ProbeBatch

TOP = 0.1  # share of an image's pixels that count as the most salient


class Colours(Probe):
    """Counts, per image, the colour bands of the most salient pixels for the largest logit.

    Saliency of a pixel: the gradient of the largest logit with respect to the input, largest absolute value over
    channels. The top 10% of pixels count, the first of equal ones by position. A pixel whose gradient is exactly 0
    never counts, nor does an image whose gradient is not finite: their counts are 0.

    Columns: `band_count` (14,) pixels in each band, `band_rgb` (42,) sums of red, green, blue over the pixels of
    each band, band by band; `band_present` (14,) how many of all pixels lie in each band, to compare with. Sums of
    integers are exact and add over instances; a mean is sum / count.

    References:
        IML, section III-G, Alg. 4, after Simonyan et al. 2013. There the bands are boxes in RGB that leave gaps, and
        the images are randomly cropped and flipped; here every pixel has a band and images are as they are.
    """

    name: ClassVar[str] = "colours"
    gradient: ClassVar[bool] = True

    def __init__(self) -> None:
        """Begin without a batch; `latest` holds the columns of the last one, for probes that run after this one."""
        self.latest: dict[str, NDArray[Any]] = {}

    def begin(self, split: str) -> bool:
        """Return whether `split` is measured: every split but the validation split."""
        return split != "val"

    def update(self, batch: ProbeBatch) -> dict[str, NDArray[Any]]:
        """Return `band_count` (b, 14), `band_rgb` (b, 42) and `band_present` (b, 14).

        Raises:
            NotApplicable: the inputs are not images of known colours, or the gradient is cut.
        """
        if batch.inputs is None:
            raise NotApplicable("the network takes several inputs; colours need images.")
        if batch.inputs.ndim != 4 or batch.inputs.shape[1] not in (1, 3):
            shape = tuple(batch.inputs.shape[1:])
            raise NotApplicable(f"the inputs have shape {shape}; colours need images of one or three channels.")
        if batch.pixels is None:
            raise NotApplicable(
                "the images behind the inputs, and so their colours, are unknown; pass preprocessing={mean, std}."
            )
        self.latest = band_columns(batch.pixels, salient_pixels(batch))
        return dict(self.latest)

    def describe(self) -> dict[str, Any]:
        """Return the bands with their reference colours, in column order, and the share of pixels that count."""
        return {"bands": {name: "#{:02x}{:02x}{:02x}".format(*rgb) for name, rgb in BANDS.items()}, "top": TOP}


def salient_pixels(batch: ProbeBatch) -> NDArray[np.bool_]:
    """Mark the most salient pixels of each image for its largest logit: (b, H * W).

    Raises:
        NotApplicable: the gradient is cut.
    """
    if not batch.logits.requires_grad:
        raise NotApplicable("the gradient between input and logits is cut (detached).")
    assert batch.inputs is not None
    largest = batch.logits.gather(1, batch.logits.argmax(dim=1, keepdim=True))
    slope = batch.gradient(largest, batch.inputs)  # (b, channels, H, W)
    saliency = slope.abs().amax(dim=1).flatten(1).float()  # (b, H * W)
    saliency[~saliency.isfinite().all(dim=1)] = 0
    chosen: NDArray[np.bool_] = top_pixels(saliency).cpu().numpy()
    return chosen


def top_pixels(saliency: torch.Tensor) -> torch.Tensor:
    """Mark the most salient tenth of each row: (b, P) bool, at most max(1, round(P / 10)) in a row.

    Args:
        saliency: (b, P), 0 or more. Zero is never marked; of equal values at the edge the first are.
    """
    k = max(1, round(TOP * saliency.shape[1]))
    edge = saliency.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)  # (b, 1)
    above = saliency > edge
    ties = (saliency == edge) & (edge > 0)
    room = k - above.sum(dim=1, keepdim=True)
    return above | (ties & (ties.cumsum(dim=1) <= room))


def band_columns(pixels: NDArray[np.uint8], chosen: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Count bands and sum colours over the chosen pixels of each image, and count the bands of all pixels.

    Args:
        pixels: (b, H, W, 3) uint8.
        chosen: (b, H * W).
    """
    n, n_bands = len(pixels), len(BANDS)
    size = n * n_bands
    flat = pixels.reshape(n, -1, 3)
    cells = np.arange(n)[:, None] * n_bands + band_of(flat)  # (n, H * W), one cell for each image and band
    mine, colours = cells[chosen], flat[chosen]
    sums = [np.bincount(mine, weights=colours[:, channel], minlength=size) for channel in range(3)]
    return {
        "band_count": np.bincount(mine, minlength=size).reshape(n, n_bands).astype(np.uint32),
        "band_rgb": np.stack(sums, axis=-1).reshape(n, n_bands * 3).astype(np.uint32),
        "band_present": np.bincount(cells.ravel(), minlength=size).reshape(n, n_bands).astype(np.uint32),
    }
