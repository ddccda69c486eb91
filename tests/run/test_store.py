"""Runs on disk: nothing lost, nothing torn, nothing unpickled, nothing hostile let in."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imblens.base.files import claim, write_atomic, write_text
from imblens.errors import ExistsError, ImblensError, InputError, MissingError, StorageError
from imblens.run import Head, Part, Run, Split
from tests.run.full_disk import WRITES, full_at, state

RNG = np.random.default_rng(3)
CLASSES = ("ant", '"><img src=x onerror=1>', "رتيلاء 🕷")


def make(n_parts: int = 2) -> Run:
    labels = np.arange(14) % 3
    head = Head(RNG.normal(size=(3, 5)).astype(np.float32), RNG.normal(size=3).astype(np.float32))
    parts = []
    for rows in np.array_split(np.arange(14), n_parts):
        features = RNG.normal(size=(len(rows), 5)).astype(np.float32)
        table = pd.DataFrame({"id": [f"a/{i}.png" for i in rows], "thumbnail": [bytes([i]) for i in rows]})
        parts.append(Part(features, labels[rows], head(features), table=table))
    train = Split(tuple(parts), CLASSES, "train", head)
    test = Split(
        (Part(RNG.normal(size=(6, 5)).astype(np.float32), np.array([0, 0, 1, 1, 2, 2])),), CLASSES, "test", head
    )
    return Run(train, test, head, CLASSES, meta={"seed": 4, "data": {"source": "made"}})


def test_a_val_split_is_kept_on_disk_and_by_another_head(tmp_path: Path) -> None:
    features, labels = RNG.normal(size=(9, 4)).astype(np.float32), np.arange(9) % 3
    run = Run.from_arrays(train=(features, labels), val=(features[:5], labels[:5]), classes=CLASSES)
    back = Run.load(run.save(tmp_path / "run"))
    assert list(back.splits) == ["train", "val"] and back.val.features.tobytes() == features[:5].tobytes()
    other = back.with_head(Head(np.ones((3, 4), np.float32), np.zeros(3, np.float32)))
    np.testing.assert_allclose(other.val.logits, features[:5].sum(axis=1, keepdims=True).repeat(3, axis=1), rtol=1e-5)
    arrays = {"train_features": features, "train_labels": labels, "val_features": features[:5]}
    np.savez(tmp_path / "lone.npz", **arrays)
    with pytest.raises(MissingError, match="'val_features' but no 'val_labels'"):
        Run.load(tmp_path / "lone.npz")
    np.savez(tmp_path / "both.npz", **arrays, val_labels=labels[:5])
    assert len(Run.load(tmp_path / "both.npz").val) == 5


def test_save_and_load_are_inverse(tmp_path: Path) -> None:
    run = make()
    back = Run.load(run.save(tmp_path / "run"))
    for name in ("train", "test"):
        assert back.splits[name].features.tobytes() == run.splits[name].features.tobytes()
        assert (back.splits[name].labels == run.splits[name].labels).all()
        np.testing.assert_array_equal(back.splits[name].logits, run.splits[name].logits)
    assert isinstance(Run.load(run.save(tmp_path / "one")).test.features, np.memmap)
    assert (
        back.classes == CLASSES and back.meta["seed"] == 4 and back.head.weight.tobytes() == run.head.weight.tobytes()
    )
    assert back.train.ids[:2].tolist() == ["a/0.png", "a/1.png"]
    assert back.train.instances(["thumbnail"])["thumbnail"].tolist()[:2] == [b"\x00", b"\x01"]
    assert [len(p) for p in back.train.parts] == [7, 7]


def test_ids_that_are_positions_count_through_all_parts(tmp_path: Path) -> None:
    made = make(3)
    parts = tuple(Part(part.features, part.labels) for part in made.train.parts)
    run = Run(Split(parts, CLASSES, "train", made.head), made.test, made.head, CLASSES)
    assert Run.load(run.save(tmp_path / "run")).train.ids.tolist() == run.train.ids.tolist() == [*map(str, range(14))]


def test_the_manifest_always_states_what_is_known(tmp_path: Path) -> None:
    run = Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1]))
    run.save(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert {"schema", "task", "classes", "data", "model", "loss", "seed", "versions"} <= set(manifest)
    assert [manifest[key] for key in ("data", "model", "loss", "seed")] == [None] * 4
    assert set(Run.load(tmp_path / "run").meta) == {"versions"}


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    run = make()
    first, second = run.save(tmp_path / "a"), run.save(tmp_path / "b")
    for file in sorted(p for p in first.rglob("*") if p.is_file()):
        assert file.read_bytes() == (second / file.relative_to(first)).read_bytes(), file.name


def test_multi_label_runs_come_back(tmp_path: Path) -> None:
    hot = (RNG.random((8, 3)) < 0.5).astype(np.uint8)
    run = Run.from_arrays(train=(RNG.normal(size=(8, 4)), hot), classes=["x", "y", "z"])
    back = Run.load(run.save(tmp_path / "run"))
    assert back.task == "multilabel" and (back.train.labels == hot).all()


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path: Path) -> None:
    run = make()
    run.save(tmp_path / "run")
    with pytest.raises(ExistsError, match="--force"):
        run.save(tmp_path / "run")
    make(3).save(tmp_path / "run", force=True)
    make(1).save(tmp_path / "run", force=True)
    assert len(list((tmp_path / "run" / "train").iterdir())) == 1
    assert len(Run.load(tmp_path / "run").train.parts) == 1


def test_out_may_not_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExistsError, match="is a file"):
        claim(tmp_path / "file", force=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unfinished_run_is_not_taken_for_whole(tmp_path: Path) -> None:
    folder = make().save(tmp_path / "run")
    (folder / "run.json").unlink()
    with pytest.raises(MissingError, match="not a complete run"):
        Run.load(folder)


@pytest.mark.parametrize(
    "name", ["train/part-00000/features.npy", "head.safetensors", "test/part-00000/instances.parquet"]
)
def test_cuts_and_flipped_bits_are_seen(tmp_path: Path, name: str) -> None:
    folder = make().save(tmp_path / "run")
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-3])
    with pytest.raises(InputError, match="bytes"):
        Run.load(folder)
    for position in RNG.integers(0, len(whole), 25):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(RNG.integers(8))
        (folder / name).write_bytes(bytes(flipped))
        with pytest.raises(InputError, match="damaged"):
            Run.load(folder)
    (folder / name).unlink()
    with pytest.raises(MissingError, match="is missing"):
        Run.load(folder)


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"schema": 99}, "schema 99"),
        ({"task": "regression"}, "regression"),
        ({"classes": ["one"]}, "at least two"),
        ({"files": []}, "'files'"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, "outside its folder"),
        ({"files": {"head.safetensors": 3}}, "size and SHA-256 for 'head.safetensors'"),
        ({"splits": {}}, "no train split"),
        ({"splits": {"train": 3}}, "number of parts for 'train'"),
        ({"splits": {"train": {"parts": "x"}}}, "number of parts for 'train'"),
    ],
)
def test_a_strange_manifest_is_refused(tmp_path: Path, change: dict, fragment: str) -> None:
    folder = make().save(tmp_path / "run")
    manifest = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(InputError, match=fragment):
        Run.load(folder)


def test_a_manifest_that_is_not_json_is_refused(tmp_path: Path) -> None:
    folder = make().save(tmp_path / "run")
    (folder / "run.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        Run.load(folder)


# ------------------------------------------------------------------------------------------------------- atomic writing


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_text(target, "old")

    def fail(file: io.BufferedWriter) -> None:
        file.write(b"half of the new")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk full"):
        write_atomic(target, fail)
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.fsync", "pathlib.Path.replace"])
def test_every_call_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    target = tmp_path / "file"
    write_text(target, "old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(call, fail)
    with pytest.raises(StorageError, match="Read-only"):
        write_text(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_save_that_fails_leaves_the_run_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make().save(tmp_path / "run")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    monkeypatch.setattr("imblens.run._write.write_part", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make().save(folder, force=True)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert len(Run.load(folder).train) == len(make().train)


@pytest.mark.parametrize("step", ["seal", "_write_manifest", "sha256"])
def test_a_save_that_is_stopped_at_its_end_leaves_the_run_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = make().save(tmp_path / "run")
    before = state(folder)
    monkeypatch.setattr(f"imblens.run._write.{step}", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make(1).save(folder, force=True)
    assert state(folder) == before
    Run.load(folder)


def test_what_lies_where_a_file_of_the_run_belongs_is_kept_and_so_is_the_run_before_it(tmp_path: Path) -> None:
    folder = replace(make(), head=None).save(tmp_path / "run")
    (folder / "head.safetensors").mkdir()  # not of imblens
    (folder / "head.safetensors" / "notes.txt").write_text("mine")
    before = state(folder)
    with pytest.raises(StorageError, match="cannot write"):
        make(1).save(folder, force=True)
    assert state(folder) == before
    Run.load(folder)


@pytest.mark.parametrize("call", WRITES)
def test_whichever_write_finds_the_disk_full_the_run_before_is_kept(tmp_path: Path, call: str) -> None:
    folder = make(3).save(tmp_path / "run")
    (folder / "train" / "notes.txt").write_text("mine")
    before = state(folder)
    bare = make(1)
    bare = Run(replace(bare.train, name="train"), None, None, CLASSES, val=replace(bare.train, name="val"))
    for number in range(1, 100):
        with full_at(call, number) as calls:
            try:
                bare.save(folder, force=True)
            except StorageError as error:
                assert "disk full" in str(error)
                assert state(folder) == before, f"{call} {number}: {calls[-1]}"
                continue
        break
    assert len(calls) == number - 1 >= 5
    files = {str(file.relative_to(folder)) for file in state(folder) if file.is_file()}
    parts = {
        f"{split}/part-00000/{name}"
        for split in ("train", "val")
        for name in ("features.npy", "logits.npy", "instances.parquet")
    }
    assert files == {"run.json", "train/notes.txt", *parts}
    assert not (folder / "test").exists()  # and no empty folder
    np.testing.assert_array_equal(Run.load(folder).val.features, bare.val.features)


@pytest.mark.skipif(not Path("/dev/full").exists() or os.geteuid() != 0, reason="needs root to mount a small disk")
def test_disk_full_names_the_file(tmp_path: Path) -> None:
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        big = Run.from_arrays(train=(RNG.normal(size=(5000, 8)), np.arange(5000) % 2))
        with pytest.raises(StorageError, match=r"cannot write .*features\.npy: disk full"):
            big.save(disk / "run")
        assert not list(disk.rglob("*.npy")) and not list(disk.rglob("*tmp*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# ----------------------------------------------------------------------------------------------------------- ARRAYS.npz

GOOD = {"train_features": RNG.normal(size=(9, 4)), "train_labels": np.arange(9) % 3}


def test_arrays_npz_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "arrays.npz"
    np.savez(
        file,
        **GOOD,
        train_logits=RNG.normal(size=(9, 3)),
        test_features=RNG.normal(size=(4, 4)),
        test_labels=np.array([0, 1, 2, 0]),
        head_weight=RNG.normal(size=(3, 4)),
        head_bias=np.zeros(3),
        class_names=np.array(["a", "b", "c"]),
    )
    run = Run.load(file)
    assert run.classes == ("a", "b", "c") and len(run.test) == 4 and run.head is not None and run.test.has_logits


def write_raw(file: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def as_npy(array: np.ndarray, shape: str | None = None) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    content = stream.getvalue()
    if shape is None:
        return content
    lied = content.replace(str(array.shape).encode(), shape.encode(), 1)
    return lied.replace(b" " * (len(shape) - len(str(array.shape))), b"", 1) if len(lied) != len(content) else lied


class Evil:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("pwned",))


def test_hostile_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels = as_npy(GOOD["train_labels"])
    features = as_npy(GOOD["train_features"])
    cases = {
        "no zip": (b"this is not a zip", "not an .npz archive"),
        "pickle": (pickle.dumps(Evil()), "not an .npz archive"),
        "bomb": (
            {"train_features.npy": as_npy(np.zeros((9, 10_000_000), np.uint8)), "train_labels.npy": labels},
            "would grow from",
        ),
        "path": ({"../../x.npy": features, "train_labels.npy": labels}, "member named"),
        "lying": (
            {"train_features.npy": as_npy(GOOD["train_features"], "(999999999, 4)"), "train_labels.npy": labels},
            "claims shape",
        ),
        "torn": ({"train_features.npy": features[:100], "train_labels.npy": labels}, "train_features"),
        "key": ({"features.npy": features, "train_labels.npy": labels}, "no 'train_features'"),
        "half test": (
            {"train_features.npy": features, "train_labels.npy": labels, "test_labels.npy": labels},
            "test_feat",
        ),
    }
    for name, (content, fragment) in cases.items():
        file = tmp_path / "case.npz"
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            write_raw(file, content)
        with pytest.raises(ImblensError) as caught:
            Run.load(file)
        assert fragment in str(caught.value), name
    objects = np.array([Evil()], dtype=object)
    np.savez(file, **{**GOOD, "train_labels": objects})
    with pytest.raises(InputError, match="object array"):
        Run.load(file)
    assert not (tmp_path / "pwned").exists()


def test_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no run at"):
        Run.load(tmp_path / "nothing")
    with pytest.raises(MissingError, match=r"without run\.json"):
        Run.load(tmp_path)
