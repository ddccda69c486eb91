"""Which labels come together?"""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.intervals import wilson
from imblens.base.wording import FEW, percent
from imblens.lenses._contract import Finding, lens
from imblens.run import Run

SURPRISING = 1.5  # a label is named when it is this many times as frequent with another as overall


class CoOccurrence(Finding):
    """Labels that come together; see `co_occurrence`."""

    def lines(self) -> dict[str, str]:
        """One line for each label that clearly draws another, the strongest first; then how many labels an image has."""
        table = self.tables["co_occurrence"]
        clear = table[
            (table["share_low"] > table["expected"]) & (table["lift"] >= SURPRISING) & (table["count"] >= FEW)
        ]
        found: dict[str, str] = {}
        for row in clear.sort_values("lift", ascending=False, kind="stable").itertuples():
            if row[1] not in found:
                found[str(row[1])] = (
                    f"{row[1]}: {percent(row.share)} [{100 * row.share_low:.0f}, {100 * row.share_high:.0f}] of its training "
                    f"images have {row.other} as well, which {percent(row.expected)} of all have."
                )
        said = self.summary
        found[""] = (
            f"A training image has {said['mean_labels']:.2f} labels on average: {percent(said['share_none'])} have none, "
            f"{percent(said['share_several'])} several."
        )
        return found

    def charts(self) -> dict[str, Any]:
        """Share of each label's images (row) that have the other (column)."""
        return {"co_occurrence": _chart(self)}


@lens("Which labels come together?", order=20, needs=("multilabel",))
def co_occurrence(run: Run) -> CoOccurrence:
    """How often a training image of one label has another as well.

    share = images with both / images with `class`;  lift = share / share of `other` among all images

    A label that nearly always comes with another cannot be told from it by these images: the network may answer one
    by seeing the other. Where it is uncertain whether an image has a label, it does not count for that label.

    Args:
        run: with several labels per instance.

    Returns:
        Table `co_occurrence`: class, other, count (with both), share, share_low, share_high (95 % Wilson), expected
        (share of `other` among all training images), lift; NaN where `class` has no image. Table `label_counts`:
        class, positives, negatives, imbalance (negatives / positives, NaN without positives), alone (share of its
        images without another label). Summary: mean_labels, share_none, share_several.

    Raises:
        NotApplicable: one label per instance.
    """
    import pandas as pd

    labels, known = (values.astype(np.float64) for values in (run.train.labels, run.train.known))  # (N, C)
    both, asked = labels.T @ labels, labels.T @ known
    own, n_known = np.diag(both), known.sum(axis=0)
    first, second = np.nonzero(~np.eye(run.n_classes, dtype=bool))
    count, trials = both[first, second], asked[first, second]
    low, high = wilson(count, trials)
    share = _divide(count, trials)
    expected = _divide(own, n_known)[second]
    names = np.array(run.classes, dtype=object)
    table = pd.DataFrame(
        {
            "class": names[first],
            "other": names[second],
            "count": count.astype(np.int64),
            "share": share,
            "share_low": low,
            "share_high": high,
            "expected": expected,
            "lift": _divide(share, expected),
        }
    )
    per_image = labels.sum(axis=1)
    counts = pd.DataFrame(
        {
            "class": names,
            "positives": own.astype(np.int64),
            "negatives": (n_known - own).astype(np.int64),
            "imbalance": _divide(n_known - own, own),
            "alone": _divide(labels[per_image == 1].sum(axis=0), own),
        }
    )
    summary = {
        "mean_labels": float(per_image.mean()),
        "share_none": float((per_image == 0).mean()),
        "share_several": float((per_image > 1).mean()),
    }
    without = counts.loc[counts["positives"] == 0, "class"]
    notes = (f"No training image has {', '.join(without)}.",) if len(without) else ()
    return CoOccurrence({"co_occurrence": table, "label_counts": counts}, summary, notes=notes)


def _divide(above: Any, below: Any) -> Any:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)


def _chart(finding: CoOccurrence) -> Any:
    import altair as alt

    from imblens.lenses._charts import LABEL_LIMIT, base, class_axis, present, tip

    counts = finding.tables["label_counts"].sort_values("positives", ascending=False, kind="stable")
    order = counts["class"].tolist()
    table = finding.tables["co_occurrence"].dropna(subset=["share"])
    table = table.assign(text=table["share"].map(percent), dark=table["share"] > 0.5)
    columns, order = present(order, table["other"]), present(order, table["class"])
    x = alt.X(
        "other:N",
        scale=alt.Scale(domain=columns),
        title="have this one as well",
        axis=alt.Axis(labelLimit=LABEL_LIMIT, labelAngle=-45),
    )
    y = class_axis(order, title="of those with")
    rows, numbered = base(table, len(order)), len(order) <= 20
    cells = rows.mark_rect().encode(
        x=x,
        y=y,
        color=alt.Color(
            "share:Q",
            scale=alt.Scale(domain=[0, 1], scheme="blues"),
            legend=None if numbered else alt.Legend(title=None, format="%", orient="right"),
        ),
        tooltip=[
            tip("class:N"),
            tip("other:N"),
            tip("count:Q", ",", "images with both"),
            tip("share:Q", ".1%"),
            tip("expected:Q", ".1%", "of all images"),
        ],
    )
    if not numbered:
        return cells
    text = rows.mark_text(fontSize=11).encode(
        x=x, y=y, text=alt.Text("text:N"), color=alt.condition("datum.dark", alt.value("white"), alt.value("black"))
    )
    return alt.layer(cells, text)
