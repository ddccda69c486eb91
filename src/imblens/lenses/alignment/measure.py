"""Class activation maps compared with boxes, per class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from imblens.base.intervals import mean_with_interval, wilson
from imblens.base.wording import FEW
from imblens.errors import NotApplicable
from imblens.lenses._boxes import boxed_split, by_group, captured, gaps, means
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Run

MEASURES = ("iobb", "ior", "iou", "pointing")


@lens(
    "Does the network look inside the boxes?",
    order=130,
    measures=(
        Measure("alignment", "iobb", "share of the box area that is activated (IoBB)", "higher"),
        Measure("alignment", "ior", "share of the activation inside boxes (IoR)", "higher"),
    ),
)
def alignment(run: Run) -> Finding:
    """Overlap of the activation maps of each class with its boxes, over the images that have boxes of it.

    iobb = sum(map in boxes) / pixels in boxes;  ior = sum(map in boxes) / sum(map)
    iou = sum(map in boxes) / (pixels in boxes + sum(map outside));  pointing: is the strongest position in a box?

    The map is Grad-CAM at the last convolutional maps (CAM for globally pooled networks), scaled to [0, 1] and resized
    to the image; capture computes it. A uniform map has an `ior` of `box_share`: if the map of a class exceeds that no
    further, the network uses something else. IoBB alone is hardly informative: it is large where a map is activated
    everywhere. Images count whether or not the network predicts the class.

    Args:
        run: captured from images with boxes.

    Returns:
        Table `alignment`: class, image_count, iobb, ior, iou, pointing (means over images), then 95% intervals
        `..._low, ..._high` of each (Student's t over images, cut at 0 and 1; Wilson's for pointing; by
        group where groups are known), box_share (mean
        share of the image in boxes), excess, excess_low, excess_high (mean of ior - box_share). NaN for classes
        without boxes. Summary: split, layer, image_count, and of each measure `mean_...` over images and classes and
        `macro_...` over classes.

    Raises:
        NotApplicable: the run has no such maps, or its head is not the one that they were computed with.

    References:
        LOOKING, section 4, Fig. 1 and Table 1 (soft IoBB and IoR). IoU, pointing (Zhang et al. 2018), intervals and the
        comparison with `box_share` are ours.
    """
    split = boxed_split(run, "alignment", "cam_iobb")
    if "treatment" in run.meta:
        raise NotApplicable("alignment: the maps were computed with the network's own head, and this run has another.")
    values = {name: split.matrix(f"cam_{name}").astype(np.float64) for name in MEASURES}
    share = split.matrix("box_share").astype(np.float64)
    share[~np.isfinite(values["ior"])] = np.nan
    count, box_share, _, _ = mean_with_interval(share)
    averages: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for name in MEASURES:
        _, averages[name], low, high = mean_with_interval(values[name])
        wider = by_group(split, values[name])
        low, high = (averages[name] + wider * (end - averages[name]) for end in (low, high))
        if name == "pointing":
            low, high = wilson(np.nansum(values[name], axis=0) / wider**2, count / wider**2)
        intervals |= {f"{name}_low": np.maximum(low, 0.0), f"{name}_high": np.minimum(high, 1.0)}
    _, excess, *ends = mean_with_interval(values["ior"] - share)
    excess_low, excess_high = (excess + by_group(split, values["ior"] - share) * (end - excess) for end in ends)
    table = pd.DataFrame(
        {
            "class": run.classes,
            "image_count": count,
            **averages,
            **intervals,
            "box_share": box_share,
            "excess": excess,
            "excess_low": excess_low,
            "excess_high": excess_high,
        }
    )
    summary = {
        "split": split.name,
        "layer": captured(run, "alignment", "layer"),
        "image_count": int(np.isfinite(values["ior"]).any(axis=1).sum()),
        **means(values),
    }
    return Finding({"alignment": table}, summary, notes=gaps(run.classes, count, FEW))
