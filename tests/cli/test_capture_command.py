"""imblens capture on folders as people have them."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from imblens.cli import app
from imblens.run import Run
from tests.data.helpers import write_classes

NET = """
from torch import nn

def build(n_classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, n_classes))
"""


def capture(tmp_path: Path, *options: str) -> tuple[Run, str]:
    (tmp_path / "net.py").write_text(NET)
    out = str(tmp_path / "run")
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
