"""How often labels occur together."""

from __future__ import annotations

import numpy as np

from imblens.base.arrays import divide
from imblens.base.intervals import wilson
from imblens.lenses._contract import Finding, lens
from imblens.lenses.co_occurrence.chart import charts
from imblens.lenses.co_occurrence.text import lines
from imblens.run import Run


@lens("Which labels occur together?", order=20, lines=lines, charts=charts, needs=("multilabel",))
def co_occurrence(run: Run) -> Finding:
    """How often a training instance with one label has another label as well.

    share = instances with both / instances with `class`;  lift = share / share of `other` among all instances

    A label that nearly always occurs with another cannot be separated from it with these instances: the network may predict
    one from evidence of the other. Instances whose label is uncertain do not count for that label.

    Args:
        run: multi-label.

    Returns:
        Table `co_occurrence`: class, other, count (with both), share, share_low, share_high (95% Wilson), expected
        (share of `other` among all training instances), lift; NaN where `class` has no instance. Table `label_counts`:
        class, positives, negatives, imbalance (negatives / positives, NaN without positives), alone (share of its
        instances without another label). Summary: mean_labels, share_none, share_several.

    Raises:
        NotApplicable: a single-label run.
    """
    import pandas as pd

    labels, known = (values.astype(np.float64) for values in (run.train.labels, run.train.known))  # (N, C)
    both, asked = labels.T @ labels, labels.T @ known
    own, n_known = np.diag(both), known.sum(axis=0)
    first, second = np.nonzero(~np.eye(run.n_classes, dtype=bool))
    count, trials = both[first, second], asked[first, second]
    low, high = wilson(count, trials)
    share = divide(count, trials)
    expected = divide(own, n_known)[second]
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
            "lift": divide(share, expected),
        }
    )
    per_instance = labels.sum(axis=1)
    counts = pd.DataFrame(
        {
            "class": names,
            "positives": own.astype(np.int64),
            "negatives": (n_known - own).astype(np.int64),
            "imbalance": divide(n_known - own, own),
            "alone": divide(labels[per_instance == 1].sum(axis=0), own),
        }
    )
    summary = {
        "mean_labels": float(per_instance.mean()),
        "share_none": float((per_instance == 0).mean()),
        "share_several": float((per_instance > 1).mean()),
    }
    without = counts.loc[counts["positives"] == 0, "class"]
    notes = (f"No training instance has {', '.join(without)}.",) if len(without) else ()
    return Finding({"co_occurrence": table, "label_counts": counts}, summary, notes=notes)
