"""Real images with real boxes: blood cells, against Captum and SciPy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from imblens import audit
from imblens.data import load_images
from imblens.extraction import MEASURES, ChannelHistogram, capture, pixel_ranges
from imblens.models import build_model
from tests.extraction.networks import seeded
from tests.oracles.alignment_captum import class_map, overlap
from tests.oracles.concepts_loop import count

SIZE = (64, 64)


def test_blood_cells(real_data: Path) -> None:
    images = load_images(real_data / "bccd" / "tiles")
    assert images.test is not None
    train = replace(images.train.subset(np.arange(0, 2460, 60)), size=None)
    test = images.test.subset(np.arange(0, 864, 72))
    model = seeded(lambda: build_model("smallnet", 3)).eval()
    run = capture(
        model,
        train=train,
        test=test,
        classes=images.classes,
        preprocessing={"size": SIZE},
        colours=False,
        batch_size=5,
    )
    small = test.resized(SIZE)
    pixels = small.array()
    boxes = [np.column_stack([own[:, 0], pixel_ranges(own[:, 1:].astype(float), SIZE)]) for own in small.boxes]
    found = np.stack([run.test.matrix(name) for name in MEASURES], axis=-1)
    maps = {}
    model.convolutions.register_forward_hook(lambda module, args, output: maps.update(last=output.clone()))
    with torch.no_grad():
        model(torch.from_numpy(train.resized(SIZE).array()).permute(0, 3, 1, 2).float() / 255)
        histogram = ChannelHistogram(64)
        histogram.update(maps["last"].numpy())
        model(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    expected = count(maps["last"].numpy(), histogram.thresholds(0.01), boxes, SIZE)
    pairs = 0
    for i, own in enumerate(boxes):
        for c, counts in expected[i].items():
            slow = overlap(class_map(model, "convolutions", pixels[i], c), own[own[:, 0] == c, 1:].tolist(), SIZE)
            np.testing.assert_allclose(np.delete(found[i, c], 3), np.delete(slow, 3), atol=1e-4)
            assert (run.test.matrix("concept_disjoint")[i, c], run.test.matrix("concept_unique")[i, c]) == counts
            pairs += 1
    assert pairs > 8 and pairs == np.isfinite(found[..., 0]).sum()
    report = audit(run, lenses=["alignment", "concepts", "co_occurrence", "ranking"])
    assert report["alignment"].summary["image_count"] == sum(map(bool, expected))
    assert not report.skipped
