"""Runs, arrays and tables in object storage: the same findings as from local files, and a sentence where it fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from imblens import Run, audit
from imblens.base.remote import COPIES, address_of
from imblens.cli import app
from imblens.errors import DependencyError, ExistsError, InputError, MissingError, StorageError
from imblens.run import merge

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
FEATURES = (RNG.normal(size=(60, 4)) + 2 * np.eye(3, 4)[LABELS]).astype(np.float32)
PARTS = {"train": (FEATURES, LABELS), "test": (FEATURES[::2] + 0.5, LABELS[::2]), "head": (np.eye(3, 4), np.zeros(3))}


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    for name in system.ls("/", detail=False):
        system.rm(name, recursive=True)
    COPIES.forget()


def findings(run: Run) -> dict[str, dict[str, pd.DataFrame]]:
    return {
        name: dict(finding.tables) for name, finding in audit(run, lenses=["archetypes", "errors"]).findings.items()
    }


def same(one: Run, other: Run) -> None:
    before, after = findings(one), findings(other)
    assert before.keys() == after.keys()
    for name, tables in before.items():
        for table, frame in tables.items():
            pd.testing.assert_frame_equal(frame, after[name][table])


def command(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("memory")
def test_what_is_saved_in_object_storage_is_read_back() -> None:
    run = Run.from_arrays(**PARTS)
    run.save("memory://bucket/run")
    same(Run.load("memory://bucket/run"), run)
    with pytest.raises(ExistsError, match="memory://bucket/run already exists"):
        run.save("memory://bucket/run")
    first = Run.load("memory://bucket/run")
    turned = Run.from_arrays(**{**PARTS, "train": (FEATURES[::-1].copy(), LABELS[::-1].copy())})
    turned.save("memory://bucket/run", force=True)
    np.testing.assert_array_equal(first.train.features, FEATURES)  # what was read stays as it was
    np.testing.assert_array_equal(Run.load(Path("memory://bucket/run")).train.features, FEATURES[::-1])


def test_archives_tables_shards_and_audits(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    run = Run.from_arrays(**PARTS)
    with memory.open("memory://b/arrays.npz", "wb") as file:
        np.savez(file, train_features=FEATURES, train_labels=LABELS, head_weight=np.eye(3, 4), head_bias=np.zeros(3))
    np.testing.assert_array_equal(Run.load("memory://b/arrays.npz").train.features, FEATURES)
    frame = pd.DataFrame({"f": list(FEATURES), "y": LABELS, "split": ["train"] * 50 + ["test"] * 10})
    with memory.open("memory://b/table/part.parquet", "wb") as file:
        frame.to_parquet(file)
    for source in ("memory://b/table", "memory://b/table/part.parquet"):
        table = Run.from_table(source, features="f", label="y", split="split")
        np.testing.assert_array_equal(table.train.features, FEATURES[:50])
    facts = {"shard": {"index": 0, "of": 2, "instances": {"train": 60, "test": 30}}}
    for index in (0, 1):
        facts = {"shard": {**facts["shard"], "index": index}}
        own = slice(index, None, 2)
        half = {
            "train": (FEATURES[own], LABELS[own]),
            "test": (PARTS["test"][0][own], LABELS[::2][own]),
            "head": PARTS["head"],
        }
        Run.from_arrays(**half, meta=facts, classes=["0", "1", "2"]).save(f"memory://b/shard-{index}")
    merge(["memory://b/shard-1", "memory://b/shard-0"], "memory://b/whole")
    np.testing.assert_array_equal(Run.load("memory://b/whole").train.features, FEATURES)
    audit(run, lenses=["errors"]).save("memory://b/audit", figures=False)
    assert memory.exists("/b/audit/report.html") and memory.exists("/b/audit/findings.json")


def test_commands_read_and_write_there_and_name_the_addresses(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run.from_arrays(**PARTS).save("memory://b/run")
    said = command("audit", "memory://b/run", "--lens", "errors")
    assert "report: memory://b/run-audit/report.html" in said and "imblens treat memory://b/run" in said
    assert "imblens-remote" not in said and memory.exists("/b/run-audit/findings.json")
    local = Run.from_arrays(**PARTS).save(tmp_path / "run")
    command("audit", str(local), "--lens", "errors")
    stored = memory.cat_file("/b/run-audit/findings.json")
    assert stored == (tmp_path / "run-audit" / "findings.json").read_bytes()
    refused = CliRunner().invoke(app, ["audit", "memory://b/run", "--lens", "errors"])
    assert isinstance(refused.exception, ExistsError)
    command("treat", "memory://b/run", "--with", "logit_adjustment", "--out", "memory://b/treated")
    assert Run.load("memory://b/treated").head is not None
    with memory.open("memory://b/new.npz", "wb") as file:
        np.savez(file, features=FEATURES[:5])
    command("predict", "memory://b/run", "memory://b/new.npz", "--choose-on", "test", "--out", "memory://b/p.csv")
    assert len(memory.cat_file("/b/p.csv").splitlines()) == 6


def test_a_graph_that_was_searched_is_kept_with_the_run(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 10)
    Run.from_arrays(**PARTS).save("memory://b/run")
    graph = Run.load("memory://b/run").neighbours(5)
    assert memory.exists("/b/run/neighbours.npz")
    again = Run.load("memory://b/run")
    assert again.searched is None and np.array_equal(again.neighbours(5).indices, graph.indices)


def test_what_is_missing_or_not_allowed_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no run at memory://nothing/here"):
        Run.load("memory://nothing/here")
    with pytest.raises(InputError, match="no storage is known for gibberish://"):
        Run.load("gibberish://bucket/run")

    def refused(*args: object, **options: object) -> None:
        raise PermissionError("Access Denied\nfor you")

    run = Run.from_arrays(**PARTS)
    monkeypatch.setattr(fsspec.filesystem("memory"), "put_file", refused)
    with pytest.raises(StorageError, match=r"memory://b/x/.* cannot be written: Access Denied for you"):
        run.save("memory://b/x")
    monkeypatch.setattr(fsspec.filesystem("memory"), "find", refused)
    with pytest.raises(InputError, match=r"memory://b/run cannot be read: Access Denied for you"):
        Run.load("memory://b/run")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    run.save(tmp_path / "run")
    with pytest.raises(StorageError, match=r"needs 0.0 GB in .* are free"):
        Run.load(f"file://{tmp_path / 'run'}")


@pytest.mark.parametrize(("address", "package"), [("s3://b/run", "s3fs"), ("gs://b/run", "gcsfs")])
def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, address: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf"{address[:2]}:// needs {package}, which is not installed. Run: pip"):
        Run.load(address)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(DependencyError, match=r"needs fsspec, .*pip install 'imblens\[remote\]'"):
        Run.load(address)


def test_addresses_are_distinguished_from_local_paths() -> None:
    assert address_of(Path("gs://bucket/a/b/")) == "gs://bucket/a/b"
    assert address_of(Path("file:///data/run")) == "file:///data/run"
    assert [address_of(path) for path in ("C:\\runs", "C:/runs", "runs/a:b", "timm:resnet18", "/a/b")] == [None] * 5
