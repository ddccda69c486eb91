"""Larger than memory: archives are mapped, tables are written and read in row groups, and the run is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from imblens.errors import InputError, StorageError
from imblens.run import Head, Part, Run, Split

RNG = np.random.default_rng(5)
LABELS = np.arange(40) % 3


def archive(file: Path, dtype: str = "float32", order: str = "C", **more: np.ndarray) -> Path:
    features = np.asarray(RNG.normal(size=(40, 4)), dtype, order=order)  # type: ignore[call-overload]
    logits = RNG.normal(size=(40, 3)).astype(np.float32)
    np.savez_compressed(file, train_features=features, train_labels=LABELS, train_logits=logits, **more)
    return file


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("base.archives.STREAMED", "base.archives.IN_MEMORY", "run._spool.IN_MEMORY"):
        monkeypatch.setattr(f"imblens.{name}", 400)


@pytest.mark.parametrize(("dtype", "order"), [("float32", "C"), ("float32", "F"), ("float64", "C"), ("float16", "C")])
def test_a_large_archive_is_mapped_and_the_run_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, order: str
) -> None:
    file = archive(tmp_path / "a.npz", dtype, order)
    read = Run.load(file)
    for name in ("base.archives.STREAMED", "base.archives.IN_MEMORY", "run._spool.IN_MEMORY"):
        monkeypatch.setattr(f"imblens.{name}", 300)
    mapped = Run.load(file)
    assert isinstance(mapped.train.parts[0].logits, np.memmap)
    assert dtype == "float16" or isinstance(mapped.train.parts[0].features, np.memmap)
    np.testing.assert_array_equal(mapped.train.features, read.train.features)
    np.testing.assert_array_equal(mapped.train.logits, read.train.logits)
    assert "a.npz holds 0.0 GB: its arrays were streamed" in mapped.meta["notes"][0] and "notes" not in read.meta


@pytest.mark.usefixtures("small_limits")
def test_a_mapped_archive_is_as_strict_as_one_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = archive(tmp_path / "a.npz")
    content = bytearray(damaged.read_bytes())
    content[120] ^= 0xFF
    damaged.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz: 'train_features' cannot be read"):
        Run.load(damaged)
    offset = np.full((40, 4), 1e6) + RNG.normal(size=(40, 4)) * 1e-3
    np.savez(tmp_path / "b.npz", train_features=offset, train_labels=LABELS)
    assert Run.load(tmp_path / "b.npz").meta["centre"] == pytest.approx([1e6] * 4)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(StorageError, match=r"'train_features' needs 0\.0 GB in .* are free\. Set TMPDIR"):
        Run.load(tmp_path / "b.npz")


def test_instances_are_written_and_read_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.run._write.ROW_GROUP", 16)
    table = pd.DataFrame({"id": [f"i{i}" for i in range(40)], "values": list(RNG.normal(size=(40, 2)))})
    part = Part(RNG.normal(size=(40, 4)).astype(np.float32), LABELS, None, table)
    classes = ("a", "b", "c")
    first = Run.load(Run(Split((part,), classes), None, None, classes).save(tmp_path / "first"))
    second = Run.load(first.save(tmp_path / "second"))  # copied from file to file
    for run in (first, second):
        file = pq.ParquetFile(run.train.parts[0].table_path)
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [16, 16, 8]
        np.testing.assert_array_equal(run.train.matrix("values"), np.stack(table["values"]))
        assert run.train.ids.tolist() == table["id"].tolist() and run.train.labels.tolist() == LABELS.tolist()
    rows = [39, 0, 17]
    expected = [f"i{row}" for row in rows]
    assert second.train.parts[0].cells("id", rows) == part.cells("id", rows) == expected
    read: list[int] = []
    whole = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda *a, **k: read.append(a[1]) or whole(*a, **k))
    assert second.train.parts[0].cells("id", [33]) == ["i33"] and read == [2]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="resident pages are read from Linux")
def test_pages_of_small_parts_are_released_when_they_were_read(tmp_path: Path) -> None:
    def resident() -> int:  # kB of the features of this run in memory
        found, own = 0, False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            if "-" in line.split()[0]:
                own = line.endswith("features.npy") and str(tmp_path) in line
            elif own and line.startswith("Rss:"):
                found += int(line.split()[1])
        return found

    parts = tuple(Part(RNG.normal(size=(4_000, 64)).astype(np.float32), np.arange(4_000) % 3) for _ in range(3))
    run = Run.load(Run(Split(parts, ("a", "b", "c")), None, None, ("a", "b", "c")).save(tmp_path / "run"))
    read = sum(float(batch.features.sum()) for batch in run.train.batches())
    assert read == pytest.approx(sum(float(part.features.sum()) for part in parts), abs=0.1)
    assert resident() < 100  # of 3,000
    assert run.train.parts[0].features.sum() != 0 and resident() > 900  # what is read directly stays


def test_large_logits_of_several_parts_are_mapped(monkeypatch):
    rng = np.random.default_rng(0)
    parts = [Part(rng.normal(size=(n, 4)).astype(np.float32), np.arange(n) % 3) for n in (7, 5)]
    head = Head(rng.normal(size=(3, 4)).astype(np.float32), np.zeros(3, np.float32))
    split = Split(tuple(parts), ("a", "b", "c"), "train", head)
    usual = np.concatenate([head(part.features) for part in parts])
    monkeypatch.setattr("imblens.run._split.LOGITS_AT_ONCE", 10)
    monkeypatch.setattr("imblens.run._spool.IN_MEMORY", 10)
    assert split.logit_rows[4:9].tolist() == usual[4:9].tolist()
    assert isinstance(split.logits, np.memmap)
    assert split.logits.tolist() == usual.tolist()
