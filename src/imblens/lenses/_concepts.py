"""How many concepts does the network have for what lies in the boxes?"""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.intervals import mean_with_interval
from imblens.base.wording import FEW, counted
from imblens.lenses._boxes import boxed_split, captured, gaps, interval_chart, means
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Run

MEASURES = ("disjoint", "unique")


class Concepts(Finding):
    """Regions of strong activation in boxes; see `concepts`."""

    def lines(self) -> dict[str, str]:
        """One line for each class with boxes, the one with the fewest channels first; then the means."""
        found: dict[str, str] = {}
        channels = self.summary["channels"]
        of = f" of {channels - self.summary['dead_channels']:,} live" if channels else ""
        for row in self.tables["concepts"].dropna(subset=["unique"]).sort_values("unique", kind="stable").itertuples():
            few = ", too few to tell" if row.image_count < FEW else ""
            found[str(row[1])] = (
                f"{row[1]}: in an image {row.unique:.1f}{_interval(row.unique_low, row.unique_high)}{of} channels have a "
                f"region of strong activation in its boxes, {row.disjoint:.1f}"
                f"{_interval(row.disjoint_low, row.disjoint_high)} regions in all ({counted(row.image_count, 'image')}{few})."
            )
        if found:
            found[""] = (
                f"Mean over {self.summary['image_count']:,} {self.summary['split']} images and their classes: "
                f"{self.summary['mean_disjoint']:.1f} disjoint and {self.summary['mean_unique']:.1f} unique concepts."
            )
        return found

    def charts(self) -> dict[str, Any]:
        """Channels with a region in the boxes, and regions, per image."""
        table = self.tables["concepts"].sort_values("unique", kind="stable")
        return {
            "concepts": interval_chart(
                table, "unique", "channels with a strong region in the boxes, per image (unique)"
            ),
            "concepts_disjoint": interval_chart(table, "disjoint", "strong regions in the boxes, per image (disjoint)"),
        }


@lens(
    "How many concepts does the network have for what lies in the boxes?",
    order=140,
    measures=(
        Measure(
            "concepts", "disjoint", "strongly activated regions in boxes, per image", "higher", "concepts_disjoint"
        ),
        Measure("concepts", "unique", "channels activated in boxes, per image", "higher", "concepts_unique"),
    ),
)
def concepts(run: Run) -> Concepts:
    """Regions of strong activation that overlap the boxes of each class, per image that has boxes of it.

    A channel is strong where its activation reaches t, P(activation >= t) = q over all positions of all training
    images. Its map, resized to the image and cut at t, falls into connected regions. disjoint: regions that overlap
    a box of the class, summed over channels; unique: channels with at least one. Capture counts them.

    More concepts mean that more of the network answers to what the boxes hold. Larger boxes hold more regions: compare
    networks of one architecture on the same boxes; not classes whose boxes differ in size, nor networks of different
    width.

    Args:
        run: captured with test images that have boxes.

    Returns:
        Table `concepts`: class, image_count, disjoint, unique (means over images), disjoint_low, disjoint_high,
        unique_low, unique_high (95 %, Student's t over images, cut at 0). NaN for classes without boxes. Summary:
        split, layer, share (q), channels, dead_channels, image_count, and of both measures `mean_...` over images and
        classes and `macro_...` over classes.

    Raises:
        NotApplicable: the run has no such counts.

    References:
        LOOKING, section 4 and Table 2; Bau et al. 2017, Network dissection. Intervals are ours; holes and silent
        channels do not count.
    """
    import pandas as pd

    split = boxed_split(run, "concepts", "concept_disjoint")
    values = {name: split.matrix(f"concept_{name}").astype(np.float64) for name in MEASURES}
    columns: dict[str, Any] = {"class": run.classes, "image_count": mean_with_interval(values["unique"])[0]}
    intervals: dict[str, Any] = {}
    for name in MEASURES:
        _, columns[name], low, high = mean_with_interval(values[name])
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
        notes += (f"{summary['dead_channels']:,} of {summary['channels']:,} channels never change and count nowhere.",)
    return Concepts({"concepts": table}, summary, notes=notes)


def _interval(low: float, high: float) -> str:
    return "" if not np.isfinite(low) else f" [{low:.1f}, {high:.1f}]"
