"""The networks: shapes, sizes and heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from imblens.errors import InputError, MissingError
from imblens.models import build_model, find_head, load_pretrained, model_names
from imblens.models.normed import NormedLinear
from imblens.run import Head, Run


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize("normalised", [False, True])
def test_any_network_maps_images_to_logits_through_its_head(name: str, normalised: bool) -> None:
    model = build_model(name, 7, in_channels=2, normalised_head=normalised).eval()
    seen = []
    found, head = find_head(model, sample=torch.rand(2, 2, 32, 48))
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    logits = model(torch.rand(5, 2, 32, 48))
    assert found == "head"
    assert logits.shape == (5, 7)
    assert seen[0].shape == (5, head.weight.shape[1])
    bias = 0 if head.bias is None else head.bias
    entered = functional.normalize(seen[0], dim=1) if normalised else seen[0]
    torch.testing.assert_close(logits, entered @ head.weight.T + bias, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "classes", "layers", "parameters"),
    [
        ("resnet32", 10, 32, 464_154),
        ("resnet56", 10, 56, 853_018),
        ("resnet50", 1000, 50, 25_557_032),
        ("densenet121", 1000, 121, 7_978_856),
    ],
)
def test_networks_have_the_layers_and_weights_of_the_paper(
    name: str, classes: int, layers: int, parameters: int
) -> None:
    model = build_model(name, classes)
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))}
    weighted = [n for n in convolutions if "downsample" not in n]  # shortcuts are not counted
    assert len(weighted) == layers
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "features", "parameters"),
    [("wideresnet28_10", 640, 36_479_194), ("wideresnet16_4", 256, 2_748_890), ("densenet100", 342, 769_162)],
)
def test_networks_of_cifar_have_the_weights_of_their_papers(name: str, features: int, parameters: int) -> None:
    """36.5 and 2.7 million in Zagoruyko and Komodakis, 0.8 million in Huang et al. (table 2)."""
    model = build_model(name, 10)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.head.weight.shape == (10, features)


@pytest.mark.parametrize(
    ("name", "channels", "side"),
    [
        ("resnet50", 2048, 7),
        ("resnet50_small", 512, 14),
        ("densenet121", 1024, 7),
        ("tdensenet121", 512, 28),
        ("tdensenet_small", 108, 28),
    ],
)
def test_last_maps_have_the_size_of_the_paper_and_their_mean_is_the_features(
    name: str, channels: int, side: int
) -> None:
    model = build_model(name, 3).eval()
    seen, entered = [], []
    last = model.rectify if hasattr(model, "rectify") else model.get_submodule("layer4")
    last.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.head.register_forward_hook(lambda module, inputs, output: entered.append(inputs[0]))
    with torch.no_grad():
        model(torch.rand(1, 3, 224, 224))
    assert seen[0].shape == (1, channels, side, side) and (seen[0] >= 0).all()
    torch.testing.assert_close(seen[0].mean(dim=(2, 3)), entered[0])


def test_the_truncated_network_is_the_start_of_the_whole_one(tmp_path: Path) -> None:
    """Published weights of the whole one give the same maps at the place where it is cut."""
    whole, cut = build_model("densenet121", 1000).eval(), build_model("tdensenet121", 3).eval()
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    torch.save(whole.state_dict(), tmp_path / "whole.pt")
    said = load_pretrained(cut, tmp_path / "whole.pt")
    assert "the head is re-initialised" in said
    x = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        maps = x
        for name, module in whole.features.named_children():
            if name == "transition2":
                maps = functional.relu(module.norm(maps))
                break
            maps = module(maps)
        torch.testing.assert_close(cut.rectify(cut.features(x)), maps)


def test_the_shortcut_takes_every_second_pixel_and_pads_channels_with_zeros() -> None:
    block = build_model("resnet32", 10).blocks[5].eval()
    for convolution in (block.conv1, block.conv2):
        torch.nn.init.zeros_(convolution.weight)
    x = torch.rand(2, 16, 6, 8)
    with torch.no_grad():
        y = block(x)
    assert y.shape == (2, 32, 3, 4)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any() and not y[:, 24:].any()


def test_weights_follow_the_global_seed() -> None:
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(build_model("smallnet", 4).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])


def test_a_normalised_head_gives_scaled_cosines() -> None:
    torch.manual_seed(0)
    features, head = torch.randn(6, 5), NormedLinear(5, 3, scale=12)
    cosines = functional.cosine_similarity(features[:, None], head.direction[None], dim=2)
    torch.testing.assert_close(head(features), 12 * cosines)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head(features), 12 * cosines)
    assert torch.equal(head(torch.zeros(1, 5)), torch.zeros(1, 3))
    head.assign(head.weight.detach(), unit=False)
    torch.testing.assert_close(head(features), features @ head.weight.T)


def test_a_learnable_scale_is_trained() -> None:
    head = NormedLinear(5, 3, learnable=True)
    head(functional.normalize(torch.randn(4, 5))).sum().backward()
    assert head.scale.grad is not None and head.direction.grad is not None
    assert len(list(NormedLinear(5, 3).parameters())) == 1


def test_a_run_installs_its_head_into_a_normalised_one() -> None:
    rng = np.random.default_rng(0)
    model = build_model("smallnet", 3, normalised_head=True).eval()
    weight, bias = rng.normal(size=(3, 64)), rng.normal(size=3)
    run = Run.from_arrays(train=(rng.normal(size=(6, 64)), [0, 1, 2, 0, 1, 2]), head=(weight, bias))
    assert isinstance(run.head, Head)
    run.install(model)
    features = torch.from_numpy(rng.normal(size=(2, 64)).astype(np.float32))
    np.testing.assert_allclose(model.head(features).detach().numpy(), run.head(features.numpy()), rtol=1e-5, atol=1e-5)


def test_bad_requests_state_what_to_do() -> None:
    with pytest.raises(MissingError, match=r"no network 'resnet23'.*Did you mean 'resnet32'"):
        build_model("resnet23", 10)
    with pytest.raises(InputError, match="n_classes is 0"):
        build_model("resnet32", 0)
    with pytest.raises(InputError, match="in_channels is 0"):
        build_model("resnet32", 2, in_channels=0)
    with pytest.raises(InputError, match="scale is 0"):
        build_model("resnet32", 2, scale=0)
