"""Class colours: against one image at a time, and against the limit of two forward passes.

The loop is the plain way: a gradient per image (Captum's Saliency), its top pixels, their bands by a search over the
fourteen references. The limit is two forward passes of the same network over the same images without a graph:
nothing can find the gradient for less than one pass forward and one back.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from benchmarks.speed._measure import in_turns, row
from imblens.extraction._bands import BANDS, cielab
from imblens.extraction._colours import Colours
from imblens.extraction._forward import GRAPH_BATCH, ForwardPass
from imblens.extraction._inputs import Signature
from imblens.extraction._network import as_found, exact_float32
from imblens.extraction._preprocessing import Preprocessing
from imblens.extraction._readers import BatchRules, make_reader
from imblens.models import HeadReading, build_model

N_PICTURES = 256
N_LOOP = 16  # the loop is measured on fewer and scaled up


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison; the times of a row were taken in turns."""
    network = build_model("resnet32", 10).eval()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(N_PICTURES, 32, 32, 3), dtype=np.uint8)
    feed = make_reader(
        (images, np.arange(N_PICTURES) % 10), "train", BatchRules(Preprocessing(), Signature(network)), originals=False
    )
    device = torch.device("cpu")
    with as_found(network, device), exact_float32(device):
        look = ForwardPass(network, HeadReading("head"), [Colours()], device=device, dtype=torch.float32, bf16=False)
        batches = list(feed.batches(GRAPH_BATCH))
        inputs = [batch.inputs.given.contiguous(memory_format=torch.channels_last) for batch in batches]

        def ours() -> None:
            for batch in batches:
                look(batch)

        def two_forward_passes() -> None:
            with torch.no_grad():
                for _ in range(2):
                    for batch in inputs:
                        network(batch)

        def loop() -> None:
            _one_at_a_time(network, images[:N_LOOP])

        mine, limit = in_turns([ours, two_forward_passes], 9)
        (slow,) = in_turns([loop], 3)
    size = f"{N_PICTURES} images of 32 x 32, ResNet-32"
    return [
        row("class colours", size, mine, "one image at a time", slow * (N_PICTURES / N_LOOP), ">= 10"),
        row("class colours", size, mine, "two forward passes (limit)", limit, "<= 1.2"),
    ]


def _one_at_a_time(network: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    from captum.attr import Saliency

    references = cielab(np.array(list(BANDS.values())))
    attribution = Saliency(network)
    counts = np.zeros((len(images), len(references)), dtype=int)
    for i, image in enumerate(images):
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            target = int(network(tensor).argmax())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            slope = attribution.attribute(tensor, target=target, abs=True)
        order = slope[0].amax(dim=0).flatten().argsort(descending=True)[:102]
        for pixel in image.reshape(-1, 3)[order.numpy()]:
            counts[i, int(((references - cielab(pixel)) ** 2).sum(axis=1).argmin())] += 1
    return counts


def main() -> None:
    """Print the rows."""
    for found in rows():
        print(
            f"{found['operation']}, {found['size']}: ours {found['ours_s']:.2f} s, {found['peer']} {found['peer_s']:.2f} s, "
            f"ratio {found['ratio']:.2f} (target {found['target']})"
        )


if __name__ == "__main__":
    main()
