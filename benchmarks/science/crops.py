"""Networks on single cells: python -m benchmarks.science.crops BCCD OUT

Boxes of the set (blood cells, BCCD) are cut out, at 32 x 32 pixels, as instances of one class each. A `smallnet` is trained
for 8 epochs on those of the training split; the test split of the run holds those of the other splits. Three seeds, as runs
in OUT/crops-0 to crops-2, for benchmarks that take runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from imblens.data import ImageSet, ImageSplit, load_images, resize
from imblens.training import TrainingPlan
from imblens.workflows import train_and_capture

SIZE, SEEDS = 32, range(3)


def crops(*splits: ImageSplit | None) -> ImageSplit:
    """Cut out the boxes of at least 4 x 4 pixels."""
    pixels, labels = [], []
    for split in splits:
        for row, boxes in enumerate(split.boxes or () if split is not None else ()):
            for label, x0, y0, x1, y1 in boxes:
                cut = split.image(row)[max(0, int(y0)) : int(np.ceil(y1)), max(0, int(x0)) : int(np.ceil(x1))]
                if min(cut.shape[:2]) >= 4:
                    pixels.append(resize(cut, (SIZE, SIZE)))
                    labels.append(int(label))
    return ImageSplit.from_arrays(np.stack(pixels), np.array(labels))


def main(arguments: list[str]) -> int:
    """Train and capture; see the module."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    whole = load_images(arguments[0])
    cells = ImageSet("cells", whole.classes, "multiclass", crops(whole.train), crops(whole.val, whole.test))
    for seed in SEEDS:
        out = Path(arguments[1]) / f"crops-{seed}"
        plan = TrainingPlan(arch="smallnet", epochs=8, batch_size=64, seed=seed)
        run, _ = train_and_capture(
            cells, Path(arguments[1]) / f"training-{seed}", plan, overwrite=True, colours=False, thumbnails=False
        )
        run.save(out, force=True)
        assert run.test is not None
        print(out, run.train.class_counts.tolist(), run.test.class_counts.tolist(), f"{run.test.correct.mean():.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
