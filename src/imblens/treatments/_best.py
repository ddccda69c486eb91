"""Trying a list of treatments on held-out training features and taking the one that does best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from imblens.errors import InputError, NotApplicable
from imblens.run import Run, Split
from imblens.treatments._base import CHECK_SPLIT, RANDOM_STATE, Option, Outcome, Treatment
from imblens.treatments._choose import FOLDS, Candidate, Trial, plain_head, try_candidates

LIST: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("logit_adjustment", {"tau": 0.5}),
    ("logit_adjustment", {"tau": 1.0}),
    ("logit_adjustment", {"tau": 1.5}),
    ("tau_norm", {"tau": 0.5}),
    ("tau_norm", {"tau": 1.0}),
    ("lws", {}),
    ("ncm", {}),
    ("crt", {}),
    ("random", {}),
    ("smote", {}),
    ("eos", {"k_neighbors": 10}),
    ("eos", {"k_neighbors": 50}),
    ("eos", {"k_neighbors": 200}),
)


def best(
    run: Run, options: Mapping[str, Any], validation: Split | None = None, *, find: Callable[[str], Treatment]
) -> Outcome:
    """Try treatments on held-out instances and apply the winner to the whole training split.

    `find` returns a treatment by name.

    Every candidate sees the same instances; see `cross_validated` for where they come from without `validation`, and
    for what that cannot show. The head as it is competes too, and stays unless it is beaten by more than the noise.

    Raises:
        NotApplicable: nothing on the list can be tried.
    """
    names = options["candidates"]
    chosen = LIST if names == "auto" else _listed(names, find)
    candidates = [Candidate(None, {}, {})]
    for name, shown in chosen:
        treatment = find(name)
        settings = treatment.check({"random_state": options["random_state"], **shown})
        candidates.append(Candidate(treatment, settings, shown))
    trial = try_candidates(
        run, candidates, validation=validation, folds=options["folds"], widen=options["widen"], seed=options["random_state"]
    )  # fmt: skip
    if all(score.failed for score in trial.scores[1:]):
        raise NotApplicable(f"best: nothing could be tried. {trial.scores[1].failed}")
    winner = trial.best("balanced_accuracy", keep=0)
    facts: dict[str, Any] = {"winner": trial.candidates[winner].label, "tried": trial.table(), "where": trial.where}
    sentence = _verdict(trial, winner)
    candidate = trial.candidates[winner]
    if candidate.treatment is None:
        return Outcome(plain_head(run), facts={**facts, "verdict": sentence}, notes=(sentence, *trial.notes))
    outcome = candidate.treatment.apply(run, candidate.options)
    facts = {
        **facts,
        "verdict": sentence,
        "applied": candidate.treatment.name,
        "applied_options": dict(candidate.options),
    }
    return Outcome(outcome.head, outcome.synthetic, {**outcome.facts, **facts}, (*trial.notes, *outcome.notes))


def _listed(names: tuple[str, ...], find: Callable[[str], Treatment]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Return the list's entries of those names; every grid value of a name that is not on the list."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name in names:
        treatment = find(name)
        if treatment.apply_validated is not None:
            raise InputError(f"best: {treatment.name} cannot be its own candidate.", hint="Name other treatments.")
        listed = [entry for entry in LIST if entry[0] == treatment.name]
        grids = {option.name: option.grid for option in treatment.options if option.grid}
        if not listed and grids:
            key, values = next(iter(grids.items()))
            listed = [(treatment.name, {key: value}) for value in values]
        found += listed or [(treatment.name, {})]
    return tuple(found)


def _verdict(trial: Trial, winner: int) -> str:
    """One sentence: what won, by how much over the head as it is, and on what."""
    order = sorted(
        (i for i, score in enumerate(trial.scores) if not score.failed and i != winner),
        key=lambda i: -trial.scores[i].balanced_accuracy,
    )
    score = trial.scores[winner].balanced_accuracy
    text = f"best: {trial.candidates[winner].label} "
    if winner == 0:
        text += f"stays: nothing on the list beat its balanced accuracy of {score:.3f} by more than the noise"
    else:
        gain, error = trial.difference(winner, 0, "balanced_accuracy")
        text += (
            f"won with balanced accuracy {score:.3f}, {gain:+.3f} (standard error {error:.3f}) over the head as it is"
        )
    second = next((i for i in order if i != 0), None)
    if second is not None:
        text += f"; next {trial.candidates[second].label} with {trial.scores[second].balanced_accuracy:.3f}"
    return f"{text}; on {trial.where}."


OPTIONS = (
    Option("candidates", "auto", "treatments to try; 'auto' is a list of 13.", "names", words=("auto",)),
    Option("folds", FOLDS, "parts that training features are split into.", "int", low=2, high=20),
    Option(
        "widen", "auto", "how far held-out features are moved from their class mean; 1 leaves them, 'auto' moves them "
        "until the head as it is makes errors.", low=1, high=10, words=("auto",),
    ),
    RANDOM_STATE,
    CHECK_SPLIT,
)  # fmt: skip


def best_of(find: Callable[[str], Treatment]) -> Treatment:
    """Return the treatment `best`, whose candidates are looked up with `find`."""
    apply = partial(best, find=find)
    return Treatment(
        "best",
        "choice",
        "Tries a list of treatments on held-out instances and applies the winner; reports by how much it won.",
        "none; each candidate names its own",
        apply,
        OPTIONS,
        apply_validated=apply,
    )
