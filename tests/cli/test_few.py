"""`imblens treat` names classes that means rest on though they are few."""

from __future__ import annotations

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
    lines = _lines(run, better, treatment_table(run, better), treatment_summary(run, better))
    assert "Of fewer than 10 test instances: b. In every mean they count as much as others." in lines
