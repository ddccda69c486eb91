"""The tutorial on blood cells works on the real images: its code cuts the tiles that it states, its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from imblens.data import load_images
from tests.commands import as_a_process, imblens

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "cells.md").read_text(encoding="utf-8")


def test_the_code_of_the_tutorial_compiles() -> None:
    (code,) = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    compile(code, "cells.md", "exec")


@pytest.mark.thorough
@pytest.mark.slow
def test_the_tutorial_works_on_the_real_cells(real_data: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    images = real_data / "bccd" / "images"
    with as_a_process(tmp_path, [""]):
        exec(compile(code.replace('"BCCD_Dataset/BCCD"', repr(str(images))), "cells.md", "exec"), {})
    found = load_images(tmp_path / "tiles", group="smear")
    assert found.classes == ("RBC", "WBC", "Platelets") and len(found.train) == 2460
    shares = found.class_counts / len(found.train)
    stated = re.findall(r"(\d+)% (?:show a white|platelets)", PAGE)
    assert [f"{100 * share:.0f}" for share in shares[1:]] == stated
    for line in re.findall(r"^imblens (.*)$", PAGE, re.MULTILINE):
        done = imblens(*shlex.split(line.replace("--epochs 4", "--epochs 1")), cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
