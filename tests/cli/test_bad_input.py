"""Whatever people type or hand over: one clear sentence on stderr, exit code 2, nothing written."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imblens.cli import _stoppable
from tests import commands

RNG = np.random.default_rng(5)
LABELS = np.repeat([0, 1, 2], (30, 12, 5))
GOOD = {"train_features": RNG.normal(size=(47, 6)) + LABELS[:, None], "train_labels": LABELS}
GOOD |= {"test_features": RNG.normal(size=(9, 6)), "test_labels": np.arange(9) % 3}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def imblens(tmp_path: Path) -> Run:
    """Run the command line in an empty folder; return exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        done = commands.imblens(*words, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr

    return run


def changed(**arrays: np.ndarray | None) -> dict[str, np.ndarray]:
    return {key: value for key, value in {**GOOD, **arrays}.items() if value is not None}


def value_at(value: float) -> np.ndarray:
    features = GOOD["train_features"].copy()
    features[3, 1] = value
    return features


ARCHIVES = {
    "nan": (changed(train_features=value_at(np.nan)), "row 3, column 1"),
    "infinite": (changed(test_features=np.full((9, 6), np.inf)), "test_features holds NaN or infinite"),
    "lengths": (changed(train_labels=LABELS[:-2]), "train_labels has 45 rows, the features 47"),
    "dimensions": (changed(test_features=np.ones((9, 5))), "test_features has 5 columns, train_features 6"),
    "one class": (changed(train_labels=LABELS * 0, test_labels=np.zeros(9, int)), "at least two"),
    "out of range": (changed(class_names=np.array(["a", "b"])), "there are 2 classes"),
    "names": (
        changed(class_names=np.array(list("abcd")), train_logits=np.ones((47, 3))),
        "4 class names for 3 classes",
    ),
    "object names": (changed(class_names=np.array(["a", 1, None], dtype=object)), "object array"),
    "object labels": (changed(train_labels=LABELS.astype(object)), "object array"),
    "missing key": (changed(train_labels=None), "no 'train_labels'"),
    "no test labels": (changed(test_labels=None), "no 'test_labels'"),
    "three dimensions": (changed(train_features=np.ones((47, 2, 3))), "must be a matrix"),
    "empty": (changed(train_features=np.ones((0, 6)), train_labels=LABELS[:0]), "at least one of each"),
    "half labels": (changed(train_labels=LABELS + 0.5), "not a whole number"),
    "head": (changed(train_logits=np.ones((47, 3)), head_weight=np.ones((6, 3))), "transposed"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_that_cannot_be_audited(imblens: Run, tmp_path: Path, case: str) -> None:
    arrays, fragment = ARCHIVES[case]
    np.savez(tmp_path / "arrays.npz", **arrays)
    assert_refused(imblens("audit", "arrays.npz", "--out", "out"), fragment, tmp_path)


WORDS = {
    "no file": (("audit", "nothing.npz"), "no run at nothing.npz"),
    "nearly a file": (("audit", "god.npz"), "Did you mean 'good.npz'?"),
    "nearly a folder": (("train", "brokne", "--out", "out"), "Did you mean 'broken'?"),
    "not an archive": (("audit", "text.npz"), "not an .npz archive"),
    "pickle": (("audit", "pickle.npz"), "not an .npz archive"),
    "empty folder": (("audit", "empty"), "without run.json"),
    "unknown lens": (("audit", "good.npz", "--lens", "archetype"), "Did you mean 'archetypes'?"),
    "unknown class": (("audit", "good.npz", "--class", "trukc"), "no class 'trukc'"),
    "two classes of interest": (
        ("audit", "good.npz", "--class", "1", "--class", "2", "--out", "out"),
        "--class was given 2 times",
    ),
    "out is a file": (("audit", "good.npz", "--out", "text.npz", "--force"), "is a file"),
    "out holds something": (("audit", "good.npz", "--out", "full"), "already exists"),
    "unknown treatment": (("treat", "good.npz", "--with", "eoss", "--out", "out"), "Did you mean 'eos'?"),
    "unknown option": (("treat", "good.npz", "--with", "eos", "--set", "k=3", "--out", "out"), "'k'"),
    "bad option": (("treat", "good.npz", "--with", "eos", "--set", "k_neighbors=many", "--out", "out"), "many"),
    "no value": (("treat", "good.npz", "--with", "eos", "--set", "k_neighbors", "--out", "out"), "k_neighbors"),
    "one run": (("compare", "good.npz", "--out", "out"), "compare got one run"),
    "class of no run": (("compare", "good.npz", "good.npz", "--class", "trukc", "--out", "out"), "no class 'trukc' in"),
    "class twice": (
        ("compare", "good.npz", "good.npz", "--class", "1", "--class", "1", "--out", "out"),
        "class '1' is given twice",
    ),
    "unknown set": (("train", "shaeps", "--out", "out"), "Did you mean 'shapes'?"),
    "public set without files": (("train", "cifar10", "--out", "out"), "cifar-10-python.tar.gz"),
    "public set elsewhere": (("train", "cifar10", "--root", "empty", "--out", "out"), "cifar-10-python.tar.gz"),
    "root of no public set": (("train", "shapes", "--root", "empty", "--out", "out"), "Known: cifar10"),
    "empty images": (("train", "empty", "--out", "out"), "empty"),
    "unknown network": (("train", "shapes", "--arch", "resnet33", "--out", "out"), "resnet32"),
    "unknown loss": (("train", "shapes", "--loss", "cee", "--out", "out"), "'ce'"),
    "unknown schedule": (("train", "shapes", "--schedule", "long", "--out", "out"), "short"),
    "bad profile": (("train", "shapes", "--profile", "exp:zero", "--out", "out"), "exp"),
    "unknown over-sampler": (("train", "shapes", "--oversample", "smot", "--out", "out"), "Did you mean 'smote'?"),
    "option of nothing": (("train", "shapes", "--set", "kappa=3", "--out", "out"), "--rebalanced-mixup: kappa"),
    "option of another": (("train", "shapes", "--oversample", "smote", "--set", "tau=1", "--out", "out"), "'tau'"),
    "late refusal": (("train", "digits", "--oversample", "random", "--schedule", "long", "--out", "out"), "short"),
    "too few": (("train", "digits", "--oversample", "smote", "--set", "k_neighbors=5", "--out", "out"), "'9' has 4"),
    "nothing made": (("train", "digits", "--oversample", "random", "--resume", "--out", "out"), "no training in out"),
    "not an image": (("train", "broken", "--out", "out"), "bad.png"),
    "no list to drop": (("train", "shapes", "--drop", "none.csv", "--out", "out"), "no such file"),
    "nothing to resume": (("train", "shapes", "--resume", "--out", "out"), "resume"),
    "no factory file": (("capture", "shapes", "--model", "net.py:build", "--out", "out"), "net.py"),
    "no factory": (("capture", "shapes", "--model", "here.py:biuld", "--out", "out"), "build"),
    "bad mean": (("capture", "shapes", "--model", "here.py:build", "--mean", "a,b", "--out", "out"), "--mean"),
    "size of letters": (("train", "shapes", "--size", "3y", "--out", "out"), "--size 32 or --size 32x48"),
    "size too large": (("train", "shapes", "--size", "1000000", "--out", "out"), "from 1 to 8,192"),
    "unknown list": (("list", "lens"), "Did you mean 'lenses'?"),
    "unknown name": (("list", "lenses", "archetype"), "no lens 'archetype'. hint: Did you mean 'archetypes'?"),
}


@pytest.mark.parametrize("case", WORDS)
def test_words_that_cannot_be_followed(imblens: Run, tmp_path: Path, case: str) -> None:
    from PIL import Image

    np.savez(tmp_path / "good.npz", **GOOD)
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "here.py").write_text("import torch\ndef build(): return torch.nn.Linear(2, 2)\n")
    for name in ("a", "b"):
        (tmp_path / "broken" / "train" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "broken" / "train" / name / "good.png")
    (tmp_path / "broken" / "train" / "a" / "bad.png").write_text("not an image")
    words, fragment = WORDS[case]
    assert_refused(imblens(*words), fragment, tmp_path)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def assert_refused(answer: tuple[int, str, str], fragment: str, folder: Path) -> None:
    code, out, err = answer
    assert code == 2, err
    assert fragment in " ".join(err.split())
    *_, error, hint = err.strip().splitlines()
    assert error.startswith("error: ") and hint.startswith("hint: ") and "Traceback" not in err, err
    assert out == ""
    assert not (folder / "out").exists() or not any((folder / "out").iterdir()), "nothing is written"
    assert not list(folder.glob("*-audit"))


TORCHLESS = """
import sys
from imblens.cli import main
sys.argv = ["imblens", *{words!r}]
try:
    main()
except SystemExit:
    pass
heavy = {{"torch", "altair", "lightning", "kornia"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["audit", "--help"], ["audti"], ["audit", "nothing.npz"], ["list", "data"]]
)
def test_small_things_do_not_load_torch(words: list[str]) -> None:
    subprocess.run([sys.executable, "-c", TORCHLESS.format(words=words)], check=True, capture_output=True)


def test_a_fault_of_ours_is_exit_code_1(imblens: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", **GOOD)
    monkeypatch.setattr("imblens.report.audit", lambda *_, **__: 1 / 0)
    monkeypatch.delenv("IMBLENS_DEBUG", raising=False)
    code, _, err = imblens("audit", "good.npz")
    assert code == 1 and "ZeroDivisionError" in err and "IMBLENS_DEBUG" in err


def test_mistyped_commands_get_a_suggestion(imblens: Run) -> None:
    code, _, err = imblens("audti", "x")
    assert code == 2 and "audit" in err


def test_a_command_refused_late_leaves_no_folder(imblens: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", **GOOD)
    np.savez(tmp_path / "other.npz", **GOOD, class_names=np.array(["x", "y", "z"]))
    code, _, err = imblens("compare", "good.npz", "other.npz", "--out", "out")
    assert code == 2, err
    assert not (tmp_path / "out").exists()


def test_class_names_cannot_steer_the_terminal(imblens: Run, tmp_path: Path) -> None:
    names = np.array(["a\x1b[2J", "b\u202e", "c"])
    np.savez(tmp_path / "good.npz", **GOOD, class_names=names)
    code, out, err = imblens("audit", "good.npz", "--class", "\x1b[31mred", "--out", "out")
    assert code == 2 and "\x1b" not in out + err and "\u202e" not in out + err


def test_class_names_cannot_break_lines(imblens: Run, tmp_path: Path) -> None:
    names = np.array(["a", "b\nnext: rm", "c\td"])
    np.savez(tmp_path / "good.npz", **GOOD, class_names=names, test_logits=np.eye(3)[np.zeros(9, int)])
    words = ("audit", "good.npz", "--lens", "class_accuracy", "--class", "b\nnext: rm", "--out", "out")
    code, out, err = imblens(*words)
    assert code == 0, err
    assert "b\\nnext: rm" in out and not [line for line in out.splitlines() if line.startswith("next: rm")]


STOPPED = {
    "audit": ("imblens.report.audit", ("audit", "good.npz")),
    "treat": ("imblens.treatments.treat", ("treat", "good.npz", "--with", "eos")),
    "compare": ("imblens.report.compare", ("compare", "good.npz", "same.npz")),
}


@pytest.mark.parametrize("command", STOPPED)
@pytest.mark.parametrize("written", [False, True])
def test_ctrl_c_states_what_is_left(
    imblens: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, written: bool
) -> None:
    for name in ("good", "same"):
        np.savez(tmp_path / f"{name}.npz", **GOOD)

    def stop(*_: object, **__: object) -> None:
        if written:
            (tmp_path / "out" / "some.csv").write_text("1")
        raise KeyboardInterrupt

    works, words = STOPPED[command]
    monkeypatch.setattr(works, stop)
    code, out, err = imblens(*words, "--out", "out")
    assert code == 130 and out == ""
    stopped, hint = err.strip().splitlines()[-2:]
    typed = " ".join(words) + " --out out"
    if written:
        assert stopped == "stopped: interrupted; the files in out may be incomplete."
        assert hint == f"hint: run it again with: imblens {typed} --force"
        assert (tmp_path / "out" / "some.csv").exists()
    else:
        assert stopped == "stopped: interrupted; nothing was written."
        assert hint == f"hint: run it again with: imblens {typed}"
        assert not (tmp_path / "out").exists()


def test_ctrl_c_waits_until_an_import_is_out_of_its_locks() -> None:
    reached: list[int] = []
    inside = compile("signal.raise_signal(2)\nreached.append(1)", "<frozen importlib._bootstrap>", "exec")
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests run in the background ignore it
    try:
        with _stoppable():
            with pytest.raises(KeyboardInterrupt):
                exec(inside, {"signal": signal, "reached": reached})
                time.sleep(30)
            assert reached
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, usual)


def test_a_map_that_was_not_requested_is_reported_as_left_out(imblens: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", **GOOD)
    code, out, err = imblens("audit", "good.npz", "--no-map", "--out", "out")
    assert code == 0, err
    assert "skipped embedding_map: it was left out on request." in out


def test_mistyped_keys_are_not_ignored(imblens: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "typo.npz", **GOOD, trian_logits=np.ones((47, 3)))
    code, _, err = imblens("audit", "typo.npz", "--out", "out")
    assert code == 2 and "train_logits" in err
    np.savez(tmp_path / "bias.npz", **GOOD, head_bias=np.ones(3))
    code, _, err = imblens("audit", "bias.npz", "--out", "out")
    assert code == 2 and "head_weight" in err
