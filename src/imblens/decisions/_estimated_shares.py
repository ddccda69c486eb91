"""Class shares of instances without labels, where another command asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import share_with_interval
from imblens.decisions._estimate import Estimate, estimate
from imblens.decisions._section_text import class_share
from imblens.decisions._shift import LEAST
from imblens.errors import InputError
from imblens.run import Run

Floats = NDArray[np.float64]


def estimated_shares(run: Run, data: Any, *, choose_on: str = "val") -> tuple[Floats, list[str]]:
    """(C,) class shares of instances without labels (EM), and notes: where black-box shift estimation disagrees.

    Raises:
        InputError, ShapeError: as `estimate`.
    """
    found = estimate(run, unlabelled=data, choose_on=choose_on, draws=60)
    if found.summary["auc"] is None:
        raise InputError(
            f"class shares cannot be estimated: fewer than {LEAST} labelled or unlabelled instances.",
            hint="State the shares with --prior FILE.csv, or give more instances.",
        )
    if found.verdict == "refused":
        raise refused(found)
    notes = [note for note in found.notes if "disagree" in note or "AUROC" in note]
    return found.tables["priors"]["share"].to_numpy(), notes


def refused(found: Estimate) -> InputError:
    """The error with which the command ends where an estimate is refused."""
    auc = found.summary["auc"]
    return InputError(
        f"the unlabelled instances differ from the labelled ones within classes (AUROC {auc:.2f}), so no accuracy is stated.",
        hint="Label some of the new instances and pass them with --labels FILE.csv (columns id, label).",
    )


def share_lines(found: Estimate) -> list[str]:
    """One sentence per class whose share differs clearly from that in training."""
    lines = []
    for row in found.tables["priors"].to_dict("records"):
        if row["share_low"] > row["train_share"] or row["share_high"] < row["train_share"]:
            value = share_with_interval(row["share"], row["share_low"], row["share_high"])
            lines.append(f"{row['class']}: estimated share {value}, {class_share(row['train_share'])} in training.")
    return lines
