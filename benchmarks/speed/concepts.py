"""Concepts against a contour loop with torch.quantile, and activation maps against Captum, one image at a time.

The loop is the plain way: upsample all maps of a batch, take each channel's quantile over the batch with
torch.quantile, and find contours (OpenCV) in each thresholded map of each image. Ours includes the histogram, its
quantiles and the regions. The alignment loop runs Captum's LayerGradCam for each image and class, and sums over
the boxes; the limit is the forward pass that reads the features anyway.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from benchmarks.speed._measure import in_turns, row
from imblens.data import ImageSplit
from imblens.extraction._alignment import Alignment
from imblens.extraction._boxes import boxed, mask_of
from imblens.extraction._concepts import concepts_in_boxes
from imblens.extraction._forward import ForwardPass
from imblens.extraction._histogram import ChannelHistogram
from imblens.extraction._network import as_found, exact_float32
from imblens.extraction._preprocessing import Preprocessing
from imblens.extraction._readers import ImageReader
from imblens.models import HeadReading, build_model, find_maps

SIZE = (224, 224)
N_PICTURES, N_ALIGNED = 64, 128
LOOP_PICTURES, LOOP_CHANNELS, LOOP_ALIGNED = 2, 32, 16  # loops are measured on fewer and scaled up


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison; the times of a row were taken in turns."""
    return [_concepts(512, 28, 0.01), _concepts(512, 7, 0.04), *_alignment()]


def _concepts(channels: int, side: int, share: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((N_PICTURES, channels, side, side), dtype=np.float32)
    maps = np.maximum(ndimage.gaussian_filter(noise, (0, 0, 1.5, 1.5)), 0)
    boxes = _boxes(rng, N_PICTURES, SIZE[0])

    def ours() -> None:
        histogram = ChannelHistogram(channels)
        histogram.update(maps)
        concepts_in_boxes(maps, histogram.thresholds(share), boxed(boxes, 1, SIZE), SIZE)

    def loop() -> None:
        _contour_loop(maps[:LOOP_PICTURES, :LOOP_CHANNELS], boxes[:LOOP_PICTURES], share)

    mine, slow = in_turns([ours, loop], 2)
    size = f"{N_PICTURES} images of {SIZE[0]} x {SIZE[1]}, {channels} maps of {side} x {side}"
    slow = slow * (N_PICTURES / LOOP_PICTURES * channels / LOOP_CHANNELS)
    return row("concepts", size, mine, "contour loop with torch.quantile", slow, ">= 200")


def _contour_loop(maps: np.ndarray, boxes: list[np.ndarray], share: float) -> int:
    import cv2

    wide = functional.interpolate(torch.from_numpy(maps), size=SIZE, mode="bilinear")
    found = 0
    for channel in range(wide.shape[1]):
        threshold = torch.quantile(wide[:, channel].flatten(), 1 - share)
        for image, own in zip(wide[:, channel] >= threshold, boxes, strict=True):
            contours, _ = cv2.findContours(image.numpy().astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            x0, y0, x1, y1 = own[0, 1:]
            for contour in contours:
                x, y = contour[:, 0, 0], contour[:, 0, 1]
                found += bool(((x >= x0) & (x < x1) & (y >= y0) & (y < y1)).any())
    return found


def _alignment() -> list[dict[str, Any]]:
    from captum.attr import LayerGradCam

    network = build_model("resnet32", 10).eval()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(N_ALIGNED, 32, 32, 3), dtype=np.uint8)
    boxes = _boxes(rng, N_ALIGNED, 32)
    images = ImageSplit.from_arrays(pixels, np.arange(N_ALIGNED) % 10, boxes=boxes)
    device = torch.device("cpu")
    with as_found(network, device), exact_float32(device):
        feed = ImageReader(images, "test", Preprocessing(), originals=False)
        layer = find_maps(network, sample=feed.sample().inputs)
        probe = Alignment(layer, 10, "test")
        probe.begin("test")
        looks = [
            ForwardPass(network, HeadReading("head"), p, device=device, dtype=torch.float32, bf16=False)
            for p in ([], [probe])
        ]
        batches = list(feed.batches(64))

        def features() -> None:
            for batch in batches:
                looks[0](batch)

        def ours() -> None:
            for batch in batches:
                looks[1](batch)

        def captum() -> None:
            attribution = LayerGradCam(network, network.get_submodule(layer))
            for image, own in zip(pixels[:LOOP_ALIGNED], boxes, strict=False):
                inputs = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
                with torch.no_grad():
                    network(inputs)  # features and logits
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    cam = attribution.attribute(inputs.requires_grad_(), target=int(own[0, 0]))
                wide = functional.interpolate(cam.detach(), size=(32, 32), mode="bilinear")[0, 0].numpy()
                mask = mask_of(boxed([own], 10, (32, 32))[0].ranges, (32, 32))
                wide = (wide - wide.min()) / (wide.max() - wide.min())
                wide[mask].sum() / mask.sum(), wide[mask].sum() / wide.sum()

        mine, limit, slow = in_turns([ours, features, captum], 5)
    size = f"{N_ALIGNED} images of 32 x 32, ResNet-32"
    slow = slow * (N_ALIGNED / LOOP_ALIGNED)
    return [
        row("alignment, with features", size, mine, "Captum, one image at a time", slow, "-"),
        row("alignment, with features", size, mine, "features alone (limit)", limit, "<= 1.5"),
    ]


def _boxes(rng: np.random.Generator, n: int, size: int) -> list[np.ndarray]:
    """One box of class 0 in each image, a third to a half as wide and high."""
    found = []
    for _ in range(n):
        (x0, y0), (w, h) = rng.integers(0, size // 2, 2), rng.integers(size // 3, size // 2, 2)
        found.append(np.array([[0, x0, y0, x0 + w, y0 + h]], np.float32))
    return found
