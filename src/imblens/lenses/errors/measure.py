"""Misclassified test instances, the most confident first, with the training instances nearest to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import checked, whole
from imblens.base.wording import counted, number
from imblens.lenses._contract import Finding, lens
from imblens.lenses.errors.listed import SURE, listed_errors
from imblens.run import Run

PREDICTIONS = ("negative", "positive")  # of a label, in a multi-label run


@lens(
    "Which test instances are misclassified?",
    order=15,
    needs=("test", "test_logits"),
    pairs={"error_pairs": "count"},
)
@checked(k=whole(1), per_pair=whole(1, optional=True), limit=whole(1))
def errors(run: Run, *, k: int = 5, per_pair: int | None = None, limit: int = 500) -> Finding:
    """Misclassified test instances, the most confident errors first, with the training instances nearest to each.

    probability = softmax of the logits at the predicted class

    All errors are listed where they are not more than `limit`. Else the classes take turns: of each its most confident error is
    listed, then more, and of a pair (a class and a predicted class) with four times as many errors twice as many, those
    with the highest probability. Every error is counted in `error_pairs`. An error counts as confident from a
    probability of 0.9. Nearest are training instances by Euclidean distance between features.

    In a multi-label run each label is a binary task: an error is a positive that is predicted negative, or a negative that is
    predicted positive (logit above 0), and its probability is that of the prediction, by the sigmoid. Uncertain labels
    do not count.

    Args:
        run: with a test split whose predictions are known.
        k: nearest training instances listed with each error, 1 or more.
        per_pair: most errors listed of one pair of classes, 1 or more; None: no bound but `limit`.
        limit: most errors listed, 1 or more.

    Returns:
        Tables `errors` (id, class, predicted, probability in [0, 1], class_probability: the same of the true class, neighbours:
        ids of the nearest training instances joined by spaces, neighbour_classes: their classes; in a multi-label run
        whether each is positive or negative of the label), highest probability
        first, and `error_pairs` (class, predicted, count, confident, listed), one row per pair that occurs. `predicted`
        is "negative" or "positive" in a multi-label run. Summary: errors, listed, confident, k.

    Raises:
        NotApplicable: no test split, or no predictions.
        InputError: an option is less than 1.

    References:
        Ours. The confusion of classes is that of IML, Fig. 2; showing instances beside their nearest training
        instances follows the nearest neighbours of IML, section III-C.

    Example:
        >>> train = (np.array([[0.0], [1.0], [5.0]]), [0, 0, 1])
        >>> test = (np.array([[4.0], [0.5]]), [0, 0], np.array([[0.0, 3.0], [1.0, 0.0]]))
        >>> found = errors(Run.from_arrays(train=train, test=test, classes=("cat", "dog")), k=1)
        >>> row = found.tables["errors"].iloc[0]
        >>> row["id"], row["class"], row["predicted"], f"{row['probability']:.2f}", row["neighbours"]
        ('0', 'cat', 'dog', '0.95', '2')
    """
    assert run.test is not None
    found = listed_errors(run, k=k, per_pair=per_pair, limit=limit)
    names = np.array(run.classes, dtype=object)
    predictions = np.array(PREDICTIONS, dtype=object) if run.test.multilabel else names
    ids = run.train.ids.astype(str)
    table = pd.DataFrame(
        {
            "id": run.test.ids.astype(str)[found.rows],
            "class": names[found.labels],
            "predicted": predictions[found.predicted],
            "probability": found.probability,
            "class_probability": found.own,
            "neighbours": [" ".join(ids[near]) for near in found.near],
            "neighbour_classes": [
                ", ".join(near_classes(run, label, near))
                for label, near in zip(found.labels.tolist(), found.near, strict=True)
            ],
        }
    )
    pairs = pd.DataFrame(
        {
            "class": names[found.pairs[:, 0]],
            "predicted": predictions[found.pairs[:, 1]],
            **{name: found.pairs[:, i] for i, name in enumerate(("count", "confident", "listed"), start=2)},
        }
    )
    summary = {
        "errors": found.total,
        "listed": len(table),
        "confident": int(found.pairs[:, 3].sum()),
        "k": number(found.near.shape[1]),
    }
    notes = [f"An error is called confident if the probability of the prediction is {SURE:.0%} or more."]
    if len(table) < found.total:
        notes.append(
            f"{len(table):,} of {counted(found.total, 'error')} are listed: the most confident of each pair of classes."
        )
    return Finding({"errors": table, "error_pairs": pairs}, summary, notes=tuple(notes))


def near_classes(run: Run, label: int, near: NDArray[np.int64]) -> list[str]:
    """Class of each training instance; in a multi-label run whether it is positive or negative of `label`."""
    own = run.train.labels[near]
    if own.ndim == 1:
        return [run.classes[i] for i in own.tolist()]
    return [PREDICTIONS[i] for i in own[:, label].tolist()]
