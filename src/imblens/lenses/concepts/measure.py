"""Strongly activated regions inside boxes, per class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from imblens.base.intervals import mean_with_interval
from imblens.base.wording import FEW
from imblens.lenses._boxes import boxed_split, by_group, captured, gaps, means
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Run

MEASURES = ("disjoint", "unique")


@lens(
    "How many channels respond inside the boxes?",
    order=140,
    measures=(
        Measure(
            "concepts", "disjoint", "strongly activated regions in boxes, per image", "higher", "concepts_disjoint"
        ),
        Measure("concepts", "unique", "channels activated in boxes, per image", "higher", "concepts_unique"),
    ),
)
def concepts(run: Run) -> Finding:
    """Regions of strong activation that overlap the boxes of each class, per image that has boxes of it.

    A channel is strong where its activation reaches t, P(activation >= t) = q over all positions of all training
    images. Its map, resized to the image and thresholded at t, forms connected regions. disjoint: regions that overlap
    a box of the class, summed over channels; unique: channels with at least one. Capture counts them.

    More concepts mean that more channels respond to the content of the boxes. Larger boxes hold more regions: compare
    networks of one architecture on the same boxes; not classes whose boxes differ in size, nor networks of different
    width.

    Args:
        run: captured with test images that have boxes.

    Returns:
        Table `concepts`: class, image_count, disjoint, unique (means over images), disjoint_low, disjoint_high, unique_low,
        unique_high (95%, Student's t over images, by group where groups are known, cut at 0). NaN for classes without boxes.
        Summary: split, layer, share (q), channels, dead_channels, image_count, and of both measures `mean_...` over images and
        classes and `macro_...` over classes.

    Raises:
        NotApplicable: the run has no such counts.

    References:
        LOOKING, section 4 and Table 2; Bau et al. 2017, Network dissection. Intervals are ours; holes and constant
        channels do not count.
    """
    split = boxed_split(run, "concepts", "concept_disjoint")
    values = {name: split.matrix(f"concept_{name}").astype(np.float64) for name in MEASURES}
    columns: dict[str, Any] = {"class": run.classes, "image_count": mean_with_interval(values["unique"])[0]}
    intervals: dict[str, Any] = {}
    for name in MEASURES:
        _, columns[name], low, high = mean_with_interval(values[name])
        wider = by_group(split, values[name])
        low, high = (columns[name] + wider * (end - columns[name]) for end in (low, high))
        intervals |= {f"{name}_low": np.maximum(low, 0.0), f"{name}_high": high}
    table = pd.DataFrame({**columns, **intervals})
    summary = {
        "split": split.name,
        **{key: captured(run, "concepts", key) for key in ("layer", "share", "channels", "dead_channels")},
        "image_count": int(np.isfinite(values["unique"]).any(axis=1).sum()),
        **means(values),
    }
    notes = gaps(run.classes, columns["image_count"], FEW)
    if summary["dead_channels"]:
        notes += (f"{summary['dead_channels']:,} of {summary['channels']:,} channels are constant and do not count.",)
    return Finding({"concepts": table}, summary, notes=notes)
