"""imblens capture --complete: what shards lack is added to the merged run, by the line that merge prints."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from imblens import audit
from imblens.base.remote import COPIES
from imblens.cli import app, main
from imblens.run import Run, lacks

NET = """
import torch
from torch import nn

def build(n_classes):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, n_classes))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with boxes, a network, the run of one capture, two shards and the merged run."""
    folder = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    boxes = ["path,label,x,y,w,h"]
    for split, n in (("train", 9), ("test", 5)):
        for name in ("a", "b"):
            (folder / "d" / split / name).mkdir(parents=True)
            for i in range(n):
                file = Path(split) / name / f"{i}.png"
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(folder / "d" / file)
                boxes += [f"{file.as_posix()},{name},2,2,7,7"] if split == "test" and i % 2 else []
    (folder / "boxes.csv").write_text("\n".join(boxes))
    (folder / "net.py").write_text(NET)
    words = ["capture", str(folder / "d"), "--model", f"{folder}/net.py:build", "--boxes", str(folder / "boxes.csv")]
    for name, more in (("whole", ()), ("part-0", ("--shard", "0/2")), ("part-1", ("--shard", "1/2"))):
        done = CliRunner().invoke(app, [*words, "--concepts", "0.1", "--out", str(folder / name), *more])
        assert done.exit_code == 0, done.output
    return folder


def merged(place: Path, out: Path) -> list[str]:
    """Merge the shards, and return the words that it prints as next."""
    done = CliRunner().invoke(app, ["merge", str(place / "part-1"), str(place / "part-0"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    following, otherwise = done.stdout.splitlines()[-2:]
    assert otherwise == f"or without shortcuts, concepts: imblens audit {out}"
    words = shlex.split(following)
    assert words[:3] == ["next:", "imblens", "capture"] and words[-2:] == ["--complete", str(out)]
    return words[2:]


def check_equal(found: Run, whole: Run) -> None:
    before, after = (audit(run, skip=["embedding_map"]) for run in (whole, found))
    assert list(before) == list(after) and dict(before.skipped) == dict(after.skipped)
    assert {"shortcuts", "concepts", "diagnosis"} <= set(after.findings)
    for lens, finding in before.findings.items():
        for table, frame in finding.tables.items():
            pd.testing.assert_frame_equal(frame, after[lens].tables[table], rtol=1e-5, atol=1e-6)


def test_the_line_that_merge_prints_completes_the_run(place: Path, tmp_path: Path) -> None:
    words = merged(place, tmp_path / "run")
    states = audit(Run.load(tmp_path / "run"), lenses=["shortcuts", "concepts"]).skipped
    assert all("--complete RUN" in reason for reason in states.values()) and len(states) == 2
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"next: imblens audit {tmp_path / 'run'}"
    check_equal(Run.load(tmp_path / "run"), Run.load(place / "whole"))


def test_a_run_in_object_storage_is_completed_there(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    words = merged(place, tmp_path / "run")
    Run.load(tmp_path / "run").save("memory://commands/run")
    done = CliRunner().invoke(app, [*words[:-1], "memory://commands/run"])
    assert done.exit_code == 0, done.output
    COPIES.forget()
    assert not lacks(Run.load("memory://commands/run"))
    assert done.stdout.splitlines()[-1] == "next: imblens audit memory://commands/run"
    COPIES.forget()


def test_what_cannot_be_completed_ends_with_one_sentence_and_code_2(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = merged(place, tmp_path / "run")
    (tmp_path / "other.py").write_text(NET.replace("manual_seed(0)", "manual_seed(1)"))
    other = [word.replace(f"{place}/net.py", f"{tmp_path}/other.py") for word in words]
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    cases = {
        "the network is not that of": other,
        "--concepts 0.2 is not that of the shards": [*words, "--concepts", "0.2"],
        "writes into that run": [*words, "--out", "x"],
        "lacks nothing that could be added": [*words[:-1], str(place / "whole")],
        "is one shard": [*words[:-1], str(place / "part-0")],
        "no run at": [*words[:-1], str(tmp_path / "nowhere")],
        "capture needs --out": words[:-2],
    }
    for sentence, given in cases.items():
        monkeypatch.setattr("sys.argv", ["imblens", *given])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2 and sentence in said[-2] and said[-2].startswith("error: "), (sentence, said)
    assert {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()} == before
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks are called here."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=list, cluster_resources=lambda: {"CPU": 1}))
    monkeypatch.setattr("imblens.run.connected", lambda address: nullcontext())
    monkeypatch.setattr("imblens.run.tasks", lambda function, given, gpus: (function(*one) for one in given))


@pytest.mark.usefixtures("without_ray")
def test_a_capture_by_tasks_completes_the_run_itself(place: Path, tmp_path: Path) -> None:
    words = [*merged(place, tmp_path / "by-hand")[:-2], "--engine", "ray"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"next: imblens audit {tmp_path / 'run'}"
    check_equal(Run.load(tmp_path / "run"), Run.load(place / "whole"))
    done = CliRunner().invoke(app, [*words, "--complete", str(tmp_path / "by-hand")])
    assert done.exit_code == 0 and not lacks(Run.load(tmp_path / "by-hand")), done.output


@pytest.mark.usefixtures("without_ray")
def test_a_task_that_fails_after_the_merge_leaves_the_merged_run(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> str:
        return "7.png cannot be read."

    monkeypatch.setattr("imblens.cli._completing.lacking_task", fails)
    words = [*merged(place, tmp_path / "by-hand")[:-2], "--engine", "ray"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert "7.png cannot be read." in str(done.exception)
    assert "is complete but for shortcuts, concepts; add them with: imblens capture" in str(done.exception)
    assert lacks(Run.load(tmp_path / "run")) == ("shortcuts", "concepts")
    assert not (tmp_path / "run" / "parts").exists()
