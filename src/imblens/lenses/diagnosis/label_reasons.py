"""Why a label of a multi-label run fails: confused with a label it occurs with, few positives, a shortcut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imblens.base.arrays import divide
from imblens.base.intervals import wilson
from imblens.base.wording import FEW, counted, percent
from imblens.errors import NotApplicable
from imblens.lenses.shortcuts import evidence, relied_on, shortcuts
from imblens.run import Run, class_groups, group_effects, member_groups

Reason = tuple[str, float, str, str]  # cause, strength, evidence, treatment
NOTABLE = 0.2  # more false positives where the other label is present, from which it is named


def label_reasons(run: Run) -> dict[str, list[Reason]]:
    """Reasons by label, strongest first; each is judged against the other labels of the run."""
    found: dict[str, list[Reason]] = {}
    for part in (_confused, _few, _shortcut):
        for name, reason in part(run):
            found.setdefault(name, []).append(reason)
    return {name: sorted(reasons, key=lambda reason: -reason[1]) for name, reasons in found.items()}


def _confused(run: Run) -> Iterator[tuple[str, Reason]]:
    """Labels that are falsely predicted where another label is present, by the largest difference of shares."""
    test = run.test
    assert test is not None
    present, known = test.labels.astype(bool), test.known
    predicted = np.asarray(test.logits) > 0
    for c, name in enumerate(run.classes):
        negative = ~present[:, c] & known[:, c]
        sides = []
        for side in (present & known, ~present & known):
            members = side & negative[:, None]
            members[:, c] = False
            value = np.broadcast_to(predicted[:, [c]], members.shape)
            effect = group_effects(test, members, value)
            n, hits = members.sum(axis=0), (members & value).sum(axis=0)
            n_judged = n if test.groups is None else member_groups(test, members)
            sides.append((n, n_judged, divide(hits, n), *wilson(hits / effect, n / effect)))
        (n_with, of_with, with_it, low, _), (_, of_without, without, _, high) = sides
        judged = (of_with >= FEW) & (of_without >= FEW) & (low > high)
        more = np.where(judged, with_it - without, 0.0)
        other = int(more.argmax())
        if more[other] >= NOTABLE:
            text = (
                f"{name} is predicted for {percent(with_it[other])} of {counted(int(n_with[other]), 'test instance')} that "
                f"have {run.classes[other]} and not {name}, and for {percent(without[other])} of those with neither."
            )
            advice = f"more instances with {run.classes[other]} and without {name}, and vice versa"
            yield name, ("overlap", round(min(1.0, float(more[other]) / 0.6), 3), text, advice)


def _few(run: Run) -> Iterator[tuple[str, Reason]]:
    """Labels with less than half of the median label's positives (or of their groups)."""
    positives = run.train.class_counts
    units = positives if run.train.groups is None else class_groups(run.train)
    middle = float(np.median(units[positives > 0])) if (positives > 0).any() else 0.0
    thing = "positive training instance" if run.train.groups is None else "positive training group"
    for name, n in zip(run.classes, units.tolist(), strict=True):
        if n < middle / 2:
            text = f"{counted(n, thing)}; the median label has {middle:.0f}."
            yield name, ("few_examples", round(1 - n / (middle / 2), 3), text, "more instances that have the label")


def _shortcut(run: Run) -> Iterator[tuple[str, Reason]]:
    try:
        table = relied_on(shortcuts(run).tables["shortcuts"])
    except NotApplicable:
        return
    for row in table.drop_duplicates("class").to_dict("records"):
        advice = "vary what it relies on (border, colour, surroundings), then train again"
        yield row["class"], ("shortcut", round(min(1.0, max(0.0, row["drop_low"] / 0.3)), 3), evidence(row), advice)
