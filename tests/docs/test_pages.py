"""What the pages tell people to type works: code and commands run, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commands import as_a_process, imblens

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "docs" / "quickstart.md",
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
    *(ROOT / "docs" / "tutorials" / f"{name}.md" for name in ("network", "deploy")),
]
STEMS = [page.stem for page in PAGES]
LONGER = {
    "network",
    "trained-network",
    "only-arrays",
    "medical-images",
    "scikit-learn",
    "watch",
    "embeddings",
    "deploy",
}
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"imblens (.*?)(?: > (\S+))?(?: \|\| test \$\? -eq (\d))?(?: +# .*)?")


def commands(text: str, folder: Path) -> None:
    """Run the lines of a block for the shell: those of imblens in this process, others by bash."""
    other: list[str] = []
    for line in [*text.splitlines(), ""]:
        found = COMMAND.fullmatch(line)
        if (found or not line) and other:
            subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(other)], cwd=folder, check=True)
            other = []
        if found is None:
            other += [line] * bool(line)
            continue
        done = imblens(*shlex.split(found[1]), cwd=folder)
        assert done.returncode == int(found[3] or 0), f"{line}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        if found[2]:
            (folder / found[2]).write_text(done.stdout)


def needed(page: Path) -> list[str]:
    """Packages that a page states in a comment: those that `make ecosystem` installs, and the test environment may lack."""
    found = re.search(r"<!-- needs: (.*?) -->", page.read_text(encoding="utf-8"))
    return found[1].split() if found else []


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.thorough] * (page.stem in LONGER)) for page in PAGES], ids=STEMS
)
def test_commands_and_code_of_a_page_work(page: Path, tmp_path: Path) -> None:
    missing = [name for name in needed(page) if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; `make ecosystem` runs this page")
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    names = {"__name__": "__main__"}
    with as_a_process(tmp_path, [""]):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        sys.path.insert(0, str(tmp_path))
        for kind, text in blocks:
            if kind == "python":
                exec(compile(text, f"{page.stem}.md", "exec"), names)
            else:
                commands(text, tmp_path)


@pytest.mark.thorough  # CI runs the same with a wheel
@pytest.mark.slow
def test_what_readme_shows_works(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.wheel import main

    main()
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "left out: run = imblens.capture(trainer)",
        "the wheel works",
    ]


@pytest.mark.parametrize("page", PAGES, ids=STEMS)
def test_code_of_a_page_compiles(page: Path) -> None:
    """Whether its commands exist is asked of all pages in test_typed.py."""
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            compile(text, page.name, "exec")


def test_habits_name_what_exists(tmp_path: Path) -> None:
    """Every lens, table, summary and function that the table of habits names is there."""
    import numpy as np

    import imblens
    from imblens.lenses import all_lenses
    from imblens.treatments import treatment_names

    text = (ROOT / "docs" / "habits.md").read_text(encoding="utf-8")
    named = set(re.findall(r'audit\["(\w+)"\]', text))
    assert named and named <= set(all_lenses())
    treatments = set(re.findall(r'imblens\.treat\(run, "(\w+)"', text)) | set(re.findall(r"--with (\w+)", text))
    assert treatments and treatments <= set(treatment_names())
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 30, 12])
    features = rng.normal(size=(102, 5)) + 2 * np.eye(5)[labels]
    arrays = (features, labels, features[:, :3])
    run = imblens.Run.from_arrays(train=arrays, test=arrays)
    audit = imblens.audit(run, lenses=["class_accuracy", "ranking", "calibration", "label_suspects", "embedding_map"])
    for lens, table in re.findall(r'audit\["(\w+)"\]\.tables\["(\w+)"\]', text):
        assert table in audit[lens].tables, table
    for key in re.findall(r'summary\["(\w+)"\]', text):
        assert key in audit["class_accuracy"].summary, key


SHELLS = {
    "SLURM": (r"--wrap ('.*?')`", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"}, ""),
    "torchrun": (r"bash -c ('.*?')`", {"LOCAL_RANK": "1", "RANK": "3", "WORLD_SIZE": "8"}, "1"),
    "Kubernetes": (r"sh -c ('.*?')`", {"JOB_COMPLETION_INDEX": "3"}, ""),
}


@pytest.mark.parametrize("name", SHELLS)
def test_shards_are_numbered_by_what_starts_them(name: str, tmp_path: Path) -> None:
    pattern, environment, device = SHELLS[name]
    row = next(line for line in (ROOT / "docs/scale.md").read_text().splitlines() if line.startswith(f"| {name} "))
    (line,) = shlex.split(re.findall(pattern, row)[0])
    (tmp_path / "imblens").write_text('#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES:" "$@"\n')
    (tmp_path / "imblens").chmod(0o755)
    usual = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", line], env={**usual, **environment}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{device}: capture DATA --model net.py:build --out PART-3 --shard 3/8\n"
