"""A benchmark that misses its target ends with exit code 1; all targets are in one table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from benchmarks import growth, scale
from benchmarks.memory import commands
from benchmarks.memory.prepare import shards
from benchmarks.science import choosing, choosing_validation, conclusions, label_suspects, remedies
from benchmarks.speed import __main__ as speeds
from benchmarks.speed import _stages, colours, neighbours
from benchmarks.speed._measure import Times, row
from benchmarks.targets import __main__ as targets
from benchmarks.targets import speed
from benchmarks.targets._profile import hottest
from benchmarks.targets._row import Row

from imblens.data import load_images
from imblens.errors import InputError
from imblens.run import Run, merge, neighbour_graph
from imblens.studies import Arrays

ROOT = Path(__file__).parents[1]
WITHIN = {
    "seconds": 60.0,
    "processor": 60.0,
    "gib": 3.0,
    "table_mb": 10.0,
    "report_mb": 3.0,
    "recall": 0.99,
    "opens": 1.0,
}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({}, 0),
        ({"recall": None}, 0),
        ({"gib": 6.1}, 1),
        ({"seconds": 1860.0}, 1),
        ({"recall": 0.9}, 1),
        ({"report_mb": 11.0}, 1),
        ({"opens": 2.1}, 1),
        ({"opens": None}, 0),
    ],
)
def test_an_audit_that_misses_a_target_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: dict[str, float], code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["scale", "--keep", str(tmp_path)])
    monkeypatch.setattr(scale, "make", lambda *_: None)
    monkeypatch.setattr(scale, "audited", lambda *_: WITHIN | found)
    opened: list[Path] = []

    def opening(report: Path) -> float:
        opened.append(report)
        return (WITHIN | found)["opens"]

    monkeypatch.setattr(scale, "opening", opening)
    assert scale.main() == code
    assert [report.parts[-3] for report in opened] == ["1000000x64x1000", "60000x64x10000"]


@pytest.mark.parametrize(("gib", "code"), [(5.9, 0), (6.1, 1)])
def test_a_command_that_takes_too_much_memory_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gib: float, code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["commands", "--keep", str(tmp_path), "gate"])
    monkeypatch.setattr(commands, "make", lambda *_: None)
    monkeypatch.setattr(commands, "measured", lambda *_: scale.verdict(gib, commands.LIMIT_GIB, "GiB"))
    assert commands.main() == code


def test_shards_that_are_measured_merge_to_the_run(tmp_path: Path) -> None:
    run = Run.load(scale.make(tmp_path / "run", scale.Size(60, 3, 7)))
    merged = merge(shards(tmp_path / "run", tmp_path)[::-1], tmp_path / "merged")
    for name, split in run.splits.items():
        assert np.array_equal(merged.splits[name].features, split.features)
        assert np.array_equal(merged.splits[name].labels, split.labels)
    assert set(commands.commands(tmp_path)) >= {"merge", "capture", "audit", "collect --pool", "treat --with eos"}


def test_the_target_of_make_runs_both() -> None:
    lines = (Path(__file__).parents[1] / "Makefile").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("bench-scale:"))
    assert "benchmarks.scale;" in lines[start + 1] and "benchmarks.memory.commands" in lines[start + 1]


def npz_of(file: Path) -> Path:
    """Arrays of four classes with head and test split."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(4, 6))
    arrays = {"head_weight": middles, "head_bias": -(middles**2).sum(axis=1) / 2}
    for split, each in (("train", 40), ("test", 20)):
        labels = np.repeat(np.arange(4), each)
        arrays |= {f"{split}_labels": labels, f"{split}_features": middles[labels] + rng.normal(size=(4 * each, 6))}
    np.savez(file, **arrays)
    return file


def test_rows_of_speed_are_held_against_their_targets() -> None:
    slow, fast = Times((2.0, 3.0)), Times((0.5, 0.6))
    given = [
        row("search", "9 x 2", fast, "scikit-learn", slow, ">= 2"),
        row("search", "9 x 2", slow, "product (limit)", fast, "<= 1.5"),
        row("help", "whole process", fast, "limit of 1 s", 1.0, "<= 1"),
        row("help", "whole process", fast, "import torch", slow, "-"),
        row("help", "whole process", fast, "empty Python", slow, "<= -"),
    ]
    lines = [str(one) for one in speed.with_targets(given)]
    assert lines == [
        "| search, 9 x 2: scikit-learn | >= 2x | 4.5x (0.55 s) | 4.25x to 4.75x | met |",
        "| search, 9 x 2: product (limit) | <= 1.5x | 4.5x (2.5 s) | 4.25x to 4.75x | missed |",
        "| help, whole process | <= 1 s | 0.55 s | 0.525 s to 0.575 s | met |",
    ]


def test_the_median_round_is_judged_not_the_fastest() -> None:
    ours, theirs = Times((1.0, 2.0, 2.0)), Times((3.0, 3.0, 3.0))
    (line,) = speed.with_targets([row("search", "9 x 2", ours, "scikit-learn", theirs, ">= 2")])
    assert str(line) == "| search, 9 x 2: scikit-learn | >= 2x | 1.5x (2 s) | 1.5x to 2.25x | missed |"


def test_a_table_for_the_benchmark_is_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "ROWS", 25)
    run = Run.load(scale.make(tmp_path / "run", scale.Size(60, 3, 7)))
    table = scale.write_table(tmp_path / "run", tmp_path / "table.parquet")
    options = [word.lstrip("-") for word in scale.COLUMNS[::2]]
    read = Run.from_table(table, **dict(zip(options, scale.COLUMNS[1::2], strict=True)))
    for name, split in run.splits.items():
        assert np.array_equal(read.splits[name].features, split.features)
        assert np.array_equal(read.splits[name].labels, split.labels)
        assert np.allclose(read.splits[name].logits, split.logits)


def test_causes_are_planted_as_the_page_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[dict[str, object]] = []

    def found(name: str, **options: object) -> str:
        asked.append({"name": name, **options})
        raise InputError("enough is known")

    monkeypatch.setattr("imblens.studies.find_study", found)
    assert targets.main(["diagnosis", "--arrays", str(npz_of(tmp_path / "net.npz"))]) == 1
    (given,) = asked
    assert given == {"name": "diagnosis", "arrays": [tmp_path / "net.npz"], "quick": True, "seeds": (1, 2)}
    page = (ROOT / "docs" / "results" / "report.md").read_text(encoding="utf-8")
    assert (
        "imblens study diagnosis --quick --arrays eos_features_10.npz" in page and "--seeds 1,2 --out planted\n" in page
    )


def test_arrays_of_labels_are_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "labels.npz", train_features=np.eye(4), train_labels=np.eye(4, dtype=np.uint8))
    with pytest.raises(SystemExit) as stop:
        targets.main(["diagnosis", "--arrays", str(tmp_path)])
    assert stop.value.code == 2
    assert "labels.npz is multi-label, and these targets are of single-label networks" in capsys.readouterr().err


def test_every_target_has_a_row_and_what_is_missed_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {
        "startup": [Row("startup", "<= 1", "0.5", met=True)],
        "arrays": [Row("arrays", "<= 1", "2", met=False), Row("arrays", "<= 3", "2", met=True)],
    }
    for name, target in targets.TARGETS.items():
        rows = measured.get(name, [Row(name, "<= 1", "1", met=True)])
        changed = replace(target, rows=lambda *_, rows=rows: rows, profile="it waits")
        monkeypatch.setitem(targets.TARGETS, name, changed)
    assert targets.main([]) == 1
    said = capsys.readouterr().out
    assert "| startup | <= 1 | 0.5 | – | met |" in said and "| arrays | <= 1 | 2 | – | missed |" in said
    assert said.count("give --arrays | – | not measured |") == 4 and said.count("give --data | – | not measured |") == 1
    assert said.count("takes long: add ") == 5
    assert said.endswith("\narrays is missed: it waits.\n") and "startup is missed" not in said
    assert targets.main(["startup", "audit-million"]) == 0
    said = capsys.readouterr().out
    assert "audit-million | <= 1 | 1" in said and "arrays" not in said
    assert targets.main(["all"]) == 1
    assert "takes long" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        targets.main(["nothing"])


def test_a_benchmark_that_fails_is_a_row_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Iterator[Row]:
        yield Row("arrays", "<= 1", "0.5", met=True)
        raise ValueError("no such function")

    monkeypatch.setitem(targets.TARGETS, "arrays", replace(targets.TARGETS["arrays"], rows=broken))
    met = [Row("eos", "<= 1", "0.5", met=True)]
    monkeypatch.setitem(targets.TARGETS, "eos", replace(targets.TARGETS["eos"], rows=lambda: met))
    assert targets.main(["arrays", "eos"]) == 1
    said, errors = capsys.readouterr()
    assert (
        said.splitlines()[-2].endswith("| <= 5 s | failed: ValueError | – | missed |") and "no such function" in errors
    )
    assert said.splitlines()[-1].startswith("| eos | <= 1 | 0.5 |")


def test_comparisons_with_the_loop_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("captum")
    monkeypatch.setattr(colours, "N_PICTURES", 8)
    monkeypatch.setattr(colours, "N_LOOP", 2)
    assert [one["peer"] for one in colours.rows()] == ["one image at a time", "two forward passes (limit)"]


def test_the_search_of_others_is_scaled_up_from_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "PART", 100)
    found = neighbours.compare_large(2_000, 8, 1)
    assert [one["target"] for one in found] == [">= 2", "<= 1.5"] and all(
        "100 instances" in one["peer"] for one in found
    )


def test_the_graph_that_is_timed_is_exact_for_any_number_of_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.run._neighbours.APPROXIMATE_ABOVE", 1_500)
    monkeypatch.setattr("imblens.run._neighbours._has_pynndescent", lambda: True)
    monkeypatch.setattr("imblens.run._neighbours._descend", None)  # of an approximate search
    monkeypatch.setattr(neighbours, "PART", 100)
    assert len(neighbours.compare_large(2_000, 8, 1)) == 2
    assert len(neighbours.compare(2_000, 8, 1)) == 3


def test_targets_on_networks_are_measured_on_the_arrays_that_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(label_suspects, "RATES", (0.1,))
    monkeypatch.setattr(label_suspects, "SEEDS", (0,))
    monkeypatch.setattr(
        label_suspects, "cleanlab_scores", lambda features, given, seed: {"theirs": np.arange(len(given)) % 7.0}
    )
    npz_of(tmp_path / "net.npz")
    assert targets.main(["soft", "label_suspects", "--arrays", str(tmp_path)]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("| soft forecast of test errors on 1 network | <= 0.045 nats | 0.") for line in lines)
    suspects = [line for line in lines if line.startswith("| label_suspects, noise")]
    assert len(suspects) == len(label_suspects.THIRDS) and all(
        "above on 1 of 1" in line and line.endswith("| met |") for line in suspects
    )
    with pytest.raises(SystemExit):
        targets.main(["soft", "--arrays", str(tmp_path / "nowhere")])


def test_labels_planted_in_a_folder_are_found_in_the_run_of_a_network_that_learned_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(label_suspects, "cleanlab_scores", lambda *_: {})
    arrays = np.load(npz_of(tmp_path / "net.npz"))
    data, copy, run = (tmp_path / name for name in ("data", "copy", "run"))
    data.mkdir()
    for split in ("train", "test"):
        pd.DataFrame({"label": arrays[f"{split}_labels"]}).to_parquet(data / f"{split}.parquet")
    assert label_suspects.main(["--plant", str(data), str(copy), "0.1", "0"]) == 0
    given = pd.read_parquet(copy / "train.parquet")["label"].to_numpy()
    assert (given != arrays["train_labels"]).sum() == 16
    Run.from_arrays(train=(arrays["train_features"], given)).save(run)
    assert label_suspects.main(["--learned", str(run), str(data)]) == 0
    said = capsys.readouterr().out
    assert "16 of 160 labels replaced." in said
    row = next(line for line in said.splitlines() if line.startswith("| run | 10%, learned | all |"))
    assert 0.5 < float(row.split("|")[4]) <= 1  # chance: 0.1
    for words in (["--learned", str(run)], ["--plant", str(data)]):
        assert label_suspects.main(words) == 2


def test_a_seed_without_a_replaced_label_is_left_out_of_a_mean() -> None:
    assert label_suspects._with_spread([0.5, float("nan"), 1.0]) == "0.750 ± 0.354"


@pytest.mark.parametrize("apart", [1.0, 9.0])
def test_a_network_counts_as_memorised_where_best_finds_it_so(apart: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "ALWAYS", {})
    monkeypatch.setattr(choosing, "best_candidates", lambda: (("ncm", {}),))
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (90, 60, 30))
    train, test = (apart * np.eye(3, 4)[labels] + rng.normal(size=(180, 4)) for _ in range(2))
    train[::20] = rng.permutation(train[::20])  # one in twenty looks like any class
    head = apart * np.eye(3, 4), np.full(3, -(apart**2) / 2)
    run = Run.from_arrays(train=(train, labels), test=(test, labels), head=head)
    assert run.train.correct.mean() < 0.98
    assert choosing.judged(run).memorised == (apart > 1)


def test_instances_that_are_added_at_random_are_new_and_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    labels, tested = np.repeat([0, 1], 200), np.repeat([0, 1], 100)
    whole, test = ((rng.normal(size=(len(of), 3)) + of[:, None]).astype(np.float32) for of in (labels, tested))
    cured = Arrays(whole, labels, test, tested, ("a", "b"))
    arrays = cured.without(np.arange(40))
    plant = SimpleNamespace(arrays=arrays, cured=cured)
    added: list[np.ndarray] = []
    monkeypatch.setattr(remedies, "treat", lambda run, *_, **__: run)
    monkeypatch.setattr(remedies, "_with", lambda arrays, rows, label: (added.append(rows), arrays)[1])
    list(remedies.remedies(arrays.fitted(0), plant, 0, "uncovered_range", np.arange(50), 0))
    advised, random = ({row.tobytes() for row in rows} for rows in added)
    assert len(advised) == len(random) == 40
    assert advised <= {row.tobytes() for row in whole[:40]} and random <= {row.tobytes() for row in test[:50]}


def test_a_profile_names_the_functions_that_take_the_time() -> None:
    features = np.random.default_rng(0).normal(size=(6_000, 32))
    found = hottest(lambda: neighbour_graph(features, 5))
    assert found.startswith("run._") and "%" in found
    assert hottest(lambda: None) == "nothing was seen in this process"


def test_the_target_of_make_bench_is_the_table() -> None:
    lines = (Path(__file__).parents[1] / "Makefile").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("bench:"))
    assert "benchmarks.targets $(NAMES)" in lines[start + 1]


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_laws_of_growth_find_the_exponent_and_what_does_not_grow(p: float) -> None:
    rows = [10_000, 20_000, 50_000, 100_000, 300_000, 1_000_000]
    found = growth.laws(rows, [20 + 5 * (n / 1e4) ** p for n in rows])
    best = min(found, key=lambda law: law.off)
    assert best.p == p and best.a == pytest.approx(20) and best.off < 1e-6
    assert best(1e7) == pytest.approx(20 + 5 * 1000**p)
    assert found[-1].p - found[0].p < 0.7
    few = growth.laws(rows[:3], [20 + 5 * (n / 1e4) ** p for n in rows[:3]])
    assert few[-1].p - few[0].p > found[-1].p - found[0].p


def test_a_step_that_left_its_work_out_is_not_fitted(capsys: pytest.CaptureFixture[str]) -> None:
    steps = (*growth.TIMES, growth.MEMORY, growth.DISK)
    measured = [
        (size, dict.fromkeys(steps, size.rows * size.classes / 10000.0) | {growth.MEMORY: 1e9, growth.DISK: 1e6})
        for size in growth.sizes(50_000)
    ]
    of_most = next(found for size, found in measured if size.classes == 10_000)
    of_most[growth.SUSPECTS] = 0.05
    growth.print_laws(measured)
    rows = {
        line.split("|")[1].strip(): line.split("|")[-2].strip() for line in capsys.readouterr().out.splitlines()[3:]
    }
    assert rows[growth.SUSPECTS] == rows[growth.LENSES] == "C^1.00"
    assert not growth.worked(growth.SUSPECTS, scale.Size(60_000, 64, 10_000))
    assert growth.worked(growth.SUSPECTS, scale.Size(1_000_000, 64, 1_000))


def test_the_page_on_large_data_has_the_sizes_that_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    growth.print_needed(64)
    printed = capsys.readouterr().out
    assert "copied to TMPDIR, GB on disk / in memory | 0.3 / 0.0 | 2.6 / 0.0 | 256.0 / 0.0 |" in printed
    assert printed in (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_time_of_a_part_does_not_hold_that_of_parts_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 4.0, 6.0])
    monkeypatch.setattr("benchmarks.speed._stages.time.process_time", lambda: next(clock))
    watch = _stages.Stopwatch()
    inner = watch.of(_stages.package_of, lambda name: name)
    assert watch.of("outer", lambda: inner("scipy.stats"))() == "scipy.stats"
    assert watch.seconds == {"outer": 3.0, _stages.PACKAGES["scipy"]: 3.0}


def test_the_profile_lists_parts_by_time_and_sums_up_small_ones() -> None:
    lines = _stages.table({"read": 0.25, "search": 75.0, "write": 24.5, "start": 0.25}).splitlines()[2:]
    assert lines == [
        "| search | 75.00 | 75% |",
        "| write | 24.50 | 24% |",
        "| parts below 1% | 0.50 | 0% |",
        "| all | 100.00 | 100% |",
    ]


def test_a_profiled_command_counts_imports_and_lenses(tmp_path: Path) -> None:
    file, found = npz_of(tmp_path / "arrays.npz"), tmp_path / "seconds.json"
    words = ["audit", str(file), "--out", str(tmp_path / "audit"), "--lens", "archetypes"]
    code = subprocess.run([sys.executable, "-m", "benchmarks.speed._stages", found, *words], check=True, cwd=ROOT)
    seconds = json.loads(found.read_text())
    assert code.returncode == 0 and (tmp_path / "audit" / "report.html").is_file()
    wanted = {*_stages.PARTS.values(), *_stages.PACKAGES.values(), "lens archetypes", _stages.OWN, _stages.DRAWING}
    without = {
        _stages.PARTS[f"imblens.lenses.{fit}"]
        for fit in ("label_suspects.evidence:_Heads._fit_folds", "headroom.measure:both_heads")
    }
    assert wanted - without <= set(seconds)


def test_only_arrays_have_a_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert speeds.main(["startup", "--profile"]) == 2
    assert "--profile is of arrays alone" in capsys.readouterr().err


def test_the_table_of_remedies_averages_trials_of_a_class_first() -> None:
    from benchmarks.science.remedies import table

    row = {"network": "a", "cause": "overlap", "remedy": "advised"}
    rows = [row | {"class": name, "lift": lift} for name, lift in (("x", 0.1), ("x", 0.3), ("y", -0.1))]
    line = table(pd.DataFrame(rows)).splitlines()[-1]
    assert line.startswith("| overlap | advised | 3 | 2 | 0.667 | 0.050 |")


def test_what_is_advised_against_an_absent_part_is_added_to_its_class() -> None:
    from benchmarks.science.remedies import tried

    rng = np.random.default_rng(0)
    means = 9 * np.eye(3, 6)

    def split(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), n)
        return (means[labels] + rng.normal(size=(len(labels), 6))).astype(np.float32), labels

    arrays = Arrays.of(Run.from_arrays(train=split(260), test=split(120), classes=["a", "b", "c"]))
    rows = list(tried(arrays, "net", "group absent", 1))
    assert [row["remedy"] for row in rows] == ["eos on the head", "advised", "as many at random"]
    assert {row["cause"] for row in rows} == {"uncovered_range"}
    lift = {str(row["remedy"]): float(str(row["lift"])) for row in rows}
    assert lift["advised"] > 0.1 > lift["eos on the head"]


def test_networks_of_other_data_or_epochs_are_not_taken_for_those_asked_for(tmp_path: Path) -> None:
    features = np.arange(8.0).reshape(4, 2)
    images = load_images("digits", profile="exp:20")
    run = Run.from_arrays(train=(features, [0, 0, 1, 1]), meta={"data": dict(images.source), "epochs": 15})
    assert conclusions.stored(tmp_path / "ce-0", images, 15) is None
    run.save(tmp_path / "ce-0")
    assert conclusions.stored(tmp_path / "ce-0", images, 15) is not None
    with pytest.raises(InputError, match="of digits after 15 epochs, not of digits after 8"):
        conclusions.stored(tmp_path / "ce-0", images, 8)
    with pytest.raises(InputError, match="not of shapes after 15"):
        conclusions.stored(tmp_path / "ce-0", load_images("shapes"), 15)
    with pytest.raises(InputError, match="Give another folder as OUT"):
        conclusions.stored(tmp_path / "ce-0", load_images("digits", profile="exp:10"), 15)


@pytest.mark.filterwarnings("ignore::imblens.errors.ImblensWarning")
def test_one_half_of_the_test_split_chooses_and_the_other_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "ALWAYS", {})
    monkeypatch.setattr(choosing, "best_candidates", lambda: (("ncm", {}),))
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 40, 20])
    middles = 2 * np.eye(3, 4)
    parts = [(middles[labels] + rng.normal(size=(120, 4)), labels) for _ in range(2)]
    run = Run.from_arrays(train=parts[0], test=parts[1], head=(middles, np.zeros(3)))
    validation, judging = choosing_validation.halves(run, 0)
    assert validation.class_counts.tolist() == judging.class_counts.tolist() == [30, 20, 10]
    both = np.concatenate([validation.features, judging.features])
    assert run.test is not None and np.array_equal(np.sort(both, axis=0), np.sort(run.test.features, axis=0))
    with_validation, without, applied = choosing_validation.regrets(run, 0)
    assert np.isfinite([with_validation, without]).all() and applied
