"""How often labels occur together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from imblens.base.arrays import divide
from imblens.base.intervals import wilson
from imblens.lenses._contract import Finding, lens
from imblens.lenses._pairs import ALL_PAIRS, entries
from imblens.run import Run


@lens(
    "Which labels occur together?",
    order=20,
    needs=("multilabel",),
    pairs={"co_occurrence": "count"},
)
def co_occurrence(run: Run) -> Finding:
    """How often a training instance with one label has another label as well.

    share = instances with both / instances with `class`;  lift = share / share of `other` among all instances

    A label that nearly always occurs with another cannot be separated from it with these instances: the network may predict
    one from evidence of the other. Instances whose label is uncertain do not count for that label.

    Args:
        run: multi-label.

    Returns:
        Table `co_occurrence`: class, other, count (with both), share, share_low, share_high (95% Wilson), expected
        (share of `other` among all training instances), lift; NaN where `class` has no instance. Above 200 classes only pairs
        that occur. Table `label_counts`:
        class, positives, negatives, imbalance (negatives / positives, NaN without positives), alone (share of its
        instances without another label). Summary: mean_labels, share_none, share_several.

    Raises:
        NotApplicable: a single-label run.
    """
    from scipy.sparse import csr_array

    labels, unknown = csr_array(run.train.labels, dtype=np.int64), csr_array(~run.train.known, dtype=np.int64)  # (N, C)
    both, unasked = (labels.T @ labels).tocsr(), (labels.T @ unknown).tocsr()
    own, n_known = both.diagonal(), len(run.train) - unknown.sum(axis=0)
    if run.n_classes <= ALL_PAIRS:
        first, second = np.nonzero(~np.eye(run.n_classes, dtype=bool))
    else:
        first, second = both.nonzero()
        first, second = first[first != second], second[first != second]
        order = np.lexsort((second, first))
        first, second = first[order], second[order]
    count, trials = entries(both, first, second), own[first] - entries(unasked, first, second)
    low, high = wilson(count, trials)
    share = divide(count, trials)
    expected = divide(own, n_known)[second]
    names = np.array(run.classes, dtype=object)
    table = pd.DataFrame(
        {
            "class": names[first],
            "other": names[second],
            "count": count,
            "share": share,
            "share_low": low,
            "share_high": high,
            "expected": expected,
            "lift": divide(share, expected),
        }
    )
    per_instance = labels.sum(axis=1)
    alone = labels[np.flatnonzero(per_instance == 1)].sum(axis=0)
    counts = pd.DataFrame(
        {
            "class": names,
            "positives": own,
            "negatives": n_known - own,
            "imbalance": divide(n_known - own, own),
            "alone": divide(alone, own),
        }
    )
    summary = {
        "mean_labels": float(per_instance.mean()),
        "share_none": float((per_instance == 0).mean()),
        "share_several": float((per_instance > 1).mean()),
    }
    without = counts.loc[counts["positives"] == 0, "class"]
    notes: tuple[str, ...] = (f"No training instance has {', '.join(without)}.",) if len(without) else ()
    if run.n_classes > ALL_PAIRS:
        notes += (f"With more than {ALL_PAIRS} classes, the table holds only pairs that occur.",)
    return Finding({"co_occurrence": table, "label_counts": counts}, summary, notes=notes)
