"""Decoding of JPEG files: python -m benchmarks.decoding [--images 2000] [--side 224].

Writes a folder of JPEG files and reads it as `imblens train` and `capture` do: decoded once by a thread for each core and kept,
so that later epochs take batches from memory (or a mapped file). Prints images a second, processor milliseconds an image, and
Pillow in one thread on the same files for comparison.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imblens.data import load_images

BATCH = 64


def write(folder: Path, n: int, side: int) -> None:
    """Write `n` smooth images with some noise, which compress as photographs do (some 15 kB at 224 pixels), in two classes."""
    rng = np.random.default_rng(0)
    for i in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        pixels = np.asarray(coarse, dtype=np.int16) + rng.integers(-12, 13, (side, side, 3), dtype=np.int16)
        place = folder / f"class{i % 2}"
        place.mkdir(exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(place / f"{i:06d}.jpg", quality=85)


def timed(name: str, n: int, call: Callable[[], Any]) -> None:
    """Print a row for work on `n` images."""
    start, used = time.perf_counter(), time.process_time()
    call()
    taken, worked = time.perf_counter() - start, time.process_time() - used
    print(f"| {name} | {n / taken:,.0f} | {1000 * worked / n:.3f} ms |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--side", type=int, default=224)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, given.images, given.side)
        files = sorted(folder.rglob("*.jpg"))
        size = sum(file.stat().st_size for file in files) / len(files) / 1000
        print(f"{len(files):,} JPEG files of {given.side} pixels, {size:.0f} kB each\n")
        print("| what | images a second | processors, an image |\n|---|---|---|")
        timed("Pillow, one thread", len(files), lambda: [np.asarray(Image.open(file).convert("RGB")) for file in files])
        split = load_images(folder).train
        timed("first epoch: decoded and kept", len(split), split.array)
        order = np.random.default_rng(1).permutation(len(split))
        batches = [order[low : low + BATCH] for low in range(0, len(order), BATCH)]
        timed(
            "later epochs: batches of 64 in random order", len(split), lambda: [split.stack(rows) for rows in batches]
        )


if __name__ == "__main__":
    main()
