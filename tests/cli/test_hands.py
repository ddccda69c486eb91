"""The command line fits the hand: help that can be copied, explanations, dry runs, endings that say what to type next."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer

from imblens.cli import app, main
from imblens.cli._explain import _without_markdown
from tests.cli.test_bad_input import GOOD, LABELS
from tests.commands import imblens

CODE = "from imblens.cli import main; main()"


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["audti"], "there is no command 'audti'.", "Did you mean 'audit'?"),
        (["audit", "--lnes", "x"], "imblens audit has no option --lnes.", "Did you mean '--lens'?"),
        (["audit", "x.npz", "--lens"], "imblens audit: --lens needs a value.", "Write --lens NAME: Only this lens"),
        (
            ["audit", "x.npz", "--map=yes"],
            "imblens audit: Option '--map' does not take a value.",
            "imblens audit --help",
        ),
        (
            ["train", "--explain", "x"],
            "there is no loss, over-sampler, schedule, sampler, network or data set 'x'.",
            "Known",
        ),
        (["audit"], "Missing argument 'RUN|ARRAYS.npz|TABLE.parquet'.", "For example: imblens audit RUN."),
        (["train", "shapes"], "Missing option '--out'.", "imblens train --help"),
        (["train", "shapes", "--out", "x", "--epochs", "many"], "'--epochs'", "imblens train --help"),
        (["treat", "--explain", "eoss"], "there is no treatment 'eoss'.", "Did you mean 'eos'?"),
    ],
)
def test_mistyped_words_are_reported_in_three_parts(words: list[str], error: str, hint: str, tmp_path: Path) -> None:
    done = imblens(*words, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    first, second = done.stderr.strip().splitlines()
    assert first.startswith("error: ") and error in first
    assert second.startswith("hint: ") and hint in second
    assert not list(tmp_path.iterdir())


EXPLAINED = [
    (["audit", "--explain", "archetypes"], ("Which instances are typical", "How to read it", "What to try")),
    (["compare", "--explain", "ranking"], ("How to read it",)),
    (["treat", "--explain", "eos"], ("Dablain", "--set k_neighbors=auto", "imblens treat RUN --with eos")),
    (["train", "--explain", "focal"], ("Lin et al. 2017", "gamma")),
    (["train", "--explain", "smote"], ("Chawla", "--set k_neighbors=auto")),
    (["study", "--explain", "eos-gap"], ("Figures 3, 4 and 5", "[[data]]", "imblens study eos-gap --quick")),
    (["list", "losses", "ldam"], ("margin", "Cao et al. 2019")),
    (["list", "lenses", "archetypes"], ("archetype", "at least 4/5 of K")),
]


@pytest.mark.parametrize(("words", "said"), EXPLAINED)
def test_names_are_explained(words: list[str], said: tuple[str, ...], tmp_path: Path) -> None:
    for more in ([], ["--json"]):
        done = imblens(*words, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        text = "\n".join(json.loads(done.stdout).values()) if more else done.stdout
        assert all(part in text for part in said)


def test_tables_of_an_explanation_fit_a_terminal(tmp_path: Path) -> None:
    rows = [
        line
        for line in imblens("audit", "--explain", "diagnosis", cwd=tmp_path).stdout.splitlines()
        if line[:3] == "  `"
    ]
    assert len(rows) > 1 and max(map(len, rows)) <= 120


def test_no_column_of_an_explanation_is_a_letter_wide() -> None:
    table = "\n".join(
        ["| cause | when | strength |", "|---|---|---|", f"| ranking | {'low and ' * 20} | {'half ' * 9} |"]
    )
    lines = _without_markdown(table)
    assert all(len(line) <= 120 for line in lines) and len(lines) < 8
    assert " ".join(" ".join(lines).split()).count("half") == 9


def test_explanations_load_no_torch(tmp_path: Path) -> None:
    code = f"""
import sys
from imblens.cli import main
for words in {[words for words, _ in EXPLAINED]!r}:
    sys.argv = ["imblens", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, words
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("usual", [(700, 10, 10), (90_000, 5, 5), (0, 10, 10)])
def test_garbage_is_searched_for_as_before_once_a_command_ended(
    usual: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = []
    monkeypatch.setattr("imblens.cli._run", lambda: inside.append(gc.get_threshold()) or 3)
    monkeypatch.setattr("atexit.register", lambda *_: None)
    before = gc.get_threshold()
    try:
        gc.set_threshold(*usual)
        with pytest.raises(SystemExit, match="3"):
            main()
        assert gc.get_threshold() == usual
    finally:
        gc.set_threshold(*before)
    assert inside == [(usual[0] and max(usual[0], 5_000), *usual[1:])]  # switched off stays switched off


def test_the_help_of_all_commands_imports_none_of_them(tmp_path: Path) -> None:
    code = """
import contextlib, sys
from imblens.cli import app, main
with contextlib.suppress(SystemExit):
    app(["--help"], prog_name="imblens", standalone_mode=False)
heavy = {"rich", "pydantic", "pandas", "altair", "torch", "imblens.cli.audit", "imblens.cli.doctor"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    listed = " ".join(done.stdout.partition("Commands:")[2].partition("Examples:")[0].split())
    commands = typer.main.get_command(app).commands
    first = [f"{name} {' '.join(one.help.partition(chr(10) * 2)[0].split())}" for name, one in commands.items()]
    assert listed == " ".join(first)  # in one line what each command's own help says first


def test_every_command_has_json_and_examples_that_parse() -> None:
    """The examples in a command's help are lines of their own, and their options exist."""
    for name, command in typer.main.get_command(app).commands.items():
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert "--json" in options, name
        typed = [line for line in command.epilog.splitlines() if line.startswith("$ ")]
        assert typed, name
        for line in typed:
            words = line.split()
            assert words[1:3] == ["imblens", name], line
            assert {word for word in words if word.startswith("--")} <= options, line


def test_an_explanation_shows_tables_and_formulas_without_markdown(tmp_path: Path) -> None:
    lines = imblens("list", "lenses", "archetypes", cwd=tmp_path).stdout.splitlines()
    table = next(i for i, line in enumerate(lines) if line.split()[:1] == ["archetype"])
    assert lines[table + 1] == "  safe       4 or 5      at least 4/5 of K"
    lines += imblens("list", "lenses", "class_features", cwd=tmp_path).stdout.splitlines()
    assert "  CE        = features * weight[p]          p = predicted class; sum(CE) + bias[p] = logit[p]" in lines
    assert not [line for line in lines if line.startswith(("|", "```"))]


@pytest.mark.parametrize("words", [[], ["audit"], ["train"], ["doctor"]])
def test_help_shows_no_value_behind_flags(words: list[str], tmp_path: Path) -> None:
    told = imblens(*words, "--help", cwd=tmp_path).stdout
    assert "--help" in told and "bool" not in told.lower()


def test_a_dry_run_checks_and_writes_nothing(tmp_path: Path) -> None:
    done = imblens("train", "digits", "--oversample", "smote", "--dry-run", "--json", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["features"] == 64 and told["class_counts"][0] == 89 and told["oversample"] == "smote"
    assert told["augment"] == "crop" and done.stderr.count("digits: images are not mirrored") == 1
    assert told["epochs"] == 72  # 500 batches; 890 images with the synthetic ones are 7 batches of 128
    assert not (tmp_path / "run").exists()
    done = imblens("study", "eos-gap", "--quick", "--data", "digits", "--dry-run", "--json", "--out", "s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["cells"] == told["cells_to_do"] == 6 * len(told["jobs_to_do"])
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ("nn.Conv2d(3, n, 32), nn.Flatten()", "a linear layer .it has none"),
        ("nn.Flatten(), nn.Linear(3072, n), nn.Softmax(dim=1)", "has a softmax behind its last linear layer"),
        ("nn.Flatten(), nn.Linear(3072, n)", "first shows images of 24 x 24"),
        ("nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, n + 1)", "11 outputs for 10 classes"),
    ],
)
def test_a_network_that_cannot_be_captured_is_reported_before_it_is_trained(
    network: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imblens.data import digits
    from imblens.errors import InputError
    from imblens.training import TrainingPlan
    from imblens.workflows import train_and_capture

    monkeypatch.setattr("imblens.training.train", None)
    (tmp_path / "net.py").write_text(f"from torch import nn\ndef build(n): return nn.Sequential({network})\n")
    with pytest.raises(InputError, match=told):
        train_and_capture(digits(), tmp_path / "run", TrainingPlan(arch=f"{tmp_path / 'net.py'}:build"))
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough  # test_audit_command.py: treat and compare of arrays
@pytest.mark.slow
def test_endings_state_what_was_found_and_what_to_type_next(tmp_path: Path) -> None:
    """One way through the commands: each one's last line is a command, and that command is understood."""
    done = imblens("train", "digits", "--epochs", 1, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0].split()[:2] == ["class", "train_count"] and lines[1].split()[:3] == ["0", "89", "1.000"]
    assert "epoch 1/1  loss" in done.stderr and lines[-2] == "report: run/audit/report.html"
    for _ in range(2):  # treat, then compare
        command = lines[-1].removeprefix("next: imblens ").split()
        assert command[0] == ("treat" if _ == 0 else "compare")
        done = imblens(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.strip().splitlines()
    assert any("balanced accuracy" in line for line in lines)
    assert lines[-1].startswith(("next: imblens audit run-", "next: imblens collect run"))


def test_a_treatment_states_who_gains_and_who_has_one_instance(tmp_path: Path) -> None:
    keep = np.flatnonzero((LABELS < 2) | (np.arange(len(LABELS)) == 42))
    np.savez(
        tmp_path / "lone.npz",
        **{**GOOD, "train_features": GOOD["train_features"][keep], "train_labels": LABELS[keep]},
        test_logits=GOOD["test_features"][:, :3],
        train_logits=GOOD["train_features"][keep][:, :3],
    )
    done = imblens("treat", "lone.npz", "--with", "eos", "--set", "k_neighbors=5", "--out", "better", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2: one training instance, which does not show how new instances vary" in done.stderr
    assert any(line.startswith("eos: ") for line in done.stdout.splitlines())
    done = imblens("treat", "lone.npz", "--with", "logit_adjustment", "--set", "tau=1", "--out", "b2", cwd=tmp_path)
    assert "one training instance" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_states_how_to_resume(tmp_path: Path) -> None:
    words = ["train", "digits", "--epochs", "500", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *words], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "NO_COLOR": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )  # fmt: skip
    try:
        until = time.monotonic() + 400
        while not (tmp_path / "run" / "log.csv").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, err
    shortage, mirroring, *epochs, stopped, hint = err.strip().splitlines()
    assert shortage.startswith("Profile exp:20 asks for more images than there are: ")
    assert mirroring.startswith("digits: images are not mirrored")
    assert epochs and all(line.startswith("epoch ") for line in epochs), err  # Lightning adds no messages of its own
    assert stopped.startswith("stopped: at epoch ") and stopped.endswith(" of 500.")
    assert hint.startswith("hint: resume with: imblens ") and hint.endswith("--resume")


def test_python_runs_it_as_a_module(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "imblens", "audit", "nowhere.npz"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("error: no run at nowhere.npz.")


def test_where_a_treatment_did_not_gain_the_next_step_is_data(tmp_path: Path) -> None:
    n_classes, dim = len(np.unique(LABELS)), GOOD["train_features"].shape[1]
    head = {"head_weight": np.random.default_rng(0).normal(size=(n_classes, dim)), "head_bias": np.zeros(n_classes)}
    for name in ("a.npz", "b.npz"):
        np.savez(tmp_path / name, **GOOD, **head)
    words = ["--with", "temperature", "--set", "temperature=2", "--set", "check_split=false", "--out", "cooler"]
    done = imblens("treat", "a.npz", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for other, after in (
        ("cooler", "collect a.npz --out collect"),
        ("b.npz", "treat a.npz --with best --out a-best"),
    ):
        done = imblens("compare", "a.npz", other, "--no-map", "--out", f"with-{other}", cwd=tmp_path)
        assert done.stdout.strip().splitlines()[-1] == f"next: imblens {after}", done.stderr
    (tmp_path / "comparison").mkdir()
    done = imblens("treat", "a.npz", *words[:-1], "cooler-2", cwd=tmp_path)
    assert done.stdout.strip().splitlines()[-1] == "next: imblens compare a.npz cooler-2 --out comparison-2", (
        done.stderr
    )
