"""python -m benchmarks.science.forecasts [FOLDER]: the forecasts of test errors on the networks that ours was chosen on.

Eleven small networks of drawn shapes and digits. Each forecast is read from the training split alone and compared with where
the test errors went: mean over classes of the Kullback-Leibler divergence in nats. Networks are kept in FOLDER, where given.
`imblens study iml-table2` measures the same on networks that nothing was chosen on.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from imblens.data import ImageSet, load_images, shapes
from imblens.extraction import capture
from imblens.lenses import adversaries
from imblens.run import Run
from imblens.training import train

COLUMNS = ("forecast", "fisher", "soft")


def networks() -> Iterator[tuple[str, int, partial[ImageSet], dict[str, object]]]:
    """Name, seed, images and training options of every network."""
    for seed in range(3):
        drawn = partial(shapes, 3000 + seed, imbalance=50, n_max=700, size=20, test_per_class=400)
        yield f"shapes-{seed}", seed, drawn, {"arch": "smallnet", "epochs": 16, "batch_size": 64}
    for seed in range(3):
        drawn = partial(shapes, 3100 + seed, imbalance=30, n_max=500, size=16, test_per_class=400)
        yield (
            f"unaugmented-{seed}",
            seed,
            drawn,
            {"arch": "smallnet", "epochs": 20, "batch_size": 64, "augment": "none"},
        )
    for seed in range(3):
        digits = partial(load_images, "digits", profile="exp:30", seed=seed)
        yield f"digits-{seed}", seed, digits, {"arch": "smallnet", "epochs": 6, "batch_size": 32}
    for seed in range(2):
        drawn = partial(shapes, 3200 + seed, imbalance=50, n_max=500, size=20, test_per_class=400)
        yield f"resnet32-{seed}", seed, drawn, {"arch": "resnet32", "epochs": 12, "batch_size": 64}


def trained(folder: Path, images: ImageSet, seed: int, options: dict[str, object]) -> Run:
    """Return the captured run in `folder`; train it where it is not there yet."""
    if (folder / "run.json").exists():
        return Run.load(folder)
    made = train(images, out=folder, seed=seed, progress=False, force=True, **options)  # type: ignore[arg-type]
    splits = {"train": images.train, "test": images.held_out, "classes": images.classes}
    capture(made.model, **splits, preprocessing=made.meta["preprocessing"], colours=False, thumbnails=False).save(
        folder, force=True
    )
    return Run.load(folder)


def main(folder: Path) -> None:
    """Print a row a network, and the mean ratio of ours to the better of the paper's two."""
    print(
        "| network | "
        + " | ".join(COLUMNS)
        + " | floor | soft / better of the others |\n|"
        + "---|" * (len(COLUMNS) + 3)
    )
    ratios = []
    for name, seed, draw, options in networks():
        summary = adversaries(trained(folder / name, draw(), seed, options)).summary
        kl = summary["kl"]
        ratios.append(kl["soft"] / min(kl["forecast"], kl["fisher"]))
        shown = " | ".join(f"{kl[column]:.3f}" for column in COLUMNS)
        print(f"| {name} | {shown} | {summary['kl_floor']:.3f} | {ratios[-1]:.2f} |", flush=True)
    print(f"\ngeometric mean of the ratios {np.exp(np.mean(np.log(ratios))):.2f}, largest {max(ratios):.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made_for_now:
            main(Path(made_for_now))
