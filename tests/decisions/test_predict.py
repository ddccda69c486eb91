"""Decisions about new instances: calibration, columns, files, what is refused; no torch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imblens import Decision
from imblens.cli import main
from imblens.decisions import Calibration, Unlabelled, fit_calibration, read_unlabelled, write_decisions
from imblens.errors import ImblensError, InputError, MissingError, ShapeError
from imblens.run import Run
from tests.decisions.runs import NAMES, head, run_of, sample


def test_temperature_and_biases_are_recovered() -> None:
    rng = np.random.default_rng(0)
    true = Calibration(2.5, np.array([0.8, 0.0, -0.8]))
    logits = 4 * rng.normal(size=(20_000, 3))
    labels = (true(logits).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    found = fit_calibration(logits, labels)
    assert found.temperature == pytest.approx(2.5, rel=0.05)
    assert found.bias == pytest.approx(true.bias, abs=0.08)
    multi = (true(logits) > rng.random((20_000, 3))).astype(int)
    assert fit_calibration(logits, multi).multilabel


def test_few_labels_stay_near_the_start() -> None:
    start = Calibration(1.7, np.array([0.4, -0.4]))
    found = fit_calibration(np.array([[2.0, -2.0]]), np.array([0]), start=start)
    assert found.temperature == pytest.approx(1.7, rel=0.1) and found.bias == pytest.approx(start.bias, abs=0.1)
    assert np.isfinite(fit_calibration(np.array([[50.0, -50.0]] * 3), np.array([0, 0, 0])).bias).all()


def test_over_confident_probabilities_become_calibrated() -> None:
    run = run_of(val=(600, 300, 150, 60), test=(4000, 2000, 1000, 400), scale=4.0)
    found = Decision.fit(run).predict(run.test.features)
    correct = found["prediction"].to_numpy() == np.array(NAMES)[run.test.labels]
    assert found["probability"].mean() == pytest.approx(correct.mean(), abs=0.02)
    raw = Calibration(1.0, np.zeros(4))(run.test.logits).max(axis=1)
    assert raw.mean() > correct.mean() + 0.03


def test_columns_are_those_of_the_definitions() -> None:
    run = run_of()
    rule = Decision.fit(run, coverage=0.8)
    found = rule.predict(run.test.features)
    p = rule.calibration(run.test.logits)
    rows = np.arange(len(p))
    assert found["prediction"].tolist() == [NAMES[c] for c in run.test.predictions]
    assert found["probability"].to_numpy() == pytest.approx(p[rows, run.test.predictions])
    p[rows, run.test.predictions] = -1
    assert found["confusion"].tolist() == [NAMES[c] for c in p.argmax(axis=1)]
    outside = np.array([row.prediction not in row.set for row in found.itertuples()])
    assert (found["abstain"] == ((found["set_size"] != 1) | outside)).all()
    assert [len(names) for names in found["set"]] == found["set_size"].tolist()
    for row in (0, 57, 199):
        own = run.train.features[run.train.labels == run.test.predictions[row]]
        nearest = np.sqrt(((own - run.test.features[row]) ** 2).sum(axis=1)).min()
        assert found["distance"][row] == pytest.approx(nearest, rel=1e-4)
    far = rule.predict(run.test.features + 40)
    assert (far["distance_rank"] > 0.99).all() and 0.3 < found["distance_rank"].mean() < 0.7


def test_the_stated_share_of_instances_is_sent_to_a_person() -> None:
    run = run_of(val=(600, 300, 150, 60), test=(4000, 2000, 1000, 400))
    found = Decision.fit(run, abstain=0.15).predict(run.test.features)
    assert found["abstain"].mean() == pytest.approx(0.15, abs=0.03)
    assert found.loc[found["abstain"], "probability"].max() <= found.loc[~found["abstain"], "probability"].min()


def test_multi_label_decisions() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random((300, 2)) < [0.5, 0.2]).astype(int)
    z = 2.0 * y - 1 + rng.normal(size=y.shape)
    run = Run.from_arrays(train=(z, y, z), val=(z, y, z), classes=["dark", "wet"])
    found = Decision.fit(run, coverage=0.9).predict(logits=z)
    assert found["prediction"].iloc[0].tolist() == [n for n, v in zip(("dark", "wet"), z[0], strict=True) if v > 0]
    assert "distance" not in found and len(found["probability"].iloc[0]) == 2
    inside = np.array(["wet" in names for names in found["set"]])
    assert inside[y[:, 1] == 1].mean() >= 0.9
    assert 0 < Decision.fit(run, abstain=0.2).predict(logits=z)["abstain"].mean() < 0.3


def test_rules_that_were_written_decide_the_same(tmp_path: Path) -> None:
    run = run_of()
    rule = Decision.fit(run, sets="interpolated", abstain=0.1)
    path = rule.save(tmp_path / "rules.safetensors")
    again = Decision.load(path)
    pd.testing.assert_frame_equal(again.predict(run.test.features), rule.predict(run.test.features))
    assert again.notes == rule.notes and "chosen on 216 instances of the val split" in rule.notes[0]
    run.save(tmp_path / "run")
    same = Decision.load(tmp_path / "run", sets="interpolated", abstain=0.1)
    pd.testing.assert_frame_equal(same.predict(run.test.features), rule.predict(run.test.features))
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        Decision.load(tmp_path / "bad.safetensors")
    with pytest.raises(MissingError):
        Decision.load(tmp_path / "none.safetensors")


def test_blocks_and_files_hold_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of()
    rule = Decision.fit(run)
    whole = rule.predict(run.test.features)
    monkeypatch.setattr(sys.modules[write_decisions.__module__], "BLOCK", 64)
    ids = [f"x{i}" for i in range(200)]
    data = Unlabelled(run.test.features, ids=ids)
    parquet = pd.read_parquet(write_decisions(rule, data, tmp_path / "a.parquet"))
    assert parquet["id"].tolist() == ids
    pd.testing.assert_frame_equal(parquet.drop(columns="id"), whole)
    csv = pd.read_csv(write_decisions(rule, data, tmp_path / "a.csv"))
    assert [json.loads(text) for text in csv["set"]] == [names.tolist() for names in whole["set"]]
    assert csv["probability"].to_numpy() == pytest.approx(whole["probability"].to_numpy())
    with pytest.raises(InputError, match="already exists"):
        write_decisions(rule, data, tmp_path / "a.csv")


def test_an_archive_that_is_a_run_gives_its_test_split(tmp_path: Path) -> None:
    x, y = np.eye(4, dtype=np.float32), [0, 1, 0, 1]
    file = tmp_path / "run.npz"
    np.savez(file, train_features=x, train_labels=y, test_features=2 * x[:2], test_labels=y[:2])
    np.testing.assert_array_equal(read_unlabelled(file).features, 2 * x[:2])


def test_nothing_is_chosen_on_the_test_split_unasked() -> None:
    run = run_of(val=None)
    with pytest.raises(InputError, match="no val split"):
        Decision.fit(run)
    assert "optimistic for these rules" in Decision.fit(run, choose_on="test").notes[1]
    test = sample((30, 20, 10, 9), 7)
    arrays = {"train": sample((90, 50, 20, 9), 1), "test": test, "head": head(), "classes": NAMES}
    same = Run.from_arrays(val=(test[0][::-1], test[1][::-1]), **arrays)
    with pytest.raises(InputError, match="100% of the validation instances are in the test split"):
        Decision.fit(same)


def test_arrays_that_do_not_fit_are_refused() -> None:
    rule = Decision.fit(run_of())
    with pytest.raises(ShapeError, match="features have 5 columns; the run has 6"):
        rule.predict(np.zeros((3, 5)))
    with pytest.raises(InputError, match="NaN"):
        rule.predict(np.full((3, 6), np.nan))
    with pytest.raises(InputError, match="neither features nor logits"):
        rule.predict()
    with pytest.raises(ShapeError, match="2 rows of features, 3 of logits"):
        rule.predict(np.zeros((2, 6)), logits=np.zeros((3, 4)))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    run_of().save("run")
    np.savez("new.npz", features=sample((50, 20, 10, 5), 5)[0])
    np.savez("nan.npz", features=np.full((3, 6), np.nan))
    np.savez("other.npz", train_features=np.zeros((3, 6)))
    run_of(val=None).save("noval")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["imblens", "predict", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


def test_the_command_writes_predictions_and_rules(command) -> None:
    code, out, _ = command("run", "new.npz", "--out", "p.parquet", "--save", "rules.safetensors", "--coverage", "0.8")
    assert code == 0 and "predictions: p.parquet" in out
    assert "In every prediction set, because" not in out
    again = command("rules.safetensors", "run", "--out", "q.csv", "--json")
    assert again[0] == 0 and json.loads(again[1])["instances"] == 200
    assert len(pd.read_parquet("p.parquet")) == 85


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["run", "new.npz", "--out", "p.xlsx"], "neither .parquet nor .csv"),
        (["run", "nan.npz", "--out", "p.csv"], "NaN"),
        (["run", "other.npz", "--out", "p.csv"], "neither 'features' nor 'logits'"),
        (["run", "gone.npz", "--out", "p.csv"], "there is no gone.npz"),
        (["run", "new.npz", "--out", "p.csv", "--sets", "clas"], "no kind of prediction set"),
        (["run", "new.npz", "--out", "p.csv", "--coverage", "90"], "not between 0 and 1"),
        (["run", "new.npz", "--out", "p.csv", "--abstain", "2"], "is not between 0 and 1"),
        (["run", "new.npz", "--out", "p.csv", "--choose-on", "train"], "cannot be chosen on 'train'"),
        (["noval", "new.npz", "--out", "p.csv"], "no val split"),
        (["rules.safetensors", "new.npz", "--out", "p.csv"], "there is no rules.safetensors"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(command, words: list[str], fragment: str) -> None:
    before = sorted(Path().iterdir())
    code, out, err = command(*words)
    assert code == 2 and out == "" and fragment in err and len(err.strip().splitlines()) <= 2
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_large_new_data_are_mapped_and_decided_as_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, dtype: str
) -> None:
    features, file, ids = run_of().test.features.astype(dtype), tmp_path / f"new{suffix}", [f"i{i}" for i in range(200)]
    if suffix == ".npz":
        np.savez(file, features=features, ids=ids)
    else:
        pd.DataFrame({"features": list(features), "id": ids}).to_parquet(file, row_group_size=64)
    rule = Decision.fit(run_of())
    usual = rule.predict(read_unlabelled(file).features)
    for name in ("archives.STREAMED", "archives.IN_MEMORY", "archives.memory_limit"):
        monkeypatch.setattr(f"imblens.base.{name}", (lambda: 1) if name.endswith("limit") else 500)
    monkeypatch.setattr("imblens.run._spool.IN_MEMORY", 500)
    monkeypatch.setattr("imblens.decisions._predict.ROWS", 30)
    data = read_unlabelled(file)
    assert isinstance(data.features, np.memmap) and data.features.dtype == dtype and data.ids.tolist() == ids
    np.testing.assert_array_equal(data.features, features)
    checked, _ = rule.checked(data.features, None)
    assert isinstance(checked, np.memmap) and checked.dtype == np.float32
    pd.testing.assert_frame_equal(rule.predict(data.features), usual)


@pytest.mark.parametrize(
    ("features", "fragment"),
    [
        ([[1.0, 2.0], [3.0]], r"(1 values in row 1, 2 in row 0|2 values in row 0, 1 in row 1)\."),
        ([[1.0, 2.0], [3.0, np.inf]], "NaN or infinite.* row 1"),
        ([[1.0, 2.0], None], "has no value in row 1"),
        ([], "'features' has no rows"),
    ],
)
@pytest.mark.parametrize("rows", [1, 2])
def test_rows_of_parquet_that_are_no_features_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, features: list, fragment: str, rows: int
) -> None:
    monkeypatch.setattr("imblens.decisions._predict.ROWS", rows)
    pd.DataFrame({"features": features}).to_parquet(tmp_path / "new.parquet")
    with pytest.raises(ImblensError, match=fragment):
        read_unlabelled(tmp_path / "new.parquet")


WITHOUT_TORCH = """
import sys
import time
import imblens
rule = imblens.Decision.load(sys.argv[1])
rule.predict([[0.0] * 6])
assert not {"torch", "lightning", "sklearn"} & set(sys.modules)
"""


def test_loading_and_predicting_imports_no_torch(tmp_path: Path) -> None:
    path = Decision.fit(run_of()).save(tmp_path / "rules.safetensors")
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(path)], check=True)


KILLED = """
import sys, time
import numpy as np
from imblens import Decision
from imblens.decisions import Unlabelled, write_decisions
module, calls = sys.modules[write_decisions.__module__], []
module.BLOCK = 50
usual = Decision.decide
def slowly(self, *arrays):
    time.sleep(float(sys.argv[3]))
    calls.append(1)
    return usual(self, *arrays)
Decision.decide = slowly
data = Unlabelled(np.load("new.npy"), ids=[f"x{i}" for i in range(400)])
write_decisions(Decision.load(sys.argv[1]), data, sys.argv[2])
print(len(calls))
"""


def test_a_killed_command_continues_and_writes_the_same_file(tmp_path: Path) -> None:
    path = Decision.fit(run_of()).save(tmp_path / "rules.safetensors")
    np.save(tmp_path / "new.npy", sample((100, 100, 100, 100), 3)[0])

    def words(out: str, pause: float) -> list[str]:
        return [sys.executable, "-c", KILLED, str(path), out, str(pause)]

    assert subprocess.run(words("whole.parquet", 0), cwd=tmp_path, capture_output=True, text=True).stdout == "8\n"
    parts = tmp_path / ".killed.parquet.parts"
    with subprocess.Popen(words("killed.parquet", 0.3), cwd=tmp_path) as slow:
        while len(list(parts.glob("*.arrow"))) < 2 and slow.poll() is None:
            time.sleep(0.02)
        slow.kill()
    kept = len(list(parts.glob("*.arrow")))
    assert 2 <= kept < 8 and not (tmp_path / "killed.parquet").exists()
    again = subprocess.run(words("killed.parquet", 0), cwd=tmp_path, capture_output=True, text=True)
    assert again.stdout == f"{8 - kept}\n" and not parts.exists()
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
