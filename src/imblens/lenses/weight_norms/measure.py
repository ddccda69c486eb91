"""Norms of the classifier weights of each class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from imblens.base.wording import number
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Run

UNIT = "This head scales features and rows to one length (LDAM): equal norms here are its construction, not a result."


@lens(
    "Is the classifier biased towards frequent classes?",
    order=90,
    measures=(Measure("weight_norms", "norm", "norm of the classifier weights", name="weight_norm"),),
    needs=("head",),
)
def weight_norms(run: Run) -> Finding:
    """L2 norm of each row of the head's weight.

    norm_c = sqrt(sum_d weight_cd^2)

    Twice the norm gives a class twice the logit for the same direction of the features. This measures the weights only; the
    bias of the head can favour classes as well.

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
    notes = (UNIT,) if run.head.unit else ()
    return Finding({"weight_norms": table}, {**summary, "order": [run.classes[i] for i in order]}, notes=notes)
