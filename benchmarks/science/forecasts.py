"""python -m benchmarks.science.forecasts [FOLDER] [RUN ...]: the forecasts of test errors.

First on the eleven small networks of drawn shapes and digits that ours was chosen on, which are kept in FOLDER, where given;
then on every other RUN (a folder, or an ARRAYS.npz with head and test split). Each forecast is read from the training split
alone and compared with where the test errors went: mean over classes of the Kullback-Leibler divergence in nats.
`imblens study iml-table2` measures the same on networks that it trains.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
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


def main(folder: Path, others: list[str]) -> None:
    """Print a row a network, and means."""
    runs = ((name, trained(folder / name, draw(), seed, options)) for name, seed, draw, options in networks())
    rows("Networks that ours was chosen on", runs)
    if others:
        rows("Networks that nothing was chosen on", ((Path(path).stem, Run.load(Path(path))) for path in others))


def rows(title: str, runs: Iterable[tuple[str, Run]]) -> None:
    """Print a row a network, their means, and the mean ratio of ours to the better of the paper's two."""
    print(f"\n{title}:\n\n| network | {' | '.join(COLUMNS)} | floor | training errors | soft / better of the others |")
    print("|" + "---|" * (len(COLUMNS) + 4))
    found = []
    for name, run in runs:
        summary = adversaries(run).summary
        kl = summary["kl"]
        found.append([*(kl[column] for column in COLUMNS), summary["kl_floor"], int((~run.train.correct).sum())])
        shown = " | ".join(f"{value:.3f}" for value in found[-1][:-1])
        print(f"| {name} | {shown} | {found[-1][-1]:,} | {_ratio(kl):.2f} |", flush=True)
    means = np.mean(found, axis=0)
    ratio = np.exp(np.mean([np.log(row[2] / min(row[:2])) for row in found]))
    print(f"| mean | {' | '.join(f'{value:.3f}' for value in means[:-1])} | {means[-1]:,.0f} | {ratio:.2f} |")


def _ratio(kl: dict[str, float]) -> float:
    return kl["soft"] / min(kl["forecast"], kl["fisher"])


if __name__ == "__main__":
    given = sys.argv[1:]
    if given:
        main(Path(given[0]), given[1:])
    else:
        with tempfile.TemporaryDirectory() as made_for_now:
            main(Path(made_for_now), [])
