"""Causes per class, with strength, evidence and what to try."""

from __future__ import annotations

import numpy as np

from imblens.base.wording import FEW, counted
from imblens.errors import NotApplicable
from imblens.lenses._contract import Finding, lens
from imblens.lenses.diagnosis.causes import CAUSES, MEASURES, class_recall, strengths
from imblens.lenses.diagnosis.chart import charts
from imblens.lenses.diagnosis.labels import LABEL_CAUSES, Row, label_rows
from imblens.lenses.diagnosis.text import lines
from imblens.run import Run

NOTABLE = 0.25  # strength below which a cause is not named


@lens("Why does each class fail, and what should be tried?", order=170, lines=lines, charts=charts)
def diagnosis(run: Run) -> Finding:
    """Possible causes for each class, each with a strength in [0, 1], its evidence and what to try.

    In a single-label run there are seven causes. strength = clip((measure - nothing) / (clear - nothing), 0, 1), times
    min(1, errors / 0.15) for causes that count only as far as the class has errors to explain. The measures:

    few_examples: log10 of the class's imbalance.
    overlap: equal error rate against another class on the differences of their logits. No shift of a logit, and so no class
        size, changes it. The largest over the three classes that it is most often confused with.
    sub_concepts: distance between the means of two clusters of the class's features, in standard deviations within them,
        along the line between them. A normal distribution has 2.7, a uniform one 3.5. A cluster holds at least 5% of the
        instances and three of them.
    label_noise: share of the class whose neighbours all belong to other classes, less its error rate on the test split:
        classes that merely overlap are confused there too. Large classes only.
    uncovered_range: 75th percentile of the distance from test instances to the nearest training instance of the class, over
        the same among training instances, in natural logarithms, less that of the median class.
    few_features: one minus the class's effective number of features over the median class's.
    shortcut_colours: share of one colour band among salient pixels, less its mean share in the other classes.

    A network that has seen few instances of a class confuses it and spreads its features: overlap and sub_concepts are
    reduced by 0.7 of the strength of few_examples. Test instances that training does not cover are confused as well:
    overlap is reduced by 0.7 of the strength of uncovered_range.

    `nothing` and `clear` were set on drawn shapes with other seeds than the study's, so that classes without a cause stay
    below. Strengths are an order of suspicion, not probabilities: `imblens study diagnosis` measures how often the first
    cause is the planted one.

    In a multi-label run there are two causes, at most one per label, from `ranking` and `class_accuracy` on the test split:

    ranking: the 95% interval of the AUROC lies below 0.8. Strength: (0.8 - AUROC) / 0.3, at most 1.
    threshold: 0.5 is too high where the label's own threshold adds 0.1 of recall or more (strength: recall added), too low
        where the false-positive rate is above 0.5 (strength: that rate).

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
        Ours. The measures build on IML (archetypes, overlap, colours), FRAGILITY (diversity) and LOOKING (AUROC per label).
        Coverage is measured by nearest distances here, not by the ranges of `generalization_gap`.
    """
    import pandas as pd

    judged, notes = list(LABEL_CAUSES), list[str]()
    if run.task == "multilabel":
        try:
            rows = label_rows(run)
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
    judged = (run.test if run.test is not None and run.test.has_logits else run.train).class_counts
    for label, name in enumerate(run.classes):
        if not run.train.class_counts[label]:
            continue
        if judged[label] < FEW:
            are = "is" if judged[label] == 1 else "are"
            text = f"{counted(judged[label], 'instance')} to judge it by {are} too few to tell."
            rows.append((name, accuracy[label], "too few to tell", 0.0, text, "more instances to judge it by"))
            continue
        known = {cause: of_class[label] for cause, of_class in measured.items() if label in of_class}
        notable: list[Row] = [
            (name, accuracy[label], cause.name, round(strength, 3), known[cause.name][1], cause.treatment)
            for cause, strength in strengths({key: value for key, (value, _) in known.items()}, accuracy[label])
            if strength >= NOTABLE
        ]
        notable.sort(key=lambda row: -row[3])
        rows += notable or [(name, accuracy[label], "none found", 0.0, "No cause stands out for it.", "")]
    return rows, sorted(measured), notes + _untrained(run)


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
