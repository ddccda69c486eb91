"""Defects of a label's training data in multi-label runs: wrong labels, and positives that training does not cover."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imblens.base.wording import FEW, counted, listed, percent
from imblens.lenses.diagnosis.causes import LEADS_TO
from imblens.lenses.diagnosis.label_noise import ABOVE_Z, HIGH, WrongValues, wrong_values
from imblens.lenses.diagnosis.label_regions import CHANCE, LabelRegion, uncovered_labels
from imblens.lenses.diagnosis.label_scores import scored_labels
from imblens.lenses.diagnosis.measures import THIN_EXPLAINS, Others, accuracy_text, between, harm_weight
from imblens.lenses.diagnosis.noise import FEWEST_HELD_OUT, FEWEST_TRAINED
from imblens.lenses.diagnosis.regions import FEWEST
from imblens.lenses.diagnosis.scores import held_out
from imblens.run import Run, inputs_name

Defect = tuple[str, float, str, str]  # cause, strength, evidence, treatment
CHECK = "check its labels (the lens label_suspects lists which), then train again"
COLLECT = "collect {inputs} like its missed positive test {inputs}"


def label_defects(run: Run) -> Iterator[tuple[str, Defect]]:
    """Yield label and defect for every judged label, whatever the strength; each is judged against the run's own reference."""
    gaps, values = uncovered_labels(run), wrong_values(run)
    shares = Others({c: one.region.share for c, one in gaps.items()}, np.nan)
    covered: dict[int, float] = {}
    for c, one in gaps.items():
        usual = shares.median(c)
        nothing = CHANCE + 2 * one.usual(usual)
        covered[c] = between(one.region.share, nothing, nothing + 0.03)
        strength = covered[c] * harm_weight(one.region, 1.0)
        yield (
            run.classes[c],
            ("uncovered_range", round(strength, 3), _gap(one, usual), COLLECT.format(inputs=inputs_name(run))),
        )
    sides = {
        present: Others({c: one.z for c, of in values.items() for one in of if one.present == present}, -np.inf)
        for present in (True, False)
    }
    thing = "instances" if run.train.groups is None else "groups"
    for c, of in values.items():
        strengths = []
        for value in of:
            usual = sides[value.present].median(c)
            nothing = max(np.nan_to_num(value.permuted), max(usual, 0.0) + ABOVE_Z)
            explained = THIN_EXPLAINS * covered.get(c, 0.0) if value.present else 0.0
            strengths.append(
                (between(value.z, nothing, nothing + 1.0) * (1 - explained), value.z, _wrong(value, usual, thing))
            )
        strength, _, text = max(strengths, key=lambda one: one[:2])
        yield run.classes[c], ("label_noise", round(strength, 3), text, CHECK)


def _gap(one: LabelRegion, usual: float) -> str:
    negatives = f"; its negatives: {percent(one.negatives)}" if np.isfinite(one.negatives) else ""
    others = f"; median of the other labels: {percent(usual)}" if np.isfinite(usual) else ""
    few = "hardly any positive training instance" if one.region.absent else "few positive training instances"
    return (
        f"{percent(one.region.share)} of its positive test instances lie where it has {few} "
        f"(held-out parts of its training positives: at most {percent(one.own)}{negatives}{others})"
        f"{accuracy_text(one.region, 'recall')}."
    )


def _wrong(value: WrongValues, usual: float, thing: str) -> str:
    own, other = ("positive", "negatives") if value.present else ("negative", "positives")
    others = f"; median of the other labels {usual:.1f}" if np.isfinite(usual) else ""
    return (
        f"about {percent(value.share)} of its {counted(value.trained, f'{own} training instance')} look like {other} and not "
        f"like its {own} test instances (z {value.z:.1f}; {100 * HIGH:g}% of permutations of training and test {thing} stay "
        f"below {value.permuted:.1f}{others})."
    )


def left(cause: str, defects: dict[str, float]) -> float:
    """Share of a cause's strength that defects of the label do not explain."""
    return float(np.prod([1 - LEADS_TO.get(cause, {}).get(name, 0.0) * strength for name, strength in defects.items()]))


def not_judged(run: Run) -> list[str]:
    """Notes on labels that have too few instances for defects to be judged."""
    few = "" if run.train.groups is None else f", or instances of fewer than {FEW} groups"
    sides = [
        {c for c, of in wrong_values(run).items() if any(one.present == side for one in of)} for side in (True, False)
    ]
    trained = f"fewer than {FEWEST_TRAINED} training or {FEWEST_HELD_OUT} test instances"
    scored = [len(rows) for rows, _ in scored_labels(run)]
    if scored[0] < len(run.train) or scored[1] < len(held_out(run)):
        trained += f" among {scored[0]:,} and {scored[1]:,} that are scored"
    found = []
    for what, judged, needs in (
        ("wrong positive labels", sides[0], trained),
        ("wrong negative labels", sides[1], trained),
        ("an uncovered range", set(uncovered_labels(run)), f"fewer than {FEWEST} positive training or test instances"),
    ):
        names = [name for c, name in enumerate(run.classes) if c not in judged]
        if names:
            found.append(f"Not judged: {what} of {listed(names)} ({needs}{few}).")
    return found
