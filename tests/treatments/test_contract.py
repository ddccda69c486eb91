"""A treatment of another package takes part through what it declares, whatever it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from imblens.errors import ImblensWarning, NotApplicable
from imblens.run import Head, Run
from imblens.treatments import Option, Outcome, Treatment, all_treatments, cross_validated, treat, treatment_names
from tests.treatments._runs import blobs_run


def scaled(run: Run, options: Mapping[str, Any]) -> Outcome:
    assert run.head is not None
    return Outcome(Head(run.head.weight * np.float32(options["factor"]), run.head.bias * np.float32(options["factor"])))


OPTION = Option("factor", "auto", "of all logits.", low=0, words=("auto",), grid=(0.5, 1.0, 2.0), published=1.0)


def declared(**more: Any) -> Treatment:
    return Treatment("other", "posthoc", "A test.", "none", scaled, (OPTION,), needs_head=True, trains=False, **more)


def test_prepare_sees_the_options_of_all_candidates_once_for_each_part() -> None:
    calls: list[list[float]] = []

    def prepare(run: Run, candidates: Sequence[Mapping[str, Any]]) -> None:
        calls.append([options["factor"] for options in candidates])

    cross_validated(blobs_run(), declared(prepare=prepare), {"factor": OPTION.grid}, folds=2)
    assert calls == [[0.5, 1.0, 2.0]] * 2


def test_the_declared_criterion_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.treatments.test_treat import Point

    treatment = declared(criterion="balanced_nll", unvalidated="other: a guess.")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Point("other", treatment)])
    assert treatment_names()[-1] == "other"
    with pytest.warns(ImblensWarning, match="other: a guess"):
        record = treat(blobs_run((300, 60, 20, 12)), "other").meta["treatment"]
    assert record["chosen"]["by"] == record["criterion"] == "balanced_nll"


def test_a_reason_against_several_labels_is_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.treatments.test_treat import Point

    treatment = declared(per_label="other compares classes.", per_label_hint="Try crt.")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Point("other", treatment)])
    labels = (np.arange(30)[:, None] % [2, 3, 5] == 0).astype(int)
    run = Run.from_arrays(train=(np.arange(60.0).reshape(30, 2), labels), head=(np.ones((3, 2)), np.zeros(3)))
    with pytest.raises(NotApplicable, match=r"other compares classes\. Try crt"):
        treat(run, "other")


def test_only_calibration_is_not_chosen_by_accuracy() -> None:
    by = {name: treatment.criterion for name, treatment in all_treatments().items()}
    assert [name for name, criterion in by.items() if criterion != "balanced_accuracy"] == ["temperature"]
