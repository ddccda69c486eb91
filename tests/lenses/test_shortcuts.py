"""What removing a cue costs, against the definitions."""

from __future__ import annotations

import numpy as np

from imblens.lenses import shortcuts
from tests.lenses.made import captured_run


def test_the_explained_share_and_its_interval_are_changes_of_the_logit_over_its_gap() -> None:
    run = captured_run()
    assert run.test is not None
    logits, labels = np.asarray(run.test.logits, dtype=np.float64), np.asarray(run.test.labels)
    logits -= logits.mean(axis=1, keepdims=True)
    gap = {name: logits[labels == c, c].mean() - logits[labels != c, c].mean() for c, name in enumerate(run.classes)}
    table = shortcuts(run).tables["shortcuts"]
    assert len(table) and (table["logit_low"] < table["logit_high"]).all()
    of = table["class"].map(gap).to_numpy()
    assert (of > 0).all()
    for share, change in (("", "change"), ("_low", "high"), ("_high", "low")):
        np.testing.assert_allclose(table[f"explained{share}"], -table[f"logit_{change}"] / of, rtol=1e-5)
    np.testing.assert_allclose(table["drop"], table["accuracy"] - table["accuracy_without"], atol=1e-12)
