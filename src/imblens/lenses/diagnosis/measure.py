"""Causes per class, with strength, evidence and what to try."""

from __future__ import annotations

import numpy as np
import pandas as pd

from imblens.base.wording import FEW, counted, evidence
from imblens.errors import NotApplicable
from imblens.lenses._contract import Finding, lens
from imblens.lenses.diagnosis.advice import advice
from imblens.lenses.diagnosis.causes import CAUSES, strengths
from imblens.lenses.diagnosis.label_defects import not_judged
from imblens.lenses.diagnosis.labels import LABEL_CAUSES, LABEL_DEFECTS, LABEL_REASONS, Row, label_rows
from imblens.lenses.diagnosis.measures import MEASURES, class_recall
from imblens.run import Run, class_groups, head_balance

NOTABLE = 0.25  # strength below which a cause is not named


@lens("Why does each class fail, and what should be tried?", order=170)
def diagnosis(run: Run) -> Finding:
    """Possible causes for each class, each with a strength in [0, 1], its evidence and what to try.

    In a single-label run there are eight causes. Each has a strength in [0, 1], 0 where its measure is usual for this
    network: the reference is the median over the other classes, and the evidence states it. With fewer than three it is a
    constant: that of trained networks for clusters and wrong labels, 0 for overlap and regions. `few_examples` and
    `shortcut_colours` always go by constants. The measures:

    few_examples: log10 of the class's imbalance: 0 at 2, 1 at 40, times min(1, errors / 0.15).
    overlap: equal error rate against another class, the largest over the three that it is most often confused with, and the
        smaller of two: on the differences of their logits, and on those of a linear discriminant that is cross-fitted on
        training and test features together. Class sizes and shifts of a logit do not change it. 0.8 is reached 0.15 above
        the reference (at least 0.1), 1 at 0.45; times min(1, errors / 0.15).
    sub_concepts: the strongest of three. A cluster of 2% to 35% of the training instances (k-means with 2, 3, 4, 6 and 9
        centres) whose links to its ten nearest neighbours seldom leave it: 0 at 0.7 times the reference, 1 at 0.35 times.
        Or a region of the test instances that training covers thinly. Or a region in which the class is misclassified (three
        or more of the ten nearest test instances of the class are) and where the share of its training instances is at most
        0.3 of that of its test instances: 0 where the difference of the shares less 1.96 standard errors is 2% plus twice the
        reference, 1 at 5% plus that, times min(1, errors / 0.15). The reference is that of uncovered regions; with fewer than
        four classes that can be judged, there is no such evidence.
    label_noise: likelihood ratio of a model in which a share of the training instances are like those of other classes, to
        one in which they are like the test instances of the class; both as scored by cross-fitted linear discriminants. With
        z its root, 0 at 2.6 (at the reference plus 1.2 where that is more), 1 at one more. 0.9 of it is attributed to a region
        that training covers thinly, where there is one.
    uncovered_range: share of test instances of the class with at most 2 training instances among the 15 nearest others,
        from as many training as test instances; chance gives 0.4%. 0 at 2% plus twice the reference, 1 at 5% plus that.
        The reference is the median over the two next larger and the two next smaller classes.
        Where training has practically none of that region (less than 3% to 5.5% of the density of the test split) it is
        uncovered, elsewhere a sub-concept. A region that fails and of which training has none is uncovered, too.
    few_features: one minus the class's effective number of features over the median class's: 0 at 0.45, 1 at 0.85, times
        min(1, errors / 0.15).
    shortcut: the lens `shortcuts` finds that the class relies on a cue; strength is the lower end of the accuracy that it
        costs to remove the cue, 1 at 0.3.
    shortcut_colours: share of one colour band among salient pixels, less its mean share in the other classes: 0 at 0.15, 1
        at 0.45. Not where the colour that a class has above the others was removed and costs it little.

    A region or cluster counts half where its test instances are as accurate as the others (a cluster times min(1, errors /
    0.15)), in full where they are 25 points less accurate. One cause can lead to another: each strength is reduced by what
    the others explain, as `LEADS_TO` states (few examples by overlap, for example, which no number of examples would end). A
    cause of 0.25 or more is named; two of similar strength are both shown. Where the lens `headroom` finds that no linear
    head gains 2 points, no treatment of the head is advised; a note states where the head is
    balanced over classes, and how that is known.

    Settings were chosen on two networks (`remix_10` and `smote_features_0` of `authors-networks`) with other seeds than the
    study reports; the reference plus 1.2, and the weight of clusters in classes without errors, on images of CIFAR-10 and
    BCCD; the classes of similar size, on two memorised networks; regions in which a class is misclassified, on drawn shapes;
    that thin regions of labels count, and their negatives as a
    reference, on BCCD and chest X-rays. Strengths are an order of suspicion, not probabilities: `imblens study diagnosis`
    measures how often the first cause is the planted one.

    In a multi-label run the first row of a label is what is at fault, from `ranking` and `class_accuracy` on the test split:

    ranking: the 95% interval of the AUROC lies below 0.8. Strength: (0.8 - AUROC) / 0.3, at most 1.
    threshold: 0.5 is too high where the label's own threshold adds 0.1 of recall or more (strength: recall added), too low
        where the false-positive rate is above 0.5 (strength: that rate).

    Possible reasons follow, judged against the other labels of the run:

    overlap: the label is predicted for more negatives that have another label than for those without it: 20 points or more,
        with 95% intervals apart (by group where groups are known). Strength: the difference / 0.6.
    few_examples: less than half as many positives as the median label (groups with positives, where known), and weakly ranked.
    shortcut: as above, of instances that have the label.

    Two defects of the training data are named even where nothing is at fault:

    label_noise: as above, of the label's positives or its negatives, scored by linear discriminants of one against the
        other. 0 at the 97.5% quantile of z over permutations of training and test instances (groups, where known), and at
        least 1.2 above the median of the other labels; 1 at one more.
    uncovered_range: as above, of the label's positives, in a region where training has few. 0 at 2% plus twice the
        reference: the largest share of a held-out part of its training positives (whole groups), or that of its
        negatives or of the other labels (median), the smaller of the two, where it is larger. 1 at 5% plus that.

    Args:
        run: with predictions; a multi-label run also with a test split. What cannot be measured (no colours, or no test
            split in a single-label run) is left out and reported in the notes.

    Returns:
        Table `diagnosis` (class, accuracy, cause, strength, evidence, treatment): the notable causes of each class,
        strongest first; a class without one has a row "none found", one with fewer than ten test instances (training
        instances without a test split, positives in a multi-label run) "too few to tell". Accuracy is that of
        `class_accuracy` on the test split, NaN without. Summary: first_causes (classes per first cause), judged.

    Raises:
        NotApplicable: no predictions, or a multi-label run without a test split.

    References:
        Ours. The measures build on IML (overlap, colours), FRAGILITY (diversity) and LOOKING (AUROC per label). Regions:
        nearest-neighbour two-sample tests (Schilling 1986, Multivariate two-sample tests based on nearest neighbors).
        Clusters: normalised cut (Shi and Malik 2000, Normalized cuts and image segmentation).
    """
    judged, notes = [*LABEL_CAUSES, *LABEL_REASONS, *LABEL_DEFECTS], list[str]()
    if run.task == "multilabel":
        try:
            rows, notes = label_rows(run), not_judged(run)
        except NotApplicable as reason:
            raise NotApplicable(f"diagnosis: {reason.message.split(': ', 1)[-1]}") from None
    else:
        rows, judged, notes = _class_rows(run)
    table = pd.DataFrame(rows, columns=["class", "accuracy", "cause", "strength", "evidence", "treatment"])
    first = table.groupby("class", sort=False).head(1)
    summary = {"first_causes": first["cause"].value_counts().sort_index().to_dict(), "judged": judged}
    return Finding({"diagnosis": table}, summary, notes=tuple(notes))


def _class_rows(run: Run) -> tuple[list[Row], list[str], list[str]]:
    """Rows of a single-label run, names of the causes that were judged, and notes."""
    if not run.train.has_logits:
        raise NotApplicable("diagnosis: the run has neither logits nor a head, so predictions are unknown.")
    accuracy = class_recall(run)
    notes: list[str] = []
    measured: dict[str, dict[int, tuple[float, str]]] = {}
    for cause in CAUSES:
        try:
            measured[cause.name] = MEASURES[cause.name](run)
        except NotApplicable as reason:
            notes.append(f"Not judged: {cause.title} ({reason.message.split(': ', 1)[-1].rstrip('.')}).")
    rows: list[Row] = []
    judged_on = run.test if run.test is not None and run.test.has_logits else run.train
    judged, counts = class_groups(judged_on), judged_on.class_counts
    for label, name in enumerate(run.classes):
        if not run.train.class_counts[label]:
            continue
        if judged[label] < FEW:
            are = "is" if counts[label] == 1 else "are"
            groups = None if judged_on.groups is None or not counts[label] else judged[label]
            text = f"{evidence(counts[label], groups, 'instance')} to judge it by {are} too few to tell."
            rows.append((name, accuracy[label], "too few to tell", 0.0, text, "more instances to judge it by"))
            continue
        known = {cause: of_class[label] for cause, of_class in measured.items() if label in of_class}
        notable: list[Row] = [
            (name, accuracy[label], cause.name, round(strength, 3), known[cause.name][1], advice(run, cause, name))
            for cause, strength in strengths({key: value for key, (value, _) in known.items()})
            if strength >= NOTABLE
        ]
        notable.sort(key=lambda row: -row[3])
        rows += notable or [(name, accuracy[label], "none found", 0.0, "No cause stands out for it.", "")]
    return rows, sorted(measured), notes + _balance(run) + _untrained(run)


def _balance(run: Run) -> list[str]:
    """Note on a head that is balanced over classes."""
    sentence = head_balance(run).sentence()
    return [f"{sentence} `logit_adjustment` would over-correct it."] if sentence else []


def _untrained(run: Run) -> list[str]:
    """Note on classes without a training instance, which have no row, and how many of their tests are misclassified."""
    without = run.train.class_counts == 0
    if not without.any():
        return []
    names = ", ".join(name for name, absent in zip(run.classes, without, strict=True) if absent)
    text = f"No training instance of {names}: no further cause can be determined."
    if run.test is None or not run.test.has_logits:
        return [text]
    tested = without[run.test.labels]
    if tested.any():
        wrong = int(np.count_nonzero(~run.test.correct[tested]))
        are = "is" if wrong == 1 else "are"
        text += f" Of their {counted(int(tested.sum()), 'test instance')}, {wrong:,} {are} misclassified."
    return [text]
