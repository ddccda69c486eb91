"""What FRAGILITY measures on a long-tailed and a balanced model, and its claims beside the findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from imblens.base.wording import number
from imblens.lenses import class_accuracy, class_features, compare_class_features
from imblens.run import Run
from imblens.studies._tables import plain_markdown, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence


COLUMNS = {
    "needed_mean": "needed",
    "effective_number": "effective",
    "distinct_equal_n": "distinct",
    "top1_magnitude": "top1",
}
HOLDS, NOT, OPEN = "holds", "does not hold", "cannot be determined"


def measured_pair(long_tailed: Run, balanced: Run) -> dict[str, float | None]:
    """Return the measures of both models; None where one is undefined.

    Of the long-tailed set's rare third of classes (at least one), and of the same classes in the balanced set: features
    needed for a prediction, features in effect, distinct features at equal numbers, largest magnitude. Of all classes:
    share of the features that a prediction needs; Spearman's correlation of accuracy with training count and with
    distinct features (long-tailed); shift of correct and misclassified test instances.
    """
    pair = {"long_tailed": _per_class(long_tailed), "balanced": _per_class(balanced)}
    order = pair["long_tailed"]["train_count"].sort_values(kind="stable").index
    rare = order[: max(1, len(order) // 3)]
    values: dict[str, float | None] = {}
    for side, table in pair.items():
        run = long_tailed if side == "long_tailed" else balanced
        for column, short in COLUMNS.items():
            values[f"{short}_{side}"] = number(float(table.loc[rare, column].mean()))
        values[f"needed_share_{side}"] = number(float(table["needed_mean"].mean()) / run.dim)
        both = table.dropna(subset=["correct_shift", "wrong_shift"])
        for short in ("correct_shift", "wrong_shift"):
            values[f"{short}_{side}"] = number(float(both[short].mean())) if len(both) else None
    tailed = pair["long_tailed"]
    for column, short in (("train_count", "count"), ("distinct_equal_n", "distinct")):
        values[f"accuracy_with_{short}"] = _spearman(tailed[column], tailed["accuracy"])
    return values


def identity(first: Run, second: Run) -> float | None:
    """Return the share of a class's ten strongest features that two models have in common, features matched."""
    found = compare_class_features(first, second).summary["kept_share"]
    return None if found is None else float(found)


def _per_class(run: Run) -> pd.DataFrame:
    found = class_features(run).tables
    table = found["class_diversity"].set_index("class").join(found["magnitude_match"].set_index("class"))
    return table.join(class_accuracy(run).tables["class_accuracy"].set_index("class")[["train_count", "accuracy"]])


def _spearman(one: pd.Series[Any], other: pd.Series[Any]) -> float | None:
    if len(one) < 3 or one.nunique() < 2 or other.nunique() < 2:
        return None
    return number(float(one.rank().corr(other.rank())))


@dataclass(frozen=True)
class Claim:
    """A claim of the abstract.

    Attributes:
        text: in our words.
        shown: columns whose means are shown, with what they are called.
        holds: from the values of one pair of models to whether it holds there; None where it is undefined.
    """

    text: str
    shown: Mapping[str, str]
    holds: Callable[[Mapping[str, float]], bool | None]


def _less(left: str, *right: str) -> Callable[[Mapping[str, float]], bool | None]:
    def holds(values: Mapping[str, float]) -> bool | None:
        numbers = [values.get(name) for name in (left, *right)]
        if any(value is None or value != value for value in numbers):
            return None
        known = [float(value) for value in numbers if value is not None]
        return all(known[0] < other for other in known[1:])

    return holds


CLAIMS = (
    Claim(
        "a class relies on a limited number of features (here: fewer than half are needed)",
        {"needed_share_long_tailed": "needed share, long-tailed", "needed_share_balanced": "balanced"},
        lambda values: _below_half(values),
    ),
    Claim(
        "their number differs with balance (here: fewer are needed for rare classes)",
        {"needed_long_tailed": "needed, long-tailed", "needed_balanced": "balanced"},
        _less("needed_long_tailed", "needed_balanced"),
    ),
    Claim(
        "their magnitude differs with balance (here: smaller for rare classes)",
        {"top1_long_tailed": "largest magnitude, long-tailed", "top1_balanced": "balanced"},
        _less("top1_long_tailed", "top1_balanced"),
    ),
    Claim(
        "which features a class relies on differs with balance (here: fewer in common than between two seeds)",
        {"kept_between": "in common", "kept_long_tailed": "two long-tailed", "kept_balanced": "two balanced"},
        _less("kept_between", "kept_long_tailed", "kept_balanced"),
    ),
    Claim(
        "diversity matters as much as the number of examples (here: correlates with accuracy at least as much)",
        {"accuracy_with_distinct": "with distinct features", "accuracy_with_count": "with training count"},
        _less("accuracy_with_count", "accuracy_with_distinct"),
    ),
    Claim(
        "misclassified test instances do not match training magnitudes (here: larger shift than correct ones)",
        {"correct_shift_long_tailed": "shift of correct, long-tailed", "wrong_shift_long_tailed": "of misclassified"},
        _less("correct_shift_long_tailed", "wrong_shift_long_tailed"),
    ),
)


def _below_half(values: Mapping[str, float]) -> bool | None:
    numbers = [values.get(f"needed_share_{side}") for side in ("long_tailed", "balanced")]
    known = [float(value) for value in numbers if value is not None and value == value]
    return all(value < 0.5 for value in known) if len(known) == len(numbers) else None


def verdict(found: Sequence[bool | None]) -> str:
    """Return what pairs of models together state: all agree, or it cannot be determined.

    >>> verdict([True, True, True]), verdict([False, False]), verdict([True, False]), verdict([True, None])
    ('holds', 'does not hold', 'cannot be determined', 'cannot be determined')
    """
    if found and all(found):
        return HOLDS
    return NOT if found and all(one is False for one in found) else OPEN


def tables(results: pd.DataFrame, missing: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return the measures (mean and spread), the claims for each set and loss, and how often each holds."""
    rows: list[dict[str, Any]] = []
    for claim in CLAIMS:
        for (data, loss), pairs in results.groupby(["data", "loss"], sort=False):
            held = [claim.holds(values) for values in pairs.to_dict("records")]
            means = "; ".join(f"{name} {_mean(pairs, column)}" for column, name in claim.shown.items())
            known = [one for one in held if one is not None]
            agreeing = f"{sum(known)} of {len(known)}" if known else "undefined"
            rows.append(
                {
                    "claim": claim.text,
                    "data": data,
                    "loss": loss,
                    "here": means,
                    "holds in": agreeing,
                    "verdict": verdict(held),
                }
            )
    claims = pd.DataFrame(rows, columns=["claim", "data", "loss", "here", "holds in", "verdict"])
    counted = []
    for claim in CLAIMS:
        found = claims.loc[claims["claim"] == claim.text, "verdict"]
        counted.append({"claim": claim.text, **{word: int((found == word).sum()) for word in (HOLDS, NOT, OPEN)}})
    return {
        "study": summarise(results, ["data", "loss"], missing=missing),
        "claims": claims,
        "summary": pd.DataFrame(counted),
    }


def _mean(pairs: pd.DataFrame, column: str) -> str:
    value = float(pairs[column].mean()) if column in pairs else math.nan
    return "-" if math.isnan(value) else f"{value:.3g}"


def shown(found: Mapping[str, pd.DataFrame]) -> str:
    """Show the claims beside the findings; the measures are in tables/study.csv."""
    left_out = found["study"].loc[found["study"]["seeds"] == 0, ["data", "needs"]] if "needs" in found["study"] else []
    parts = [
        "Claims of the paper's abstract in how many combinations of set and loss (a claim holds, or does not, where all "
        "seeds agree):\n\n" + plain_markdown(found["summary"]),
        "Each set and loss:\n\n" + plain_markdown(found["claims"]),
    ]
    if len(left_out):
        parts.append("Left out:\n\n" + plain_markdown(left_out))
    return "\n\n".join(parts)
