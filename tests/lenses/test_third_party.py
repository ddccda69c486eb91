"""A lens in a package of its own takes part everywhere, with no edit of imblens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imblens.run import Run
from tests.lenses.made import make_run

ROOT = Path(__file__).resolve().parents[2]
CODE = '''
"""A lens of another package: the mean length of the features of each class."""

import altair as alt
import numpy as np
import pandas as pd

from imblens.lenses import Finding, Measure, lens


def lines(finding):
    table = finding.tables["feature_length"]
    return {row["class"]: f"{row['class']} has features of length {row['length']:.2f}." for _, row in table[:1].iterrows()}


def charts(finding):
    return {"feature_length": alt.Chart(finding.tables["feature_length"]).mark_bar().encode(x="length:Q", y="class:N")}


@lens(
    "How long are the features of each class?",
    order=35,
    measures=[Measure("feature_length", "length", "mean length of features", better="lower")],
    lines=lines,
    charts=charts,
)
def feature_length(run):
    train = run.train
    norms = np.linalg.norm(np.asarray(train.features, dtype=float), axis=1)
    lengths = [norms[train.labels == c].mean() for c in range(run.n_classes)]
    return Finding({"feature_length": pd.DataFrame({"class": run.classes, "length": lengths})}, {"largest": max(lengths)})
'''
PAGE = """# feature_length

## What it measures

How long the features of a class are on average.
"""
SITE = """
from docs import hooks
assert "feature_length" in hooks.lens_table()
print(hooks.lens_pages()["lenses/feature_length.md"])
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `pip install --target` would write it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "longfeatures").mkdir()
    (folder / "longfeatures" / "__init__.py").write_text(CODE)
    (folder / "longfeatures" / "page.md").write_text(PAGE)
    info = folder / "longfeatures-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: longfeatures\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[imblens.lenses]\nfeature_length = longfeatures:feature_length\n")
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        make_run(seed=seed).save(folder / f"run{seed}")
    return folder


def python(package: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(package), str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed(package: Path) -> None:
    assert "feature_length" in python(package, "-m", "imblens", "list", "lenses")


def test_it_takes_part_in_audit_report_and_class_table(package: Path, saved: Path, tmp_path: Path) -> None:
    lenses = [part for name in ("class_accuracy", "feature_length") for part in ("--lens", name)]
    python(package, "-m", "imblens", "audit", str(saved / "run0"), *lenses, "--out", str(tmp_path))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (
        "How long are the features of each class?" in page
        and "How long the features of a class are on average." in page
    )
    assert "has features of length" in page
    assert list((tmp_path / "figures").glob("feature_length*"))
    header, *rows = (tmp_path / "tables" / "feature_length.csv").read_text(encoding="utf-8").splitlines()
    assert header == "class,length" and len(rows) == 5
    found = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    run = Run.load(saved / "run0")
    norms = np.linalg.norm(np.asarray(run.train.features, dtype=float), axis=1)
    lengths = {name: norms[run.train.labels == c].mean() for c, name in enumerate(run.classes)}
    assert found["lenses"]["feature_length"]["summary"]["largest"] == pytest.approx(max(lengths.values()))
    measured = {row["class"]: row["measures"]["length"] for row in found["summary"]["class_table"]}
    assert measured == pytest.approx(lengths)


@pytest.mark.thorough  # the audit and report: above
def test_it_takes_part_in_comparisons(package: Path, saved: Path, tmp_path: Path) -> None:
    python(package, "-m", "imblens", "compare", str(saved / "run0"), str(saved / "run1"), "--out", str(tmp_path))
    tables = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "tables").glob("*.csv"))
    assert ",length," in tables
    assert "mean length of features" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_its_page_is_part_of_the_site(package: Path) -> None:
    pytest.importorskip("mkdocs")
    assert "How long the features of a class are on average." in python(package, "-c", SITE)
