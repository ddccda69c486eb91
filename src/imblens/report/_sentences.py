"""Sentences of a report: the headline, its reason, and statements on all classes. They only word the rows of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.base.wording import FEW, counted, percent, share_with_interval
from imblens.report._class_rows import BELOW_BY_CHANCE, Row, mean_accuracy, worst_first
from imblens.report._data import Lines
from imblens.report._label_verdict import (
    label_evidence,
    label_headline,
    label_outcomes,
    label_sentence,
    ranked,
)
from imblens.report._lens_parts import ACCURACY, DIAGNOSIS, RANKING
from imblens.run import GROUP, copies, group_name, permutation_note

if TYPE_CHECKING:
    from imblens.run import Run

FEW_COPIES, SHARE_COPIED = 3, 0.05  # copied test instances from which they are reported
NAMED = 5  # classes that a sentence names
TREATMENTS = {  # treatment that the diagnosis names -> what it does, for readers who do not know it
    "best": "treatments of the head are compared where held-out instances show an order; one is applied, or the head is kept",
    "refit": "a new head is fitted to the stored training features, and corrected for class frequency",
}


def headline(lines: Lines, rows: Sequence[Row], of: str | None) -> str:
    """One sentence with numbers on the class of interest, else on the worst class."""
    order = worst_first(rows, of)
    if of is None and _labels(rows):
        return label_headline(rows)
    if order and order[0]["accuracy"] is not None:
        return class_sentence(lines, order[0])
    for stated in map(lines.of, lines.findings):
        if of is None and stated:
            return next(iter(stated.values()))
        if of is not None and of in stated:
            return stated[of]
    return "No notable findings." if of is None else f"No notable findings for {of}."


def class_sentence(lines: Lines, row: Row) -> str:
    """The sentence of the accuracy lens on a class, or one with the same numbers where that lens has none."""
    name = row["class"]
    if row["multilabel"] and row["auroc"] is not None:
        return label_sentence(row)
    line = lines.of(ACCURACY).get(name)
    if line is not None:
        return line
    if row["accuracy"] is None or row["accuracy_low"] is None or row["accuracy_high"] is None:
        return f"{name} has no test instance, so its accuracy is unknown."
    share = share_with_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
    text = f"{name} is classified correctly {share} of the time"
    return (
        f"{text} in {counted(row['test_count'] or 0, 'test instance')}, too few to tell."
        if row["too_few"]
        else f"{text}."
    )


def reason(lines: Lines, row: Row) -> str:
    """Why a class fails and what to try; "" where no cause is known."""
    text = lines.of(DIAGNOSIS).get(row["class"], "").removeprefix(f"{row['class']}: ")
    for treatment, what in TREATMENTS.items():
        text = text.replace(f" Try: {treatment}.", f" Try {treatment}: {what}.")
    return f"Why: {text}" if text else ""


def need_help(run: Run, rows: Sequence[Row]) -> str:
    """How many classes need help, and how that is measured."""
    if _labels(rows):
        return label_outcomes(rows)
    mean = mean_accuracy(rows)
    if mean is None:
        no_test = "The run has no test split, so accuracy cannot be estimated: all results are from training data."
        return no_test if run.test is None else ""
    multilabel = run.task == "multilabel"
    if multilabel and not mean:
        return f"None of the {len(rows)} labels reaches a probability of 0.5 on any positive test instance."
    measure = f"{'mean sensitivity' if multilabel else 'mean class accuracy'} ({percent(mean)})"
    low = [row for row in worst_first(rows) if row["needs_help"]]
    if low:
        names = ", ".join(f"{row['class']} ({percent(row['accuracy'])})" for row in low[:NAMED])
        more = f" and {len(low) - NAMED} more" if len(low) > NAMED else ""
        verb, its = ("needs", "its 95% interval is") if len(low) == 1 else ("need", "their 95% intervals are")
        judged = sum(row["accuracy"] is not None and not row["too_few"] for row in rows)
        ranked = "classes" if judged == len(rows) else f"classes with {FEW} test instances or more"
        return (
            f"{len(low)} of {len(rows)} classes {verb} help: {names}{more}; {its} below the {measure}. If all {judged} "
            f"{ranked} were equally accurate, about {BELOW_BY_CHANCE * judged:.1f} would be below it by chance."
        )
    enough = sum(row["accuracy"] is not None and not row["too_few"] for row in rows)
    if enough < 2:
        return (
            f"Too few test cases to rank classes: {FEW} test instances of a class are needed, and {enough or 'none'} of "
            f"{len(rows)} {'has' if enough else 'have'} as many."
        )
    if enough < len(rows):
        return (
            f"None of the {enough} classes with {FEW} test instances or more is clearly below the {measure}; the other "
            f"{len(rows) - enough} have too few."
        )
    return f"None of the {len(rows)} classes is clearly below the {measure}."


def _labels(rows: Sequence[Row]) -> bool:
    """Whether the verdict is one on labels that are ranked."""
    return bool(rows) and rows[0]["multilabel"] and ranked(rows)


def ranking(lines: Lines) -> str:
    """How well labels are ranked, and the effect of a threshold per label; "" in single-label runs."""
    finding = lines.findings.get(RANKING)
    return lines.of(RANKING).get("", "") if finding is not None and "ranking_thresholds" in finding.tables else ""


def shared_patients(run: Run) -> tuple[int, str]:
    """Number of patients (groups) in both training and test split, and the sentence on them.

    Counted from the column of groups; without one, as the data of the run states it.
    """
    data = run.meta.get("data")
    stated = data.get("shared_patients") if isinstance(data, Mapping) else None
    n = stated.get("train and test") if isinstance(stated, Mapping) else None
    test, what = run.test, "patient"
    if test is not None and GROUP in test.columns and GROUP in run.train.columns:
        of_train, of_test = (set(part.instances([GROUP])[GROUP].dropna()) for part in (run.train, test))
        n, what = len(of_train & of_test), group_name(run)
    if not isinstance(n, int) or n < 1:
        return 0, ""
    who = counted(n, what) + (" is" if n == 1 else " are")
    return n, f"{who} in both the training and the test split: results are probably optimistic."


def copied(run: Run) -> tuple[int | None, str]:
    """Number of test instances that are copies of training instances (None without test split), and the sentence on them."""
    test = run.test
    if test is None:
        return None, ""
    n = run.remember("copied", lambda: int(copies(run.train, test).sum()))
    if n < FEW_COPIES or n <= SHARE_COPIED * len(test):
        return n, ""
    return n, (
        f"{n:,} of {len(test):,} test instances have exactly the features of a training instance: results are probably "
        "optimistic."
    )


def by_group(run: Run) -> str:
    """That intervals are by group, and how many groups the test split has; "" where no groups are known."""
    test = run.test
    if test is None or test.groups is None:
        return ""
    name = group_name(run)
    groups = counted(len(np.unique(test.groups)), name)
    return (
        f"Intervals are by {name} ({groups} in the test split), except those of shares of errors, co-occurrence and colours: "
        f"instances of one {name} are not independent."
    )


def class_order(run: Run) -> str:
    """That the order of classes seems wrong, which makes every other result wrong; "" where it does not."""
    found = run.remember("class_order", lambda: permutation_note(run.test or run.train))
    return "" if found is None else found[:1].upper() + found[1:]


def assumptions(run: Run) -> list[str]:
    """What was assumed or converted when the run was made, a sentence each.

    Example:
        >>> import numpy as np, imblens
        >>> y = np.repeat([0, 1], [30, 10])
        >>> assumptions(imblens.Run.from_arrays(train=(np.eye(2)[y], y), meta={"notes": ["labels were read from column y."]}))
        ['Labels were read from column y.']
    """
    notes = run.meta.get("notes")
    order = class_order(run).lower()
    listed = notes if isinstance(notes, (list, tuple)) else ()
    texts = [str(note).strip() for note in dict.fromkeys(map(str, listed))]
    return [text[:1].upper() + text[1:] for text in texts if text and text.lower() != order]


def _reason_of_worst(lines: Lines, rows: Sequence[Row], order: Sequence[Row], of: str | None) -> str:
    """The reason of the class of the headline; it names the label where the headline is on all labels."""
    text = reason(lines, order[0]) if order else ""
    if not text or of is not None or not _labels(rows):
        return text
    return f"Why: {order[0]['class']}, ranked worst: {text.removeprefix('Why: ')}"


def next_worst(lines: Lines, rows: Sequence[Row], of: str | None) -> list[str]:
    """A sentence on each of the next two classes that are below the mean."""
    mean = mean_accuracy(rows)
    if _labels(rows):  # the worst label follows the statements, the headline is on all of them
        order = worst_first(rows, of)
        return [
            class_sentence(lines, row) for row in (order[:2] if of is None else order[1:3]) if row["auroc"] is not None
        ]
    others = [row for row in worst_first(rows, of)[1:3] if row["accuracy"] is not None and mean is not None]
    return [class_sentence(lines, row) for row in others if row["accuracy"] < mean]


def statements(run: Run, lines: Lines, rows: Sequence[Row], of: str | None) -> dict[str, Any]:
    """What a report states before its first table: headline, reason, statements on all classes, the next worst.

    Where the headline is on all labels, evidence comes first: the statements, then the worst label and its reason.
    """
    order = worst_first(rows, of)
    n_patients, patients = shared_patients(run)
    n_copies, copy_sentence = copied(run)
    found: dict[str, Any] = {
        "class_order": class_order(run),
        "assumptions": assumptions(run),
        "headline": headline(lines, rows, of),
        "reason": _reason_of_worst(lines, rows, order, of),
        "statements": [
            text
            for text in (
                label_evidence(run, rows) if _labels(rows) else "",
                need_help(run, rows),
                ranking(lines),
                by_group(run),
                patients,
                copy_sentence,
            )
            if text
        ],
        "next_worst": next_worst(lines, rows, of),
        "copies": {"count": n_copies, "notable": bool(copy_sentence)},
        "shared_patients": n_patients,
    }
    if of is None and _labels(rows):
        after = [*found["statements"], *found["next_worst"][:1], found["reason"], *found["next_worst"][1:]]
    else:
        after = [found["reason"], *found["statements"], *found["next_worst"]]
    verdict = [found["class_order"], found["headline"], *after]
    return {"verdict": [line for line in verdict if line], **found}
