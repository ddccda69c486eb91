"""Studies: what they refuse, resuming after a kill, and the numbers of their tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from imblens.errors import ExistsError, InputError, MissingError
from imblens.run import Run
from imblens.studies import _planted, find_study, open_jobs, run_study, study_names
from imblens.studies._jobs import Job, do
from imblens.studies._measures import forecast
from imblens.studies._store import Store
from imblens.studies._tables import PAPERS, as_markdown, compare, plain_markdown, read_paper, summarise
from tests.commands import imblens
from tests.data.helpers import png
from tests.data.public.layouts import write_cifar10
from tests.lenses.made import make_run

MINE = """
question = "Does it run?"
treatments = ["none", "crt", "eos k_neighbors=5"]
measures = ["accuracy", "gap", "forecast"]
claims = ["crt > none"]
seeds = [0, 1]

[[data]]
name = "digits"
source = "digits"

[train]
arch = "smallnet"
epochs = 1
loss = ["ce", "focal"]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


@dataclass(frozen=True)
class Slow(Job):
    """Writes down that it ran; two cells."""

    number: int
    folder: str

    @property
    def label(self) -> str:
        return f"job {self.number}"

    @property
    def cells(self) -> list[dict[str, Any]]:
        return [{"number": self.number, "half": half} for half in (0, 1)]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for key in wanted:
            with (Path(self.folder) / "ran").open("a") as log:
                log.write(f"{self.number}{key['half']} {os.getpid()}\n")
            yield key, {"value": self.number + 0.5 * key["half"]}


def test_every_finished_cell_is_kept_and_none_is_done_twice(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "out", {"name": "slow"})
    jobs = [Slow(number, str(tmp_path)) for number in range(3)]
    store.write({"number": 1, "half": 0}, {"value": 7.0})
    lines: list[str] = []
    do(jobs, store, workers=2, progress=lines.append)
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(name for name, _ in ran) == ["00", "01", "11", "20", "21"]
    assert str(os.getpid()) not in {process for _, process in ran}
    frame = store.frame([key for job in jobs for key in job.cells])
    assert frame["value"].tolist() == [0, 0.5, 7.0, 1.5, 2, 2.5]
    do(jobs, store, workers=2, progress=lines.append)
    assert "3 of 3 jobs were finished before" in lines[-1]


def test_a_damaged_cell_is_done_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "out", {"name": "slow"})
    job = Slow(0, str(tmp_path))
    do([job], store, workers=1, progress=lambda line: None)
    cell = sorted((tmp_path / "out" / "cells").iterdir())[0]
    cell.write_text('{"key": {"num')
    do([job], store, workers=1, progress=lambda line: None)
    assert json.loads(cell.read_text())["key"]["number"] == 0
    assert len((tmp_path / "ran").read_text().splitlines()) == 3


def test_another_study_in_the_folder_is_refused(tmp_path: Path, mine: Path) -> None:
    Store.open(tmp_path / "out", {"name": "slow"})
    with pytest.raises(InputError, match=r"holds another study.*slow"):
        run_study(find_study(mine), tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(ExistsError):
        run_study(find_study(mine), tmp_path / "full")


@pytest.mark.thorough  # every finished cell is kept: below
@pytest.mark.slow
def test_killed_and_started_again_it_resumes(tmp_path: Path, mine: Path) -> None:
    out = tmp_path / "out"
    words = ("study", str(mine), "--out", str(out), "--workers", "1")
    command = [sys.executable, "-m", "imblens", *words]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cells = out / "cells"
    until = time.monotonic() + 400
    while not (cells.is_dir() and any(cells.glob("*.json"))):
        assert first.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = {path.name: path.stat().st_mtime_ns for path in cells.glob("*.json")}
    assert 0 < len(before) < 12
    done = imblens(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = {path.name: path.stat().st_mtime_ns for path in cells.glob("*.json")}
    assert len(after) == 12 and before.items() <= after.items()
    results = pd.read_csv(out / "results.csv")
    assert len(results) == 12 and results["balanced_accuracy"].between(0, 1).all()
    assert set(results["treatment"]) == {"none", "crt", "eos k_neighbors=5"}
    assert "| digits | focal | crt | 2 |" in done.stdout and "crt > none" in done.stdout
    table = pd.read_csv(out / "tables" / "study.csv")
    mean = results[(results["loss"] == "ce") & (results["treatment"] == "crt")]["balanced_accuracy"].mean()
    assert table.loc[1, "balanced_accuracy"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seeds = 3", "seeds"),
        ('colour = "red"', "colour: extra"),
        ('measures = ["beauty"]', "no measure 'beauty'"),
        ('treatments = ["magic"]', "no treatment 'magic'"),
        ('treatments = ["eos k=2"]', "eos has no option 'k'"),
        ("[train]\nspeed = 3", "no option 'speed'"),
        ('[train]\noversample = "magic"', "no over-sampler 'magic'"),
        ("data = []", "data"),
        ('[train]\naugment = "mixup"', "no augmentation 'mixup'"),
        ("[train]\nremix = true\nrebalanced_mixup = true", "both mix"),
        ("[train", "is not TOML"),
    ],
)
def test_what_is_no_study_is_refused(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    name = change.split(" ")[0]
    kept = "" if name == "data" else '\n[[data]]\nname = "digits"\nsource = "digits"\n'
    path.write_text(change + "\n" + kept)
    with pytest.raises(InputError, match=message):
        find_study(path)


def test_names_files_and_data(tmp_path: Path, mine: Path) -> None:
    assert {"diagnosis", "eos-table1", "eos-table2", "eos-table4", "eos-table5", "eos-gap", "long-tail"} <= set(
        study_names()
    )
    with pytest.raises(MissingError, match="no study 'eos-tabel2'"):
        find_study("eos-tabel2")
    with pytest.raises(MissingError, match=r"has no data to run on.*CIFAR-10=FOLDER.*cs.toronto"):
        find_study("eos-table2")
    with pytest.raises(MissingError, match=r"no data 'cifar'"):
        find_study("eos-table2", data={"cifar": "digits"})
    with pytest.raises(InputError, match="no quick size"):
        find_study(mine, quick=True)
    with pytest.raises(MissingError, match=r"cannot be read"):
        find_study(tmp_path / "none.toml")
    study = find_study("eos-table2", data={"CIFAR-10": "digits"}, quick=True, seeds=[4])
    assert {job.seed for job in study.jobs} == {4} and len(study.jobs) == 4
    assert set(study.missing) == {"SVHN", "CIFAR-100", "CelebA"}


def laid_out(root: Path, n_of_class: list[int]) -> Path:
    """CIFAR-10 in its published layout, with so many training images of each class."""
    labels = np.repeat(np.arange(10), n_of_class)
    train = np.zeros((len(labels), 32, 32, 3), dtype=np.uint8), labels
    test = np.zeros((10, 32, 32, 3), dtype=np.uint8), np.arange(10)
    write_cifar10(root, binary=True, splits={"train": train, "test": test})
    return root


def test_the_first_table_of_iml_describes_what_the_second_trains(tmp_path: Path) -> None:
    whole = laid_out(tmp_path / "cifar", [200] * 10)
    result = run_study(find_study("iml-table1", data={"CIFAR-10": str(whole)}), tmp_path / "out", workers=1)
    table = result.tables["study"].set_index("data")
    kept = [int(200 * 0.01 ** (i / 9) + 1e-9) for i in range(10)]
    ours = ["classes", "train", "test", "input_dim", "fe_dim", "imbalance", "max_imbalance", "epochs", "network"]
    assert table.loc["CIFAR-10", ours].tolist() == [*(10, sum(kept), 10, 3072, 64, "exponential", 100, 200, "resnet32")]
    assert table.loc["Places-10", [f"{name}_paper" for name in ours]].tolist() == [
        *(10, 15_000, 5_000, 196_608, 64, "step", 5, 90, "resnet56")
    ]
    assert f"| CIFAR-10 | 10 (paper 10) | {sum(kept)} (paper 12,046) |" in result.text
    assert "| Places-10 | - (paper 10) |" in result.text and "http://places2.csail.mit.edu" in result.text
    study = find_study("iml-table2", data=dict.fromkeys(table.index, "digits"))
    trained = {job.data.name: (job.options.get("epochs", 200), job.options["arch"]) for job in study.jobs}  # type: ignore[attr-defined]
    assert trained == {name: (row["epochs_paper"], row["network_paper"]) for name, row in table.iterrows()}
    with pytest.raises(MissingError, match="no seeds"):
        find_study("iml-table1", data={"CIFAR-10": str(whole)}, seeds=[1])
    with pytest.raises(MissingError, match="iml-table1 has no data 'MNIST'"):
        find_study("iml-table1", data={"MNIST": str(whole)})


def test_synthetic_images_lie_beside_the_table(tmp_path: Path) -> None:
    study = find_study("eos-table3", quick=True)
    store = Store.open(tmp_path / "out", study.spec)
    for job in study.jobs:
        for key in job.cells:
            store.write(key, {"balanced_accuracy": 0.5})
    assert run_study(study, tmp_path / "out").text.count("![") == 0
    sheet = store.network(study.jobs[1].key()) / "oversampled" / "samples.png"  # type: ignore[attr-defined]
    sheet.parent.mkdir(parents=True)
    sheet.write_bytes(png(np.zeros((4, 4, 3), np.uint8)))
    text = run_study(study, tmp_path / "out").text
    copy = tmp_path / "out" / "images" / "digits-oversample=bagan-cut=0-seed=0.png"
    assert copy.read_bytes() == sheet.read_bytes() and f"(images/{copy.name})" in text


def test_only_a_long_tail_stays_as_it_is(tmp_path: Path) -> None:
    for name, counts, profile in (
        ("a", [300] * 10, "exp:100"),
        ("b", [300, *[200] * 8, 100], "exp:100"),  # 3:1, as SVHN is published
        ("c", [300, *[200] * 8, 4], "natural"),
    ):
        study = find_study("eos-gap", data={"CIFAR-10": str(laid_out(tmp_path / name, counts))})
        assert {job.data.profile for job in study.jobs} == {profile}  # type: ignore[attr-defined]


def test_cuts_are_an_axis_beside_seeds(tmp_path: Path) -> None:
    path = tmp_path / "cuts.toml"
    path.write_text(
        """
        seeds = [0, 1]
        cuts = [0, 10, 100]
        [[data]]
        name = "thinned"
        source = "digits"
        profile = "exp:10"
        [[data]]
        name = "whole"
        source = "digits"
        """
    )
    study = find_study(path)
    cells = [cell for job in study.jobs for cell in job.cells]
    assert len(cells) == 2 * 3 + 2 and {cell["cut"] for cell in cells} == {0, 10, 100, "as given"}
    drawn = {job.cut: job.data.load().train.ids.tolist() for job in study.jobs}  # type: ignore[attr-defined]
    assert len(set(map(tuple, drawn.values()))) == len(drawn) == 4  # three cuts, and the whole set
    assert len({store_key(job) for job in study.jobs}) == 8  # a network for each
    other = find_study(path, cuts=[3], seeds=[0])
    assert [job.cut for job in other.jobs] == [3, "as given"] and other.spec["cuts"] == [3]  # type: ignore[attr-defined]
    assert "cut" not in find_study("long-tail", data={"CIFAR-10": "digits"}).jobs[0].cells[0]
    for name in ("eos-table1", "eos-table2", "eos-table3", "eos-table4", "eos-table5", "eos-gap", "eos-fig7"):
        spec = find_study(name, data={"CIFAR-10": "digits"}).spec
        assert (spec["cuts"], spec["seeds"]) == ([0, 10, 100], [0])


def test_a_dry_run_foresees_what_over_sampling_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = find_study("eos-table1", data={"CIFAR-10": "digits"}, quick=True)
    assert open_jobs(study, tmp_path / "out")
    monkeypatch.setattr("imblens.base.memory.memory_limit", lambda: 100_000)
    for act in (open_jobs, partial(run_study, workers=1)):
        with pytest.raises(
            InputError, match=r"CIFAR-10 oversample=smote .*: smote on .* images of 32 x 32 needs about"
        ):
            act(study, tmp_path / "out")
    assert not list((tmp_path / "out" / "cells").glob("*"))
    assert open_jobs(find_study("eos-table2", data={"CIFAR-10": "digits"}, quick=True), tmp_path / "other")


def test_the_corrected_settings_of_the_papers() -> None:
    from imblens.training import find_schedule

    study = find_study("eos-table5", data={"CIFAR-10": "digits"})
    assert {job.options["arch"] for job in study.jobs} == {"resnet56", "wideresnet16_4", "densenet100"}  # type: ignore[attr-defined]
    study = find_study("eos-table1", data={"CIFAR-10": "digits", "SVHN": "digits", "CelebA": "digits"})
    for job in study.jobs:
        augment = find_schedule("cao200").augmented(job.options.get("augment")).augment  # type: ignore[attr-defined]
        assert augment == ("crop" if job.data.name == "SVHN" else "crop+flip")  # type: ignore[attr-defined]
        assert job.data.size == (32 if job.data.name == "CelebA" else None)  # type: ignore[attr-defined]
    for name in ("looking-table1", "looking-table2", "looking-fig2"):  # crops of images of 280, resized to 224
        sets = dict.fromkeys(("NIH ChestX-ray14", "NIH ChestX-ray14, finding or none"), "digits")
        for job in find_study(name, data=sets).jobs:
            assert (job.data.size, job.options["input_size"]) == (280, 224)  # type: ignore[attr-defined]
    found = {(job.options["oversample"], job.treatments) for job in study.jobs}  # type: ignore[attr-defined]
    assert ("eos k_neighbors=10", ("none",)) in found
    rows = [
        ("CIFAR-10", "eos k_neighbors=10", False, "none", 0, 0.7),
        ("CIFAR-10", "none", False, "eos k_neighbors=10", 0, 0.75),
    ]
    results = pd.DataFrame(rows, columns=["data", "oversample", "remix", "treatment", "seed", "balanced_accuracy"])
    group = ["data", "oversample", "remix", "treatment"]
    assert summarise(results, group, "eos_table1")["balanced_accuracy_paper"].tolist() == [0.6881, 0.7581]
    held = compare(results, ["eos k_neighbors=10 > oversample=eos k_neighbors=10"], group, "balanced_accuracy")
    assert held.loc[0, "difference"] == pytest.approx(0.05)


def test_means_are_over_cuts_and_seeds() -> None:
    rows = [("none", cut, seed, cut / 100 + seed) for cut in (0, 10) for seed in (0, 1)]
    rows += [("eos", cut, seed, cut / 50 + seed) for cut in (0, 10) for seed in (0, 1)]
    results = pd.DataFrame(rows, columns=["treatment", "cut", "seed", "balanced_accuracy"]).assign(data="x")
    table = summarise(results, ["data", "treatment"])
    assert table["seeds"].tolist() == [4, 4] and table["balanced_accuracy"].tolist() == pytest.approx([0.55, 0.6])
    found = compare(results, ["eos > none"], ["data", "treatment"], "balanced_accuracy")
    assert found.loc[0, ["pairs", "held"]].tolist() == [4, 2]  # equal at cut 0, ahead at cut 10
    assert found.loc[0, "difference"] == pytest.approx(0.05)


def test_a_set_has_options_of_its_own_and_quick_wins_over_them(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        """
        [[data]]
        name = "a"
        source = "digits"
        train = {arch = "resnet56", batch_size = 8}
        [[data]]
        name = "b"
        source = "digits"
        [train]
        arch = "resnet32"
        [quick.data]
        b = {size = 16}
        [quick.train]
        arch = "smallnet"
        """
    )
    full = {job.data.name: job.options for job in find_study(path).jobs}  # type: ignore[attr-defined]
    assert full == {"a": {"arch": "resnet56", "batch_size": 8}, "b": {"arch": "resnet32"}}
    quick = {job.data.name: (job.options, job.data.size) for job in find_study(path, quick=True).jobs}  # type: ignore[attr-defined]
    assert quick == {"a": ({"arch": "smallnet", "batch_size": 8}, None), "b": ({"arch": "smallnet"}, 16)}
    path.write_text(path.read_text().replace("b = {size", "c = {size"))
    with pytest.raises(InputError, match=r"quick\.data names 'c'"):
        find_study(path, quick=True)


@pytest.mark.parametrize("name", sorted(set(study_names()) - {"diagnosis", "fragility", "iml-table1"}))
@pytest.mark.parametrize("quick", [False, True])
def test_every_built_in_study_can_be_read(name: str, quick: bool) -> None:
    from imblens.studies._grid import built_in, read

    spec = _toml(built_in()[name])
    replaced = quick and isinstance(spec["quick"].get("data"), list)
    names = [one["name"] for one in (spec["quick"] if replaced else spec)["data"]]
    study = find_study(name, data=dict.fromkeys(names, "digits"), quick=quick)
    assert len({store_key(job) for job in study.jobs}) == len(study.jobs)
    assert study.jobs and not study.missing and study.question
    assert read(built_in()[name], quick=quick, sources=dict.fromkeys(names, "digits")).name == name


def store_key(job: Any) -> str:
    return json.dumps([job.key(), job.data.name], sort_keys=True)


def test_findings_of_any_kind_become_one_label() -> None:
    from imblens.data import ImageSet, ImageSplit, finding_or_none

    labels = [[0, 0, 0], [1, 0, 1], [0, 0, 1]]
    boxes = [[], [[0, 1, 1, 3, 3], [2, 0, 0, 2, 2]], [[2, 1, 0, 2, 2]]]
    split = ImageSplit.from_arrays(np.zeros((3, 4, 4), np.uint8), labels, boxes=boxes)
    made = finding_or_none(ImageSet("x", ("a", "b", "c"), "multilabel", split, split))
    assert made.task == "multiclass" and made.train.labels.tolist() == [0, 1, 1]
    assert made.test is not None and made.test.boxes is not None and made.train.boxes is not None
    assert made.train.boxes[1].tolist() == [[1, 1, 1, 3, 3], [1, 0, 0, 2, 2]]
    with pytest.raises(InputError, match="is single-label"):
        finding_or_none(find_study("long-tail", data={"CIFAR-10": "digits"}).jobs[0].data.load())  # type: ignore[attr-defined]


def _toml(path: Path) -> dict[str, Any]:
    from imblens.base.toml import read_toml

    return read_toml(path)


def made() -> pd.DataFrame:
    rows = [
        ("CIFAR-10", "ce", treatment, seed, base + 0.01 * seed)
        for treatment, base in (("none", 0.7), ("eos", 0.75))
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns=["data", "loss", "treatment", "seed", "balanced_accuracy"])


def test_table_has_mean_spread_and_the_papers_value() -> None:
    results = made().replace({"treatment": {"eos": "eos k_neighbors=10"}})
    table = summarise(results, ["data", "loss", "treatment"], "eos_table2")
    assert table["seeds"].tolist() == [3, 3]
    assert table["balanced_accuracy"].tolist() == pytest.approx([0.71, 0.76])
    assert table["balanced_accuracy_sd"].tolist() == pytest.approx([0.01, 0.01])
    assert table["balanced_accuracy_paper"].tolist() == [0.7256, 0.7581]
    assert "| CIFAR-10 | ce | eos k_neighbors=10 | 3 | 0.760 ± 0.010 (paper 0.758) |" in as_markdown(
        table, ["data", "loss", "treatment"]
    )


def test_a_set_without_data_states_what_to_download() -> None:
    group = ["data", "treatment"]
    results = pd.DataFrame([("CIFAR-10", "none", 0, 0.06)], columns=["data", "treatment", "seed", "kl_alg1"])
    table = summarise(results, group, "iml_table2", {"CIFAR-100": "get it: http://x", "Birds": "none"})
    lines = as_markdown(table, group).splitlines()
    assert lines[2] == "| CIFAR-10 | none | 1 | 0.060 (paper 0.556) |  |"
    assert lines[3:] == ["| CIFAR-100 |  | 0 | - (paper 4.039) | get it: http://x |", "| Birds |  | 0 | - | none |"]
    group = ["data", "loss", "treatment"]
    table = summarise(made(), group, "eos_table2", {"SVHN": "get it"})  # the paper has twenty rows of it
    assert as_markdown(table, group).splitlines()[-1] == "| SVHN |  |  | 0 | - | get it |"


def test_published_geometric_means_follow_from_balanced_accuracy() -> None:
    """With equal test classes sqrt(a (1 - (1 - a) / (C - 1))); the five others are slips, or means over something else."""
    followed = []
    for name in ("eos_table1", "eos_table2", "eos_table4", "eos_table5"):
        table = pd.read_csv(PAPERS / f"{name}.csv")
        classes = table["data"].map({"CIFAR-10": 10, "CIFAR-100": 100})
        table, classes = table[classes.notna()], classes[classes.notna()]
        accuracy = table["balanced_accuracy"]
        expected = np.sqrt(accuracy * (1 - (1 - accuracy) / (classes - 1)))
        followed += ((expected - table["geometric_mean"]).abs() < 2e-4).tolist()
    assert (sum(followed), len(followed)) == (67, 72)


def test_only_comparable_rows_of_the_paper_count() -> None:
    table = summarise(made(), ["data", "loss", "treatment"], "long_tail")
    assert table.loc[0, "balanced_accuracy_paper"] == pytest.approx(np.mean([0.7036, 0.7195, 0.7123, 0.7260]))
    assert np.isnan(table.loc[1, "balanced_accuracy_paper"])


def test_claims_are_held_pair_by_pair() -> None:
    results = made()
    results.loc[4, "balanced_accuracy"] = 0.1
    found = compare(results, ["eos > none"], ["data", "loss", "treatment"], "balanced_accuracy")
    assert found.loc[0, ["pairs", "held"]].tolist() == [3, 2]
    assert found.loc[0, "difference"] == pytest.approx((0.05 + 0.05 - 0.61) / 3)
    results["oversample"] = np.where(results["treatment"] == "eos", "smote", "none")
    results["treatment"] = np.where(results["treatment"] == "eos", "none", "smote")
    group = ["data", "loss", "oversample", "treatment"]
    found = compare(results, ["smote > oversample=smote"], group, "balanced_accuracy")
    assert found.loc[0, "held"] == 1
    one = compare(results[results["seed"] == 1], ["smote > oversample=smote"], group, "balanced_accuracy")
    assert plain_markdown(one).splitlines()[-1].endswith("|  | 1 | 1 |")  # a pair has no spread


def test_what_is_planted_for_the_diagnosis() -> None:
    for cause in _planted.DIAGNOSED:
        images = _planted.planted(cause, 5)
        counts = dict(zip(images.classes, images.class_counts.tolist(), strict=True))
        rare = {name for name, count in counts.items() if count < 50}
        assert rare == (set(_planted.planted_classes(cause)) if cause == "few_examples" else set())
        assert set(images.planted) == (set() if cause == "few_examples" else {cause})


def test_the_table_of_the_diagnosis() -> None:
    rows = [
        {
            "planted": "overlap",
            "class": "oval",
            "draw": draw,
            "seed": 0,
            "remedy": "none",
            "first": first,
            "second": "",
            "accuracy": 0.5,
            "others_named": 0.1,
        }
        for draw, first in enumerate(("overlap", "overlap", "few_features"))
    ]
    rows += [
        {"planted": "overlap", "remedy": remedy, "cause": "overlap", "did": "eos", "lift": lift}
        for remedy, lift in (("advised", 0.1), ("advised", 0.2), ("another", -0.1), ("another", 0.0))
    ]
    found = _planted.tables(pd.DataFrame(rows))
    assert found["study"].loc[0, ["overlap", "few_features", "classes"]].tolist() == [2, 1, 3]
    assert found["study"].loc[0, "hit"] == pytest.approx(2 / 3)
    assert found["misses"][["draw", "first"]].to_numpy().tolist() == [[2, "few_features"]]
    advice = found["advice"].set_index(["diagnosed", "remedy"])
    assert advice.loc[("all", "advised"), "lifted"] == 1 and advice.loc[("all", "another"), "lifted"] == 0
    assert advice.loc[("overlap", "advised"), "mean_lift"] == pytest.approx(0.15)
    assert advice.loc[("overlap", "advised"), "lift_high"] == pytest.approx(0.15 + 12.7062 * 0.05)  # t of one degree
    assert "On the diagonal: 2 of 3 (67%)" in _planted.shown(found)


@pytest.mark.slow
@pytest.mark.thorough  # test_plants.py finds causes in stored features
def test_a_planted_cause_is_found(tmp_path: Path) -> None:
    job = _planted.Planted("background", 3, 0, advice=False)
    store = Store.open(tmp_path / "out", {"name": "diagnosis"})
    do([job], store, workers=1, progress=lambda line: None)
    (asked,) = (store.finished(key) for key in job.cells)
    assert asked is not None and asked["first"] in ("shortcut", "shortcut_colours")


def test_remedies_change_what_they_name() -> None:
    import torch

    from imblens.models import build_model

    images = _planted.planted("background", 3)
    asked = {"mean": [0.5] * 3, "std": [0.25] * 3, "size": [20, 20]}
    torch.manual_seed(0)
    fitted = _planted.Fitted(build_model("smallnet", 10).eval(), asked, images, 0)
    judged = _planted.judged_on("background", 3, "kite")
    kite = images.classes.index("kite")
    assert set(judged.labels) == {kite}
    more = _planted._collect(fitted, "kite", judged)
    added = more.subset([str(one).startswith("new/") for one in more.ids])
    assert 0 < len(added) <= 40 and set(added.labels) == {kite}
    varied = _planted._vary_background(fitted, "kite", judged)
    assert np.array_equal(np.bincount(varied.labels), images.class_counts)
    bluish = [(p[:3].mean(axis=(0, 1)) @ [-1, 0, 1]) > 50 for p, label in varied if label == kite]
    assert 0.4 < np.mean(bluish) < 0.6
    kept = _planted._drop_suspects(fitted, "ring", judged)
    assert len(kept) < len(images.train) and set(images.train.labels[~np.isin(images.train.ids, kept.ids)]) == {0}
    assert 0 <= _planted.REMEDIES["few_examples"][1](fitted, "kite", judged) <= 1


def test_the_ratio_is_ours_over_the_better_of_the_papers_two():
    values = forecast(make_run())
    assert values["kl_ratio"] == pytest.approx(values["kl_soft"] / min(values["kl_forecast"], values["kl_fisher"]))
    rare = min(values["kl_forecast_rare"], values["kl_fisher_rare"])
    assert values["kl_ratio_rare"] == pytest.approx(values["kl_soft_rare"] / rare) != values["kl_ratio"]
    features, labels = np.arange(8.0).reshape(4, 2), [0, 0, 1, 1]
    right = (features, labels, np.eye(2)[labels])
    assert forecast(Run.from_arrays(train=right, test=right))["kl_ratio"] is None  # no error to compare with


def test_the_published_forecast_stands_beside_alg_1_and_the_random_baseline_beside_random_rows():
    """The error of a goes to b. Its neighbours but a are two of b, one of c: Alg. 1 gives (2/3, 1/3), KL log 3/2, smoothed.

    With the rule of ten the neighbours of all three of a count: four of b, five of c, KL log 9/4, smoothed.
    """
    features = np.array([[0.0], [1], [9], [10], [11], [-1], [-2]])
    labels = np.array([0, 0, 0, 1, 1, 2, 2])
    logits = np.eye(3)[[0, 0, 1, 1, 1, 2, 2]]
    run = Run.from_arrays(train=(features, labels, logits), test=(features, labels, logits), classes=list("abc"))
    found = forecast(run)
    assert (found["kl_alg1"], found["kl_forecast"]) == pytest.approx((0.3988, 0.8026), abs=1e-4)
    assert found["random_over_alg1"] == pytest.approx(found["kl_random"] / 0.3988, rel=1e-3)
    paper = read_paper("iml_table2", ["data"]).set_index("data")
    assert set(paper.columns) <= set(found), "a published column without one of ours beside it"
    assert paper.loc["CIFAR-10", ["kl_alg1", "kl_random"]].tolist() == [0.5561, 4.535]
    assert paper["random_over_alg1"].tolist() == pytest.approx(
        (paper["kl_random"] / paper["kl_alg1"]).tolist(), rel=0.01
    )
