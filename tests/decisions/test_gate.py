"""The gate: exact tests against other computations, its error rates, and what it writes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from benchmarks.science.gate import CHURN, pair
from markdown_it import MarkdownIt
from scipy import stats

from imblens.base.markdown import literal
from imblens.cli import main
from imblens.decisions import detectable_drop, drop_power, gate, sign_p_values
from imblens.errors import InputError, MissingError
from imblens.run import Run

LABELS = np.repeat([0, 1, 2], [60, 30, 12])


def run_with(correct: np.ndarray, labels: np.ndarray = LABELS, scale: float = 4.0, **more: object) -> Run:
    predicted = np.where(correct, labels, (labels + 1) % 3)
    features = np.arange(2.0 * len(labels)).reshape(-1, 2)
    arrays = (features, labels, scale * np.eye(3)[predicted])
    return Run.from_arrays(train=arrays, test=arrays, **{"classes": ["ant", "bee", "cat"], **more})


def flipped(n: int, label: int) -> np.ndarray:
    correct = np.ones(len(LABELS), bool)
    correct[np.flatnonzero(LABELS == label)[:n]] = False
    return correct


def test_the_sign_test_is_that_of_scipy() -> None:
    for gained, lost in ((0, 0), (0, 3), (5, 2), (4, 19)):
        expected = stats.binomtest(lost, gained + lost, alternative="greater").pvalue if gained + lost else 1.0
        assert sign_p_values(np.array([gained]), np.array([lost]))[0] == pytest.approx(expected)


def test_other_instances_are_compared_with_fishers_test() -> None:
    after = run_with(flipped(8, 2)[:101], LABELS[:101])  # the last of class 2 is not there
    found = gate(after, run_with(flipped(1, 2)), calibration=False)
    assert not found.paired and "different test instances" in found.notes[0]
    expected = stats.fisher_exact([[3, 8], [11, 1]], alternative="less").pvalue
    assert found.table["p_value"][2] == pytest.approx(expected)  # the other classes can reach no small p-value
    assert found.table["result"].tolist() == ["passed", "passed", "failed"]


def test_a_class_that_dropped_fails_and_the_interval_is_that_of_pairs() -> None:
    found = gate(run_with(flipped(7, 2)), run_with(flipped(0, 2)), calibration=False)
    row = found.table.iloc[2]
    assert (row["before"], row["after"], row["result"]) == (1.0, pytest.approx(5 / 12), "failed")
    assert row["p_value"] == pytest.approx(0.5**7)
    assert row["change_low"] < -7 / 12 < row["change_high"] < 0
    assert found.table["result"].tolist() == ["passed", "passed", "failed"]
    assert not gate(run_with(flipped(7, 2)), run_with(flipped(0, 2)), max_drop=0.6, calibration=False).failed


def test_the_chance_of_a_false_alarm_is_controlled_over_classes() -> None:
    """With the p-values of each class alone, 10 classes would fail far more often."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 40)
    alone = controlled = 0
    for _ in range(60):
        correct = rng.random((2, 400)) < 0.7
        runs = [
            Run.from_arrays(
                train=(np.zeros((400, 1)), labels),
                test=(np.zeros((400, 1)), labels, np.eye(10)[np.where(right, labels, (labels + 1) % 10)]),
            )
            for right in correct
        ]
        found = gate(*runs, calibration=False)
        gained, lost = (
            np.bincount(labels[x], minlength=10) for x in (correct[0] & ~correct[1], ~correct[0] & correct[1])
        )
        alone += (sign_p_values(gained, lost) <= 0.05).any()
        controlled += found.failed
    assert alone > 10
    assert controlled <= stats.binom.ppf(0.999, 60, 0.05)


def test_unchanged_pairs_rarely_fail_and_a_planted_drop_is_found_as_often_as_the_power_analysis_states() -> None:
    alarms = sum(gate(*pair(seed, 0.0)[:2], seed=seed).failed for seed in range(20))
    assert alarms <= 5  # with a rate of 5% this is exceeded once in 3,000
    caught, power = 0, []
    for seed in range(40):
        run, reference, _ = pair(500 + seed, 0.3)
        found = gate(run, reference, calibration=False)
        caught += found.table["result"][0] == "failed"
        power.append(found.power("0", 0.3, gained=CHURN))
    low, high = stats.binom.ppf([0.0005, 0.9995], 40, np.mean(power))
    assert low <= caught <= high


def test_power_is_that_of_a_simulation() -> None:
    rng = np.random.default_rng(1)
    changes = rng.multinomial(30, [0.05, 0.35, 0.6], size=20_000)  # gained, lost, unchanged
    found = (sign_p_values(changes[:, 0], changes[:, 1]) <= 0.005).mean()
    assert drop_power(30, 0.3, gained=0.05, level=0.005) == pytest.approx(found, abs=0.015)
    smallest = detectable_drop(30, gained=0.05, level=0.005)
    assert drop_power(30, smallest, gained=0.05, level=0.005) == pytest.approx(0.8, abs=0.001)
    with pytest.raises(InputError, match="impossible"):
        drop_power(30, 0.9, gained=0.2, level=0.01)


def test_worse_calibration_fails_and_better_passes() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], [300, 150, 60])
    logits = 1.5 * np.eye(3)[labels] + rng.normal(size=(510, 3))
    prior = np.log([300, 150, 60])
    runs = [
        Run.from_arrays(train=(logits, labels), test=(logits, labels, scale * (1.5 * logits + prior)))
        for scale in (1.0, 5.0)
    ]
    worse = gate(runs[1], runs[0])
    checks = worse.table[worse.table["check"] == "calibration"]
    assert (checks["result"] == "failed").all() and (checks["change"] > 0.02).all()
    assert not (worse.table["result"][worse.table["check"] == "recall"] == "failed").any()
    assert not gate(runs[0], runs[1]).failed
    assert not gate(runs[0], runs[0]).failed


def test_calibration_error_of_a_label_is_that_of_the_definition() -> None:
    run = run_with(flipped(7, 2))
    found = gate(run, run).table
    p = np.exp(run.test.logits) / np.exp(run.test.logits).sum(axis=1, keepdims=True)
    is_cat = LABELS == 2
    bins = pd.cut(p[:, 2], np.linspace(0, 1, 16))
    expected = sum(abs((p[:, 2] - is_cat)[bins == b].sum()) for b in bins.categories) / len(LABELS)
    row = found[(found["class"] == "cat") & (found["check"] == "calibration")].iloc[0]
    assert row["before"] == pytest.approx(expected) and row["after"] == pytest.approx(expected)


def test_multi_label_runs_have_recall_and_specificity() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random((200, 2)) < [0.5, 0.15]).astype(int)
    right, wrong = 4.0 * (2 * labels - 1), 4.0 * (2 * labels - 1)
    rows = np.flatnonzero(labels[:, 1] == 0)[:20]
    wrong[rows, 1] *= -1
    after, before = (
        Run.from_arrays(train=(labels + 0.5, labels), test=(labels + 0.5, labels, z)) for z in (wrong, right)
    )
    table = gate(after, before, calibration=False).table
    assert table["check"].tolist() == ["recall"] * 2 + ["specificity"] * 2
    assert table["result"].tolist() == ["passed", "passed", "passed", "failed"]


def test_a_broken_constraint_fails_and_an_unknown_one_is_refused() -> None:
    run = run_with(flipped(3, 2))
    found = gate(run, run, min_recall={"cat": 0.8, "bee": 1.0}, calibration=False)
    assert found.table["result"].tolist() == ["passed"] * 3 + ["failed", "passed"]
    assert found.lines()[1] == "cat: recall 75%, below the minimum of 80% (12 test instances)."
    with pytest.raises(MissingError, match="no class of the run: 'dog'"):
        gate(run, run, min_recall={"dog": 0.8})
    with pytest.raises(InputError, match="not between 0 and 1"):
        gate(run, run, min_recall={"cat": 80})


def test_classes_without_test_instances_are_skipped_and_other_classes_refused() -> None:
    labels = np.repeat([0, 1], [30, 20])
    run = run_with(np.ones(50, bool), labels)
    found = gate(run, run)
    assert found.table["result"].tolist()[:3] == ["passed", "passed", "skipped"]
    assert found.notes == ("Not checked, because a test split has no instance of them: cat.",)
    with pytest.raises(InputError, match="cannot be checked"):
        gate(run, run, min_recall={"cat": 0.5})
    with pytest.raises(InputError, match=r"lacks 1 class\(es\) of reference: cat"):
        gate(run_with(np.ones(50, bool), labels, classes=["ant", "bee", "dog"]), run)


def test_names_cannot_add_markup() -> None:
    hostile = ["a|b\n| x | y |", "</testcase><failure/>&\"'", "`<img src=x onerror=alert(1)>` @all [x](http://y)"]
    found = gate(run_with(flipped(9, 2), classes=hostile), run_with(flipped(0, 2), classes=hostile))
    cases = ET.fromstring(found.junit().encode()).findall("testsuite/testcase")
    assert len(cases) == 6 and sum(len(case) for case in cases) == (found.table["result"] == "failed").sum()
    assert {" ".join(case.attrib["name"].split()) for case in cases} == {" ".join(name.split()) for name in hostile}
    html = MarkdownIt("gfm-like", {"linkify": False}).render(found.markdown())
    assert html.count("<tr>") == 7 and "<img" not in html and "<a " not in html
    assert literal("@all #1", code=False) == "&#64;all &#35;1"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    run_with(flipped(9, 2)).save("after")
    run_with(flipped(0, 2)).save("before")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["imblens", "gate", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


def test_the_command_ends_with_3_and_writes_for_continuous_integration(command) -> None:
    code, out, _ = command("after", "--against", "before", "--junit", "ci/gate.xml", "--markdown", "ci/gate.md")
    assert code == 3 and "cat: recall from 100% to 25%, a drop of 75.0 points" in out and "junit: ci/gate.xml" in out
    assert ET.parse("ci/gate.xml").getroot().attrib["failures"] == str(
        Path("ci/gate.md").read_text().count("**failed**")
    )
    code, out, _ = command("before", "--against", "before", "--json")
    assert code == 0 and json.loads(out)["failed"] is False


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["before", "--against", "nowhere"], "no run at nowhere"),
        (["before", "--against", "before", "--min-recall", "cat"], "is not CLASS=SHARE"),
        (["before", "--against", "before", "--min-recall", "cat=2"], "is not CLASS=SHARE"),
        (["before", "--against", "before", "--min-recall", "dog=0.5"], "no class of the run: 'dog'"),
        (["before", "--against", "before", "--max-drop", "-1"], "is not a valid number of points"),
        (["before", "--against", "before", "--false-alarms", "2"], "not between 0 and 0.5"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(command, words: list[str], fragment: str, tmp_path: Path) -> None:
    code, out, err = command(*words, "--junit", "ci/gate.xml")
    assert code == 2 and out == "" and fragment in err and len(err.strip().splitlines()) <= 2
    assert not (tmp_path / "ci").exists()
    Path("there.xml").write_text("mine")
    code, _, err = command("before", "--against", "before", "--junit", "there.xml")
    assert code == 2 and "already exists" in err and Path("there.xml").read_text() == "mine"


def test_other_orders_of_classes_and_instances_stay_paired() -> None:
    """The reference's classes come in another order, its instances too: the pairs are those of ids and class names."""
    order = np.array([2, 0, 1])  # new place -> old place
    back = np.argsort(order)
    before, after = run_with(flipped(2, 1)), run_with(flipped(9, 2))
    rows = np.random.default_rng(0).permutation(len(LABELS))
    test = after.test
    arrays = (test.features[rows], back[test.labels[rows]], np.asarray(test.logits)[rows][:, order])
    permuted = Run.from_arrays(train=arrays, test=arrays, classes=[after.classes[place] for place in order])
    part = replace(permuted.test.parts[0], table=pd.DataFrame({"id": rows.astype(str)}))
    permuted = replace(permuted, test=replace(permuted.test, parts=(part,)))
    plain, other = gate(after, before), gate(permuted, before)
    assert other.paired and plain.paired and not other.notes
    columns = ["before", "after", "change_low", "change_high", "result"]
    kept = [found.table.set_index(["class", "check"])[columns].sort_index() for found in (plain, other)]
    pd.testing.assert_frame_equal(*kept)


def test_the_example_workflow_is_valid_and_names_options_that_exist() -> None:
    yaml = pytest.importorskip("yaml")
    text = (Path(__file__).parents[2] / "examples" / "gate-workflow.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    line = next(step["run"] for step in steps if step.get("name") == "Compare")
    assert line.startswith("imblens gate new --against reference")
    used = {word for word in line.split() if word.startswith("--")}
    assert used == {"--against", "--max-drop", "--min-recall", "--junit", "--markdown"}


def test_the_table_of_a_merge_request_has_known_values_and_blanks() -> None:
    found = gate(run_with(flipped(7, 2)), run_with(flipped(0, 2)))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in found.markdown().splitlines() if "cat" in line]
    recall, calibration = ({row[1]: row for row in rows}[check] for check in ("recall", "calibration"))
    assert recall[2:5] == ["100%", "41.7%", "\N{MINUS SIGN}58.3"] and recall[7] == "**failed**"
    assert all(value.startswith("0.") for value in calibration[2:4])
