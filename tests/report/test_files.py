"""What an audit leaves on disk."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import imblens
from imblens.base.csv_text import csv_text
from imblens.base.plain import plain
from imblens.errors import ExistsError, StorageError
from imblens.lenses import Finding, lens
from imblens.report import audit, summary
from imblens.report._svg import slim
from imblens.report._tables import file_names
from imblens.run import Run
from tests.lenses.made import archetype_instances
from tests.report.runs import HOSTILE, make_run


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    report = audit(make_run(), lenses=["class_accuracy"]).save(folder / "out")
    assert report == folder / "out" / "report.html"
    return folder / "out"


def test_the_files_are_those_of_the_contract(saved):
    assert set(digests(saved)) == {
        "report.html",
        "findings.json",
        "instances.parquet",
        "tables/class_accuracy.csv",
        "tables/confusion.csv",
        "figures/class_accuracy.svg",
        "figures/class_accuracy.png",
        "figures/confusion.svg",
        "figures/confusion.png",
    }


def test_tables_read_back_to_the_same_numbers(saved):
    table = audit(make_run(), lenses=["class_accuracy"])["class_accuracy"].tables["class_accuracy"]
    with open(saved / "tables" / "class_accuracy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(table.columns)
    assert [row["class"] for row in rows] == table["class"].tolist()
    for name in table.columns[1:]:
        assert [float(row[name]) for row in rows] == table[name].tolist()


def test_findings_hold_every_lens_skipped_ones_too(tmp_path):
    run = make_run()
    bare = Run(train=run.train, test=None, head=run.head, classes=run.classes)
    audit(bare, lenses=["class_accuracy"]).save(tmp_path / "out")
    found = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert found == {
        "imblens": imblens.__version__,
        "summary": summary(audit(bare, lenses=["class_accuracy"])),
        "lenses": {"class_accuracy": {"summary": {}, "skipped": "class_accuracy: the run has no test split."}},
    }


def test_the_same_run_gives_the_same_bytes_in_another_process(saved, tmp_path):
    code = (
        "from pathlib import Path; from tests.report.runs import make_run; from imblens.report import audit; "
        f"audit(make_run(), lenses=['class_accuracy']).save(Path({str(tmp_path / 'again')!r}))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
    assert digests(tmp_path / "again") == digests(saved)


def test_a_chart_does_not_depend_on_what_was_drawn_before(saved, tmp_path, drawn_anew):
    audit(make_run(HOSTILE, seed=3), lenses=["class_accuracy"]).save(tmp_path / "other")
    audit(make_run(), lenses=["class_accuracy"]).save(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(saved)


def test_every_instance_has_its_row(tmp_path):
    run = make_run()
    found = audit(run, lenses=["archetypes", "label_suspects"])
    found.save(tmp_path / "out", figures=False)
    table = pd.read_parquet(tmp_path / "out" / "instances.parquet")
    columns = ["id", "split", "class", "predicted", "correct", "confidence", "adversary", "archetype", "suspect_score"]
    assert table.columns.tolist() == columns
    assert table["split"].value_counts().to_dict() == {"train": len(run.train), "test": len(run.test)}
    train = table[table["split"] == "train"].reset_index(drop=True)
    assert train["archetype"].tolist() == archetype_instances(found.run)["archetype"].tolist()
    listed = found["label_suspects"].tables["label_suspects"].set_index("id")["score"]
    scores = train.set_index("id")["suspect_score"]
    assert scores.notna().all()
    assert (scores[listed.index] == listed).all()
    assert (table["adversary"] != table["class"]).all()
    wrong = table[~table["correct"]]
    assert len(wrong) and (wrong["adversary"] == wrong["predicted"]).all()
    logits = np.asarray(run.test.logits, dtype=np.float64)[3]
    test = table[table["split"] == "test"].iloc[3]
    assert test["confidence"] == pytest.approx(
        np.exp(logits - logits.max()).max() / np.exp(logits - logits.max()).sum(), abs=1e-5
    )
    assert table.loc[table["split"] == "test", ["archetype", "suspect_score"]].isna().all().all()


def test_for_papers_figures_are_as_wide_as_a_column(tmp_path):
    run = make_run(HOSTILE)
    out = tmp_path / "out"
    audit(run, lenses=["class_accuracy"]).save(out, figures=False, papers=True)
    found = {path.name for path in (out / "papers").iterdir()}
    assert found == {
        f"{name}.{kind}" for name in ("class_accuracy", "confusion") for kind in ("svg", "pdf", "png", "tex")
    }
    for name in ("class_accuracy", "confusion"):
        svg = (out / "papers" / f"{name}.svg").read_text()
        assert 80 < float(re.search(r'width="([\d.]+)mm"', svg)[1]) < 90
        box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ", (out / "papers" / f"{name}.pdf").read_bytes())
        assert 80 < float(box[1]) / 72 * 25.4 < 90
        with Image.open(out / "papers" / f"{name}.png") as png:
            assert abs(png.info["dpi"][0] - 300) < 1 and 80 < png.width / 300 * 25.4 < 90
    text = (out / "papers" / "class_accuracy.tex").read_text()
    rows = [line for line in text.splitlines() if line.count(" & ") == 6]
    assert len(rows) == 1 + len(HOSTILE)
    assert r"a \& b; <!--" in text and r"\{\{7*7\}\}" in text
    audit(run, lenses=["class_accuracy"]).save(tmp_path / "again", figures=False, papers=True)
    same = digests(out).items() ^ digests(tmp_path / "again").items()
    assert {Path(name).suffix for name, _ in same} <= {".pdf"}  # the engine orders objects of a PDF as it likes


def test_a_stored_run_reports_the_hashes_of_its_files(tmp_path):
    stored = make_run().save(tmp_path / "run")
    report = audit(Run.load(tmp_path / "run"), lenses=["class_accuracy"]).save(tmp_path / "out")
    text = report.read_text()
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert stored is not None and manifest["files"]
    assert all(known["sha256"] in text and name in text for name, known in manifest["files"].items())
    assert str(tmp_path) not in text


def test_overwriting_needs_force_and_clears_what_is_stale(saved, tmp_path):
    found = audit(make_run(), lenses=["class_accuracy"])
    out = tmp_path / "out"
    found.save(out)
    with pytest.raises(ExistsError, match="--force"):
        found.save(out)
    (out / "tables" / "gone.csv").write_text("a\n1\n")
    (out / "note.txt").write_text("mine")
    found.save(out, force=True, figures=False)
    assert not (out / "tables" / "gone.csv").exists()
    assert not list((out / "figures").iterdir())
    assert (out / "note.txt").read_text() == "mine"
    assert (out / "report.html").read_bytes() == (saved / "report.html").read_bytes()


def test_a_failed_write_leaves_no_report(tmp_path, monkeypatch):
    found = audit(make_run(), lenses=["class_accuracy"])
    out = tmp_path / "out"
    found.save(out)
    calls = iter([False, False, True])

    def fsync(handle):
        if next(calls, True):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError, match="disk full"):
        found.save(out, force=True)
    assert not (out / "report.html").exists()
    assert not [path for path in out.rglob("*") if path.name.startswith(".imblens-tmp-")]


def test_cells_that_a_spreadsheet_would_run_are_disarmed():
    table = pd.DataFrame(
        {
            "class": ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx", "\rx", "\0x", "fine", "a=b", 'quo"te,\nline'],
            "shift": [-1.5, 2.0, float("nan"), 0.1, 1e-20, 1.0, 2.0, 3.0, 4.0, 5.0],
            "count": range(-5, 5),
            "right": [True, False] * 5,
        }
    )
    rows = list(csv.reader(io.StringIO(csv_text(table), newline="")))
    assert [row[0] for row in rows[1:]] == [
        "'=cmd|' /C calc'!A0", "'+1", "'-1", "'@x", "'\tx", "'\rx", "'x", "fine", "a=b", 'quo"te,\nline',
    ]  # fmt: skip
    assert rows[1][1:] == ["-1.5", "-5", "True"]
    assert rows[3][1] == ""
    assert float(rows[5][1]) == 1e-20
    assert table["class"][0].startswith("=")  # the caller's frame is as it was


def test_a_column_name_is_disarmed_too():
    assert csv_text(pd.DataFrame({"=a": [1]})) == "'=a\n1\n"


def test_summaries_become_plain_json():
    value = {
        "a": np.float32("nan"),
        3: np.array([1, 2]),
        "b": {"c": math.inf},
        "d": None,
        "e": np.bool_(True),
        "f": "x",
    }
    assert plain(value) == {"a": None, "3": [1, 2], "b": {"c": None}, "d": None, "e": True, "f": "x"}


def test_names_are_never_paths():
    names = file_names(
        {
            ("a", "t"): "t",
            ("b", "T"): "T",
            ("b", "../../etc/x"): "../../etc/x",
            ("c", ""): "",
            ("d", "t"): "t",
            ("d", "t."): "t.",
        }
    )
    assert list(names.values()) == ["t", "b_T", "etc_x", "table", "d_t", "d_t_2"]


@lens("Is it </title> odd?", lines=lambda finding: {"": "</title>"})
def odd(run):
    return Finding({"../odd": pd.DataFrame({"class": ["a"], "x": [1.0]})}, {"x": None})


@lens("Is it broken?", charts=lambda finding: {}["no charts"])
def no_charts(run):
    return Finding({}, {})


def test_lenses_of_another_package_do_not_stop_the_report(tmp_path, monkeypatch):
    points = [
        importlib.metadata.EntryPoint(name, f"{__name__}:{name}", "imblens.lenses") for name in ("odd", "no_charts")
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    out = tmp_path / "out"
    text = audit(make_run(), lenses=["class_accuracy", "odd", "no_charts"]).save(out).read_text()
    assert (out / "tables" / "odd.csv").exists()
    assert json.loads((out / "findings.json").read_text())["lenses"]["odd"]["summary"] == {"x": None}
    assert "KeyError" in text and "Is it </title>" not in text


def test_saving_loads_no_torch(tmp_path):
    code = (
        "import sys; from tests.report.runs import make_run; from imblens.report import audit; "
        f"audit(make_run(), lenses=['class_accuracy']).save({str(tmp_path / 'out')!r}); "
        "sys.exit('torch' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == 0


def test_a_network_without_errors_is_reported(tmp_path):
    run = make_run()
    sure = 9 * np.eye(len(run.classes), dtype=np.float32)
    splits = [(split.features, split.labels, sure[split.labels]) for split in (run.train, run.test)]
    flawless = Run.from_arrays(train=splits[0], test=splits[1], classes=run.classes)
    audit(flawless, lenses=["class_accuracy", "adversaries"]).save(tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out" / "figures").iterdir()} == {"class_accuracy", "adversaries"}


def test_a_drawing_without_marks_is_whole():
    empty = '<svg width="9" height="9"><g><g class="marks"/><g fill="none"><rect width="1"/></g></g></svg>'
    assert slim(empty, "x").endswith('height="9"><g fill="none"><rect width="1"/></g></svg>')
