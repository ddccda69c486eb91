"""Runs that earlier versions wrote still open: a small one of every schema is kept in stored/."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import imblens
from imblens.errors import InputError
from imblens.run import Run

STORED = Path(__file__).parent / "stored"


def test_the_first_run_that_was_ever_stored_opens(tmp_path: Path) -> None:
    run = Run.load(STORED / "schema-1")
    assert run.classes == ("ant", "bee", "cat") and run.train.class_counts.tolist() == [6, 4, 2]
    assert run.test is not None and run.test.class_counts.tolist() == [2, 2, 2] and run.head is not None
    np.testing.assert_array_equal(run.train.features, run.train.logits)  # its head is the identity
    found = imblens.audit(run, lenses=["archetypes", "class_accuracy"])
    assert set(found.findings) == {"archetypes", "class_accuracy"}
    run.save(tmp_path / "again")
    np.testing.assert_array_equal(Run.load(tmp_path / "again").train.features, run.train.features)


def test_facts_that_json_cannot_hold_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    run = Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1]), meta={"origin": object()})
    with pytest.raises(InputError, match=r"meta\['origin'\] cannot be stored as JSON"):
        run.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()
