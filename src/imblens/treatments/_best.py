"""Trying a list of treatments on held-out training features and taking the one that does best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from imblens.base.options import Option
from imblens.base.wording import listed
from imblens.errors import InputError, NotApplicable
from imblens.run import Run, Split, head_balance
from imblens.treatments._base import CHECK_SPLIT, RANDOM_STATE, Outcome, Treatment
from imblens.treatments._choose import FOLDS, NOISE, Candidate, Trial, plain_head, try_candidates

# the first of equals is applied: where treatments are tied, the order of the networks they were measured on decides
LIST: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("refit", {"l2": 0.004}),
    ("refit", {"l2": 0.02}),
    ("refit", {"l2": 0.1}),
    ("refit", {"l2": 0.5}),
    ("crt", {}),
    ("random", {}),
    ("smote", {}),
    ("eos", {"k_neighbors": 50}),
    ("eos", {"k_neighbors": 200}),
    ("logit_adjustment", {"tau": 0.5}),
    ("logit_adjustment", {"tau": 1.0}),
    ("logit_adjustment", {"tau": 1.5}),
    ("tau_norm", {"tau": 0.5}),
    ("tau_norm", {"tau": 1.0}),
    ("lws", {}),
    ("ncm", {}),
)
PREFERRED = "refit"  # applied unless another beats it by more than the noise
CONFIDENT = (
    5.0  # training margin of a memorised network, in nats, for which logit_adjustment subtracts the log prior once
)
STRONGEST = 3.0  # tau that is applied to one, at most
UNEVEN = 1.5  # largest class over the smallest, from which a head is expected to favour large classes


def best_candidates() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Names and options that `best` tries by default, in the order in which it prefers them.

    Example:
        >>> "refit" in dict(best_candidates())
        True
    """
    return tuple((name, dict(options)) for name, options in LIST)


def best(
    run: Run, options: Mapping[str, Any], validation: Split | None = None, *, find: Callable[[str], Treatment]
) -> Outcome:
    """Try treatments on held-out instances and apply the winner to the whole training split.

    `find` returns a treatment by name.

    With `validation`, every candidate is fitted on the training split and judged there. Without, candidates that make a
    head of their own are judged by cross-validation on training features, as long as these show errors. Where the network
    has memorised them (balanced accuracy of the cross-validated heads 0.9 or more), they show no order of candidates:
    `logit_adjustment` is applied, except to a head that is balanced, with tau = a fifth of the margin of training instances,
    from 1 to 3 (`memorised_tau`). Without a head, `refit` makes one.

    `refit`, at its best penalty, is preferred while no other beats it by more than two standard errors; the
    head as it is stays unless the winner beats it by more than that. Where the head as it is has seen the held-out
    instances and classes are of uneven size, it stays only where it beats the winner by more than that.

    Raises:
        NotApplicable: nothing on the list can be tried.
    """
    names = options["candidates"]
    chosen = LIST if names == "auto" else _listed(names, find)
    candidates = [Candidate(None, {}, {})]
    for name, shown in chosen:
        treatment = find(name)
        if names == "auto" and validation is None and treatment.needs_head:
            continue  # the network's own head has seen what is held out
        settings = treatment.check({"random_state": options["random_state"], **shown})
        candidates.append(Candidate(treatment, settings, shown))
    trial = try_candidates(
        run, candidates, validation=validation, folds=options["folds"], widen=_widen(options), seed=options["random_state"]
    )  # fmt: skip
    if all(score.failed for score in trial.scores[1:]):
        raise NotApplicable(f"best: nothing could be tried. {trial.scores[1].failed}")
    winner = _winner(run, trial)
    candidate, sentence = trial.candidates[winner], _verdict(trial, winner)
    memorised = names == "auto" and validation is None and options["widen"] == "auto" and trial.memorised
    if memorised:
        candidate, sentence = _for_memorised(run, options, trial, find)
    facts: dict[str, Any] = {"winner": candidate.label, "tried": trial.table(), "where": trial.where}
    facts["memorised"] = bool(trial.memorised)
    if candidate.treatment is None:
        return Outcome(plain_head(run), facts={**facts, "verdict": sentence}, notes=(sentence, *trial.notes))
    outcome = candidate.treatment.apply(run, candidate.options)
    facts = {
        **facts,
        "verdict": sentence,
        "applied": candidate.treatment.name,
        "applied_options": dict(candidate.options),
    }
    if not memorised:
        facts["tied"] = [trial.candidates[i].label for i in _tied(trial, winner)]
    return Outcome(outcome.head, outcome.synthetic, {**outcome.facts, **facts}, (*trial.notes, *outcome.notes))


def _widen(options: Mapping[str, Any]) -> Any:
    """Held-out features of the list stay where they are, except where the user asks."""
    return 1.0 if options["widen"] == "auto" and options["candidates"] == "auto" else options["widen"]


def _winner(run: Run, trial: Trial) -> int:
    """Position of the candidate to apply."""
    refits = [
        i for i, c in enumerate(trial.candidates)
        if c.treatment is not None and c.treatment.name == PREFERRED and not trial.scores[i].failed
    ]  # fmt: skip
    preferred = max(refits, key=lambda i: trial.scores[i].balanced_accuracy) if refits else None
    winner = trial.best("balanced_accuracy", keep=preferred)
    if winner == 0 and not trial.has_seen:
        return 0
    others = [i for i in range(1, len(trial.candidates)) if not trial.scores[i].failed]
    if winner == 0:
        winner = preferred if preferred is not None else max(others, key=lambda i: trial.scores[i].balanced_accuracy)
    gain, error = trial.difference(winner, 0, "balanced_accuracy")
    counts = run.train.class_counts
    uneven = counts.max() >= UNEVEN * counts[counts > 0].min()
    sure = gain > NOISE * (-error if trial.has_seen and uneven else error)
    return winner if sure else 0


def _for_memorised(
    run: Run, options: Mapping[str, Any], trial: Trial, find: Callable[[str], Treatment]
) -> tuple[Candidate, str]:
    """What is applied where training features show no errors, and the sentence on it."""
    where = "best: the network has memorised its training features, which then show no order of treatments"
    counts = run.train.class_counts
    balance = head_balance(run)
    even = counts.max() < UNEVEN * counts[counts > 0].min()
    if run.head is not None and (balance.balanced or even):
        reason = balance.reason if balance.balanced else "classes are of similar size"
        return trial.candidates[0], f"{where}; {reason}, so it stays. Hold out instances to choose on (`validation`)."
    name, shown = (PREFERRED, {}) if run.head is None else ("logit_adjustment", {"tau": memorised_tau(run)})
    treatment = find(name)
    chosen = Candidate(treatment, treatment.check({**shown, "random_state": options["random_state"]}), shown)
    reason = f"by the confidence in training instances, since {balance.reason}"
    if run.head is None:
        reason = "since there is no head to correct"
    return chosen, f"{where}; {chosen.label} is applied, {reason}. Hold out instances to choose on (`validation`)."


def memorised_tau(run: Run) -> float:
    """Return the tau of `logit_adjustment` for a network that has memorised its training instances.

    The margin of an instance is the logit of its class less the largest other. tau is the mean over classes of their median
    margins, over 5, at least 1 (the theoretical value) and at most 3: the more confident the network, the more the bias of
    its logits towards large classes exceeds the log prior. The divisor, and that tau is at least 1, were chosen on the networks
    that `benchmarks.science.choosing` names.
    """
    margins = []
    for batch in run.train.batches(logits=True):
        logits, rows = np.array(batch.logits, dtype=np.float64), np.arange(len(batch.labels))
        own = logits[rows, batch.labels]
        logits[rows, batch.labels] = -np.inf
        margins.append(own - logits.max(axis=1))
    of_class = pd.Series(np.concatenate(margins)).groupby(run.train.labels).median()
    return round(float(np.clip(of_class.mean() / CONFIDENT, 1.0, STRONGEST)), 2)


def _tied(trial: Trial, winner: int) -> list[int]:
    """Other candidates that the winner does not beat by more than the noise, best first."""
    found = []
    for i, score in enumerate(trial.scores):
        if i not in (0, winner) and not score.failed:
            gain, error = trial.difference(winner, i, "balanced_accuracy")
            if gain <= NOISE * error:
                found.append(i)
    return sorted(found, key=lambda i: -trial.scores[i].balanced_accuracy)


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
    """One sentence: what won, by how much over the head as it is, what is tied with it, and on what."""
    score = trial.scores[winner].balanced_accuracy
    text = f"best: {trial.candidates[winner].label} "
    if winner == 0:
        text += f"stays: nothing on the list beat its balanced accuracy of {score:.3f} by more than the noise"
    else:
        gain, error = trial.difference(winner, 0, "balanced_accuracy")
        seen = ", which has seen these instances" if trial.has_seen else ""
        text += f"won with balanced accuracy {score:.3f}, {gain:+.3f} (standard error {error:.3f}) over the head as it is{seen}"
    tied = [trial.candidates[i].label for i in _tied(trial, winner)]
    if winner and tied:
        text += f"; tied: {listed(tied, 4)}"
    return f"{text}; on {trial.where}."


OPTIONS = (
    Option("candidates", "auto", "treatments to try; 'auto' is a list of 16.", "names", words=("auto",)),
    Option("folds", FOLDS, "parts that training features are split into.", "int", low=2, high=20),
    Option(
        "widen", "auto", "how far held-out features are moved from their class mean; 1 leaves them, 'auto' leaves them "
        "too unless they show no errors.", low=1, high=10, words=("auto",),
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
