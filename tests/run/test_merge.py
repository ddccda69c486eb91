"""Shards of one capture, joined: the same run as one capture, or one sentence on what is wrong."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from imblens import audit
from imblens.cli import main
from imblens.errors import ExistsError, InputError, MissingError, StorageError
from imblens.run import Head, Part, Run, Split, merge
from tests.run.full_disk import WRITES, full_at, mapped_when_renamed, state

N = {"train": 101, "test": 40}
CLASSES = ("a", "b", "c")


def whole(seed: int = 0) -> Run:
    rng = np.random.default_rng(seed)
    head = Head(np.eye(3, 5, dtype=np.float32), np.zeros(3, np.float32))
    splits = {}
    for name, n in N.items():
        labels = rng.choice(3, n, p=[0.6, 0.3, 0.1])
        features = rng.normal(size=(n, 5)).astype(np.float32) + 2 * np.eye(3, 5, dtype=np.float32)[labels]
        table = pd.DataFrame({"id": [f"{name}/{i}" for i in range(n)], "values": list(rng.normal(size=(n, 2)))})
        splits[name] = Split((Part(features, labels, None, table),), CLASSES, name, head)
    return Run(splits["train"], splits["test"], head, CLASSES, meta={"seed": seed, "notes": ["of all"]})


def shards(folder: Path, of: int, run: Run | None = None, **meta: Any) -> list[Path]:
    run = whole() if run is None else run
    found = []
    for index in range(of):
        splits = {}
        for name, split in run.splits.items():
            part = split.parts[0]
            assert part.table is not None
            own = slice(index, None, of)
            table = part.table.iloc[own].reset_index(drop=True)
            two = [  # two stored parts, as a long capture has
                Part(part.features[own][rows], part.labels[own][rows], None, table.iloc[rows].reset_index(drop=True))
                for rows in (slice(0, 7), slice(7, None))
            ]
            splits[name] = Split(tuple(two), CLASSES, name, run.head)
        facts = {**run.meta, "shard": {"index": index, "of": of, "instances": N}, **meta}
        shard = Run(splits["train"], splits["test"], run.head, CLASSES, meta=facts)
        found.append(shard.save(folder / f"shard {index}"))
    return found


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_the_merged_run_is_the_run_of_one_capture(tmp_path: Path, of: int) -> None:
    parts = shards(tmp_path, of)
    merged = merge(parts[::-1], tmp_path / "run")
    expected = whole()
    for name, split in expected.splits.items():
        np.testing.assert_array_equal(merged.splits[name].features, split.features)
        np.testing.assert_array_equal(merged.splits[name].labels, split.labels)
        np.testing.assert_array_equal(merged.splits[name].matrix("values"), split.matrix("values"))
        assert merged.splits[name].ids.tolist() == split.ids.tolist()
    assert merged.meta["notes"][:1] == ["of all"] and "shard" not in merged.meta and merged.meta["seed"] == 0
    before, after = (audit(run, skip=["embedding_map"]) for run in (expected, merged))
    assert set(before.findings) == set(after.findings)
    for name, finding in before.findings.items():
        for table, frame in finding.tables.items():
            pd.testing.assert_frame_equal(frame, after.findings[name].tables[table], rtol=1e-6, check_exact=False)


def test_any_order_of_shards_gives_the_same_files(tmp_path: Path) -> None:
    parts = shards(tmp_path, 3)
    written = []
    for number, order in enumerate(permutations(parts)):
        out = tmp_path / f"run {number}"
        merge(order, out)
        written.append({file.relative_to(out): file.read_bytes() for file in out.rglob("*") if file.is_file()})
    assert all(files == written[0] for files in written[1:])


def test_columns_of_shards_are_read_once_and_never_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n, of, size = 800, 4, 20_000
    rng = np.random.default_rng(0)
    parts = []
    for index in range(of):
        own = np.arange(index, n, of)
        table = pd.DataFrame({"id": [str(i) for i in own], "thumbnail": [rng.bytes(size) for _ in own]})
        part = Part(np.repeat(own[:, None], 3, axis=1).astype(np.float32), own % 3, None, table)
        meta = {"shard": {"index": index, "of": of, "instances": {"train": n}}}
        run = Run(Split((part,), CLASSES, "train", None), None, None, CLASSES, meta=meta)
        parts.append(run.save(tmp_path / str(index)))
    del table, part, run
    read = []

    def counted(function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            found = function(*args, **options)
            if "thumbnail" in options.get("columns", ()):
                read.append(len(found))
            return found

        return call

    iterate = pq.ParquetFile.iter_batches

    def iterated(*args: Any, **options: Any) -> Any:
        for batch in iterate(*args, **options):
            read.append(len(batch))
            yield batch

    monkeypatch.setattr(pq, "read_table", counted(pq.read_table))
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iterated)
    monkeypatch.setattr("imblens.run._merge.PART_ROWS", 40)
    monkeypatch.setattr("imblens.run._merge.BATCH_ROWS", 16, raising=False)
    tracemalloc.start()
    merged = merge(parts, tmp_path / "run")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(read) == n and peak < n * size / 2, (read, peak)
    assert len(merged.train.parts) == n // 40
    assert merged.train.ids.tolist() == [str(i) for i in range(n)]
    assert merged.train.features[:, 0].tolist() == list(range(n))


@pytest.mark.parametrize(("size", "least", "most"), [(2, 101, 101), (2_000, 6, 10)])
def test_a_part_has_fewer_instances_where_their_thumbnails_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, least: int, most: int
) -> None:
    rng, run = np.random.default_rng(0), whole()
    thumbnails = {name: [rng.bytes(size) for _ in range(n)] for name, n in N.items()}
    splits = {
        name: replace(split, parts=(replace(part, table=part.table.assign(thumbnail=thumbnails[name])),))
        for name, split in run.splits.items()
        if (part := split.parts[0]).table is not None
    }
    monkeypatch.setattr("imblens.run._merge.PART_BYTES", 10 * 2_000 + 1_000)
    merged = merge(shards(tmp_path, 2, replace(run, **splits)), tmp_path / "run")
    assert least <= max(map(len, merged.train.parts)) <= most
    for name, split in merged.splits.items():
        assert split.instances(["thumbnail"])["thumbnail"].tolist() == thumbnails[name]


def test_a_column_that_is_empty_in_a_part_of_a_shard_is_kept(tmp_path: Path) -> None:
    groups = pd.Series([None] * 7 + ["a", "b"] * 47, dtype=object)  # of train
    run = whole()
    splits = {}
    for name, split in run.splits.items():
        table = split.parts[0].table.assign(group=groups.iloc[: len(split)].to_numpy(dtype=object))
        splits[name] = replace(split, parts=(replace(split.parts[0], table=table),))
    run = replace(run, **splits)
    merged = merge(shards(tmp_path, 1, run), tmp_path / "run")
    found = merged.train.instances(["group"])["group"].astype(object)
    assert found.where(found.notna(), None).tolist() == groups.tolist()


def test_shards_with_instances_left_out_follow_each_other(tmp_path: Path) -> None:
    for index, part in enumerate(shards(tmp_path, 2)):
        run = Run.load(part)
        facts = {
            **run.meta,
            "shard": {"index": index, "of": 2, "instances": {"train": N["train"] + 1, "test": N["test"]}},
        }
        Run(run.train, run.test, run.head, run.classes, meta=facts).save(tmp_path / f"again {index}")
    merged = merge([tmp_path / "again 1", tmp_path / "again 0"], tmp_path / "run 2")
    first = Run.load(tmp_path / "again 0").train
    np.testing.assert_array_equal(merged.train.features[: len(first)], first.features)
    assert "order of the shards" in merged.meta["notes"][-1]


def test_bad_shards_are_refused_in_a_sentence(tmp_path: Path) -> None:
    parts = shards(tmp_path, 3)
    out = tmp_path / "run"
    with pytest.raises(MissingError, match=r"of 3 shards, 1/3 is missing"):
        merge([parts[0], parts[2]], out)
    with pytest.raises(InputError, match=r"shard 0/3 was given twice"):
        merge([parts[0], parts[0], parts[1]], out)
    with pytest.raises(InputError, match=r"is not a shard, but a whole run"):
        merge([whole().save(tmp_path / "whole")], out)
    with pytest.raises(ExistsError, match="is one of the shards"):
        merge(parts, parts[0], force=True)
    other = shards(tmp_path / "other", 3, whole(seed=1))
    with pytest.raises(InputError, match=r"differ in seed"):
        merge([parts[0], other[1], parts[2]], out)
    changed = Run.load(parts[1])
    assert changed.head is not None
    head = Head(changed.head.weight + 1, changed.head.bias)
    Run(changed.train, changed.test, head, CLASSES, meta=changed.meta).save(tmp_path / "changed")
    with pytest.raises(InputError, match=r"shard 0 .* and shard 1 .* differ in network: the weights"):
        merge([parts[0], tmp_path / "changed", parts[2]], out)
    backbone = Run.load(parts[1])
    facts = {**backbone.meta, "shard": {**backbone.meta["shard"], "network": "another one under the same head"}}
    Run(backbone.train, backbone.test, backbone.head, CLASSES, meta=facts).save(tmp_path / "backbone")
    with pytest.raises(InputError, match=r"shard 0 .* and shard 1 .* differ in network: the weights are not equal"):
        merge([parts[0], tmp_path / "backbone", parts[2]], out)
    with_groups = whole()
    for split in with_groups.splits.values():
        split.parts[0].table["group"] = "patient 1"
    grouped = shards(tmp_path / "grouped", 3, with_groups)
    for mixed in ([parts[0], grouped[1], parts[2]], [grouped[0], grouped[1], parts[2]]):
        with pytest.raises(InputError, match=r"differ in columns of the instances: only one of them has group\."):
            merge(mixed, out)
    more = shards(tmp_path / "four", 4)
    with pytest.raises(InputError, match=r"one of 4 shards, .* one of 3"):
        merge([parts[0], more[1]], out)
    assert not out.exists()


def test_a_full_disk_leaves_an_earlier_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = shards(tmp_path, 2)
    out = tmp_path / "run"
    merge(parts, out)
    before = {file: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match="disk full"):
        merge(parts, out, force=True)
    monkeypatch.undo()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10))
    with pytest.raises(StorageError, match=r"needs 0\.0 GB in .*, 0\.0 GB are free; nothing was written"):
        merge(parts, out, force=True)
    monkeypatch.undo()
    assert {file: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()} == before
    assert len(Run.load(out).train) == N["train"]


@pytest.mark.parametrize("call", WRITES)
def test_whichever_write_finds_the_disk_full_an_earlier_run_and_the_shards_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: str
) -> None:
    parts = shards(tmp_path / "shards", 2)
    out = tmp_path / "run"
    whole(seed=1).save(out)
    before = state(tmp_path)
    monkeypatch.setattr("sys.argv", ["imblens", "merge", *map(str, parts), "--out", str(out), "--force"])
    for number in range(1, 100):
        with full_at(call, number) as calls, pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        if not ended.value.code:
            break
        assert ended.value.code == 2 and [line.split(":")[0] for line in said.splitlines()] == ["error", "hint"], said
        assert state(tmp_path) == before, f"{call} {number}: {calls[-1]}"
    assert len(calls) == number - 1 >= 5
    np.testing.assert_array_equal(Run.load(out).train.features, whole().train.features)


def test_a_damaged_table_of_a_large_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("imblens.run._read.VERIFY_BYTES", 0)  # hashes of large runs are not checked
    parts = shards(tmp_path, 2)
    file = parts[1] / "train" / "part-00001" / "instances.parquet"
    group = pq.read_metadata(file).row_group(0)
    column = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "id")
    content = bytearray(file.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start + column.total_compressed_size // 2] ^= 0xFF
    file.write_bytes(content)
    damaged = Run.load(parts[1])
    for use in (lambda: damaged.train.ids, lambda: damaged.save(tmp_path / "copy")):
        with pytest.raises(InputError, match=r"part-00001/instances\.parquet cannot be read"):
            use()
    monkeypatch.setattr("sys.argv", ["imblens", "merge", *map(str, parts), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and said[0].startswith(f"error: {file} cannot be read") and len(said) == 2, said
    assert not (tmp_path / "run").exists()


def test_no_file_is_mapped_that_is_renamed(tmp_path: Path) -> None:
    parts = shards(tmp_path, 2)
    with mapped_when_renamed() as mapped:
        merge(parts, tmp_path / "run")
    assert mapped == [[]]


def test_the_command_ends_with_one_sentence_and_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [str(part) for part in shards(tmp_path, 2)]
    other = str(shards(tmp_path / "other", 2, whole(seed=1))[1])
    (Path(other) / "train" / "part-00001" / "features.npy").unlink()
    cases = {
        "of 2 shards, 1/2 is missing": parts[:1],
        "shard 0/2 was given twice": [parts[0], parts[0]],
        "features.npy is missing": [parts[0], other],
        "no run at": [parts[0], str(tmp_path / "nowhere")],
    }
    for sentence, given in cases.items():
        monkeypatch.setattr("sys.argv", ["imblens", "merge", *given, "--out", str(tmp_path / "run")])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2 and sentence in said[0] and said[0].startswith("error: "), said
        assert not (tmp_path / "run").exists() and all(Path(part).exists() for part in parts)
