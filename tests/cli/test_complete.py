"""A run that was merged from shards and completed has the findings of one capture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from imblens import audit
from imblens.cli._captured import sharded
from imblens.data import ImageSplit
from imblens.errors import InputError, StorageError
from imblens.extraction import TrainingMeans, capture, complete
from imblens.models import weights_digest
from imblens.run import Run, lacks, merge
from tests.extraction.networks import Residual, seeded

N = {"train": 40, "test": 26}
CLASSES = ["a", "b", "c"]
RNG = np.random.default_rng(4)
PIXELS = {name: RNG.integers(0, 256, (n, 12, 10, 3), dtype=np.uint8) for name, n in N.items()}
LABELS = {name: RNG.choice(3, n, p=[0.6, 0.25, 0.15]) for name, n in N.items()}
LENSES = ["shortcuts", "concepts", "diagnosis"]
GIVEN = {"preprocessing": {"mean": [0.4] * 3, "std": [0.3] * 3}, "classes": CLASSES}


def images(name: str, *, boxes: bool = True, labels: Any = None) -> ImageSplit:
    """A split of which every second image has a box of its class."""
    labels = LABELS[name] if labels is None else labels
    of = labels if labels.ndim == 1 else labels.argmax(axis=1)
    found = [np.array([[of[i], 1.0, 2.0, 7.0, 9.0]], np.float32)[: i % 2] for i in range(N[name])]
    return ImageSplit.from_arrays(PIXELS[name], labels, boxes=found if boxes and name == "test" else None)


def network() -> torch.nn.Module:
    return seeded(Residual)


def shards(folder: Path, splits: dict[str, ImageSplit], of: int, **options: Any) -> list[Path]:
    """Captured as `imblens capture --shard i/n` does."""
    parts = []
    for index in range(of):
        own, meta = sharded(splits, index, of, {"concepts": 0.1, "maps": None})
        meta["to_complete"]["network"] = weights_digest(network())
        given: dict[str, Any] = {**GIVEN, "batch_size": 4, "concepts": None, "shortcuts": False, **options}
        capture(network(), **own, **given, probes=[TrainingMeans()], out=folder / f"part {index}", meta=meta)
        parts.append(folder / f"part {index}")
    return parts


def merged(folder: Path, splits: dict[str, ImageSplit], of: int = 2, **options: Any) -> Path:
    merge(shards(folder, splits, of, **options)[::-1], folder / "run")
    return folder / "run"


def check_equal(found: Run, whole: Run) -> None:
    assert not lacks(found) and found.meta.get("notes", []) == whole.meta.get("notes", [])
    for name, split in whole.splits.items():
        assert found.splits[name].columns == split.columns
        for column in (c for c in split.columns if c.startswith(("cut_", "concept_"))):
            one, other = (np.stack(s.instances([column])[column].to_numpy()) for s in (found.splits[name], split))
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for key in ("shortcuts", "concepts", "alignment", "layer", "preprocessing"):
        assert found.meta.get(key) == whole.meta.get(key)
    before, after = (audit(run, lenses=LENSES) for run in (whole, found))
    assert dict(before.skipped) == dict(after.skipped) and list(before) == list(after)
    for lens, finding in before.findings.items():
        assert list(finding.tables) == list(after[lens].tables) and finding.notes == after[lens].notes
        for table, frame in finding.tables.items():
            pd.testing.assert_frame_equal(frame, after[lens].tables[table], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("of", [1, 2, 3])
def test_completed_shards_have_the_findings_of_one_capture(tmp_path: Path, of: int) -> None:
    splits = {name: images(name) for name in N}
    whole = capture(network(), **splits, **GIVEN, batch_size=4, concepts=0.1)
    assert np.isfinite(whole.test.matrix("cut_right")).any(axis=0).all()
    assert np.nansum(whole.test.matrix("concept_disjoint")) > 0
    run = merged(tmp_path, splits, of)
    assert lacks(Run.load(run)) == ("shortcuts", "concepts")
    check_equal(complete(run, network(), **splits, **GIVEN), whole)
    check_equal(Run.load(run), whole)


def many(name: str) -> Any:
    labels = np.eye(3, dtype=np.int64)[LABELS[name]]
    labels[::3, 1] = 1
    return labels


FORMS: dict[str, Callable[[], tuple[dict[str, ImageSplit], dict[str, Any]]]] = {
    "without a test split": lambda: ({"train": images("train")}, {}),
    "without boxes": lambda: ({name: images(name, boxes=False) for name in N}, {}),
    "of several labels": lambda: ({name: images(name, labels=many(name)) for name in N}, {}),
    "without colours": lambda: ({name: images(name) for name in N}, {"colours": False}),
}


@pytest.mark.parametrize("form", FORMS)
def test_shards_of_other_forms_are_completed_too(tmp_path: Path, form: str) -> None:
    splits, options = FORMS[form]()
    whole = capture(network(), **splits, **GIVEN, batch_size=4, concepts=0.1, **options)
    check_equal(complete(merged(tmp_path, splits, 2, **options), network(), **splits, **GIVEN), whole)


def test_parts_on_disk_are_completed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.run._merge.PART_ROWS", 9)
    monkeypatch.setattr("imblens.run._additions.ROW_GROUP", 4)
    splits = {name: images(name) for name in N}
    run = merged(tmp_path, splits)
    assert len(Run.load(run).test.parts) > 2
    whole = capture(network(), **splits, **GIVEN, batch_size=4, concepts=0.1)
    check_equal(complete(run, network(), **splits, **GIVEN), whole)


def test_outputs_in_another_order_than_the_labels_are_matched_by_name(tmp_path: Path) -> None:
    splits = {name: images(name) for name in N}
    given = {**GIVEN, "outputs": ["c", "a", "b"]}
    whole = capture(network(), **splits, **given, batch_size=4, concepts=0.1)
    check_equal(complete(merged(tmp_path, splits, 2, **given), network(), **splits, **given), whole)


def test_what_is_not_of_the_run_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    splits = {name: images(name) for name in N}
    run = merged(tmp_path, splits)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    relabelled = images("test", labels=(LABELS["test"] + 1) % 3)
    backwards = splits["test"].subset(np.arange(N["test"])[::-1])
    altered = network()
    torch.nn.init.normal_(next(altered.parameters()))
    wrong: dict[str, tuple[Any, dict[str, Any]]] = {
        r"the weights are not equal": (altered, {}),
        r"test image 0 is 000025, in .*run 000000": (None, {"test": backwards}),
        r"test has other labels than": (None, {"test": relabelled}),
        r"test has 20 images, 26 in": (None, {"test": splits["test"].subset(range(20))}),
        r"the data have train, .*run test, train": (None, {"test": None}),
        r"the classes are c, b, a, those of .* a, b, c": (None, {"classes": CLASSES[::-1]}),
        r"the preprocessing is": (None, {"preprocessing": {"mean": [0.5] * 3, "std": [0.3] * 3}}),
    }
    for message, (model, options) in wrong.items():
        with pytest.raises(InputError, match=message):
            complete(run, model or network(), **{**splits, **GIVEN, **options})
    with pytest.raises(InputError, match=r"part 0 is one shard"):
        complete(tmp_path / "part 0", network(), **splits, **GIVEN)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    complete(run, network(), **splits, **GIVEN)
    with pytest.raises(InputError, match=r"lacks nothing that could be added"):
        complete(run, network(), **splits, **GIVEN)


def test_other_pixels_under_the_same_names_are_refused(tmp_path: Path) -> None:
    splits = {name: images(name) for name in N}
    other = ImageSplit.from_arrays(255 - PIXELS["train"], LABELS["train"])
    with pytest.raises(InputError, match=r"the features of the first images differ"):
        complete(merged(tmp_path, splits), network(), **{**splits, "train": other}, **GIVEN)


def test_a_full_disk_or_a_kill_leaves_the_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {name: images(name) for name in N}
    run = merged(tmp_path, splits)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("imblens.run._additions._write_table", full)
        with pytest.raises(StorageError, match="disk full"):
            complete(run, network(), **splits, **GIVEN)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    with monkeypatch.context() as patch:  # a killed process removes nothing
        patch.setattr("imblens.run._write.shutil", SimpleNamespace(rmtree=lambda *_, **__: None))
        patch.setattr("imblens.run._additions.seal", full)
        with pytest.raises(OSError, match="No space"):
            complete(run, network(), **splits, **GIVEN)
    assert lacks(Run.load(run)) == ("shortcuts", "concepts")
    complete(run, network(), **splits, **GIVEN)
    assert not lacks(Run.load(run)) and not [*run.glob(".imblens*")]


def test_a_run_in_object_storage_is_completed_there(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    splits = {"train": images("train")}
    run = Run.load(merged(tmp_path, splits))
    run.save("memory://complete/run")
    complete("memory://complete/run", network(), **splits, **GIVEN)
    assert (
        not lacks(Run.load("memory://complete/run")) and "cut_right" in Run.load("memory://complete/run").train.columns
    )


def test_a_network_without_maps_states_why_it_has_no_concepts(tmp_path: Path) -> None:
    splits = {name: images(name) for name in N}
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(360, 3))
    parts = []
    for index in (0, 1):
        own, meta = sharded(splits, index, 2, {"concepts": 0.1, "maps": None})
        given: dict[str, Any] = {**GIVEN, "concepts": None, "shortcuts": False, "probes": [TrainingMeans()]}
        capture(plain, **own, **given, out=tmp_path / str(index), meta=meta)
        parts.append(tmp_path / str(index))
    merge(parts, tmp_path / "run")
    whole = capture(plain, **splits, **GIVEN, concepts=0.1)
    completed = complete(tmp_path / "run", plain, **splits, **GIVEN)
    assert completed.meta["concepts"] == whole.meta["concepts"] and "skipped" in completed.meta["concepts"]
