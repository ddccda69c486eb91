"""Sentences on accuracy and errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.intervals import wilson
from imblens.base.wording import FEW, evidence, percent, ratio, share_with_interval
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class below the mean accuracy, worst first."""
    table = finding.tables["class_accuracy"]
    if "specificity" in table:
        return {str(row[1]): _label_line(row) for row in table.sort_values("accuracy").itertuples() if row.test_count}
    confusion = finding.tables["confusion"]
    largest = table.loc[table["train_count"].idxmax(), "class"]
    found: dict[str, str] = {}
    mean = table["accuracy"].mean()
    wrong = confusion[confusion["class"] != confusion["predicted"]]
    places, count, predicted = wrong.groupby("class").indices, wrong["count"].to_numpy(), wrong["predicted"].to_numpy()
    for row in table[table["accuracy"] < mean].sort_values("accuracy", kind="stable").itertuples():
        name = str(row[1])
        own = places.get(name, np.empty(0, np.int64))
        errors = int(count[own].sum())
        text = (
            f"{name} is classified correctly "
            f"{share_with_interval(row.accuracy, row.accuracy_low, row.accuracy_high)} of the time"
        )
        if _basis_of(row) < FEW:
            text += (
                f" in {evidence(row.test_count, getattr(row, 'test_groups', None), 'test instance')}, too few to tell"
            )
        if row.imbalance >= 1.5:
            text += f", {ratio(row.imbalance)}x rarer than {largest}"
        if errors:
            worst = own[count[own].argmax()]
            text += f"; {_errors_to(int(count[worst]), errors)} to {predicted[worst]}"
            text += ", too few to tell" if errors < FEW <= _basis_of(row) else ""
        found[name] = text + "."
    return found


def _errors_to(count: int, errors: int) -> str:
    if errors < FEW:
        return "its one error goes" if errors == 1 else f"{count} of its {errors} errors go"
    low, high = wilson(np.array(count), np.array(errors))
    return f"{share_with_interval(count / errors, float(low), float(high))} of its errors go"


def _label_line(row: Any) -> str:
    text = f"{row[1]}: sensitivity {share_with_interval(row.accuracy, row.accuracy_low, row.accuracy_high)}"
    if _basis_of(row) < FEW:
        few = evidence(row.test_count, getattr(row, "test_groups", None), "positive test instance")
        text += f" ({few}, too few to tell)"
    if np.isfinite(row.specificity):
        text += f", false-positive rate {percent(1 - row.specificity)}"
    if row.imbalance >= 1.5:
        text += f"; {ratio(row.imbalance)} negatives per positive in training"
    return f"{text}."


def _basis_of(row: Any) -> int:
    """Test instances, or groups of them where groups are known: what decides whether there are enough."""
    return int(getattr(row, "test_groups", row.test_count))
