"""`imblens treat` names classes that means rest on though they are few."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imblens.cli.treat import _lines
from imblens.run import Run
from imblens.treatments import treat, treatment_summary, treatment_table


def test_a_treatment_names_classes_of_few_test_instances_beside_its_means() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [60, 8])
    features = rng.normal(size=(68, 3)) + labels[:, None]
    run = Run.from_arrays(train=(features, labels), test=(features + 0.1, labels, features[:, :2]), classes=["a", "b"])
    better = treat(run, "refit")
    lines = _lines(run, better, treatment_table(run, better), treatment_summary(run, better), Path("better"))
    assert "Of fewer than 10 test instances: b. In every mean they count as much as others." in lines


def test_worse_calibration_names_the_command_that_corrects_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [200, 60])
    x = np.eye(2)[labels] + rng.normal(size=(260, 2))
    run = Run.from_arrays(train=(x, labels), test=(x + 0.1, labels), head=(np.eye(2), [0, 0]))
    better = treat(run, "refit")
    table = treatment_table(run, better)
    measures = treatment_summary(run, better)
    measures.loc[measures["measure"] == "ece", ["before", "after"]] = 0.05, 0.2
    lines = _lines(run, better, table, measures, tmp_path / "cells-2")
    assert any(line.endswith(f"--with temperature --out {tmp_path / 'cells-3'}") for line in lines)
    measures.loc[measures["measure"] == "ece", "after"] = 0.04
    assert not any("temperature" in line for line in _lines(run, better, table, measures, tmp_path / "cells-2"))
