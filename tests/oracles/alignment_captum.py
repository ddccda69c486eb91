"""Class activation maps one image and class at a time, by Captum; overlaps pixel by pixel."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch


def class_map(model, layer, image, label):
    """Return the map (h, w) of one image (H, W, 3) uint8, scaled to [0, 1]."""
    attribution = pytest.importorskip("captum.attr", reason="captum is not installed")
    model.eval()
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    def logits(x):
        answer = model(x.clone())
        return answer["logits"] if isinstance(answer, dict) else answer[0] if isinstance(answer, tuple) else answer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attribution.LayerGradCam(logits, model.get_submodule(layer)).attribute(
            tensor.requires_grad_(), target=int(label)
        )
    cam = found[0, 0].detach().double().numpy()
    return (cam - cam.min()) / (cam.max() - cam.min())


def overlap(cam, boxes, size):
    """IoBB, IoR, IoU, pointing and the boxes' share, in plain loops; boxes in whole pixels."""
    height, width = size
    wide = torch.nn.functional.interpolate(torch.from_numpy(cam)[None, None], size=size, mode="bilinear")[0, 0].numpy()
    inside = light = area = union = 0.0
    for y in range(height):
        for x in range(width):
            covered = any(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in boxes)
            light += wide[y, x]
            area += covered
            inside += wide[y, x] * covered
            union += 1.0 if covered else wide[y, x]
    i, j = np.unravel_index(cam.argmax(), cam.shape)
    y, x = (i + 0.5) * height / cam.shape[0], (j + 0.5) * width / cam.shape[1]
    hit = any(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in boxes)
    return inside / area, inside / light, inside / union, float(hit), area / (height * width)
