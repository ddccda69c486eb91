"""Networks of torchvision, timm and transformers by name: real ones where they are installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from imblens.errors import DependencyError, InputError, MissingError
from imblens.extraction import capture
from imblens.models import find_head, find_model, make_network, model_descriptions
from tests.data.helpers import pixels

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 0])


def installed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed")
    except RuntimeError as error:  # torchvision beside a torch that it was not built for; timm needs torchvision
        pytest.skip(f"{name} cannot be imported here: {error}")


def check_capture(name: str, size: int) -> None:
    """What was captured times the head is what the network answers."""
    torch.manual_seed(0)
    model = make_network(name, 3, size=(size, size)).eval()
    torch.nn.init.normal_(find_head(model, n_classes=3)[1].weight, std=0.1)  # some start at 0
    images = pixels(len(LABELS), size, size)
    run = capture(model, train=(images, LABELS), classes=["a", "b", "c"], colours=False)
    with torch.no_grad():
        answers = model(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).numpy()
    assert isinstance(answers, np.ndarray) and answers.shape == (8, 3)
    made = np.asarray(run.train.features) @ run.head.weight.T + run.head.bias
    np.testing.assert_allclose(made, answers, atol=1e-4, rtol=0)
    np.testing.assert_allclose(np.asarray(run.train.logits), answers, atol=1e-4, rtol=0)
    assert np.ptp(answers, axis=0).min() > 0  # images do not all give the same


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050"])
@pytest.mark.filterwarnings("ignore")
def test_timm(name: str) -> None:
    installed("timm")
    check_capture(f"timm:{name}", 64)


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "mobilenet_v3_small", "densenet121"])
@pytest.mark.filterwarnings("ignore")
def test_torchvision(name: str) -> None:
    installed("torchvision")
    check_capture(f"torchvision:{name}", 64)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.filterwarnings("ignore")
def test_transformers(tmp_path: Path, kind: str) -> None:
    transformers = installed("transformers")
    small = {
        "vit": dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, patch_size=8),
        "resnet": dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"),
    }[kind]
    if kind == "vit":
        small["image_size"] = 32
    config = transformers.AutoConfig.for_model(kind, num_labels=3, **small)
    transformers.AutoModelForImageClassification.from_config(config).save_pretrained(tmp_path / "saved")
    check_capture(f"transformers:{tmp_path / 'saved'}", 32)
    with pytest.raises(InputError, match="3 outputs for 7 classes"):
        make_network(f"transformers:{tmp_path / 'saved'}", 7, size=(32, 32))
    if kind == "vit":
        with pytest.raises(InputError, match="cannot run on images") as caught:
            make_network(f"transformers:{tmp_path / 'saved'}", 3, size=(48, 48))
        assert "--size" in caught.value.hint


@pytest.mark.filterwarnings("ignore")
def test_transformers_by_kind_are_made_for_the_images() -> None:
    installed("transformers")
    check_capture("transformers:resnet", 32)
    model = make_network("transformers:vit", 3, size=(32, 32))
    assert model.config.image_size == 32 and model.config.num_labels == 3
    with pytest.raises(MissingError, match="transformers has no network 'bert'") as caught:
        find_model("transformers:bert")
    assert "beit" in caught.value.hint


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_work_states_why() -> None:
    installed("timm")
    with pytest.raises(InputError, match="no linear layer"):  # ends in a 1 x 1 convolution
        make_network("timm:resnetv2_50x1_bit", 3, size=(64, 64))
    with pytest.raises(InputError, match="not the output of a linear layer"):  # averages two heads
        make_network("timm:deit_tiny_distilled_patch16_224", 3, size=(64, 64))
    with pytest.raises(MissingError, match=r"timm has no network 'resnet81'.*Did you mean 'resnet18'"):
        find_model("timm:resnet81")


@pytest.mark.parametrize("library", ["timm", "torchvision", "transformers"])
def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DependencyError, match=f"{library} is not installed") as caught:
        find_model(f"{library}:resnet18")
    assert caught.value.hint == f"pip install {library}"
    assert f"{library}:" in model_descriptions()[library]


def test_a_library_that_does_not_load_states_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As torchvision does beside a torch of another build."""
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DependencyError, match="cannot be imported: operator torchvision::nms") as caught:
        make_network("torchvision:resnet18", 3)
    assert "of one release" in caught.value.hint
