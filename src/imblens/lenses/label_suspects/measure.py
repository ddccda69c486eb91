"""Training instances whose label the out-of-sample evidence contradicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import checked, whole
from imblens.base.arrays import divide
from imblens.base.wording import counted, number
from imblens.lenses._contract import Finding, lens
from imblens.lenses.label_suspects.evidence import ITERATIONS, NEIGHBOURS, Evidence, evidence
from imblens.lenses.label_suspects.listing import most_suspect
from imblens.lenses.label_suspects.of_labels import label_scores, multilabel_suspects
from imblens.lenses.label_suspects.wrong_labels import estimate_notes, wrong_labels
from imblens.run import Run

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@lens("Which training instances may be mislabelled?", order=150, neighbours=NEIGHBOURS)
@checked(k=whole(1), per_class=whole(1), limit=whole(1))
def label_suspects(run: Run, *, k: int = 5, per_class: int = 50, limit: int = 500) -> Finding:
    """Training instances of every class for which out-of-sample evidence favours another label, most suspect first.

    score = 1 - G(label),  G proportional to Q^0.75 K^0.25

    Q is the probability that a linear head gives each class out of sample: multinomial logistic regression (C=1) on the
    standardised stored features, 5-fold cross-validated. It is fitted twice. Instances that the first fit predicts
    otherwise, with a probability of less than 0.1 for their label, are left out of the second and do not count in K. K is
    the share of each class among the 20 nearest neighbours, with one more count spread as the classes are. Neither uses the
    run's head, which was trained with these labels; stored features were, too.

    Suspects are the instances for which another class has the largest G: their score is at least 0.5. Classes of any size
    are listed; those with fewer training instances than the median class are marked as rare.

    Folds depend on the content of the instances, not on their order or a random state. With more than 50,000 training
    instances the head is fitted to a stratified sample of about 50,000; with many features and classes it is fitted in
    fewer than 300 iterations; above 10^8 instances times classes there are only neighbours. The one other instance of a
    class of two is the only evidence for it: K there is over the nearest neighbour, and Q is not used. The only
    instance of a class cannot be judged: its score is NaN.

    In a multi-label run each label is judged separately, over its two values: a suspect is a pair of an instance and a label
    whose given value is less likely than the other, and less likely than in any instance. `suggested`, `predicted`,
    `neighbour_classes` and `often` are then "present" or "absent". Labels whose G has an out-of-sample AUROC below 0.8, fewer
    than three positives or negatives, and uncertain labels are not judged.

    Args:
        run: any.
        k: neighbours listed with each suspect, 1 or more; the score always uses 20.
        per_class: most rows of one class in the table.
        limit: most rows in the table.

    Returns:
        Tables `label_suspects` (id, class, suggested, score, neighbours, neighbour_classes, predicted, rare_class), highest
        score first: suggested is the class with the largest G, neighbours the ids of the k nearest, nearest first, joined by
        spaces, predicted the network's prediction or None; and `label_suspect_counts` (class, count, suspects, share, often,
        rare_class, estimated, estimated_low, estimated_high), one row per class with training instances: often is the
        commonest suggestion or None, estimated the number of wrong labels with its 95% interval: training instances that look
        like another class beyond what test instances of the class do, whose labels are taken to be correct. It is the
        share that the diagnosis states. NaN without a test split, and with fewer than 50 training or 30 test instances of
        the class. The upper end is also NaN where the network is more than 5 points more accurate on its training
        instances than on test instances: it may have learned wrong labels, which this cannot see.
        Summary: suspects (all, listed or not), listed, suspects_of_rare_classes, estimated (sum over the classes where it is
        known), large_from (instances from which a class is not rare), k, fitted (instances that the head was fitted to).

        In a multi-label run `label_suspect_counts` has a row for each label, `count` is the number of judged instances,
        `estimated` counts wrong positives and wrong negatives (the ends of both intervals added; NaN where the label is not
        judged, or has fewer than 50 training or 30 test instances with either value), and the last columns are
        positives, suspect_positives, auroc (out of sample; NaN where not judged).

    Raises:
        InputError: an option is less than 1.

    References:
        Northcutt, Jiang and Chuang 2021, Confident learning, rank by the out-of-sample probability of the given label; the
        second fit and the neighbours are ours. IML, section III-C and IV-C: outliers of the majority class may be noise.
    """
    if run.train.multilabel:
        return multilabel_suspects(run, k, per_class, limit)
    counts = run.train.class_counts
    large_from = float(np.median(counts[counts > 0])) if counts.any() else 0.0
    is_rare = counts < large_from
    known = evidence(run)
    score = suspect_scores(run)
    suspects = np.flatnonzero(known.suggested != run.train.labels)
    rows = suspects[most_suspect(score[suspects], run.train.labels[suspects], per_class, limit)]
    graph = run.neighbours(k)
    of_classes = _counts(run, suspects, known.suggested[suspects], score[suspects], is_rare)
    summary = {
        "suspects": len(suspects),
        "listed": len(rows),
        "suspects_of_rare_classes": int(is_rare[run.train.labels[suspects]].sum()),
        "estimated": number(float(of_classes["estimated"].sum(min_count=1))),
        "large_from": number(large_from),
        "k": graph.k,
        "fitted": known.n_fitted,
    }
    tables = {
        "label_suspects": _table(run, rows, graph.indices[rows], known.suggested[rows], score[rows], is_rare),
        "label_suspect_counts": of_classes,
    }
    return Finding(tables, summary, notes=tuple(_notes(run, known, summary)))


def suspect_scores(run: Run) -> Floats:
    """(N,) 1 - G(label) of every training instance, in [0, 1]; NaN for the only instance of a class. Once per run.

    In a multi-label run the largest over its labels; NaN where none can be judged.
    """
    if run.train.multilabel:
        return np.asarray(np.fmax.reduce(label_scores(run), axis=1, initial=np.nan))
    return 1 - evidence(run).own


def suggested_labels(run: Run) -> Places:
    """(N,) number of the class with the largest G of every training instance; a suspect's is not its label. Once per run."""
    return evidence(run).suggested.copy()


def _notes(run: Run, known: Evidence, summary: dict[str, Any]) -> list[str]:
    notes = [
        f"Classes of fewer than {summary['large_from']:.0f} training instances are marked as rare: "
        f"{summary['suspects_of_rare_classes']:,} of {counted(summary['suspects'], 'suspect')}. A suspect there is more often "
        "a rare sub-concept than elsewhere."
    ]
    if summary["listed"] < summary["suspects"]:
        notes.append(
            f"The table lists {summary['listed']:,} of {summary['suspects']:,} suspects, those with the highest scores in "
            "each class."
        )
    n, counts = len(run.train), run.train.class_counts
    if not known.n_fitted:
        notes.append("No head was fitted: scores use the neighbours only.")
    elif known.n_fitted < n:
        notes.append(f"The head was fitted to a stratified sample of {known.n_fitted:,} of {n:,} training instances.")
    if known.n_fitted and known.iterations < ITERATIONS:
        notes.append(f"The head was fitted in at most {known.iterations} iterations instead of {ITERATIONS}.")
    if (counts == 2).any():
        notes.append("Instances of classes of two are judged by their nearest neighbour only.")
    if (counts == 1).any():
        notes.append("The only instance of a class cannot be judged.")
    if not run.train.has_logits:
        notes.append("Predictions of the network are unknown.")
    return notes + estimate_notes(run)


def _table(
    run: Run,
    rows: Places,
    neighbours: Places,
    suggested: Places,
    score: Floats,
    is_rare: NDArray[np.bool_],
) -> pd.DataFrame:
    names = np.array(run.classes, dtype=object)
    ids, labels = run.train.ids, run.train.labels
    return pd.DataFrame(
        {
            "id": ids[rows],
            "class": names[labels[rows]],
            "suggested": names[suggested],
            "score": score,
            "neighbours": [" ".join(map(str, ids[near])) for near in neighbours],
            "neighbour_classes": [", ".join(names[labels[near]]) for near in neighbours],
            "predicted": names[run.train.predictions[rows]] if run.train.has_logits else None,
            "rare_class": is_rare[labels[rows]],
        }
    )


def _counts(run: Run, suspects: Places, suggested: Places, score: Floats, is_rare: NDArray[np.bool_]) -> pd.DataFrame:
    labels, counts = run.train.labels[suspects], run.train.class_counts
    present = np.flatnonzero(counts)
    pairs, place, number_of = np.unique(labels * run.n_classes + suggested, return_inverse=True, return_counts=True)
    weight = np.bincount(place.ravel(), weights=score, minlength=len(pairs))  # decides between equal numbers
    often: dict[int, int] = {}
    for pair in pairs[np.lexsort((-weight, -number_of))].tolist():
        often.setdefault(pair // run.n_classes, pair % run.n_classes)
    n_suspects = np.bincount(labels, minlength=run.n_classes)[present]
    estimated, low, high = (numbers[present] for numbers in wrong_labels(run))
    return pd.DataFrame(
        {
            "class": [run.classes[label] for label in present],
            "count": counts[present],
            "suspects": n_suspects,
            "share": divide(n_suspects, counts[present]),
            "often": [run.classes[often[label]] if label in often else None for label in present.tolist()],
            "rare_class": is_rare[present],
            "estimated": estimated,
            "estimated_low": low,
            "estimated_high": high,
        }
    )
