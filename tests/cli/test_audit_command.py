"""imblens audit on arrays, as a person or a script would call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from imblens.cli import app
from imblens.cli.audit import to_try
from imblens.errors import DependencyError
from imblens.extraction import capture
from imblens.lenses import Finding
from imblens.report import audit, next_treatment, summary
from imblens.run import NeighbourGraph, Run, neighbour_graph
from tests.commands import imblens
from tests.report.runs import make_run


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(11)
    counts = np.array([120, 60, 30, 8])
    centres = rng.normal(size=(4, 7)) * 1.5
    weight = centres
    bias = -(centres**2).sum(axis=1) / 2 + np.log(counts / counts.sum())
    labels = {"train": np.repeat(np.arange(4), counts), "test": np.repeat(np.arange(4), 25)}
    features = {name: centres[y] + rng.normal(size=(len(y), 7)) for name, y in labels.items()}
    file = tmp_path_factory.mktemp("arrays") / "arrays.npz"
    content = {}
    for name, y in labels.items():
        content |= {
            f"{name}_features": features[name],
            f"{name}_labels": y,
            f"{name}_logits": features[name] @ weight.T + bias,
        }
    np.savez(file, **content, head_weight=weight, head_bias=bias, class_names=np.array(["cat", "dog", "eel", "fox"]))
    return file


def test_audit_writes_what_the_contract_states(arrays: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = shutil.copy(arrays, tmp_path / "in" / "cells.npz")
    done = imblens("audit", source, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "in" / "cells-audit"  # beside what was audited
    said = json.loads(done.stdout)
    assert Path(said["report"]) == out / "report.html" and said["verdict"]
    findings = json.loads((out / "findings.json").read_text())
    assert set(findings) == {"imblens", "summary", "lenses"}
    assert findings["lenses"]["class_accuracy"]["skipped"] is None
    assert 0 < findings["lenses"]["class_accuracy"]["summary"]["balanced_accuracy"] < 1
    assert findings["lenses"]["colours"]["skipped"]
    table = pd.read_csv(out / "tables" / "class_accuracy.csv")
    assert table["class"].tolist() == ["cat", "dog", "eel", "fox"] and table["train_count"].tolist() == [120, 60, 30, 8]
    for name in ("archetypes", "adversaries", "feature_overlap", "feature_overlap_pairs", "feature_density"):
        assert len(pd.read_csv(out / "tables" / f"{name}.csv"))
    assert (out / "figures" / "class_accuracy.svg").stat().st_size > 1000
    assert (out / "figures" / "class_accuracy.png").read_bytes()[:4] == b"\x89PNG"
    page = (out / "report.html").read_text()
    assert "fox" in page and "Content-Security-Policy" in page and "https://" not in page.split("<script")[0]


def test_one_lens_and_the_same_bytes_twice(arrays: Path, tmp_path: Path) -> None:
    words = ("audit", str(arrays), "--lens", "archetypes", "--lens", "class_accuracy", "--out")
    assert imblens(*words, "a", cwd=tmp_path).returncode == 0
    other = {**os.environ, "PYTHONHASHSEED": "5"}
    subprocess.run(
        [sys.executable, "-m", "imblens", *words, "b"], cwd=tmp_path, env=other, check=True, capture_output=True
    )
    assert sorted(json.loads((tmp_path / "a" / "findings.json").read_text())["lenses"]) == [
        "archetypes",
        "class_accuracy",
    ]
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_one_search_is_as_exact_as_was_asked_for(arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, object]] = []

    def search(x: np.ndarray, k: int, **more: object) -> NeighbourGraph:
        asked.append((k, more["approximate"]))
        return neighbour_graph(x, k)

    monkeypatch.setattr("imblens.run._split.neighbour_graph", search)
    for name, k in (("label_suspects", 20), ("archetypes", 5), ("class_accuracy", None)):
        asked.clear()
        words = ["audit", str(arrays), "--lens", name, "--exact", "--out", str(tmp_path / name)]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert asked == ([] if k is None else [(k, False)])


def test_a_long_search_for_one_lens_reports_its_progress(
    arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, bool]] = []

    def search(x: np.ndarray, k: int, **more: object) -> NeighbourGraph:
        asked.append((k, more["progress"] is not None))
        return neighbour_graph(x, k)

    monkeypatch.setattr("imblens.run._split.neighbour_graph", search)
    monkeypatch.setattr("imblens.cli.audit.LONG_SEARCH", 200)
    for name, expected in (("archetypes", [(5, True)]), ("class_accuracy", [])):
        asked.clear()
        done = CliRunner().invoke(app, ["audit", str(arrays), "--lens", name, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert asked == expected


def test_what_two_threads_import_is_imported_before_the_second_starts(
    arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    class Started:
        def __init__(self, **given: object) -> None:
            pass

        def start(self) -> None:
            events.append("thread")

    monkeypatch.setattr("imblens.cli.audit.import_module", events.append)
    monkeypatch.setattr("imblens.cli.audit.Thread", Started)
    done = CliRunner().invoke(app, ["audit", str(arrays), "--lens", "class_accuracy", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert events == ["narwhals.stable", "thread"]


def test_nothing_is_overwritten_without_force(arrays: Path, tmp_path: Path) -> None:
    words = ("audit", arrays, "--lens", "weight_norms", "--out", "out")
    assert imblens(*words, cwd=tmp_path).returncode == 0
    again = imblens(*words, cwd=tmp_path)
    assert again.returncode == 2 and "--force" in again.stderr
    assert imblens(*words, "--force", cwd=tmp_path).returncode == 0


def test_results_on_stdout_progress_on_stderr(arrays: Path, tmp_path: Path) -> None:
    done = imblens("audit", arrays, "--lens", "class_accuracy", "--out", "out", cwd=tmp_path)
    lines = done.stdout.strip().splitlines()
    assert lines[-2] == "report: out/report.html"
    assert lines[-1].startswith("next: imblens treat ")


@pytest.mark.parametrize(
    ("treatment", "step"),
    [("more varied images", "more varied images"), ("refit", "imblens treat run --with refit --out RUN2")],
)
def test_the_next_step_is_the_one_of_the_class_of_interest(treatment: str, step: str) -> None:
    run = make_run()
    causes = audit(run, lenses=["class_accuracy", "diagnosis"])["diagnosis"].tables["diagnosis"]
    of = causes.loc[causes["strength"] > 0, "class"].iloc[-1]
    found = audit(run, lenses=["class_accuracy", "diagnosis"], of=of)
    table = found["diagnosis"].tables["diagnosis"]
    table = table.assign(treatment=table["treatment"].where(table["class"] != of, treatment))
    found = replace(found, findings={**found.findings, "diagnosis": Finding({"diagnosis": table}, {})})
    assert to_try(found, Path("run"), "RUN2") == f"next: {step}"
    assert next_treatment(found) == treatment


@pytest.mark.parametrize(
    ("treatments", "step"),
    [
        (["", "collect them", "", "look again"], "{1}: collect them"),
        (["", "collect them", "crt", ""], "imblens treat run --with crt --out RUN2"),
        (["", "", "", ""], "imblens treat run --with best --out RUN2"),
    ],
)
def test_the_next_step_is_a_treatment_that_a_class_is_advised_else_advice_in_words_else_best(
    treatments: list[str], step: str
) -> None:
    found = audit(make_run(), lenses=["class_accuracy", "diagnosis"])
    order = summary(found)["order"]
    table = found["diagnosis"].tables["diagnosis"].drop_duplicates("class").set_index("class").loc[order].reset_index()
    table = table.assign(treatment=[*treatments, *[""] * (len(order) - 4)], cause="overlap", strength=0.9)
    found = replace(found, findings={**found.findings, "diagnosis": Finding({"diagnosis": table}, {})})
    assert to_try(found, Path("run"), "RUN2") == f"next: {step.format(*order)}"
    unjudged = table.assign(cause="too few to tell", treatment="more instances to judge it by")
    found = replace(found, findings={**found.findings, "diagnosis": Finding({"diagnosis": unjudged}, {})})
    assert next_treatment(found) == "best"


def test_treat_then_compare(arrays: Path, tmp_path: Path) -> None:
    treated = imblens(
        "treat", arrays, "--with", "eos", "--set", "random_state=0", "--out", "better", "--json", cwd=tmp_path
    )
    assert treated.returncode == 0, treated.stderr
    said = json.loads(treated.stdout)
    assert said["treatment"]["name"] == "eos" and len(said["classes"]) == 4
    done = imblens("compare", arrays, "better", "--out", "compared", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "compared" / "report.html").exists() and len(
        pd.read_csv(tmp_path / "compared/tables/comparison.csv")
    )


def test_a_run_is_not_treated_over_itself(tmp_path: Path) -> None:
    labels = np.repeat([0, 1], (30, 9))
    features = np.random.default_rng(1).normal(size=(39, 3)) + labels[:, None]
    Run.from_arrays(train=(features, labels)).save(tmp_path / "run")
    done = imblens("treat", "run", "--with", "smote", "--out", "run", "--force", cwd=tmp_path)
    assert done.returncode == 2 and "is the run to be treated" in done.stderr
    assert Run.load(tmp_path / "run").head is None


def test_treat_without_predictions_to_compare_with(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], (40, 9))
    arrays = {"train_features": rng.normal(size=(49, 3)) + labels[:, None], "train_labels": labels}
    np.savez(tmp_path / "train.npz", **arrays)
    np.savez(tmp_path / "both.npz", **arrays, test_features=rng.normal(size=(49, 3)), test_labels=labels)
    for name, said in (("train", "no test split"), ("both", "no predictions to compare with")):
        done = imblens("treat", f"{name}.npz", "--with", "smote", "--out", f"{name}-better", cwd=tmp_path)
        assert done.returncode == 0 and said in done.stdout, done.stderr
        assert f"next: imblens audit {name}-better" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("imblens au", "audit"),
        ("imblens audit RUN --lens arch", "archetypes"),
        ("imblens treat RUN --with eo", "eos"),
        ("imblens train DATA --arch resnet3", "resnet32"),
        ("imblens train DATA --loss foc", "focal"),
    ],
)
def test_the_shell_completes_commands_and_names(words: str, expected: str) -> None:
    env = {**os.environ, "_IMBLENS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "import sys; sys.argv = ['imblens']; from imblens.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert expected in done.stdout.split(), done.stderr


def test_bash_completes_with_the_script_that_it_is_given(tmp_path: Path) -> None:
    command = tmp_path / "imblens"
    main = 'import sys; sys.argv[0] = "imblens"; from imblens.cli import main; main()'
    command.write_text(f"#!{sys.executable}\n{main}\n")
    command.chmod(0o755)
    typed = """source <(_IMBLENS_COMPLETE=source_bash imblens); complete -p imblens
        COMP_WORDS=(imblens treat RUN --with adas); COMP_CWORD=4; _imblens_completion imblens; echo "${COMPREPLY[@]}" """
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", typed], env=env, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["complete -o default -F _imblens_completion imblens", "adasyn"], done.stderr


def test_doctor_knows_every_extra_of_the_package() -> None:
    from imblens.base.extras import EXTRAS

    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split("[project.optional-dependencies]")[1].split("\n[")[0]
    assert {line.split(" = ")[0] for line in section.splitlines() if " = [" in line} - {
        "all",
        "dev",
        "docs",
        "test",
    } == set(EXTRAS)


def test_doctor_reports_what_each_extra_adds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from imblens.base import extras

    find = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda package: None if package == "tensorboard" else find(package))
    done = CliRunner().invoke(app, ["doctor", "--json", "--no-device"])
    report = json.loads(done.stdout)
    assert report["[tensorboard]"].startswith("missing tensorboard: ") and "pip install" in report["[tensorboard]"]
    assert report["[train]"].startswith("installed: imblens train") and "pip install" not in report["[train]"]


def test_a_missing_extra_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from imblens.base import extras
    from imblens.cli import main

    find = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda package: None if package == "kornia" else find(package))
    monkeypatch.setattr("sys.argv", ["imblens", "demo", "--out", str(tmp_path / "demo")])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.splitlines() == [
        "error: imblens demo needs kornia, which is not installed.",
        "hint: Run: pip install 'imblens[train]'",
    ]
    assert not (tmp_path / "demo").exists()


def test_capture_without_torch_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from imblens.base import extras
    from imblens.cli import main

    monkeypatch.setattr(extras, "find_spec", lambda package: None)
    monkeypatch.setattr("sys.argv", ["imblens", "capture", "DATA", "--model", "net", "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: imblens capture needs torch and numba, which are not installed.",
        "hint: Run: pip install 'imblens[torch]'",
    ]
    assert not (tmp_path / "run").exists()
    with pytest.raises(DependencyError, match=r"^imblens\.capture needs torch and numba, which are not installed"):
        capture(None, train=None)  # type: ignore[arg-type]
