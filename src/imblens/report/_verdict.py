"""What an audit says of each class, gathered from whatever lenses could run. Nothing is computed here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.base.arrays import imbalance
from imblens.base.wording import FEW, counted, number, percent, ratio
from imblens.lenses import Finding
from imblens.run import copies

if TYPE_CHECKING:
    import pandas as pd

    from imblens.run import Run

ARCHETYPES = ("safe", "border", "rare", "outlier")
WELL_RANKED = 0.8  # AUROC below which a label's trouble is not its threshold
THRESHOLD_MATTERS = 0.1  # recall that a threshold of the label's own adds
FEW_COPIES, SHARE_COPIED = 3, 0.05  # test instances that were trained on, from which it is said
TOO_MANY = 0.5  # share of the instances without a label to which it is said
TRIED = {  # treatment that the diagnosis names -> what it does, for readers who never heard of it
    "eos": "synthetic features widen the class towards its nearest enemies, and a new head is trained on them",
    "logit_adjustment": "answers are corrected for how rare a class is, and nothing is trained",
}
Findings = Mapping[str, Finding]


@dataclass(frozen=True)
class ClassView:
    """One class as cards and rows show it. None stands for what no lens could say."""

    name: str
    train_count: int
    imbalance: float | None
    rarity: str
    test_count: int | None
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    errors_to: tuple[str, float] | None = None
    errors: int = 0
    forecast: tuple[str, float] | None = None
    archetypes: Mapping[str, float] = field(default_factory=dict)
    gap: float | None = None
    wrongly: float | None = None
    auroc: float | None = None
    threshold: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""
    evidence: str = ""
    treatment: str = ""
    command: str = ""

    @property
    def few(self) -> bool:
        """Whether its accuracy rests on too few test instances to tell."""
        return self.test_count is not None and self.test_count < FEW


def class_views(run: Run, findings: Findings) -> dict[str, ClassView]:
    """Every class by name, in the order of the run."""
    several = run.task == "multilabel"
    rarer = imbalance(run.train.class_counts)
    accuracy = _rows(findings, "class_accuracy", "class_accuracy")
    gaps = _rows(findings, "generalization_gap", "generalization_gap")
    ranks = _rows(findings, "ranking", "ranking")
    thresholds = _rows(findings, "ranking", "ranking_thresholds")
    causes = _rows(findings, "diagnosis", "diagnosis")
    errors = _strongest(findings, "class_accuracy", "confusion", "predicted", ("share",))
    forecasts = _strongest(findings, "adversaries", "adversaries", "adversary", ("soft", "forecast"))
    counts = _rows(findings, "class_accuracy", "confusion")
    kinds = _archetypes(findings)
    views = {}
    for i, name in enumerate(run.classes):
        row = accuracy.get(name, {})
        cause = _label_cause(ranks.get(name, {}), thresholds.get(name, {}), row) if several else causes.get(name, {})
        times = _number(row.get("imbalance")) if several else number(float(rarer[i]))
        treatment = _text(cause.get("treatment"))
        specificity = _number(row.get("specificity"))
        views[name] = ClassView(
            name=name,
            train_count=int(run.train.class_counts[i]),
            imbalance=times,
            rarity=""
            if times is None or times < 1.5
            else f"{ratio(times)}{' lack it for one that has it' if several else 'x rarer'}",
            test_count=None if run.test is None else int(run.test.class_counts[i]),
            accuracy=_number(row.get("accuracy")),
            low=_number(row.get("accuracy_low")),
            high=_number(row.get("accuracy_high")),
            errors_to=errors.get(name),
            errors=int(counts.get(name, {}).get("error_count", 0)),
            forecast=forecasts.get(name),
            archetypes=kinds.get(name, {}),
            gap=_number(gaps.get(name, {}).get("gap")),
            wrongly=None if specificity is None else 1 - specificity,
            auroc=_number(ranks.get(name, {}).get("auroc")),
            threshold=thresholds.get(name, {}),
            cause=_text(cause.get("cause")).replace("_", " "),
            evidence=_text(cause.get("evidence")),
            treatment=treatment,
            command=command(treatment),
        )
    return views


def command(treatment: str) -> str:
    """The command that tries a treatment; "" where the text is advice and no treatment's name.

    Example:
        >>> command("eos"), command("collect more images")
        ('imblens treat RUN --with eos --out RUN2', '')
    """
    return f"imblens treat RUN --with {treatment} --out RUN2" if re.fullmatch(r"[a-z][a-z0-9_]*", treatment) else ""


def worst(views: Mapping[str, ClassView], of: str | None = None) -> list[ClassView]:
    """Classes whose accuracy is known, the class of interest first, then worst first; those with few tests last."""
    known = [view for view in views.values() if view.accuracy is not None]
    known.sort(key=lambda view: (view.few, view.accuracy))
    chosen = [view for view in views.values() if view.name == of]
    return chosen + [view for view in known if view.name != of]


def mean_accuracy(views: Mapping[str, ClassView]) -> float | None:
    """Mean accuracy over the classes with test instances."""
    known = [view.accuracy for view in views.values() if view.accuracy is not None]
    return float(np.mean(known)) if known else None


def need_help(views: Mapping[str, ClassView]) -> list[ClassView]:
    """Classes whose whole 95 % interval lies below the mean class, worst first; few tests cannot show it."""
    mean = mean_accuracy(views)
    if mean is None:
        return []
    return [view for view in worst(views) if not view.few and view.high is not None and view.high < mean]


def headline(findings: Findings, views: Mapping[str, ClassView], of: str | None) -> str:
    """One sentence with the numbers: the class of interest, else the worst class."""
    order = worst(views, of)
    if order and order[0].accuracy is not None:
        return class_sentence(findings, order[0])
    for name, finding in findings.items():
        lines = finding.lines()
        if of is not None and of in lines:
            return lines[of]
        if lines and of is None:
            return next(iter(lines.values()))
        if lines and name == list(findings)[-1]:
            break
    subject = "this run" if of is None else of
    return f"No lens found anything notable in {subject}."


def summary(run: Run, views: Mapping[str, ClassView]) -> str:
    """How many classes need help, and against what that is measured."""
    mean = mean_accuracy(views)
    if mean is None:
        if run.test is None:
            return "Without a test split nobody can say how often each class is right: this is from training alone."
        return ""
    if run.task == "multilabel" and not mean:
        return f"None of the {len(views)} labels reaches a probability of 0.5 on a test instance that has it."
    low = need_help(views)
    if not low:
        telling = sum(view.accuracy is not None and not view.few for view in views.values())
        if telling < 2:
            return (
                f"Which class is worse than another nobody can say here: it takes {FEW} test instances of a class, and "
                f"{telling or 'none'} of {len(views)} {'has' if telling else 'have'} so many."
            )
        if telling < len(views):
            return (
                f"None of the {telling} classes with {FEW} test instances or more is clearly below the mean class "
                f"({percent(mean)}); the other {len(views) - telling} have too few to tell."
            )
        return f"None of the {len(views)} classes is clearly below the mean class ({percent(mean)})."
    names = [f"{view.name} ({percent(view.accuracy or 0)})" for view in low[:5]]
    more = len(low) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    verb = "needs" if len(low) == 1 else "need"
    return (
        f"{len(low)} of {len(views)} classes {verb} help: {listed}; "
        f"the 95 % interval lies below the mean class ({percent(mean)})."
    )


def ranked(findings: Findings) -> str:
    """How well labels are ranked, and what thresholds of their own do; "" where an instance has one label."""
    finding = findings.get("ranking")
    return "" if finding is None or "ranking_thresholds" not in finding.tables else finding.lines().get("", "")


def shared_patients(run: Run) -> str:
    """Who was trained on and tested on alike, as the run's data says; "" where nobody was."""
    data = run.meta.get("data")
    found = data.get("shared_patients") if isinstance(data, Mapping) else None
    n = found.get("train and test") if isinstance(found, Mapping) else None
    if not isinstance(n, int) or n < 1:
        return ""
    who = "patient is" if n == 1 else "patients are"
    return f"{n:,} {who} in both the training and the test split: on new patients the network will do worse than here."


def copied(run: Run) -> str:
    """How many test instances were trained on, feature for feature; "" where hardly any were."""
    test = run.test
    if test is None:
        return ""
    n = run.remember("copied", lambda: int(copies(run.train, test).sum()))
    if n < FEW_COPIES or n <= SHARE_COPIED * len(test):
        return ""
    return (
        f"{n:,} of {len(test):,} test instances are copies of training instances, feature for feature: on new instances "
        "the network will do worse than here."
    )


def class_sentence(findings: Findings, view: ClassView) -> str:
    """The line of class_accuracy on a class, or one made of the same numbers for a class that it found unremarkable."""
    finding = findings.get("class_accuracy")
    line = finding.lines().get(view.name) if finding is not None else None
    if line is not None:
        return line
    if view.accuracy is None or view.low is None or view.high is None:
        return f"{view.name} has no test instance, so its accuracy is unknown."
    text = f"{view.name} is right {percent(view.accuracy)} of the time [{100 * view.low:.0f}, {100 * view.high:.0f}]"
    return f"{text} in {counted(view.test_count or 0, 'test instance')}, too few to tell." if view.few else f"{text}."


def _label_cause(rank: Mapping[str, Any], threshold: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, str]:
    """Why a label of several is missed, or said of too many, as `ranking` shows it: its threshold, or its ranking.

    No diagnosis speaks of several labels. Too few to tell, or nothing to say: an empty cause.
    """
    auroc, low, high = (_number(rank.get(key)) for key in ("auroc", "auroc_low", "auroc_high"))
    if (rank.get("positives") or 0) < FEW or auroc is None or low is None or high is None:
        return {}
    ranked = f"AUROC {auroc:.2f} [{low:.2f}, {high:.2f}]"
    at, found, half = (_number(threshold.get(key)) for key in ("threshold", "recall", "recall_at_half"))
    specificity = _number(right.get("specificity"))
    if high < WELL_RANKED:
        evidence = f"it is hard to tell from the rest: {ranked}, where 0.5 is chance"
        return {
            "cause": "ranking",
            "evidence": evidence + ".",
            "treatment": "more training instances, or a longer training",
        }
    if at is not None and found is not None and half is not None and found - half >= THRESHOLD_MATTERS:
        evidence = (
            f"it is ranked well ({ranked}), but a probability of 0.5 asks too much: {percent(half)} of its instances reach "
            f"it, and {percent(found)} its own threshold of {at:.2g}, chosen on {threshold['chosen_on']}"
        )
        return {"cause": "threshold", "evidence": evidence + ".", "treatment": "eos"}
    if specificity is not None and specificity < 1 - TOO_MANY:
        evidence = (
            f"a probability of 0.5 asks too little: {percent(1 - specificity)} of the instances without it reach it too"
        )
        return {"cause": "threshold", "evidence": evidence + ".", "treatment": "eos"}
    return {}


def reason(findings: Findings, view: ClassView) -> str:
    """Why a class fails and what to try, as the diagnosis says it; "" where no cause is known."""
    finding = findings.get("diagnosis")
    if finding is not None:
        said = finding.lines().get(view.name, "").removeprefix(f"{view.name}: ")
    else:
        said = f"{view.evidence} Try: {view.treatment}." if view.cause else ""
    for treatment, what in TRIED.items():
        said = said.replace(f" Try: {treatment}.", f" Try {treatment}: {what}.")
    return f"Why: {said}" if said else ""


def verdict(run: Run, findings: Findings, of: str | None) -> list[str]:
    """The headline and its reason, how many classes need help, and a line for each of the next worst, three in all."""
    views = class_views(run, findings)
    first = headline(findings, views, of)
    order = worst(views, of)
    mean = mean_accuracy(views)
    others = [v for v in order[1:3] if v.accuracy is not None and mean is not None and v.accuracy < mean]
    why = reason(findings, order[0]) if order else ""
    lines = [
        first,
        why,
        summary(run, views),
        ranked(findings),
        shared_patients(run),
        copied(run),
        *(class_sentence(findings, view) for view in others),
    ]
    return [line for line in lines if line]


def _table(findings: Findings, lens: str, name: str, columns: tuple[str, ...]) -> pd.DataFrame | None:
    finding = findings.get(lens)
    table = None if finding is None else finding.tables.get(name)
    return table if table is not None and set(columns) <= set(table.columns) else None


def _rows(findings: Findings, lens: str, name: str) -> dict[str, dict[str, Any]]:
    table = _table(findings, lens, name, ("class",))
    if table is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for row in table.to_dict("records"):
        found.setdefault(str(row["class"]), {str(key): value for key, value in row.items()})
    return found


def _strongest(
    findings: Findings, lens: str, name: str, other: str, values: tuple[str, ...]
) -> dict[str, tuple[str, float]]:
    """The largest of each class's shares in the first of the columns that is known at all."""
    for value in values:
        table = _table(findings, lens, name, ("class", other, value))
        if table is None or not table[value].notna().any():
            continue
        known = table[table[value].notna() & (table["class"] != table[other])]
        top = known.loc[known.groupby("class", sort=False)[value].idxmax()]
        pairs = zip(top["class"], top[other], top[value], strict=True)
        return {str(a): (str(b), float(share)) for a, b, share in pairs if share > 0}
    return {}


def _archetypes(findings: Findings) -> dict[str, dict[str, float]]:
    table = _table(findings, "archetypes", "archetypes", ("class", "archetype", "share"))
    found: dict[str, dict[str, float]] = {}
    if table is not None:
        for name, kind, share in zip(table["class"], table["archetype"], table["share"], strict=True):
            if share == share:
                found.setdefault(str(name), {})[str(kind)] = float(share)
    return found


def _number(value: Any) -> float | None:
    return number(float(value)) if isinstance(value, (int, float, np.number)) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
