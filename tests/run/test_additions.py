"""What a merged run lacks is written into it, or the run stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imblens.errors import StorageError
from imblens.run import Additions, Part, Run, Split, add, lacks, list_column
from tests.run.full_disk import WRITES, full_at, mapped_when_renamed, state

N, ROWS = 7, np.array([1, 2, 6])
COLUMNS = {"cut_class": np.array([2, 0, 1], np.int32), "cut_logit": np.arange(6, dtype=np.float32).reshape(3, 2)}
FOUND = Additions("train", ROWS, COLUMNS, {"shortcuts": {"cues": ["border", "tint"]}})


def merged(folder: Path) -> Path:
    """A run of two parts that lacks shortcuts."""
    import pandas as pd

    rng = np.random.default_rng(0)
    parts = []
    for low, high in ((0, 3), (3, N)):
        means = rng.random((high - low, 3), dtype=np.float32)
        table = pd.DataFrame({"id": [f"i{i}" for i in range(low, high)], "input_mean": list_column(means)})
        parts.append(Part(rng.random((high - low, 4), dtype=np.float32), np.arange(low, high) % 3, None, table))
    run = Run(Split(tuple(parts), ("a", "b", "c")), None, None, ("a", "b", "c"), meta={"to_complete": {}, "seed": 3})
    return run.save(folder / "run")


def test_columns_come_to_their_instances_and_what_is_not_needed_goes(tmp_path: Path) -> None:
    before = Run.load(merged(tmp_path))
    assert lacks(before) == ("shortcuts",)
    after = add(tmp_path / "run", FOUND)
    assert (
        after.train.columns == ("id", "cut_class", "cut_logit") and after.meta["shortcuts"] == FOUND.meta["shortcuts"]
    )
    assert after.meta["seed"] == 3 and "to_complete" not in after.meta and not lacks(after)
    assert after.train.instances(["cut_class"])["cut_class"].tolist() == [-1, 2, 0, -1, -1, -1, 1]
    found = after.train.matrix("cut_logit")
    np.testing.assert_array_equal(found[ROWS], COLUMNS["cut_logit"])
    assert np.isnan(np.delete(found, ROWS, axis=0)).all() and found.dtype == np.float32
    np.testing.assert_array_equal(after.train.features, before.train.features)
    assert after.train.ids.tolist() == before.train.ids.tolist()


@pytest.mark.parametrize("call", WRITES)
def test_whichever_write_finds_the_disk_full_the_run_is_kept(tmp_path: Path, call: str) -> None:
    merged(tmp_path)
    before = state(tmp_path)
    for number in range(1, 100):
        try:
            with full_at(call, number) as calls:
                add(tmp_path / "run", FOUND)
            break
        except StorageError:
            assert state(tmp_path) == before, f"{call} {number}: {calls[-1]}"
    assert len(calls) == number - 1 >= 3 and not lacks(Run.load(tmp_path / "run"))


def test_a_drive_without_links_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", none)
    before = Run.load(merged(tmp_path)).train.features.copy()
    np.testing.assert_array_equal(add(tmp_path / "run", FOUND).train.features, before)


def test_no_file_is_mapped_that_is_renamed(tmp_path: Path) -> None:
    merged(tmp_path)
    with mapped_when_renamed() as mapped:
        add(tmp_path / "run", FOUND)
    assert mapped == [[]]
