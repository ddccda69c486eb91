"""Training from end to end, on images that a moment teaches."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from imblens.data import ImageSet, ImageSplit
from imblens.errors import ExistsError, ImblensError, InputError, MissingError
from imblens.models import build_model, load_weights
from imblens.models.normed import NormedLinear
from imblens.training import SCHEDULES, Fitting, Trained, train
from imblens.training._prepare import _is_bf16_faster

COLOURS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]])
FACTORY = """
from torch import nn
def build(n_classes):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, n_classes),
    )
"""


def split(counts: list[int], seed: int) -> ImageSplit:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(range(len(counts)), counts))
    noise = rng.integers(-40, 40, (len(labels), 8, 6, 3))
    return ImageSplit.from_arrays(np.clip(COLOURS[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose more to waiting for the second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Untouchable:
    """A source whose images must not be read."""

    def image(self, row: int) -> Any:
        raise AssertionError("the test split was read")

    size = image


@pytest.fixture(scope="module")
def images() -> ImageSet:
    hidden = split([5, 5, 5], 9)
    return ImageSet(
        "colours",
        ("red", "green", "blue"),
        "multiclass",
        split([20, 9, 4], 0),
        test=replace(hidden, source=Untouchable()),
    )


def quick(images: ImageSet, out: Path, **options: Any) -> Trained:
    return train(images, out=out, **{"epochs": 4, "batch_size": 12, "progress": False, **options})


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_what_a_training_leaves_behind(
    images: ImageSet, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    trained = quick(images, out, epochs=12, progress=True)
    printed = capfd.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == "" and len(lines) == 12
    assert lines[0].startswith("epoch 1/12  loss ") and "  train bal.acc " in lines[0] and "  ETA " in lines[0]
    assert "ETA" not in lines[-1]

    assert not list(elsewhere.iterdir())
    files = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert files == ["checkpoints/last.ckpt", "log.csv", "model.safetensors"]

    assert list(trained.log.columns) == [
        "epoch", "loss", "split", "balanced_accuracy", "rare_accuracy", "lr", "seconds"
    ]  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(out / "log.csv"), trained.log)
    assert trained.log["epoch"].tolist() == list(range(1, 13)) and set(trained.log["split"]) == {"train"}
    assert trained.log["balanced_accuracy"].iloc[-1] > 0.9 > trained.log["balanced_accuracy"].iloc[0]
    assert trained.log["loss"].iloc[-1] < 0.5 * trained.log["loss"].iloc[0]

    assert json.loads(json.dumps(trained.meta)) == trained.meta
    assert trained.meta["class_counts"] == [20, 9, 4] and trained.meta["preprocessing"]["size"] == [8, 6]
    assert {"arch", "loss", "loss_options", "schedule", "epochs", "seed", "versions", "device", "precision", "threads",
            "batch_size"} <= set(trained.meta)  # fmt: skip

    assert not any(module.training for module in trained.model.modules())
    assert same(load_weights(build_model("smallnet", 3), out / "model.safetensors"), trained.model)
    fresh = split([6, 6, 6], 5)
    pre = trained.meta["preprocessing"]
    inputs = (fresh.array() / 255 - pre["mean"]) / pre["std"]
    with torch.no_grad():
        predictions = trained.model(torch.from_numpy(inputs).float().permute(0, 3, 1, 2)).argmax(1).numpy()
    assert (predictions == fresh.labels).mean() > 0.9


def test_the_same_seed_gives_the_same_bits(images: ImageSet, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = quick(images, tmp_path / "a")
    torch.manual_seed(2)
    random.seed(2)
    np.random.default_rng(2)
    again, other = quick(images, tmp_path / "b"), quick(images, tmp_path / "c", seed=1)
    assert same(first.model, again.model) and not same(first.model, other.model)
    timeless = [t.log.drop(columns="seconds") for t in (first, again)]
    pd.testing.assert_frame_equal(*timeless)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("validated", [False, True])
def test_a_resumed_training_ends_in_the_same_bits(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException], validated: bool
) -> None:
    """Dropout, augmentation, a sampler that changes by epoch and late weights: all that is random or moves."""
    (tmp_path / "net.py").write_text(FACTORY)
    options = dict(arch=f"{tmp_path / 'net.py'}:build", loss="focal", drw=True, sampler="progressive")
    if validated:
        images = replace(images, val=split([4, 4, 4], 2))
    unbroken = quick(images, tmp_path / "unbroken", **options)
    step = Fitting.training_step

    def breaking(self: Any, batch: Any, batch_idx: int) -> Any:
        if self.current_epoch == 2 and batch_idx == 1:
            raise stop("enough")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Fitting, "training_step", breaking)
    with pytest.raises(stop) as stopped:
        quick(images, tmp_path / "broken", **options)
    monkeypatch.undo()
    if stop is KeyboardInterrupt:
        assert str(stopped.value) == "stopped at epoch 2 of 4"
    assert not (tmp_path / "broken/model.safetensors").exists()
    assert len(pd.read_csv(tmp_path / "broken/log.csv")) == 2

    resumed = quick(images, tmp_path / "broken", resume=True, **options)
    assert same(unbroken.model, resumed.model)
    pd.testing.assert_frame_equal(unbroken.log.drop(columns="seconds"), resumed.log.drop(columns="seconds"))
    assert {**unbroken.meta} == {**resumed.meta}


def test_a_finished_training_resumes_to_itself(images: ImageSet, tmp_path: Path) -> None:
    trained = quick(images, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    again = quick(images, tmp_path, resume=True)
    assert same(trained.model, again.model) and len(again.log) == 4
    assert (tmp_path / "model.safetensors").exists()


def test_resuming_needs_a_fitting_checkpoint(images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"--resume: there is no .*last\.ckpt"):
        quick(images, tmp_path, resume=True)
    quick(images, tmp_path, epochs=1)
    for other, message in [
        ({"arch": "resnet32"}, "had arch 'smallnet', and 'resnet32' is requested"),
        ({"loss": "focal"}, "had loss 'ce', and 'focal' is requested"),
        ({"loss_options": {"weights": [1, 1, 1]}}, "had loss_options {}"),
        ({"seed": 1}, "had seed 0, and 1 is requested"),
        ({"epochs": 2}, "had epochs 1, and 2 is requested"),
        ({"schedule": "cao200"}, "had schedule 'short'"),
        ({"sampler": "square_root"}, "had sampler"),
        ({"drw": True}, "had drw False"),
        ({"augment": "none"}, "had augment 'crop.flip', and 'none' is requested"),
    ]:
        with pytest.raises(InputError, match=message):
            quick(images, tmp_path, resume=True, **{"epochs": 1, **other})
    brighter = ImageSplit.from_arrays(images.train.array() // 2, images.train.labels)
    with pytest.raises(InputError, match="used other images"):
        quick(replace(images, train=brighter), tmp_path, epochs=1, resume=True)


def test_hostile_and_damaged_checkpoints(images: ImageSet, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "pwned"),)

    path = tmp_path / "checkpoints/last.ckpt"
    path.parent.mkdir()
    torch.save({"imblens": Evil()}, path)
    with pytest.raises(InputError, match="cannot be read"):
        quick(images, tmp_path, resume=True)
    assert not (tmp_path / "pwned").exists()
    torch.save({"imblens": {}, "state_dict": {"x": torch.rand(1000)}}, path)
    for content in (b"", b"junk", path.read_bytes()[:-500]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            quick(images, tmp_path, resume=True)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(InputError, match="was not written by imblens"):
        quick(images, tmp_path, resume=True)


def test_checkpoints_hold_tensors_and_plain_values(images: ImageSet, tmp_path: Path) -> None:
    quick(images, tmp_path, epochs=1)
    found = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert found["imblens"]["classes"] == ["red", "green", "blue"]
    assert {"optimizer_states", "lr_schedulers", "state_dict", "loops", "callbacks"} <= set(found)
    model = load_weights(build_model("smallnet", 3), tmp_path / "checkpoints/last.ckpt")
    assert same(model, load_weights(build_model("smallnet", 3), tmp_path / "model.safetensors"))


def test_a_training_is_not_overwritten_by_accident(images: ImageSet, tmp_path: Path) -> None:
    quick(images, tmp_path, epochs=1)
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(ExistsError, match=r"holds a training\. Add --resume, or --force"):
        quick(images, tmp_path, epochs=1, seed=1)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    quick(images, tmp_path, epochs=1, seed=1, force=True)
    assert (tmp_path / "model.safetensors").read_bytes() != before


def global_state() -> list[Any]:
    numpy_state = np.random.get_state()
    return [
        random.getstate(), numpy_state[1].tolist(), numpy_state[2], torch.get_rng_state().tolist(),
        torch.is_grad_enabled(), torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision(),
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), dict(os.environ), Path.cwd(),
    ]  # fmt: skip


def test_global_state_is_left_as_found(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, pixels = global_state(), images.train.array().copy()
    quick(images, tmp_path / "a")
    assert global_state() == before and (images.train.array() == pixels).all()
    for error in (RuntimeError, KeyboardInterrupt):

        def fail(self: Any, *args: Any, error: type[BaseException] = error) -> None:
            np.random.rand()
            torch.use_deterministic_algorithms(True)
            raise error

        monkeypatch.setattr(Fitting, "training_step", fail)
        with pytest.raises(error) as stopped:
            quick(images, tmp_path / error.__name__)
        assert global_state() == before
    assert str(stopped.value) == "stopped before an epoch was finished"


def test_validation_figures_come_from_the_validation_split(images: ImageSet, tmp_path: Path) -> None:
    hard = split([4, 4, 4], 3)
    wrong = ImageSplit.from_arrays(hard.array(), (hard.labels + 1) % 3)  # a trained network misclassifies all of it
    trained = quick(replace(images, val=wrong), tmp_path, epochs=12)
    assert set(trained.log["split"]) == {"val"}
    assert trained.log["balanced_accuracy"].iloc[-1] < 0.1 and trained.log["rare_accuracy"].iloc[-1] < 0.1
    without = quick(images, tmp_path / "without", epochs=12)
    assert same(trained.model, without.model)  # looking changes nothing


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_ldam_gives_a_normalised_head(images: ImageSet, tmp_path: Path, precision: str) -> None:
    trained = quick(images, tmp_path, loss="ldam", loss_options={"s": 8}, drw=True, precision=precision)
    head = trained.model.head
    assert isinstance(head, NormedLinear) and head.scale.tolist() == [8, 8, 8]
    assert trained.meta["precision"] == precision and np.isfinite(trained.log["loss"]).all()
    resumed = quick(images, tmp_path, loss="ldam", loss_options={"s": 8}, drw=True, resume=True)
    assert resumed.meta["precision"] == precision


HEADS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, n_classes, form):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.head = nn.Conv2d(8, n_classes, 1) if form == "convolution" else nn.LazyLinear(n_classes)
        self.other, self.form = nn.Linear(8, n_classes), form

    def forward(self, x):
        maps = self.body(x)
        if self.form == "convolution":
            return self.head(maps).mean((2, 3))
        one, two = self.head(maps.amax((2, 3))), self.other(maps.mean((2, 3)))
        named = {"aux": two, "logits": one}
        return {"mean": (one + two) / 2, "named": named, "softmax": one.softmax(1), "square": one**2}.get(self.form, one)
"""


@pytest.mark.parametrize("form", ["convolution", "mean", "named", "lazy"])
def test_heads_of_every_form_are_trained_and_captured(images: ImageSet, tmp_path: Path, form: str) -> None:
    file = tmp_path / "net.py"
    file.write_text(HEADS + f"\ndef build(n_classes):\n    return Net(n_classes, {form!r})\n")
    trained = quick(images, tmp_path / "out", arch=f"{file}:build")
    assert np.isfinite(trained.log["loss"]).all() and trained.log["loss"].iloc[-1] < trained.log["loss"].iloc[0]


@pytest.mark.parametrize(
    ("form", "words"), [("softmax", "a softmax behind its last linear layer"), ("square", "not the output of a linear")]
)
def test_what_is_no_logits_is_refused_before_training(images: ImageSet, tmp_path: Path, form: str, words: str) -> None:
    file = tmp_path / "net.py"
    file.write_text(HEADS + f"\ndef build(n_classes):\n    return Net(n_classes, {form!r})\n")
    with pytest.raises(InputError, match=words) as found:
        quick(images, tmp_path / "out", arch=f"{file}:build")
    assert "Return logits" in str(found.value) and "layer" not in str(found.value.hint).replace("linear layer", "")
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_the_learning_rate_follows_the_schedule(images: ImageSet, tmp_path: Path) -> None:
    trained = quick(images, tmp_path, schedule="cao200", epochs=10, augment="none")
    assert trained.log["lr"].tolist() == pytest.approx([0.1] * 8 + [0.001, 0.00001])
    assert trained.meta["augment"] == "none"


def test_images_are_small_in_the_first_half_only(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.head, self.sizes = nn.Linear(3, 3), []\n"
        "    def forward(self, x):\n"
        "        self.sizes.append((self.training, *x.shape[2:]))\n"
        "        return self.head(x.mean((2, 3)))\n"
    )
    large = ImageSplit.from_arrays(np.zeros((6, 32, 32, 3), np.uint8), [0, 1, 2, 0, 1, 0])
    images = ImageSet("large", ("a", "b", "c"), "multiclass", large, val=large)
    trained = quick(images, tmp_path / "out", arch=f"{tmp_path / 'net.py'}:Net")
    training, validating = (True, 24, 24), (False, 32, 32)
    assert trained.model.sizes == [training, validating] * 2 + [(True, 32, 32), validating] * 2


def test_equal_classes_have_no_rare_ones(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    even = ImageSet("even", ("red", "green", "blue"), "multiclass", split([4, 4, 4], 0))
    trained = quick(even, tmp_path, epochs=1, progress=True)
    assert math.isnan(trained.log["rare_accuracy"].iloc[0])
    assert "rare" not in capfd.readouterr().err


def test_divergence_is_an_error_and_not_a_network(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = replace(SCHEDULES["short"], lr=1e30)
    monkeypatch.setitem(SCHEDULES.built_in, "short", wild)
    with pytest.raises(ImblensError, match="the training diverged: the loss is nan in epoch 1"):
        quick(images, tmp_path)
    assert not list(tmp_path.rglob("*.*"))


def test_bad_requests_state_what_to_do(images: ImageSet, tmp_path: Path) -> None:
    for options, message in [
        ({"arch": "resnet23"}, "no network 'resnet23'. Did you mean 'resnet32'.*FILE.py:FACTORY"),
        ({"arch": "nowhere.py:build"}, "there is no file nowhere.py"),
        ({"loss": "focl"}, "Did you mean 'focal'"),
        ({"loss_options": {"gamma": 2}}, "'ce' has no option 'gamma'. It|'ce' has no option 'gamma'. Known"),
        ({"loss_options": {"weights": np.ones(3)}}, "loss_options are not plain values"),
        ({"schedule": "long"}, "no schedule 'long'"),
        ({"sampler": "even"}, "no sampler 'even'"),
        ({"augment": "mixup"}, "no augmentation 'mixup'. Known: crop"),
        ({"precision": "fp8"}, "train: precision='fp8' is not allowed. Give 32-true or bf16-mixed"),
        ({"epochs": 0}, "train: epochs=0 is not allowed. Give a whole number of 1 or more"),
        ({"batch_size": 2.5}, "batch_size=2.5 is not allowed"),
        ({"seed": -1}, "seed=-1 is not allowed. Give a whole number of 0 or more"),
    ]:
        with pytest.raises(InputError, match=message):
            quick(images, tmp_path / "x", **options)
    with pytest.raises(InputError, match="'bce' is for multi-label data"):
        quick(images, tmp_path / "x", loss="bce")
    single = replace(images, train=split([5, 0, 0], 0))
    with pytest.raises(InputError, match="fewer than two classes"):
        quick(single, tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.thorough  # tests/cli/test_hands.py: Ctrl-C in a process
@pytest.mark.slow
def test_a_fresh_process_prints_nothing_else(tmp_path: Path) -> None:
    """Lightning sets up its own messages when it is first imported."""
    code = (
        "import os; from imblens.data import digits; from imblens.training import train;"
        "images = digits(); before = dict(os.environ);"
        f"train(images, out={str(tmp_path / 'out')!r}, epochs=1); assert dict(os.environ) == before"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("epoch 1/1  loss ")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_precision_is_measured_once_so_that_two_trainings_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = np.random.default_rng(0).random(1000).cumsum().tolist()
    _is_bf16_faster.cache_clear()
    monkeypatch.setattr("imblens.training._prepare.time.perf_counter", lambda: moments.pop(0))
    assert len({_is_bf16_faster("cpu") for _ in range(20)}) == 1
    monkeypatch.undo()
    _is_bf16_faster.cache_clear()
