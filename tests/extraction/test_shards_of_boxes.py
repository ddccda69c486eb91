"""Shards of a set with few boxes join to the run of one capture, whichever of them hold the boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imblens import audit
from imblens.data import ImageSplit
from imblens.errors import InputError
from imblens.extraction import MEASURES, capture
from imblens.run import OF_BOXES, Run, merge
from tests.extraction.networks import Residual, seeded

N, OF = 18, 3
RNG = np.random.default_rng(3)
PIXELS = {name: RNG.integers(0, 256, (N, 12, 10, 3), dtype=np.uint8) for name in ("train", "test")}
LABELS = np.arange(N) // OF % 3
BOX = [2.0, 2.0, 6.0, 8.0]
GIVEN = {"concepts": None, "shortcuts": False, "colours": False, "batch_size": 4}


def images(name: str, boxed: tuple[int, ...]) -> ImageSplit:
    """Images of which those have one box, of their class."""
    boxes = [
        np.array([[LABELS[i], *BOX]], np.float32) if i in boxed else np.empty((0, 5), np.float32) for i in range(N)
    ]
    return ImageSplit.from_arrays(PIXELS[name], LABELS, boxes=boxes)


def captured(out: Path, train: ImageSplit, test: ImageSplit, shard: dict | None = None, **options) -> Path:
    meta = {} if shard is None else {"shard": {**shard, "instances": {"train": N, "test": N}}}
    given = {**GIVEN, **options}
    capture(seeded(Residual), train=train, test=test, classes=["a", "b", "c"], out=out, meta=meta, **given)
    return out


def shards(folder: Path, train: ImageSplit, test: ImageSplit) -> list[Path]:
    own = [np.arange(index, N, OF) for index in range(OF)]
    return [
        captured(folder / f"part {index}", train.subset(rows), test.subset(rows), {"index": index, "of": OF})
        for index, rows in enumerate(own)
    ]


def check_equal(merged: Run, whole: Run) -> None:
    for name, split in whole.splits.items():
        found = merged.splits[name]
        assert found.columns == split.columns and found.ids.tolist() == split.ids.tolist()
        for measure in set(MEASURES) & set(split.columns):
            np.testing.assert_allclose(found.matrix(measure), split.matrix(measure), rtol=1e-4, atol=1e-5)
        for column in {"view", "boxes", "cam"} & set(split.columns):
            for one, other in zip(*(some.instances([column])[column] for some in (found, split)), strict=True):
                assert (one is None) == (other is None) and (one is None or np.allclose(list(one), list(other), atol=2))
    assert merged.meta["alignment"] == whole.meta["alignment"]
    before, after = (audit(run, skip=["embedding_map"]) for run in (whole, merged))
    assert list(before) == list(after) and dict(before.skipped) == dict(after.skipped)
    for lens, finding in before.findings.items():
        for table, frame in finding.tables.items():
            pd.testing.assert_frame_equal(frame, after[lens].tables[table], rtol=1e-4, atol=1e-5)


BOXED = {  # images with a box, of train and of test
    "in the second shard": ((), (1, 4, 10)),
    "in the first shard, of train only": ((0, 3, 9), ()),
    "of train in one shard, of test in another": ((0, 3, 9), (2, 5, 8)),
}


@pytest.mark.parametrize("where", BOXED)
def test_shards_without_boxes_merge_to_the_run_of_one_capture(tmp_path: Path, where: str) -> None:
    train, test = images("train", BOXED[where][0]), images("test", BOXED[where][1])
    whole = captured(tmp_path / "whole", train, test)
    check_equal(merge(shards(tmp_path, train, test)[::-1], tmp_path / "merged"), Run.load(whole))


def test_shards_without_boxes_that_follow_each_other_keep_the_columns(tmp_path: Path) -> None:
    train, test = images("train", (0, 3, 9)), images("test", (2, 5, 8))
    parts = shards(tmp_path, train, test)
    for index, part in enumerate(parts):
        run = Run.load(part)
        counts = {"train": N + 1, "test": N}  # an instance was left out
        meta = {**run.meta, "shard": {"index": index, "of": OF, "instances": counts}}
        Run(run.train, run.test, run.head, run.classes, meta=meta).save(part, force=True)
    merged = merge(parts, tmp_path / "merged")
    assert not set(OF_BOXES) & set(merged.train.columns) and set(OF_BOXES) <= set(merged.test.columns)
    share = merged.test.matrix("box_share")
    known = [merged.test.ids.tolist()[i] for i in np.flatnonzero(np.isfinite(share).any(axis=1))]
    assert known == [test.ids[i] for i in (2, 5, 8)]


def test_boxes_that_one_shard_was_told_not_to_use_are_a_difference(tmp_path: Path) -> None:
    train, test = images("train", ()), images("test", tuple(range(N)))
    parts = shards(tmp_path, train, test)
    rows = np.arange(1, N, OF)
    other = captured(tmp_path / "other", train.subset(rows), test.subset(rows), {"index": 1, "of": OF}, alignment=False)
    with pytest.raises(
        InputError, match=r"differ in columns of the instances: only one of them has box_share, boxes, cam,"
    ):
        merge([parts[0], other, parts[2]], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
