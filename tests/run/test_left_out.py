"""Above 200 classes logits are not stored where the head gives them; what is read and found is the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imblens import audit
from imblens.run import Head, Part, Run, Split, merge

C, D = 201, 6
CLASSES = tuple(f"c{i:03d}" for i in range(C))


def run_of(n_classes: int = C, *, unit: bool = False, multilabel: bool = False, shift: float = 0.0) -> Run:
    """A run with logits of its own, which the head gives but for rounding, and but for `shift` in one of them."""
    rng = np.random.default_rng(3)
    head = Head(rng.normal(size=(n_classes, D)).astype(np.float32), rng.normal(size=n_classes).astype(np.float32), unit)
    splits = {}
    for name, n in {"train": 2 * n_classes, "test": n_classes}.items():
        labels = np.arange(n) % n_classes
        features = head.weight[labels] + rng.normal(size=(n, D)).astype(np.float32)
        made = (head.entered(features).astype(np.float64) @ head.weight.T + head.bias).astype(np.float32)
        made[n // 2, 0] += shift
        given = np.eye(n_classes, dtype=np.uint8)[labels] if multilabel else labels
        splits[name] = Split((Part(features, given, made),), CLASSES[:n_classes], name, head)
    task = "multilabel" if multilabel else "multiclass"
    return Run(splits["train"], splits["test"], head, CLASSES[:n_classes], task=task)


def stored(folder: Path) -> list[str]:
    """The files of logits, on disk and in the manifest alike."""
    found = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("logits.npy"))
    files = json.loads((folder / "run.json").read_text(encoding="utf-8"))["files"]
    assert found == [name for name in sorted(files) if name.endswith("logits.npy")]
    return found


BOTH = ["test/part-00000/logits.npy", "train/part-00000/logits.npy"]


def test_logits_that_the_head_gives_are_not_written_and_findings_are_the_same(tmp_path: Path) -> None:
    given = run_of()
    folder = given.save(tmp_path / "run")
    assert stored(folder) == []
    read = Run.load(folder)
    np.testing.assert_allclose(read.train.logits, given.train.logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(read.train.predictions, given.train.predictions)
    before, after = (audit(run, skip=["embedding_map"]) for run in (given, read))
    assert set(before.findings) == set(after.findings)
    for name, finding in before.findings.items():
        for table, frame in finding.tables.items():
            other = after.findings[name].tables[table]
            pd.testing.assert_frame_equal(frame, other, rtol=1e-5, atol=1e-5, check_exact=False, obj=f"{name} {table}")


@pytest.mark.parametrize(
    "kept",
    [run_of(200), run_of(multilabel=True), run_of(shift=0.01), replace(run_of(), head=None)],
    ids=["200 classes", "multi-label", "logits of something else", "no head"],
)
def test_logits_are_kept_of_few_classes_of_labels_and_where_the_head_does_not_give_them(
    tmp_path: Path, kept: Run
) -> None:
    if kept.head is None:
        kept = replace(kept, **{name: replace(split, head=None) for name, split in kept.splits.items()})
    folder = kept.save(tmp_path / "run")
    assert stored(folder) == BOTH
    np.testing.assert_array_equal(Run.load(folder).test.logits, kept.test.logits)


def test_a_prediction_that_rounding_changes_keeps_the_logits(tmp_path: Path) -> None:
    run = run_of()
    logits = run.test.parts[0].logits.copy()
    first, second = np.argsort(-logits[5])[:2]
    logits[5, second] = logits[5, first] + 1e-5  # closer than rounding, but another prediction
    part = replace(run.test.parts[0], logits=logits)
    folder = replace(run, test=replace(run.test, parts=(part,))).save(tmp_path / "run")
    assert stored(folder) == BOTH[:1]
    assert Run.load(folder).test.predictions[5] == second


def test_a_run_without_logits_replaces_one_with_them(tmp_path: Path) -> None:
    run_of(shift=1.0).save(tmp_path / "run")
    folder = run_of().save(tmp_path / "run", force=True)
    assert stored(folder) == []
    np.testing.assert_allclose(Run.load(folder).test.logits, run_of().test.logits, rtol=1e-5, atol=1e-5)


def shard_of(run: Run, index: int) -> Run:
    """Every second instance of a run."""
    own = slice(index, None, 2)
    splits = {}
    for name, split in run.splits.items():
        part = split.parts[0]
        logits = None if part.logits is None else part.logits[own]
        splits[name] = replace(split, parts=(Part(part.features[own], part.labels[own], logits),))
    facts = {"index": index, "of": 2, "instances": {name: len(split) for name, split in run.splits.items()}}
    return Run(splits["train"], splits["test"], run.head, run.classes, meta={"shard": facts})


def as_written_before(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run as it was stored when logits were always kept."""
    with monkeypatch.context() as patch:
        patch.setattr("imblens.run._write.leave_out", lambda part, head: part)
        return run.save(folder)


def test_shards_with_and_without_logits_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, odd = run_of(), run_of(shift=0.5)
    without = shard_of(usual, 0).save(tmp_path / "0")
    old = as_written_before(shard_of(usual, 1), tmp_path / "1", monkeypatch)
    assert (stored(without), stored(old)) == ([], BOTH)
    merged = merge([old, without], tmp_path / "run")
    assert stored(tmp_path / "run") == []
    np.testing.assert_allclose(merged.train.logits, usual.train.logits, rtol=1e-5, atol=1e-5)

    middle = len(odd.test) // 2, len(odd.train) // 2  # where they hold what the head does not give
    halves = [shard_of(odd, 0).save(tmp_path / "odd 0"), shard_of(odd, 1).save(tmp_path / "odd 1")]
    assert sorted(map(len, map(stored, halves))) == [1, 1] or sorted(map(len, map(stored, halves))) == [0, 2]
    merged = merge(halves, tmp_path / "odd")
    assert stored(tmp_path / "odd") == BOTH
    for split, own, row in zip((merged.test, merged.train), (odd.test, odd.train), middle, strict=True):
        np.testing.assert_allclose(split.logits, own.logits, rtol=1e-5, atol=1e-5)
        assert abs(split.logits[row, 0] - split.head(split.features[row : row + 1])[0, 0]) > 0.4


def test_logits_of_a_head_for_features_of_length_1_are_those_in_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(unit=True)
    split = run.with_head(run.head).test
    whole = split.head(split.features)
    monkeypatch.setattr("imblens.run._split.LOGITS_AT_ONCE", 10)
    np.testing.assert_allclose(split.logit_rows[3:7], whole[3:7], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(split.logit_columns(slice(4, 9)), whole[:, 4:9], rtol=1e-5, atol=1e-5)
