"""imblens capture on folders as people have them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from imblens import audit
from imblens.cli import app
from imblens.run import Run
from tests.data.helpers import write_classes

NET = """
from torch import nn

def build(n_classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, n_classes))
"""


FROZEN_HEAD = """

plain = build

def build(n_classes):
    network = plain(n_classes)
    nn.init.ones_(network[3].weight), nn.init.zeros_(network[3].bias)
    return network
"""


def capture(tmp_path: Path, *options: str, network: str = NET, name: str = "run") -> tuple[Run, str]:
    (tmp_path / "net.py").write_text(network)
    out = str(tmp_path / name)
    words = [
        "capture",
        str(tmp_path / "d"),
        "--model",
        f"{tmp_path}/net.py:build",
        "--out",
        out,
        "--no-colours",
        "--force",
    ]
    done = CliRunner().invoke(app, [*words, *options])
    assert done.exit_code == 0, done.output
    return Run.load(out), done.stderr


def test_training_images_are_not_called_test(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", {"a": 10, "b": 5})
    run, said = capture(tmp_path)
    assert run.test is None and len(run.train) == 15 and "may have been trained on all of them" in said
    run, said = capture(tmp_path, "--hold-out")
    assert run.test is not None and len(run.test) == 3 and "accuracy is too high" in said


def test_shards_merge_to_the_run_of_one_capture(tmp_path: Path) -> None:
    for split, n in (("train", 9), ("test", 5)):
        write_classes(tmp_path / "d" / split, {"a": n, "b": n - 2})
    capture(tmp_path)
    whole = Run.load((tmp_path / "run").rename(tmp_path / "whole"))
    parts = []
    for index in (1, 0):
        _, said = capture(tmp_path, "--shard", f"{index}/2")
        assert f"shard {index} of 2" in said
        parts.append(str((tmp_path / "run").rename(tmp_path / f"part {index}")))
    done = CliRunner().invoke(app, ["merge", *parts, "--out", str(tmp_path / "merged")])
    assert done.exit_code == 0 and "merged 2 shards: 16 train, 8 test" in done.output, done.output
    merged = Run.load(tmp_path / "merged")
    balanced = np.mean([whole.test.correct[whole.test.labels == label].mean() for label in (0, 1)])
    assert f"test: accuracy {whole.test.correct.mean():.1%}, balanced accuracy {balanced:.1%};" in done.output
    for name, split in whole.splits.items():
        assert merged.splits[name].ids.tolist() == split.ids.tolist()
        assert (merged.splits[name].labels == split.labels).all() and merged.splits[name].columns == split.columns
        np.testing.assert_allclose(merged.splits[name].features, split.features, rtol=1e-6, atol=1e-6)
    before, after = (audit(run, skip=["embedding_map"]) for run in (whole, merged))
    assert list(before) == list(after) and len(after.findings) > 5 and dict(before.skipped) == dict(after.skipped)
    for lens, finding in before.findings.items():
        for table, frame in finding.tables.items():
            pd.testing.assert_frame_equal(frame, after[lens].tables[table], rtol=1e-4, atol=1e-6)
    frozen = NET.replace("    return", "    import torch\n    torch.manual_seed(0)\n    return") + FROZEN_HEAD
    capture(tmp_path, "--shard", "1/2", network=frozen)
    capture(tmp_path, "--shard", "1/2", network=frozen.replace("manual_seed(0)", "manual_seed(1)"), name="another")
    capture(tmp_path, "--shard", "0/2", network=frozen, name="first")
    mixed = CliRunner().invoke(app, ["merge", *(str(tmp_path / n) for n in ("first", "another")), "--out", "x"])
    assert mixed.exit_code != 0 and "differ in network: the weights are not equal" in str(mixed.exception)
    alone = CliRunner().invoke(app, ["merge", parts[0], "--out", str(tmp_path / "x")])
    assert alone.exit_code != 0 and "0/2 is missing" in str(alone.exception)
    wrong = CliRunner().invoke(app, ["capture", "d", "--model", "m", "--shard", "2/2", "--out", "y"])
    assert wrong.exit_code != 0


def test_a_shard_ends_with_how_it_becomes_part_of_a_run(tmp_path: Path) -> None:
    write_classes(tmp_path / "d" / "train", {"a": 6, "b": 6})
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "run").mkdir()
    following = []
    for index in range(2):
        words = ["--model", f"{tmp_path}/net.py:build", "--no-colours", "--shard", f"{index}/2"]
        done = CliRunner().invoke(
            app, ["capture", str(tmp_path / "d"), *words, "--out", str(tmp_path / f"part-{index}")]
        )
        following.append(done.stdout.strip().splitlines()[-1])
    assert following[0].startswith(
        "next: capture the other shards of 2 (--shard I/2), then join all with: imblens merge"
    )
    parts = " ".join(str(tmp_path / f"part-{index}") for index in range(2))
    assert following[1] == f"next: imblens merge {parts} --out {tmp_path / 'run-2'}"


KILLS_ONCE = """
import os
from pathlib import Path

def build(n_classes):
    import torch
    from net import build as usual
    merged = Path("by-ray", "run.json").exists()
    mark = Path(__file__).with_name("killed after the merge" if merged else "killed")
    if not mark.exists():
        mark.touch()
        os._exit(1)
    torch.manual_seed(0)
    return usual(n_classes)
"""


@pytest.mark.slow
@pytest.mark.thorough  # tests/run/test_engine.py has Ray, kills and the same answer without a network
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_captures_what_one_process_captures_though_a_worker_is_killed(tmp_path: Path) -> None:
    for split, n in (("train", 9), ("test", 5)):
        write_classes(tmp_path / "d" / split, {"a": n, "b": n - 2})
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "kills.py").write_text(KILLS_ONCE)
    boxes = [f"test/{name}/0{i}.png,{name},1,1,3,3" for name, i in (("a", 0), ("a", 3), ("b", 1))]
    (tmp_path / "boxes.csv").write_text("\n".join(["path,label,x,y,w,h", *boxes]))
    words = [
        sys.executable,
        "-m",
        "imblens",
        "capture",
        "d",
        "--no-colours",
        "--model",
        "kills.py:build",
        "--size",
        "12",
        "--boxes",
        "boxes.csv",
        "--concepts",
        "0.1",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}

    def capture_by(*options: str) -> Run:
        done = subprocess.run([*words, *options], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return Run.load(tmp_path / options[options.index("--out") + 1])

    by_ray = capture_by("--engine", "ray", "--out", "by-ray")
    assert (tmp_path / "killed").exists() and (tmp_path / "killed after the merge").exists()
    assert not (tmp_path / "by-ray" / "parts").exists()
    here = capture_by("--out", "here")  # nothing is killed any more
    assert by_ray.meta["model"] == here.meta["model"] and "shard" not in by_ray.meta
    for name, split in here.splits.items():
        assert by_ray.splits[name].ids.tolist() == split.ids.tolist()
        assert (by_ray.splits[name].labels == split.labels).all() and by_ray.splits[name].columns == split.columns
        np.testing.assert_allclose(by_ray.splits[name].features, split.features, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(by_ray.splits[name].logits, split.logits, rtol=1e-6, atol=1e-6)
    before, after = (audit(run, lenses=["shortcuts", "concepts", "diagnosis"]) for run in (here, by_ray))
    assert {"shortcuts", "concepts"} <= set(after.findings) and list(before) == list(after)
    for lens, finding in before.findings.items():
        for table, frame in finding.tables.items():
            pd.testing.assert_frame_equal(frame, after[lens].tables[table], rtol=1e-5, atol=1e-6)
