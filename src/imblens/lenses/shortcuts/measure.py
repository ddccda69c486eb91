"""Change of accuracy and logit of each class when a possible shortcut is removed from its images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.groups import design_effects
from imblens.base.intervals import mean_with_interval, paired_change
from imblens.base.wording import FEW, counted, number
from imblens.errors import NotApplicable
from imblens.lenses._contract import Finding, lens
from imblens.lenses.shortcuts.relied_on import judged_by, relied_on
from imblens.run import Run, Split, member_groups

Floats = NDArray[np.float64]
SPREADS, LEAST_SPREAD = 2, 0.1  # spreads of the other classes' shares beyond which a share is unusual; the least one
MAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
USUAL = 0.5, 0.75  # limits of the share that is called usual; natural borders and colours hold up to the first
COLUMNS = ("cut_class", "cut_before", "cut_right", "cut_logit")


@lens("Does a class rely on borders, a colour or its surroundings?", order=125)
def shortcuts(run: Run) -> Finding:
    """Accuracy and logit of each class with and without what may be a shortcut.

    Capture runs a sample of each class once more for each cue: without the outer 15% of each side (`border`), without the
    colour that the class has most above the others (`colour`), with the mean colour of the training images (`tint`), and
    without what lies outside of the class's boxes (`surroundings`). Removed pixels are filled with a smooth mean of those
    that stay; surroundings with the mean colour of training images of other classes.

    Any removal costs accuracy, as it takes parts of objects too. So the change of the logit is divided by what the class's
    logit is higher in its own images than in those of other classes: `explained` is the share of the evidence for the class
    that the cue holds. It is compared with the other classes of the same network: `usual` is the median of their shares plus
    twice their spread (1.48 times the median absolute deviation, at least 0.1), within 0.5 and 0.75.

    Args:
        run: captured from a network on images.

    Returns:
        Table `shortcuts`: class, cue, band (the colour; empty for other cues), image_count, accuracy, accuracy_without, drop,
        drop_low, drop_high (95%, Agresti and Min's for paired shares), logit_change, logit_low, logit_high (mean change of the
        class's logit, less the mean over classes in single-label runs; 95%, Student's t), explained, explained_low,
        explained_high, usual; where groups are known intervals are by group, and `groups` is the number of them. Accuracy is
        that of the sample; in multi-label runs of images that have the label. Summary: split, per_class, relied_on (classes
        that rely on a cue: its share is above the usual, and the drop of accuracy is 10 points or more, both with their whole
        interval, and nine tenths of the images have it where it is a colour), largest_drop.

    Raises:
        NotApplicable: capture stored no such changes.

    References:
        Ours; the occlusion of image content follows Zeiler and Fergus 2014, Visualizing and understanding
        convolutional networks.
    """
    described = run.meta.get("shortcuts")
    if not isinstance(described, Mapping) or "cues" not in described:
        reason = described.get("skipped") if isinstance(described, Mapping) else None
        raise NotApplicable(f"shortcuts: {reason or 'the run holds no changed images (capture it from the network).'}")
    split = run.splits.get(str(described["split"]))
    if split is None or not set(COLUMNS) <= set(split.columns):
        raise NotApplicable("shortcuts: the run holds no changed images (capture it from the network).")
    table = _table(run, split, list(described["cues"]), list(described.get("bands", [])))
    if not len(table):
        raise NotApplicable("shortcuts: no image of any class was changed.")
    summary = {
        "split": described["split"],
        "per_class": described["per_class"],
        "relied_on": int(relied_on(table)["class"].nunique()),
        "largest_drop": number(table["drop"].max()),
    }
    return Finding({"shortcuts": table}, summary, notes=_notes(table, str(described["split"])))


def _table(run: Run, split: Split, cues: list[str], bands: list[Any]) -> pd.DataFrame:
    label = split.instances(["cut_class"])["cut_class"].to_numpy().astype(np.int64)
    before = split.instances(["cut_before"])["cut_before"].to_numpy().astype(np.float64)
    right, change = (split.matrix(name).astype(np.float64) for name in ("cut_right", "cut_logit"))
    gap = _gaps(run, split)
    rows = []
    for place, cue in enumerate(cues):
        tried = (label >= 0) & np.isfinite(right[:, place])
        of, was, still = label[tried], before[tried] > 0, right[tried, place] > 0
        n = np.bincount(of, minlength=run.n_classes)
        lost, gained = (np.bincount(of[chosen], minlength=run.n_classes) for chosen in (was & ~still, still & ~was))
        worth, of_means = np.ones(run.n_classes), np.ones(run.n_classes)
        if split.groups is not None:
            whose, turned = split.groups[tried], was.astype(np.int64) - still
            worth = design_effects(of, whose, turned, run.n_classes, events=lost + gained)
            of_means = np.sqrt(design_effects(of, whose, change[tried, place], run.n_classes))
        low, high = paired_change(lost / worth, gained / worth, n / worth)
        n_judged = member_groups(split, of, np.flatnonzero(tried))
        drop = divide(lost - gained, n)
        accuracy = divide(np.bincount(of[was], minlength=run.n_classes), n)
        for one in np.flatnonzero(n).tolist():
            mean, least, most = (float(v[0]) for v in mean_with_interval(change[tried][of == one, place][:, None])[1:])
            least, most = (mean + of_means[one] * (end - mean) for end in (least, most))
            rows.append(
                {
                    "class": run.classes[one],
                    "cue": cue,
                    "band": (bands[one] or "") if cue == "colour" and one < len(bands) else "",
                    "image_count": int(n[one]),
                    "accuracy": accuracy[one],
                    "accuracy_without": accuracy[one] - drop[one],
                    "drop": drop[one],
                    "drop_low": low[one],
                    "drop_high": high[one],
                    "logit_change": mean,
                    "logit_low": least,
                    "logit_high": most,
                    "explained": -mean / gap[one],
                    "explained_low": -most / gap[one],
                    "explained_high": -least / gap[one],
                    **({} if split.groups is None else {"groups": int(n_judged[one])}),
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(usual=[_usual(table, row) for row in table.to_dict("records")]) if len(table) else table


def _gaps(run: Run, split: Split) -> Floats:
    """(C,) by how much a class's logit is higher in images of the class than in others; NaN where it is not."""
    total, count = np.zeros((2, run.n_classes)), np.zeros((2, run.n_classes))
    for batch in split.batches(logits=True):
        logits = np.asarray(batch.logits, dtype=np.float64)
        if batch.labels.ndim == 1:
            logits = logits - logits.mean(axis=1, keepdims=True)
        own = batch.labels == 1 if batch.labels.ndim == 2 else batch.labels[:, None] == np.arange(run.n_classes)
        for place, rows in enumerate((own, ~own)):
            total[place] += np.where(rows, logits, 0.0).sum(axis=0)
            count[place] += rows.sum(axis=0)
    means = divide(total, count)
    gap = means[0] - means[1]
    return np.where(gap > 0, gap, np.nan)


def _usual(table: pd.DataFrame, row: Mapping[str, Any]) -> float:
    """Median share of the other classes for a cue, and twice their spread, within `USUAL`."""
    others = table[(table["cue"] == row["cue"]) & (table["class"] != row["class"]) & (judged_by(table) >= FEW)]
    shares = others["explained"].dropna().to_numpy()
    if not len(shares):
        return USUAL[0]
    middle = float(np.median(shares))
    spread = max(LEAST_SPREAD, MAD * float(np.median(np.abs(shares - middle))))
    return float(np.clip(middle + SPREADS * spread, *USUAL))


def _notes(table: pd.DataFrame, split: str) -> tuple[str, ...]:
    notes = [
        f"At most the first {counted(int(table['image_count'].max()), f'{split} image')} of each class were changed."
    ]
    few = table.loc[judged_by(table) < FEW, "class"].drop_duplicates().tolist()
    if few:
        unit = "images (or groups of them)" if "groups" in table else "images"
        notes.append(f"Fewer than {FEW} {unit} were changed of {', '.join(few)}: too few to tell.")
    return tuple(notes)
