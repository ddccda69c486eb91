"""Reasons why a label of several fails: confused with a label it occurs with, few positives."""

from __future__ import annotations

import numpy as np

from imblens.lenses import diagnosis
from imblens.run import Run

NAMES = ["fluid", "tube", "rare", "well"]


def made(seed: int = 0) -> Run:
    """`fluid` is predicted where `tube` is present; `rare` has few positives and is ranked by chance."""
    rng = np.random.default_rng(seed)

    def split(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = (rng.random((n, 4)) < (0.4, 0.4, 0.05, 0.4)).astype(int)
        logits = rng.normal(size=(n, 4)) - 1
        logits[:, 0] += 3 * labels[:, 1]
        logits[:, 1] += 4 * labels[:, 1]
        logits[:, 3] += 4 * labels[:, 3]
        return logits, labels, logits

    return Run.from_arrays(train=split(400), test=split(800), classes=NAMES, task="multilabel")


def test_reasons_follow_what_is_at_fault() -> None:
    table = diagnosis(made()).tables["diagnosis"]
    causes = table.groupby("class", sort=False)["cause"].agg(list).to_dict()
    assert causes["fluid"] == ["ranking", "overlap"]
    assert causes["rare"] == ["ranking", "few_examples"]
    assert causes["well"] == ["none found"]
    evidence = table.set_index(["class", "cause"])["evidence"]
    assert "have tube and not fluid" in evidence["fluid", "overlap"]
    assert "the median label has" in evidence["rare", "few_examples"]


def test_a_label_that_is_predicted_by_chance_is_confused_with_none() -> None:
    table = diagnosis(made(1)).tables["diagnosis"]
    assert "overlap" not in table.loc[table["class"] == "rare", "cause"].tolist()
