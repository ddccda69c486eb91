"""Decoding of JPEG files: python -m benchmarks.decoding [--images 2000] [--side 224].

Writes a folder of JPEG files and reads it as `imblens train` and `capture` do: decoded once by a thread for each core and kept,
so that later epochs take batches from memory (or a mapped file). Prints images a second, processor milliseconds an image, and
Pillow on the same files for comparison: in one thread, in a thread for each core, and in a process for each core, which writes
into memory that all share and is started before the clock is. Pillow lets other threads run while it decodes. The last row is
what decoding has to keep up with: training steps of a ResNet-50, on a GPU if there is one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
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


def decoded(file: Path) -> Any:
    """The pixels of a file."""
    return np.asarray(Image.open(file).convert("RGB"))


def in_threads(files: list[Path], out: Any) -> None:
    """Decode into an array, in a thread for each core."""

    def put(place: int) -> None:
        out[place] = decoded(files[place])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(put, range(len(files))))


def in_process(files: list[Path], places: range, name: str, shape: tuple[int, ...]) -> float:
    """Decode some files into shared memory; the processor seconds of this process for it."""
    used = time.process_time()
    shared = SharedMemory(name)
    out: Any = np.ndarray(shape, np.uint8, shared.buf)
    for place in places:
        out[place] = decoded(files[place])
    del out
    shared.close()
    return time.process_time() - used


def in_processes(files: list[Path], shape: tuple[int, ...], name: str, pool: Any) -> float:
    """Decode in the processes of a pool; their processor seconds together."""
    blocks = [range(low, min(low + BATCH, len(files))) for low in range(0, len(files), BATCH)]
    return sum(pool.starmap(in_process, [(files, block, name, shape) for block in blocks], chunksize=1))


def steps(side: int, n: int) -> Callable[[], None]:
    """Training steps of a ResNet-50 on `n` images, in batches of 16; the network is made and tried before they are timed."""
    import torch

    from imblens.models import build_model

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_model("resnet50", 2).to(device).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    inputs, labels = torch.randn(16, 3, side, side, device=device), torch.arange(16, device=device) % 2

    def run(n: int = n) -> None:
        for _ in range(0, n, 16):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs), labels).backward()
            optimiser.step()
        inputs.sum().item()  # waits for a GPU

    run(16)
    return run


def timed(name: str, n: int, call: Callable[[], Any]) -> None:
    """Print a row for work on `n` images; where a number is returned, it is processor seconds of other processes."""
    start, used = time.perf_counter(), time.process_time()
    others = call()
    taken, worked = time.perf_counter() - start, time.process_time() - used
    worked += others if isinstance(others, float) else 0.0
    print(f"| {name} | {n / taken:,.0f} | {1000 * worked / n:.3f} ms |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument(
        "--trained", type=int, default=64, help="images of the training steps, rounded up to batches of 16"
    )
    given = parser.parse_args()
    trained = -(-given.trained // 16) * 16
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, given.images, given.side)
        files = sorted(folder.rglob("*.jpg"))
        size = sum(file.stat().st_size for file in files) / len(files) / 1000
        print(f"{len(files):,} JPEG files of {given.side} pixels, {size:.0f} kB each\n")
        print("| what | images a second | processors, an image |\n|---|---|---|")
        shape = (len(files), given.side, given.side, 3)
        pixels = np.zeros(shape, np.uint8)
        timed("Pillow, one thread", len(files), lambda: [decoded(file) for file in files])
        for _ in range(2):  # in turns, since whatever else runs falls on both
            timed("Pillow, a thread for each core", len(files), lambda: in_threads(files, pixels))
            shared = SharedMemory(create=True, size=pixels.nbytes)
            with get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
                in_processes(files[:BATCH], shape, shared.name, pool)
                title = "Pillow, a process for each core"
                timed(title, len(files), lambda pool=pool, name=shared.name: in_processes(files, shape, name, pool))  # type: ignore[misc]
            shared.close()
            shared.unlink()
        split = load_images(folder).train
        timed("first epoch: decoded and kept", len(split), split.array)
        order = np.random.default_rng(1).permutation(len(split))
        batches = [order[low : low + BATCH] for low in range(0, len(order), BATCH)]
        timed(
            "later epochs: batches of 64 in random order", len(split), lambda: [split.stack(rows) for rows in batches]
        )
        timed("training steps of ResNet-50, batches of 16", trained, steps(given.side, trained))


if __name__ == "__main__":
    main()
