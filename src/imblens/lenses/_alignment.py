"""Does the network look where the boxes are?"""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.intervals import mean_with_interval, wilson
from imblens.base.wording import FEW, counted, percent
from imblens.errors import NotApplicable
from imblens.lenses._boxes import boxed_split, captured, gaps, interval_chart, means
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Run

MEASURES = ("iobb", "ior", "iou", "pointing")


class Alignment(Finding):
    """Class activation maps against boxes; see `alignment`."""

    def lines(self) -> dict[str, str]:
        """One line for each class with boxes, the one that looks at them least first; then the means."""
        found: dict[str, str] = {}
        table = self.tables["alignment"].dropna(subset=["ior"])
        for row in table.sort_values("excess", kind="stable").itertuples():
            few = ", too few to tell" if row.image_count < FEW else ""
            found[str(row[1])] = (
                f"{row[1]}: {_with_interval(row.ior, row.ior_low, row.ior_high)} of its activation map lies in its boxes, "
                f"which cover {percent(row.box_share)} of the image: {_verdict(row)}. {percent(row.iobb)} of the boxes is "
                f"lit, and the strongest point is in one {percent(row.pointing)} of the time "
                f"({counted(row.image_count, 'image')}{few})."
            )
        if found:
            found[""] = (
                f"Mean over {self.summary['image_count']:,} {self.summary['split']} images and their classes: IoBB "
                f"{self.summary['mean_iobb']:.3f}, IoR {self.summary['mean_ior']:.3f}, IoU {self.summary['mean_iou']:.3f}."
            )
        return found

    def charts(self) -> dict[str, Any]:
        """IoR beside the share that boxes cover, IoBB, and how often the strongest point is in a box."""
        table = self.tables["alignment"].sort_values("excess", kind="stable")
        return {
            "alignment": interval_chart(
                table, "ior", "share of the activation map that lies in boxes (IoR); tick: if it were even",
                mark="box_share", limit=1,
            ),
            "alignment_iobb": interval_chart(table, "iobb", "share of the boxes that is lit (IoBB)", limit=1),
            "alignment_pointing": interval_chart(
                table, "pointing", "images whose strongest point is in a box", mark="box_share", limit=1
            ),
        }  # fmt: skip


@lens(
    "Does the network look where the boxes are?",
    order=130,
    measures=(
        Measure("alignment", "iobb", "share of the box area that is activated (IoBB)", "higher"),
        Measure("alignment", "ior", "share of the activation inside boxes (IoR)", "higher"),
    ),
)
def alignment(run: Run) -> Alignment:
    """How the class activation maps of each class lie to its boxes, over the images that have boxes of it.

    iobb = sum(map in boxes) / pixels in boxes;  ior = sum(map in boxes) / sum(map)
    iou = sum(map in boxes) / (pixels in boxes + sum(map outside));  pointing: is the strongest position in a box?

    The map is Grad-CAM at the last convolutional maps (CAM for globally pooled networks), scaled to [0, 1] and resized
    to the image; capture takes it. A map that is even everywhere has an `ior` of `box_share`, which is why that stands
    beside it: a class whose map lies in its boxes no more than that is recognised by something else. IoBB alone says
    little: it is large where a map is bright everywhere. Images count whether or not the network finds the class.

    Args:
        run: captured from images with boxes.

    Returns:
        Table `alignment`: class, image_count, iobb, ior, iou, pointing (means over images), then 95 % intervals
        `..._low, ..._high` of each (Student's t over images, cut at 0 and 1; Wilson's for pointing), box_share (mean
        share of the image in boxes), excess, excess_low, excess_high (mean of ior - box_share). NaN for classes
        without boxes. Summary: split, layer, image_count, and of each measure `mean_...` over images and classes and
        `macro_...` over classes.

    Raises:
        NotApplicable: the run has no such maps, or its head is not the one that they were taken with.

    References:
        LOOKING, section 4, Fig. 1 and Table 1 (soft IoBB and IoR). IoU, pointing (Zhang et al. 2018), intervals and the
        comparison with `box_share` are ours.
    """
    import pandas as pd

    split = boxed_split(run, "alignment", "cam_iobb")
    if "treatment" in run.meta:
        raise NotApplicable("alignment: the maps were taken with the network's own head, and this run has another.")
    values = {name: split.matrix(f"cam_{name}").astype(np.float64) for name in MEASURES}
    share = split.matrix("box_share").astype(np.float64)
    share[~np.isfinite(values["ior"])] = np.nan
    count, box_share, _, _ = mean_with_interval(share)
    averages: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for name in MEASURES:
        _, averages[name], low, high = mean_with_interval(values[name])
        if name == "pointing":
            low, high = wilson(np.nansum(values[name], axis=0), count)
        intervals |= {f"{name}_low": np.maximum(low, 0.0), f"{name}_high": np.minimum(high, 1.0)}
    _, excess, excess_low, excess_high = mean_with_interval(values["ior"] - share)
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
    return Alignment({"alignment": table}, summary, notes=gaps(run.classes, count, FEW))


def _verdict(row: Any) -> str:
    if np.isfinite(row.excess_low) and row.excess_low > 0:
        return "the network looks there more than elsewhere"
    if np.isfinite(row.excess_high) and row.excess_high < 0:
        return "the network looks elsewhere"
    return "the network looks there no more than chance would"


def _with_interval(share: float, low: float, high: float) -> str:
    if not np.isfinite(low):
        return percent(share)
    return f"{percent(share)} [{100 * low:.0f}, {100 * high:.0f}]"
