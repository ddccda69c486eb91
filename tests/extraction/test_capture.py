"""From network and data to a run: any build of network, any kind of data, memory and disk."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import imblens
from imblens.data import ImageSplit
from imblens.errors import ExistsError, InputError, MissingError, NotApplicable, ShapeError, StorageError
from imblens.extraction import Probe, ProbeBatch, capture
from imblens.models import build_model
from tests.extraction.networks import Pair, Residual, Weighted, seeded, sequential
from tests.run.full_disk import mapped_when_renamed, state

RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, size=(11, 8, 6, 3), dtype=np.uint8)
LABELS = np.array([0, 2, 0, 1, 0, 0, 1, 0, 2, 0, 0])
TENSORS = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 255
CLASSES = ["cat", "dog", "eel"]
MAKERS = [sequential, Residual, Pair, lambda: build_model("smallnet", 3)]


@pytest.mark.parametrize("make", MAKERS)
def test_any_network(make: Any) -> None:
    model = seeded(make)
    run = capture(model, train=(IMAGES, LABELS), test=(IMAGES[:4], LABELS[:4]), classes=CLASSES, batch_size=4)
    with torch.no_grad():
        answer = model.eval()(TENSORS.clone())
    logits = answer["logits"] if isinstance(answer, dict) else answer[0] if isinstance(answer, tuple) else answer
    np.testing.assert_allclose(run.train.logits, logits.numpy(), rtol=1e-4, atol=1e-6)
    assert run.head is not None and run.test is not None
    np.testing.assert_allclose(run.head(run.train.features), run.train.logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.test.logits, run.train.logits[:4], rtol=1e-4, atol=1e-6)
    assert run.train.labels.tolist() == LABELS.tolist()
    assert run.train.ids.tolist() == [str(i) for i in range(11)]
    assert run.classes == tuple(CLASSES) and run.task == "multiclass"
    assert run.train.features.dtype == run.train.logits.dtype == np.float32
    assert run.train.columns == ("id", "thumbnail", "band_count", "band_rgb", "band_present")


def test_features_are_what_enters_the_head() -> None:
    model = seeded(Pair)
    run = capture(model, train=(IMAGES, LABELS))
    np.testing.assert_allclose(run.train.features, model.eval()(TENSORS.clone())[1].detach(), rtol=1e-5, atol=1e-7)
    assert run.meta["layer"] == "classifier" and run.meta["model"] == {"class": "Pair"}
    assert run.head is not None and run.head.bias.tolist() == [0, 0, 0]


def test_every_kind_of_data_gives_the_same_run() -> None:
    class Items(Dataset[Any]):
        def __len__(self) -> int:
            return len(LABELS)

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            return TENSORS[i], int(LABELS[i])

    model = seeded(sequential)
    expected = capture(model, train=ImageSplit.from_arrays(IMAGES, LABELS))
    shuffled = DataLoader(Items(), batch_size=3, shuffle=True)
    for split in (
        Items(),
        shuffled,
        TensorDataset(TENSORS, torch.from_numpy(LABELS)),
        (TENSORS, LABELS.tolist()),
        (TENSORS.numpy(), torch.from_numpy(LABELS)),
        (IMAGES, LABELS),
        (torch.from_numpy(IMAGES), LABELS.astype(np.uint8)),
    ):
        run = capture(model, train=split)
        np.testing.assert_allclose(run.train.features, expected.train.features, rtol=1e-5, atol=1e-7)
        assert run.train.labels.tolist() == LABELS.tolist()


def test_labels_by_name_need_the_order_of_the_outputs() -> None:
    names = np.array(CLASSES)[LABELS]
    run = capture(seeded(sequential), train=(IMAGES, names), classes=CLASSES)
    assert run.train.labels.tolist() == LABELS.tolist()
    with pytest.raises(InputError, match=r"label 'cat'.*order of the network's outputs"):
        capture(seeded(sequential), train=(IMAGES, names))


def test_many_labels_for_one_image() -> None:
    labels = RNG.integers(0, 2, size=(11, 3))
    run = capture(seeded(sequential), train=(IMAGES, labels), test=(TENSORS, torch.from_numpy(labels)))
    assert run.task == "multilabel"
    np.testing.assert_array_equal(run.train.labels, labels)
    with pytest.raises(ShapeError, match="differ in kind"):
        capture(seeded(sequential), train=(IMAGES, labels), test=(IMAGES, LABELS))


def test_preprocessing_by_hand() -> None:
    """One grey image: (51 / 255 - 0.1) / 0.5 = 0.2 in every channel, and the layer sums 2 x 2 x 3 of them."""
    grey = np.full((2, 2, 2, 3), 51, dtype=np.uint8)
    model = Weighted(torch.ones(2, 3, 2, 2))
    run = capture(model, train=(grey, [0, 1]), preprocessing={"mean": [0.1] * 3, "std": [0.5] * 3})
    np.testing.assert_allclose(run.train.logits, 12 * 0.2, rtol=1e-6)
    assert run.meta["preprocessing"] == {"mean": [0.1] * 3, "std": [0.5] * 3, "size": None, "default": False}
    plain = capture(model, train=(grey, [0, 1]))
    np.testing.assert_allclose(plain.train.logits, 12 * 0.2, rtol=1e-6)
    assert plain.meta["preprocessing"]["default"] is True


def test_one_mean_feeds_one_channel() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(48, 3))
    run = capture(model, train=(IMAGES, LABELS), preprocessing={"mean": [0.0], "std": [1.0]})
    expected = model(TENSORS.mean(dim=1, keepdim=True)).detach()
    np.testing.assert_allclose(run.train.logits, expected, rtol=1e-4, atol=1e-6)
    assert run.train.matrix("band_count").sum() == 11 * 5


def test_images_are_resized_and_kept_as_they_are() -> None:
    large = RNG.integers(0, 256, size=(3, 150, 100, 3), dtype=np.uint8)
    run = capture(seeded(sequential), train=(large, [0, 1, 2]), preprocessing={"size": [10, 20]}, classes=CLASSES)
    small = np.stack([np.asarray(Image.fromarray(p).resize((20, 10), Image.Resampling.BILINEAR)) for p in large])
    again = capture(seeded(sequential), train=(small, [0, 1, 2]), classes=CLASSES)
    np.testing.assert_array_equal(run.train.features, again.train.features)
    np.testing.assert_array_equal(run.train.matrix("band_rgb"), again.train.matrix("band_rgb"))
    shown = [Image.open(io.BytesIO(png)) for png in run.train.instances(["thumbnail"])["thumbnail"]]
    assert {image.size for image in shown} == {(43, 64)}
    shown = [Image.open(io.BytesIO(png)) for png in again.train.instances(["thumbnail"])["thumbnail"]]
    np.testing.assert_array_equal(np.stack([np.asarray(image) for image in shown]), small)


def test_disk_holds_what_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.extraction._part_writer.PART_ROWS", 4)
    model = seeded(sequential)
    given: dict[str, Any] = {"train": (IMAGES, LABELS), "test": (IMAGES[:5], LABELS[:5]), "batch_size": 2}
    memory = capture(model, **given)
    stored = capture(model, **given, out=tmp_path / "run")
    loaded = imblens.Run.load(tmp_path / "run")
    saved = imblens.Run.load(memory.save(tmp_path / "saved"))
    np.testing.assert_array_equal(saved.train.matrix("band_rgb"), memory.train.matrix("band_rgb"))
    for run in (stored, loaded):
        assert (len(memory.train.parts), len(run.train.parts), len(run.splits["test"].parts)) == (1, 3, 2)
        for name, split in memory.splits.items():
            other = run.splits[name]
            np.testing.assert_array_equal(split.features, other.features)
            np.testing.assert_array_equal(split.logits, other.logits)
            np.testing.assert_array_equal(split.labels, other.labels)
            assert split.ids.tolist() == other.ids.tolist()
            assert split.columns == other.columns
            for column in ("band_count", "band_rgb", "band_present"):
                np.testing.assert_array_equal(split.matrix(column), other.matrix(column))
            assert (
                split.instances(["thumbnail"])["thumbnail"].tolist()
                == other.instances(["thumbnail"])["thumbnail"].tolist()
            )
        assert run.head is not None and memory.head is not None
        np.testing.assert_array_equal(run.head.weight, memory.head.weight)
        assert (run.classes, run.task, dict(run.meta)) == (memory.classes, memory.task, dict(memory.meta))
        assert run.path == tmp_path / "run"


def test_an_earlier_run_is_kept_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.extraction._part_writer.PART_ROWS", 4)
    model = seeded(sequential)
    capture(model, train=(IMAGES, LABELS), test=(IMAGES, LABELS), out=tmp_path, batch_size=2)
    with pytest.raises(ExistsError, match="already exists"):
        capture(model, train=(IMAGES, LABELS), out=tmp_path)
    with pytest.raises(InputError):  # found before anything is written, so the earlier run stays whole
        capture(model, train=(IMAGES, LABELS + 7), out=tmp_path, force=True)
    assert len(imblens.Run.load(tmp_path).train) == 11
    run = capture(model, train=(IMAGES[:5], LABELS[:5]), out=tmp_path, force=True, batch_size=2)
    assert run.test is None and len(imblens.Run.load(tmp_path).train) == 5
    assert sorted(p.name for p in tmp_path.rglob("part-*")) == ["part-00000", "part-00001"]


def test_a_killed_capture_leaves_no_run(tmp_path: Path) -> None:
    script = f"""
        import os, signal
        import imblens.extraction._part_writer as parts
        from imblens.extraction import capture
        from tests.extraction.networks import sequential
        import numpy as np
        parts.PART_ROWS = 2
        import imblens.extraction._walk as room
        room.PROGRESS_SECONDS = 0
        def kill(text):
            if text.startswith("captured 6 of 10 train"):
                os.kill(os.getpid(), signal.SIGKILL)
        images = np.zeros((10, 8, 8, 3), np.uint8)
        capture(sequential(), train=(images, [0, 1] * 5), out={str(tmp_path / "run")!r}, batch_size=2, progress=kill)
    """
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])},
    )
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("train/part-00001/features.npy"))  # written, but not yet in its place
    with pytest.raises(MissingError, match="not a complete run"):
        imblens.Run.load(tmp_path / "run")
    again = capture(sequential(), train=(IMAGES, LABELS), out=tmp_path / "run", force=True)
    assert len(imblens.Run.load(tmp_path / "run").train) == len(again.train) == 11
    assert not list(tmp_path.rglob(".imblens-tmp-*"))  # what the killed one left was swept


def test_a_capture_that_fails_late_leaves_the_run_before_it(tmp_path: Path) -> None:
    capture(sequential(), train=(IMAGES, LABELS), out=tmp_path / "run")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    images = IMAGES.clip(1, 255)
    images[7, 0, 0, 0] = 0
    with pytest.raises(InputError, match="hold NaN"):
        capture(Nan(False), train=(images, LABELS), batch_size=3, out=tmp_path / "run", force=True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_capture_that_fails_at_its_last_file_leaves_the_run_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture(sequential(), train=(IMAGES, LABELS), test=(IMAGES, LABELS), out=tmp_path)
    before = state(tmp_path)

    def full(*_: object) -> None:
        raise StorageError("cannot write run.json: disk full.")

    with monkeypatch.context() as patch, pytest.raises(StorageError, match="disk full"):
        patch.setattr("imblens.run._write._write_manifest", full)
        capture(sequential(), train=(IMAGES[:6], LABELS[:6]), out=tmp_path, force=True)
    assert state(tmp_path) == before
    run = capture(sequential(), train=(IMAGES[:6], LABELS[:6]), out=tmp_path, force=True)
    assert run.train.parts[0].table_path == tmp_path / "train" / "part-00000" / "instances.parquet"
    assert len(run.train.instances(["id"])) == len(run.train) == 6


def test_no_file_is_mapped_that_is_renamed(tmp_path: Path) -> None:
    with mapped_when_renamed() as mapped:
        run = capture(sequential(), train=(IMAGES, LABELS), out=tmp_path)
    assert mapped == [[]] and isinstance(run.train.parts[0].features, np.memmap)
    assert run.test is None and run.path == tmp_path


def test_meta_states_what_made_it() -> None:
    given = {"data": {"source": "mine"}, "model": {"factory": "net.py:make"}, "loss": "ldam", "seed": 3}
    meta = capture(seeded(sequential), train=(IMAGES, LABELS), meta=given, batch_size=5).meta
    assert meta["data"] == {"layout": "images", "source": "mine"}
    assert meta["model"] == {"class": "Sequential", "factory": "net.py:make"}
    assert (meta["loss"], meta["seed"], meta["layer"]) == ("ldam", 3, "3.3")
    assert meta["capture"] == {
        "batch_size": 5,
        "precision": "float32",
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }
    assert meta["versions"]["torch"] == torch.__version__
    json.dumps(dict(meta), allow_nan=False)


def test_progress_counts_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.extraction._walk.PROGRESS_SECONDS", 0)
    seen: list[str] = []
    capture(
        seeded(sequential),
        train=(IMAGES, LABELS),
        test=(IMAGES[:3], LABELS[:3]),
        batch_size=5,
        progress=seen.append,
    )
    assert seen.pop(0).startswith("images are scaled to [0, 1], mean 0, std 1: is that how it was trained?")
    assert [text.split(" instances, about ")[0] for text in seen] == [
        "captured 5 of 11 train",
        "captured 10 of 11 train",
        "captured 11 of 11 train",
        "captured 3 of 3 test",
    ]


def test_bf16_rounds_features_but_not_colours() -> None:
    model = seeded(lambda: build_model("smallnet", 3))
    exact = capture(model, train=(IMAGES, LABELS))
    rounded = capture(model, train=(IMAGES, LABELS), precision="bf16")
    np.testing.assert_array_equal(exact.train.matrix("band_rgb"), rounded.train.matrix("band_rgb"))
    difference = np.abs(exact.train.features - rounded.train.features).max()
    assert 0 < difference < 0.05 * np.abs(exact.train.features).max()
    assert rounded.meta["capture"]["precision"] == "bf16"


def test_float32_is_exact_whatever_the_caller_switched_on() -> None:
    model = seeded(lambda: build_model("smallnet", 3))
    exact = capture(model, train=(IMAGES, LABELS))
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
            again = capture(model, train=(IMAGES, LABELS))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    np.testing.assert_array_equal(exact.train.features, again.train.features)
    np.testing.assert_array_equal(exact.train.matrix("band_rgb"), again.train.matrix("band_rgb"))


def test_double_and_half_networks() -> None:
    exact = capture(seeded(sequential), train=(IMAGES, LABELS))
    double = capture(seeded(sequential).double(), train=(IMAGES, LABELS))
    np.testing.assert_allclose(exact.train.logits, double.train.logits, rtol=1e-4, atol=1e-5)
    half = capture(seeded(sequential).bfloat16(), train=(IMAGES, LABELS))
    np.testing.assert_allclose(exact.train.logits, half.train.logits, atol=0.05)
    assert half.train.features.dtype == np.float32


def test_small_memory_means_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeded(sequential)
    monkeypatch.setattr("imblens.extraction._forward.GRAPH_BYTES", 20_000)
    run = capture(model, train=(IMAGES, LABELS))
    assert 1 <= run.meta["capture"]["batch_size"] < 11
    plain = capture(model, train=(IMAGES, LABELS), colours=False)
    assert plain.meta["capture"]["batch_size"] == 256
    np.testing.assert_allclose(run.train.features, plain.train.features, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("normalised", [False, True])
def test_a_new_head_answers_in_the_network_as_it_did_in_the_run(normalised: bool) -> None:
    model = seeded(lambda: build_model("smallnet", 3, normalised_head=normalised))
    run = capture(model, train=(IMAGES, LABELS))
    assert run.head is not None
    weight = run.head.weight * np.array([[0.5], [2.0], [1.3]], dtype=np.float32) + 0.1
    better = run.with_head(type(run.head)(weight, np.array([0.5, -1.0, 0.2], dtype=np.float32)))
    better.install(model)
    again = capture(model, train=(IMAGES, LABELS))
    np.testing.assert_allclose(again.train.logits, better.train.logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(again.train.features, run.train.features, rtol=1e-5, atol=1e-6)
    run.install(model)
    back = capture(model, train=(IMAGES, LABELS))
    np.testing.assert_allclose(back.train.logits, run.train.logits, rtol=1e-4, atol=1e-4)


def test_install_refuses_what_would_not_take() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    run = capture(model, train=(IMAGES, LABELS))
    with pytest.raises(ShapeError, match="no linear layer of the model has the shape"):
        run.install(nn.Sequential(nn.Flatten(), nn.Linear(144, 4)))
    with pytest.raises(MissingError, match="no linear layer '1'"):
        run.install(seeded(sequential))
    nn.utils.parametrizations.orthogonal(model[1])
    with pytest.raises(InputError, match="parametrization"):
        run.install(model)


class Brightness(Probe):
    """A probe of a third party: one number and one list per image, from a named module's output."""

    name = "brightness"
    layers = ("0",)

    def update(self, batch: ProbeBatch) -> dict[str, Any]:
        assert batch.pixels is not None and not batch.logits.requires_grad
        return {"brightness": batch.pixels.mean(axis=(1, 2, 3)), "channels": batch.maps["0"].mean(dim=(2, 3)).numpy()}

    def describe(self) -> dict[str, Any]:
        return {"unit": "levels"}


class Never(Probe):
    """A probe that does not apply."""

    name = "never"

    def update(self, batch: ProbeBatch) -> dict[str, Any]:
        raise NotApplicable("it is Tuesday.")

    def describe(self) -> dict[str, Any]:
        return {}


def test_further_probes_add_columns(tmp_path: Path) -> None:
    probes = [Brightness(), Never()]
    run = capture(
        seeded(sequential), train=(IMAGES, LABELS), colours=False, probes=probes, thumbnails=False, out=tmp_path
    )
    assert run.train.columns == ("id", "brightness", "channels")
    np.testing.assert_allclose(run.train.instances(["brightness"])["brightness"], IMAGES.mean(axis=(1, 2, 3)))
    assert run.train.matrix("channels").shape == (11, 8)
    assert run.meta["brightness"] == {"unit": "levels"} and run.meta["never"] == {"skipped": "it is Tuesday."}


class Nan(nn.Module):
    """Answers NaN where the first pixel is black."""

    def __init__(self, of_logits: bool) -> None:
        super().__init__()
        self.of_logits = of_logits
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bad = torch.where(x[:, 0, 0, 0] == 0, torch.nan, 0.0)[:, None]
        features = x.mean(dim=(2, 3))
        logits: torch.Tensor = self.head(features if self.of_logits else features + bad)
        return logits


def test_nan_is_an_error_that_names_the_instance() -> None:
    images = IMAGES.clip(1, 255)
    images[7, 0, 0, 0] = 0
    names = [f"image-{i}" for i in range(11)]
    split = ImageSplit.from_arrays(images, LABELS, ids=names)
    with pytest.raises(InputError, match=r"features of instance 'image-7' hold NaN"):
        capture(Nan(False), train=split, batch_size=3)
    with torch.no_grad():
        model = Nan(True)
        model.head.bias[1] = torch.inf
    with pytest.raises(InputError, match=r"logits of instance 'image-0' hold NaN or infinite"):
        capture(model, train=split)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "resnet"}, InputError, "model must be a torch.nn.Module, found str"),
        ({"train": IMAGES}, InputError, "yield"),
        ({"train": 3}, InputError, "train is a int"),
        ({"train": (IMAGES, LABELS[:3])}, ShapeError, "11 inputs and 3 labels"),
        ({"train": (IMAGES[:0], LABELS[:0])}, InputError, "no images|train"),
        ({"train": (IMAGES, LABELS + 1)}, InputError, "train labels holds 3, but there are 3 classes"),
        ({"train": (IMAGES, LABELS * 0.5)}, InputError, "not a whole number"),
        ({"train": (IMAGES, LABELS * 0)}, ShapeError, "one class only"),
        ({"train": (IMAGES, LABELS - 1)}, InputError, "train labels holds -1"),
        ({"train": (TENSORS[:, :2], LABELS)}, InputError, r"cannot run on inputs of shape \(11, 2, 8, 6\)"),
        ({"test": (TENSORS[:, :2], LABELS)}, InputError, r"cannot run on inputs of shape \(11, 2, 8, 6\)"),
        ({"train": (IMAGES[..., :2], LABELS)}, InputError, "uint8 of shape"),
        ({"classes": ["a", "b"]}, InputError, "3 outputs for 2 classes"),
        ({"classes": ["a", "b", "b"]}, InputError, "appears twice"),
        ({"layer": "nope"}, MissingError, "'nope' does not exist"),
        ({"layer": "3.0"}, InputError, "class"),
        ({"batch_size": 0}, InputError, "batch_size=0 is not allowed"),
        ({"precision": "fp8"}, InputError, "precision='fp8' is not allowed"),
        ({"preprocessing": {"means": 1}}, InputError, "preprocessing has .*means"),
        ({"preprocessing": {"mean": [0, 0], "std": [1, 1]}}, InputError, "2 means"),
        ({"preprocessing": {"std": [1, 0, 1]}}, InputError, "std holds 0"),
        ({"preprocessing": {"size": 224}}, InputError, "size is 224"),
        ({"meta": {"when": object()}}, InputError, "meta is not plain JSON"),
        ({"device": "cuda:99"}, InputError, "device 'cuda:99' cannot be used"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"model": seeded(sequential), "train": (IMAGES, LABELS), "classes": CLASSES, **change}
    with pytest.raises(error, match=words):
        capture(given.pop("model"), **given)


def test_a_layer_that_is_not_linear_is_refused() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    with pytest.raises(InputError, match=r"differs from features @ weight.T \+ bias"):
        capture(nn.Sequential(nn.Flatten(), Doubled(144, 3)), train=(IMAGES, LABELS))


def test_tokens_without_a_known_pooling_are_refused() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x.flatten(2).transpose(1, 2)).pow(3).mean(dim=1)

    with pytest.raises(ShapeError, match="not one vector per instance"):
        capture(Tokens(), train=(IMAGES, LABELS), layer="head")


def test_a_layer_that_runs_twice_is_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.head(x.mean(dim=(2, 3))))

    with pytest.raises(ShapeError, match="ran 2 times"):
        capture(Twice(), train=(IMAGES, LABELS))


def test_room_and_function_share_a_name() -> None:
    script = """
        import sys, numpy as np, imblens.extraction
        import imblens
        import torch
        run = imblens.capture(torch.nn.Linear(4, 2), train=(np.ones((3, 4), np.float32), [0, 1, 1]))
        assert run.train.features.shape == (3, 4)
        from imblens.extraction import capture, Probe
        assert capture(torch.nn.Linear(4, 2), train=(np.ones((3, 4), np.float32), [0, 1, 1])).dim == 4
        assert imblens.capture(torch.nn.Linear(4, 2), train=(np.ones((3, 4), np.float32), [0, 1, 1])).dim == 4
    """
    code = textwrap.dedent(script)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_room_imports_no_torch() -> None:
    code = "import imblens.extraction, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_preprocessing_that_a_run_recorded_can_be_given_again() -> None:
    asked = {"mean": [0.5] * 3, "std": [0.25] * 3}
    model = seeded(sequential)
    run = capture(model, train=(IMAGES, LABELS), preprocessing=asked)
    again = capture(model, train=(IMAGES, LABELS), preprocessing=run.meta["preprocessing"])
    np.testing.assert_array_equal(run.train.features, again.train.features)
