"""Apply a treatment: from a run to the same run with another head."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from imblens.base.random_state import random_state_kept
from imblens.base.wording import counted, listed
from imblens.errors import ImblensWarning
from imblens.run import Head, Run, Split, as_run
from imblens.treatments import _guards
from imblens.treatments._base import Outcome, Treatment
from imblens.treatments._cross_validation import cross_validated
from imblens.treatments._one_vs_rest import treat_labels
from imblens.treatments._registry import find_treatment


def treat(run: Run, name: str, *, validation: Any = None, **options: Any) -> Run:
    """Return `run` with a better head.

    Features stay, predictions change: logits of train and test are computed from the new head. Nothing is chosen on the
    test split. What was done is recorded under `meta["treatment"]`; its notes are also warnings.

    Args:
        run: only `tau_norm`, `lws` and the post-hoc corrections need its head. In multi-label runs,
            every label is a separate binary problem (see `treat_labels`).
        name: see `treatment_names()`.
        validation: instances to choose options on, as (features, labels): neither trained on nor the test split.
            Without, they are chosen on training features, which is weaker; see `cross_validated`.
        **options: as the treatment declares them; "auto" chooses from a grid.

    Returns:
        A run with the new head, and with the synthetic instances of a sampler as `synthetic`.

    Raises:
        MissingError: no such treatment or option.
        InputError: `run` is not a run, an option or the head does not fit, or the data were resampled before they were
            split.
        NotApplicable: the treatment has nothing to work on; the message is the reason.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1], [90, 10])
        >>> run = Run.from_arrays(train=(rng.normal(size=(100, 3)) + labels[:, None], labels), classes=["cat", "dog"])
        >>> better = treat(run, "eos", k_neighbors=5)
        >>> better.meta["treatment"]["facts"]["counts"], better.synthetic.class_counts.tolist()
        ({'cat': 90, 'dog': 90}, [0, 80])
    """
    run = as_run(run, "treat")
    treatment = find_treatment(name)
    settings = treatment.check(options)
    if run.task == "multilabel":
        return _treat_labels(run, treatment, settings, options, validation)
    if treatment.needs_head or (treatment.reads_head and run.head is not None):
        _guards.own_head(run, treatment.name)
        _guards.head_fits(run)
    if settings.get("check_split", True):
        _guards.resampled_before_split(run)
    held = _guards.held_out(run, validation)
    chosen: dict[str, Any] = {}
    with random_state_kept():
        if treatment.apply_validated is not None:
            outcome = treatment.apply_validated(run, settings, held)
        else:
            settings, chosen = _choose(run, treatment, settings, held)
            outcome = treatment.apply(run, settings)
    made = outcome.head
    head = Head.checked(made.weight, made.bias, dim=run.dim, n_classes=run.n_classes, unit=made.unit)
    if treatment.trains:
        outcome = replace(outcome, notes=(*outcome.notes, *_absent(run, outcome.notes), *_lone(run)))
    for note in (*chosen.get("notes", ()), *outcome.notes):
        warnings.warn(note, ImblensWarning, stacklevel=2)
    synthetic = None if outcome.synthetic is None else replace(outcome.synthetic, head=head)
    return run.with_head(head, synthetic=synthetic, treatment=_record(run, treatment, settings, chosen, outcome))


def _absent(run: Run, notes: Sequence[str]) -> tuple[str, ...]:
    """Note on classes without training instances, where the treatment has none."""
    absent = [run.classes[c] for c in np.flatnonzero(run.train.class_counts == 0)]
    if not absent or any("no training instance of" in note for note in notes):
        return ()
    return (
        f"no training instance of {listed(absent, 5)}: the new head was not fitted to it and may never predict it.",
    )


def _lone(run: Run) -> tuple[str, ...]:
    """Note on classes with one training instance, whose variation is unknown."""
    lone = [run.classes[c] for c in np.flatnonzero(run.train.class_counts == 1)]
    if not lone:
        return ()
    return (
        f"{listed(lone, 5)}: one training instance, which does not show how new instances vary; the new head may predict it "
        "never, or too often.",
    )


def _treat_labels(
    run: Run, treatment: Treatment, settings: dict[str, Any], options: dict[str, Any], validation: Any
) -> Run:
    if treatment.needs_head:
        _guards.own_head(run, treatment.name)

    def one(binary: Run, held: Any) -> Run:
        return treat(binary, treatment.name, validation=held, **options)

    head, records, notes = treat_labels(run, one, treatment, validation=validation)
    for note in notes:
        warnings.warn(note, ImblensWarning, stacklevel=3)
    facts = {"labels": {label: {**record["facts"], "options": record["options"]} for label, record in records.items()}}
    outcome = Outcome(head, facts=facts, notes=notes)
    return run.with_head(head, treatment=_record(run, treatment, settings, {}, outcome))


def treatment_lines(run: Run) -> list[str]:
    """Sentences on the chosen options and the notes of a treated run; [] for other runs.

    Example:
        >>> import numpy as np
        >>> labels = np.repeat([0, 1], [90, 10])
        >>> run = Run.from_arrays(train=(np.random.default_rng(0).normal(size=(100, 3)), labels), classes=["cat", "dog"])
        >>> treatment_lines(run), treat(run, "ncm").meta["treatment"]["name"]
        ([], 'ncm')
    """
    record = run.meta.get("treatment")
    if not isinstance(record, Mapping):
        return []
    facts, chosen = record.get("facts", {}), record.get("chosen")
    lines = [str(facts["verdict"])] if "verdict" in facts else []
    if chosen:
        values = ", ".join(f"{key}={value}" for key, value in chosen["options"].items())
        lines.append(f"{record['name']}: {values} was chosen by {chosen['by'].replace('_', ' ')} on {chosen['on']}.")
        lines += chosen.get("notes", [])
    lines += _curve_line(facts.get("curve") or [])
    return lines + [note for note in record.get("notes", []) if note not in lines]


def _curve_line(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    """Balanced accuracy after the first, the middle and the last epoch."""
    shown = [curve[at] for at in sorted({0, len(curve) // 2, len(curve) - 1})] if curve else []
    on = next((split for split in ("test", "train") if shown and shown[0].get(split) is not None), None)
    if on is None:
        return []
    steps = ", ".join(f"{100 * float(row[on]):.1f}% after {counted(row['epoch'], 'epoch')}" for row in shown)
    return [f"Balanced accuracy on the {'test' if on == 'test' else 'training'} split: {steps}."]


def _choose(
    run: Run, treatment: Treatment, settings: dict[str, Any], held: Split | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Replace every "auto" that has a grid by what does best on held-out instances."""
    open_options = [option for option in treatment.options if option.grid and settings[option.name] == "auto"]
    if not open_options:
        return settings, {}
    grid = {option.name: option.grid for option in open_options}
    given = {key: value for key, value in settings.items() if key not in grid}
    trial = cross_validated(run, treatment, grid, options=given, validation=held, seed=settings.get("random_state", 0))
    published = {option.name: option.published for option in open_options}
    keep = next((i for i, c in enumerate(trial.candidates) if dict(c.shown) == published), None)
    winner = trial.best(treatment.criterion, keep=keep)
    found = dict(trial.candidates[winner].shown)
    notes = trial.notes
    if treatment.unvalidated and held is None:
        notes += (treatment.unvalidated,)
    return {**settings, **found}, {
        "options": found,
        "on": trial.where,
        "by": treatment.criterion,
        "tried": trial.table(),
        **({"notes": list(notes)} if notes else {}),
    }


def _record(
    run: Run, treatment: Treatment, settings: dict[str, Any], chosen: dict[str, Any], outcome: Outcome
) -> dict[str, Any]:
    before = run.meta.get("treatment")
    return {
        "name": treatment.name,
        "family": treatment.family,
        "criterion": treatment.criterion,
        "options": {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()},
        "random_state": settings.get("random_state"),
        **({"chosen": chosen} if chosen else {}),
        "facts": dict(outcome.facts),
        "notes": list(outcome.notes),
        **({"before": before} if before else {}),
    }
