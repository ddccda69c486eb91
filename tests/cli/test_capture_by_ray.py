"""Shards that workers captured are not lost when something fails later; Ray itself is left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from imblens.base.remote import COPIES
from imblens.cli._captured import by_ray
from imblens.cli._shared import Stopped
from imblens.errors import InputError, StorageError
from imblens.run import Run, merge

FEATURES = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
LABELS = np.arange(9) // 4 % 2
IMAGES: Any = SimpleNamespace(train=FEATURES, val=None, test=None, held_out=None)


class Asked:
    """What `imblens capture` was asked for: four shards, of which one may be unreadable."""

    data = "images"

    def __init__(self, unreadable: int | None = None) -> None:
        self.unreadable = unreadable

    def images(self) -> Any:
        return IMAGES

    def run(self, images: Any, out: Path, progress: Any, part: tuple[int, int]) -> None:
        index, of = part
        if index == self.unreadable:
            (out / "half of a file").write_text("")
            raise InputError("7.png cannot be read.", hint="Remove it.")
        shard = {"index": index, "of": of, "instances": {"train": len(LABELS)}}
        own = slice(index, None, of)
        run = Run.from_arrays(train=(FEATURES[own], LABELS[own]), classes=["a", "b"], meta={"shard": shard})
        run.save(out, force=True)


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SimpleNamespace(nodes=list, cluster_resources=lambda: {"CPU": 2})
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr("imblens.run.connected", nullcontext)
    monkeypatch.setattr("imblens.run.tasks", lambda function, given, gpus: (function(*one) for one in given))


def captured(out: Path, asked: Any = None, progress: Any = str) -> Run:
    out.mkdir(exist_ok=True)
    return by_ray(asked or Asked(), IMAGES, out, progress, None)


def test_shards_are_removed_when_they_are_merged(tmp_path: Path) -> None:
    run = captured(tmp_path / "run")
    np.testing.assert_array_equal(run.train.features, FEATURES)
    assert not (tmp_path / "run" / "parts").exists()


def test_shards_are_kept_if_the_disk_is_full_for_the_merged_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a run"
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10))
        with pytest.raises(StorageError, match=r"nothing was written\.") as refused:
            captured(out)
    joined = f"imblens merge {quote(str(out / 'parts'))}/shard-* --out {quote(str(out))} --force"
    kept = f"All 4 shards are kept in {out / 'parts'} until you remove them; join them with: {joined}"
    assert refused.value.hint == f"Choose another --out. {kept}"
    np.testing.assert_array_equal(merge([*out.glob("parts/shard-*")], out, force=True).train.features, FEATURES)


def test_shards_are_kept_if_another_one_fails(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(InputError, match=r"shard 2/4: 7\.png cannot be read") as refused:
        captured(out, Asked(unreadable=2))
    assert f"2 of 4 shards are kept in {out / 'parts'}." in refused.value.hint
    assert f"--shard 2/4 --out {quote(str(out / 'parts' / 'shard-2'))}, then" in refused.value.hint
    assert sorted(folder.name for folder in (out / "parts").iterdir()) == ["shard-0", "shard-1"]
    for index in (2, 3):
        Asked().run(IMAGES, out / "parts" / f"shard-{index}", str, (index, 4))
    np.testing.assert_array_equal(merge([*out.glob("parts/shard-*")], out, force=True).train.features, FEATURES)


def test_shards_are_kept_after_ctrl_c(tmp_path: Path) -> None:
    def interrupted(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Stopped, match=r"interrupted\. 1 of 4 shards are kept"):
        captured(tmp_path / "run", progress=interrupted)
    assert Run.load(tmp_path / "run" / "parts" / "shard-0").meta["shard"]["of"] == 4


def test_a_failure_before_the_first_shard_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shard 0/4"):
        captured(tmp_path / "run", Asked(unreadable=0))
    assert not any((tmp_path / "run").iterdir())


@pytest.fixture
def url() -> Iterator[Path]:
    """The local folder that is copied to memory://bucket/run when a run is complete, which is removed afterwards."""
    system = pytest.importorskip("fsspec", reason="fsspec is not installed").filesystem("memory")
    yield COPIES.local("memory://bucket/run")
    COPIES.forget()
    if system.exists("/bucket"):
        system.rm("/bucket", recursive=True)


def test_shards_of_a_url_are_removed_after_a_failure(url: Path) -> None:
    with pytest.raises(InputError, match="shard 2/4") as refused:
        captured(url, Asked(unreadable=2))
    assert not any(url.iterdir()) and "kept" not in str(refused.value)


def test_a_url_is_refused_if_the_cluster_has_several_machines(url: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"Alive": True}, {"Alive": True}, {"Alive": False}]
    ray = SimpleNamespace(nodes=lambda: nodes, cluster_resources=lambda: {"CPU": 2})
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(InputError, match=r"memory://bucket/run is copied to this machine only, and the cluster has"):
        captured(url)
    assert not any(url.iterdir())
    del nodes[1]
    np.testing.assert_array_equal(captured(url).train.features, FEATURES)
