"""imblens.toml: where it is looked for, what it holds, how it is refused; the line that shows the time left."""

from __future__ import annotations

import io
import json
import sys
import time
import webbrowser
from pathlib import Path

import numpy as np
import pytest

from imblens.base.progress import tracked
from imblens.cli import _live
from tests.commands import imblens


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with arrays in it, and a folder within."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "work").mkdir()
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [30, 12, 6])
    arrays = {f"{split}_features": rng.normal(size=(48, 5)) + labels[:, None] for split in ("train", "test")}
    np.savez(tmp_path / "a.npz", train_labels=labels, test_labels=labels, **arrays)
    return tmp_path


def test_options_come_from_the_file_of_the_repository_and_are_stated(project: Path) -> None:
    (project / "imblens.toml").write_text(
        '[audit]\nlens = ["class_accuracy", "archetypes"]\nout = "kept"\nmap = false\n'
    )
    done = imblens("audit", "../a.npz", "--json", cwd=project / "work")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("from imblens.toml: --out ../kept --lens class_accuracy --lens archetypes --no-map\n")
    assert set(json.loads(done.stdout)["lenses"]) == {"archetypes"} and (project / "kept" / "report.html").is_file()


def test_what_is_typed_wins(project: Path) -> None:
    (project / "imblens.toml").write_text('[audit]\nlens = ["archetypes"]\nout = "kept"\n')
    done = imblens("audit", "a.npz", "--lens", "label_suspects", "--out", "typed", "--json", cwd=project)
    assert "from imblens.toml" not in done.stderr and list(json.loads(done.stdout)["lenses"]) == ["label_suspects"]
    assert not (project / "kept").exists()


def test_a_file_above_the_repository_does_not_count_and_outside_of_one_only_the_folder_does(tmp_path: Path) -> None:
    (tmp_path / "imblens.toml").write_text("[audit]\nmap = false\n")
    inner = tmp_path / "repository"
    (inner / ".git").mkdir(parents=True)
    for folder, text in ((inner, "none here"), (tmp_path / "repository" / ".git", "none here"), (tmp_path, "--no-map")):
        assert text in imblens("doctor", "--no-device", cwd=folder).stdout


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("[audti]\nmap = false", "there is no command [audti].", "Did you mean 'audit'?"),
        ("seed = 1", "seed is outside any section.", "Commands with --seed: train, capture."),
        ('[audit]\nlenss = "errors"', "[audit] lenss is not an option of imblens audit.", "Did you mean 'lens'?"),
        ('[audit]\nmap = "no"', "[audit] map = 'no' is not true or false.", "embedding map"),
        ("[audit]\nprototypes = 2.5", "[audit] prototypes = 2.5 is not a whole number.", "Prototypes"),
        ("[audit]\nprototypes = 0", "[audit] prototypes cannot be used:", "Prototypes"),
        ("[audit]\nlens = [1, true]", "[audit] lens = [1, True] is not text", "this lens"),
        ("[audit]\nforce = true", "[audit] force cannot be set in the file.", "Type --force"),
        ("[audit", "imblens.toml cannot be read:", "For example: [audit]"),
    ],
)
def test_what_cannot_be_used_is_named(project: Path, text: str, error: str, hint: str) -> None:
    (project / "imblens.toml").write_text(text)
    done = imblens("audit", "a.npz", "--out", "out", cwd=project)
    first, second = done.stderr.strip().splitlines()
    assert done.returncode == 2 and first.startswith("error: ") and "imblens.toml" in first and error in first
    assert second.startswith("hint: ") and hint in second and not (project / "out").exists()
    shown = imblens("doctor", "--no-device", cwd=project)
    assert shown.returncode == 0 and error in shown.stdout
    assert imblens("audit", "--help", cwd=project).returncode == 0


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_time_left_is_drawn_on_a_terminal_only_and_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_live, "AFTER", 0.0)
    monkeypatch.setattr(_live, "EVERY", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    drawn = {}
    for kind in (_Terminal, io.StringIO):
        monkeypatch.setattr("sys.stderr", kind())
        with _live.live():
            for _ in tracked(range(4), "lens \x1b[31mred"):
                time.sleep(0.04)
        drawn[kind] = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert drawn[io.StringIO] == ""
    assert "lens \\x1b[31mred, 25%, about 0 s left" in drawn[_Terminal] and drawn[_Terminal].endswith("\r\x1b[K")


@pytest.mark.parametrize("browser", [True, False])
def test_open_opens_the_report_and_a_terminal_gets_its_address(
    project: Path, monkeypatch: pytest.MonkeyPatch, browser: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: (opened.append(address), browser)[1])
    words = ("audit", "a.npz", "--lens", "class_accuracy", "--no-map", "--force", "--out", "a folder")
    plain = imblens(*words, cwd=project)
    address = (project / "a folder" / "report.html").as_uri()
    assert plain.returncode == 0 and "a%20folder" in address
    assert not opened and "open:" not in plain.stdout  # not in a pipe
    with monkeypatch.context() as patch:
        patch.setattr(io, "StringIO", _Terminal)
        shown = imblens(*words, "--open", cwd=project)
    assert shown.returncode == 0 and opened == [address]
    assert f"open: {address}" in shown.stdout.splitlines()
    assert ("no browser was found" in shown.stderr) is not browser
