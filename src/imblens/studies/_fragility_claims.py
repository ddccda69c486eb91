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
FEWEST_PAIRS = 3  # of models, from which chance rarely puts all on one side


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
    """A statement of the abstract, or a question of ours.

    Attributes:
        text: in the abstract's words, and in brackets what is measured.
        shown: columns whose means are shown, with what they are called.
        holds: from the values of one pair of models to a sign; None where it is undefined. 1 is what the claim states, or the
            first of `directions`; -1 the opposite; 0 neither.
        directions: what 1 and -1 are called.
        varies: the claim states a difference, in whatever direction: it holds where all pairs have one sign, 1 or -1. A pair
            counts where its difference exceeds the one between seeds (`signs_of`).
    """

    text: str
    shown: Mapping[str, str]
    holds: Callable[[Mapping[str, float]], int | None]
    directions: tuple[str, str] = ("as stated", "opposite")
    varies: bool = False


def _less(left: str, *right: str, tie: int = 0) -> Callable[[Mapping[str, float]], int | None]:
    """Return a sign: 1 where `left` is less than each of `right`, -1 where it is more than each, `tie` where all are equal."""

    def holds(values: Mapping[str, float]) -> int | None:
        first, *others = (values.get(name) for name in (left, *right))
        if first is None or first != first:
            return None
        signs = set()
        for other in others:
            if other is None or other != other:
                return None
            signs.add(int(first < other) - int(first > other))
        return (signs.pop() or tie) if len(signs) == 1 else 0

    return holds


CLAIMS = (
    Claim(
        "a network learns a limited number of class features (here: fewer than half are needed, a bound of ours)",
        {"needed_share_long_tailed": "needed share, long-tailed", "needed_share_balanced": "balanced"},
        lambda values: _below_half(values),
    ),
    Claim(
        "their number varies with balance (here: features needed, rare classes)",
        {"needed_long_tailed": "needed, long-tailed", "needed_balanced": "balanced"},
        _less("needed_balanced", "needed_long_tailed"),
        ("more where long-tailed", "fewer where long-tailed"),
        varies=True,
    ),
    Claim(
        "their magnitudes vary with balance (here: the largest, rare classes)",
        {"top1_long_tailed": "largest magnitude, long-tailed", "top1_balanced": "balanced"},
        _less("top1_balanced", "top1_long_tailed"),
        ("larger where long-tailed", "smaller where long-tailed"),
        varies=True,
    ),
    Claim(
        "hypothesis: class diversity is as important as the number of examples (here: correlates with accuracy no less)",
        {"accuracy_with_distinct": "with distinct features", "accuracy_with_count": "with training count"},
        _less("accuracy_with_count", "accuracy_with_distinct", tie=1),
    ),
    Claim(
        "test data whose magnitudes do not match training are difficult (here: misclassified instances are shifted more)",
        {"correct_shift_long_tailed": "shift of correct, long-tailed", "wrong_shift_long_tailed": "of misclassified"},
        _less("correct_shift_long_tailed", "wrong_shift_long_tailed"),
    ),
    Claim(
        "ours, not in the abstract: their identity varies with balance (here: fewer in common than between two seeds)",
        {"kept_between": "in common", "kept_long_tailed": "two long-tailed", "kept_balanced": "two balanced"},
        _less("kept_between", "kept_long_tailed", "kept_balanced"),
    ),
)


def _below_half(values: Mapping[str, float]) -> int | None:
    numbers = [values.get(f"needed_share_{side}") for side in ("long_tailed", "balanced")]
    known = [float(value) for value in numbers if value is not None and value == value]
    if len(known) < len(numbers):
        return None
    return 1 if all(value < 0.5 for value in known) else -1


def verdict(signs: Sequence[int | None], *, varies: bool = False) -> str:
    """Return what pairs of models together state: all agree, or it cannot be determined.

    A claim that something varies holds where all pairs have one sign other than 0, and does not hold where all are 0.

    >>> verdict([1, 1, 1]), verdict([-1, 0]), verdict([1, -1]), verdict([1, None])
    ('holds', 'does not hold', 'cannot be determined', 'cannot be determined')
    >>> [verdict(signs, varies=True) for signs in ([1, 1], [-1, -1], [1, -1], [0, 0], [-1, 0])]
    ['holds', 'holds', 'cannot be determined', 'does not hold', 'cannot be determined']
    """
    found = set(signs)
    if found == {1} or (varies and found == {-1}):
        return HOLDS
    against = {0} if varies else {0, -1}
    return NOT if found and found <= against else OPEN


def direction(claim: Claim, signs: Sequence[int | None]) -> str:
    """Return the direction that all pairs share; nothing where they do not."""
    found = set(signs)
    return claim.directions[0] if found == {1} else claim.directions[1] if found == {-1} else ""


def tables(results: pd.DataFrame, missing: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return the measures (mean and spread), the claims for each set and loss, and how often each holds."""
    rows: list[dict[str, Any]] = []
    counted: list[dict[str, Any]] = []
    for claim in CLAIMS:
        by_loss = results.groupby(["data", "loss"], sort=False)
        found = [_row(claim, str(data), str(loss), pairs) for (data, loss), pairs in by_loss]
        rows += found
        verdicts = [row["verdict"] for row in found]
        ways = {way: sum(row["direction"] == way for row in found) for way in claim.directions}
        counted.append(
            {
                "claim": claim.text,
                **{word: verdicts.count(word) for word in (HOLDS, NOT, OPEN)},
                "directions": ", ".join(f"{way}: {n}" for way, n in ways.items()) if claim.varies else "",
            }
        )
    columns = ["claim", "data", "loss", "here", "direction", "agree", "verdict"]
    return {
        "study": summarise(results, ["data", "loss"], missing=missing),
        "claims": pd.DataFrame(rows, columns=columns),
        "summary": pd.DataFrame(counted),
    }


def signs_of(claim: Claim, pairs: pd.DataFrame) -> list[int | None]:
    """Return the sign of each pair of models of one set and loss.

    Of a claim that something varies it is 0 where the two models differ by no more than those of different seeds do: the
    larger of the ranges (largest minus smallest) of the long-tailed and of the balanced ones. So if all pairs have one
    sign, every long-tailed model is above every balanced one or below, which chance brings about in at most 1 of 10 sets of
    three pairs (2 of the 20 orders), but in 1 of 3 of two pairs (2 of the 6 orders). With fewer than three pairs whose values
    are known the sign is None.
    """
    signs = [claim.holds(values) for values in pairs.to_dict("records")]
    if not claim.varies:
        return signs
    between = _between_seeds(claim, pairs)
    if between is None:
        return [None] * len(signs)
    left, right = (pairs[column].astype(float) for column in claim.shown)
    apart = ((left - right).abs() > between).tolist()
    return [0 if sign is not None and not far else sign for sign, far in zip(signs, apart, strict=True)]


def _between_seeds(claim: Claim, pairs: pd.DataFrame) -> float | None:
    """Return how much the values that a claim compares differ between seeds; None with fewer than `FEWEST_PAIRS`."""
    values = pairs.reindex(columns=list(claim.shown)).astype(float)
    return None if len(values.dropna()) < FEWEST_PAIRS else float((values.max() - values.min()).max())


def _row(claim: Claim, data: str, loss: str, pairs: pd.DataFrame) -> dict[str, Any]:
    """Return one claim on one set and loss; `agree` counts the pairs with the claim's sign, or with the more frequent one."""
    signs = signs_of(claim, pairs)
    between = _between_seeds(claim, pairs) if claim.varies else None
    here = [f"{name} {_mean(pairs, column)}" for column, name in claim.shown.items()]
    known = [sign for sign in signs if sign is not None]
    most = max(known.count(1), known.count(-1)) if claim.varies else known.count(1)
    return {
        "claim": claim.text,
        "data": data,
        "loss": loss,
        "here": "; ".join(here if between is None else [*here, f"between seeds up to {between:.3g}"]),
        "direction": direction(claim, signs),
        "agree": f"{most} of {len(known)}" if known else "undefined",
        "verdict": verdict(signs, varies=claim.varies),
    }


def _mean(pairs: pd.DataFrame, column: str) -> str:
    value = float(pairs[column].mean()) if column in pairs else math.nan
    return "-" if math.isnan(value) else f"{value:.3g}"


def shown(found: Mapping[str, pd.DataFrame]) -> str:
    """Show the claims beside the findings; the measures are in tables/study.csv."""
    left_out = found["study"].loc[found["study"]["seeds"] == 0, ["data", "needs"]] if "needs" in found["study"] else []
    parts = [
        "Claims of the paper's abstract in how many combinations of set and loss (a claim holds, or does not, where all "
        "seeds agree; that something varies holds, in either direction, where each long-tailed and balanced pair differs by "
        "more than seeds of the same set do, and does not hold where none does; fewer than three seeds cannot show it):\n\n"
        + plain_markdown(found["summary"]),
        "Each set and loss:\n\n" + plain_markdown(found["claims"]),
    ]
    if len(left_out):
        parts.append("Left out:\n\n" + plain_markdown(left_out))
    return "\n\n".join(parts)
