"""Does the head lean towards the large classes?"""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.wording import number
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Run


class WeightNorms(Finding):
    """Length of the head's rows; see `weight_norms`."""

    def lines(self) -> dict[str, str]:
        """One line on all classes: longest against shortest row, and whether length follows training count."""
        table = self.tables["weight_norms"]
        longest, shortest = table.loc[table["norm"].idxmax()], table.loc[table["norm"].idxmin()]
        text = f"The head's row is longest for {longest['class']} ({longest['norm']:.2f}) and shortest for "
        text += f"{shortest['class']} ({shortest['norm']:.2f})"
        follows = self.summary["correlation_with_count"]
        if follows is not None:
            text += f"; its rank correlation with training count is {follows:.2f}"
        return {"": text + "."}

    def charts(self) -> dict[str, Any]:
        """Norm of each class, largest class first."""
        return {"weight_norms": _chart(self)}


@lens(
    "Does the head lean towards the large classes?",
    order=90,
    measures=(Measure("weight_norms", "norm", "norm of the head's row", name="weight_norm"),),
    needs=("head",),
)
def weight_norms(run: Run) -> WeightNorms:
    """L2 norm of each row of the head's weight.

    norm_c = sqrt(sum_d weight_cd^2)

    A row twice as long gives a class twice the logit for the same direction of features. It speaks of the weights only:
    the bias leans too.

    Args:
        run: with a head.

    Returns:
        Table `weight_norms` (class, norm). Summary: largest_over_smallest; correlation_with_count, Spearman's rank
        correlation with the training counts (None where all counts or all norms are equal).

    Raises:
        NotApplicable: no head.

    References:
        EOS, section V-C; Kang et al. 2020, Decoupling representation and classifier, section 4.
    """
    import pandas as pd

    assert run.head is not None
    norms = np.linalg.norm(run.head.weight.astype(np.float64), axis=1)
    counts = run.train.class_counts
    varied = len(set(counts.tolist())) > 1 and len(set(norms.tolist())) > 1 and run.n_classes > 2
    summary = {
        "largest_over_smallest": number(norms.max() / norms.min()) if norms.min() > 0 else None,
        "correlation_with_count": number(pd.Series(counts).rank().corr(pd.Series(norms).rank())) if varied else None,
    }
    table = pd.DataFrame({"class": run.classes, "norm": norms})
    order = np.argsort(-counts, kind="stable")
    return WeightNorms({"weight_norms": table}, {**summary, "order": [run.classes[i] for i in order]})


def _chart(finding: WeightNorms) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, base, class_axis, present, tip

    table = finding.tables["weight_norms"]
    return (
        base(table, len(table))
        .mark_bar(color=BLUE, height={"band": 0.6})
        .encode(
            x=alt.X("norm:Q", stack=None, title="norm of the head's row"),
            y=class_axis(present(finding.summary["order"], table["class"])),
            tooltip=[tip("class:N"), tip("norm:Q", ".3f")],
        )
    )
