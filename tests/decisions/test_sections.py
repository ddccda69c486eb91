"""The section "Before you deploy" of a report: what commands wrote is shown, values are those of their tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import imblens
from imblens import Decision
from imblens.cli import main
from imblens.decisions import collect, decision_section, estimate, gate, read_section
from imblens.errors import InputError, MissingError
from imblens.report import summary
from imblens.run import Run
from tests.decisions.runs import NAMES, run_of, sample

KEYS = ["question", "explanation", "lines", "columns", "rows", "notes"]


def test_measured_values_are_those_of_the_decisions() -> None:
    run = run_of(test=(300, 200, 100, 60))
    rules = Decision.fit(run, coverage=0.8, abstain=0.2)
    table = rules.measured(run.test).set_index("class")
    found = rules.predict(run.test.features)
    truth = np.array(NAMES)[run.test.labels]
    for name in NAMES:
        own, called = truth == name, found["prediction"] == name
        assert table["recall"][name] == pytest.approx((called & own).sum() / own.sum())
        assert table["precision"][name] == pytest.approx((called & own).sum() / called.sum())
        assert table["covered"][name] == pytest.approx(np.mean([name in one for one in found["set"][own]]))
        assert table["set_size"][name] == pytest.approx(found["set_size"][own].mean())
        assert table["abstain"][name] == pytest.approx(found["abstain"][own].mean())
        assert table["precision_low"][name] <= table["precision"][name] <= table["precision_high"][name]


def test_intervals_of_precision_cover() -> None:
    large = run_of(test=(4000, 2000, 1000, 700))
    rules = Decision.fit(large)
    truth = rules.measured(large.test)["precision"].to_numpy()
    covered = []
    for seed in range(1, 21):
        table = rules.measured(run_of(test=(400, 200, 100, 70), seed=seed).test)
        covered.append((table["precision_low"] <= truth) & (truth <= table["precision_high"]))
    assert np.mean(covered) >= 0.88


def test_sections_are_plain_and_short(tmp_path: Path) -> None:
    run = run_of()
    pool = sample((200, 90, 40, 30), 9)[0]
    estimated, collected = estimate(run, unlabelled=pool, draws=20), collect(run, pool=pool, count=10, gain=False)
    parts = [
        estimated.section(),
        collected.section(),
        gate(run, run).section(),
        decision_section(Decision.fit(run), run),
    ]
    for part in parts:
        assert list(part) == KEYS and json.loads(json.dumps(part)) == part
        assert len(part["rows"]) <= 12 and {row[0] for row in part["rows"]} <= set(NAMES)
    estimated.save(tmp_path / "estimate")
    collected.save(tmp_path / "collect")
    assert read_section(run, tmp_path / "estimate") == parts[0]
    assert read_section(run, tmp_path / "collect") == parts[1]
    stated = summary(imblens.audit(run, lenses=["class_accuracy"], deployment=parts))
    assert stated["deployment"] == parts


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    run = run_of()
    other = Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1]), classes=["x", "y"])
    estimate(run, unlabelled=sample((200, 90, 40, 30), 9)[0], draws=5).save(tmp_path / "estimate")
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "odd.json").write_text('{"section": {"question": "x", "rows": [1]}}')
    rules = Decision.fit(run).save(tmp_path / "rules.safetensors")
    for path, error, fragment in (
        (tmp_path / "gone", MissingError, "there is no"),
        (tmp_path / "empty", MissingError, "holds no result"),
        (tmp_path / "list.json", InputError, "holds no section"),
        (tmp_path / "odd.json", InputError, "holds no section"),
    ):
        with pytest.raises(error, match=fragment):
            read_section(run, path)
    with pytest.raises(InputError, match="does not fit the classes"):
        read_section(other, tmp_path / "estimate")
    with pytest.raises(InputError, match="rules for other classes"):
        read_section(other, rules)
    with pytest.raises(InputError, match="measured on a test split"):
        decision_section(Decision.fit(run), run_of(test=None))


def test_the_report_shows_them_and_names_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = run_of()
    hostile = ("<script>alert(1)</script>", "bee", "cat", "dog")
    splits = {name: (split.features, split.labels) for name, split in plain.splits.items()}
    run = Run.from_arrays(**splits, head=(plain.head.weight, plain.head.bias), classes=hostile)
    run.save("run")
    estimate(run, unlabelled=sample((200, 90, 40, 30), 9)[0], draws=5).save("estimate")
    Decision.fit(run).save("rules.safetensors")
    Path("gate.json").write_text(json.dumps({"section": gate(run, run).section()}))
    deploy = [word for path in ("estimate", "gate.json", "rules.safetensors") for word in ("--deploy", path)]
    words = ["audit", "run", "--lens", "class_accuracy", "--out", "audit", *deploy]
    monkeypatch.setattr(sys, "argv", ["imblens", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code, capsys.readouterr().err
    page = Path("audit/report.html").read_text()
    assert 'id="deploy"' in page and "Before you deploy" in page and "How accurate is it on the new data?" in page
    assert "<script>alert(1)" not in page
    assert len(json.loads(Path("audit/findings.json").read_text())["summary"]["deployment"]) == 3
    monkeypatch.setattr(sys, "argv", ["imblens", *words[:5], "other", "--deploy", "nothing"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "there is no nothing" in capsys.readouterr().err and not Path("other").exists()


def test_intervals_of_precision_leave_out_as_much_above_as_below() -> None:
    """Of 40 classes with equal counts, so that the ends of the intervals are known well."""
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(40), 250)
    called = np.where(rng.random(truth.size) < 0.6, truth, rng.integers(0, 40, truth.size))
    logits = np.full((truth.size, 40), -9.0)
    logits[np.arange(truth.size), called] = 9
    run = Run.from_arrays(train=(logits, truth, logits), test=(logits, truth, logits))
    table = Decision.fit(run, choose_on="test").measured(run.test)
    spread = np.sqrt(table["precision"] * (1 - table["precision"]) / 250)
    above = ((table["precision_high"] - table["precision"]) / spread).mean()
    below = ((table["precision"] - table["precision_low"]) / spread).mean()
    assert above == pytest.approx(below, rel=0.08)
