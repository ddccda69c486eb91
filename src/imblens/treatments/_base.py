"""What a treatment is: a name, what it is for, checked options, and one function from a run to a better head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from imblens.base.options import Configurable, Option
from imblens.resampling import Resampled
from imblens.run import Head, Run, Split

Family = Literal["sampler", "head", "posthoc", "choice"]
Criterion = Literal["balanced_accuracy", "balanced_nll"]


@dataclass(frozen=True)
class Outcome:
    """What a treatment returns.

    Attributes:
        head: the better head.
        synthetic: instances it added in feature space, or None.
        facts: plain JSON values worth keeping (counts by class, recipe, fitted values).
        notes: warnings for the user, one sentence each.
    """

    head: Head
    synthetic: Split | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Treatment(Configurable):
    """A treatment, built in or from an installed package (entry-point group `imblens.treatments`).

    Attributes:
        name: as typed behind `--with`.
        family: "sampler" (resample features, retrain the head), "head" (another head), "posthoc" (correct the head), or
            "choice".
        purpose: one line, when to try it.
        paper: where it comes from.
        options: what can be set.
        apply: from a run and checked options (every option present, none of them "auto" with a grid) to an outcome.
        needs_head: whether the run must bring the network's own head.
        reads_head: whether it uses the network's own head where there is one, which must then fit the features.
        trains: whether it learns from training instances; a class with one of them is then reported.
        criterion: by which "auto" options are chosen on held-out instances.
        unvalidated: a note for runs where options were chosen on training features; "" for none.
        per_label: how multi-label runs are treated. True: each label as a separate binary problem. A text: they are refused
            for this reason.
        per_label_hint: what to do instead where they are refused.
        prepare: called with a run and the options of all candidates that will be tried on it, to compute once what they
            share.
        resample: of a sampler: from a run and checked options to the rows that its head is trained on.
        apply_validated: of a treatment that uses held-out instances itself: as `apply`, with them (or None) as third
            argument; called instead of it.

    Example:
        >>> from imblens.treatments import find_treatment
        >>> found = find_treatment("eos")
        >>> found.name, found.family, found.check({"random_state": 3})["random_state"]
        ('eos', 'sampler', 3)
    """

    name: str
    family: Family
    purpose: str
    paper: str
    apply: Callable[[Run, Mapping[str, Any]], Outcome]
    options: tuple[Option, ...] = ()
    needs_head: bool = False
    reads_head: bool = True
    trains: bool = True
    criterion: Criterion = "balanced_accuracy"
    unvalidated: str = ""
    per_label: bool | str = True
    per_label_hint: str = ""
    prepare: Callable[[Run, Sequence[Mapping[str, Any]]], None] | None = None
    resample: Callable[[Run, Mapping[str, Any]], Resampled] | None = None
    apply_validated: Callable[[Run, Mapping[str, Any], Split | None], Outcome] | None = None


RANDOM_STATE = Option("random_state", 0, "the seed.", "int", low=0)
CHECK_SPLIT = Option(
    "check_split", True, "check for test instances that were resampled from training instances.", "flag"
)
