"""What removing a cue costs, against the definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from imblens.lenses import Finding, shortcuts
from imblens.lenses.shortcuts.relied_on import relied_on
from imblens.lenses.shortcuts.text import lines
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


def test_a_class_that_relies_on_a_cue_is_stated_with_what_it_costs() -> None:
    row = {"class": "ice", "cue": "border", "band": "", "image_count": 50, "accuracy": 0.9, "accuracy_without": 0.4}
    row |= {
        "drop": 0.5,
        "drop_low": 0.35,
        "drop_high": 0.62,
        "logit_change": -3.0,
        "logit_low": -3.4,
        "logit_high": -2.6,
    }
    row |= {"explained": 0.75, "explained_low": 0.65, "explained_high": 0.85, "usual": 0.3}
    weak = row | {
        "class": "sea",
        "drop": 0.0,
        "drop_low": -0.1,
        "drop_high": 0.1,
        "explained": 0.1,
        "explained_low": 0.0,
    }
    said = lines(Finding({"shortcuts": pd.DataFrame([row, weak])}, {}))
    assert list(said) == ["ice"]
    assert "without the borders of its images, its accuracy falls from 90% to 40%, by 50 points" in said["ice"]
    assert "[35, 62]; the cue accounts for 75% of the evidence for the class" in said["ice"]
    assert list(lines(Finding({"shortcuts": pd.DataFrame([weak])}, {}))) == [""]


def test_a_colour_that_some_images_do_not_have_is_not_relied_on() -> None:
    row = {"class": "ice", "usual": 0.5, "explained": 0.9, "explained_low": 0.8, "drop_low": 0.4}
    for images, cues in ((45, {"border", "colour"}), (44, {"border"})):
        table = pd.DataFrame(
            [row | {"cue": "border", "image_count": 50}, row | {"cue": "colour", "image_count": images}]
        )
        assert set(relied_on(table)["cue"]) == cues
