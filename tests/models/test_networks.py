"""The networks: shapes, sizes and heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import imblens.models
from imblens.errors import InputError, MissingError
from imblens.models import build_model, find_head, model_names
from imblens.models.normed import NormedLinear, UnitLength
from imblens.run import Head, Run


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize("normalised", [False, True])
def test_any_network_maps_pictures_to_logits_through_its_head(name: str, normalised: bool) -> None:
    model = build_model(name, 7, in_channels=2, normalised_head=normalised).eval()
    seen = []
    found, head = find_head(model, sample=torch.rand(2, 2, 16, 24))
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    logits = model(torch.rand(5, 2, 16, 24))
    assert found == "head"
    assert logits.shape == (5, 7)
    assert seen[0].shape == (5, 64)
    bias = 0 if head.bias is None else head.bias
    torch.testing.assert_close(logits, seen[0] @ head.weight.T + bias, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "layers", "parameters"), [("resnet32", 32, 464_154), ("resnet56", 56, 853_018)])
def test_residual_networks_have_the_layers_and_weights_of_the_paper(name: str, layers: int, parameters: int) -> None:
    model = build_model(name, 10)
    weighted = [m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(weighted) == layers
    assert sum(p.numel() for p in model.parameters()) == parameters


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
    torch.testing.assert_close(head(UnitLength()(features)), 12 * cosines)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head(UnitLength()(features)), 12 * cosines)
    assert torch.equal(UnitLength()(torch.zeros(1, 5)), torch.zeros(1, 5))


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


def test_bad_requests_say_what_to_do() -> None:
    with pytest.raises(MissingError, match=r"no network 'resnet23'.*Did you mean 'resnet32'"):
        build_model("resnet23", 10)
    with pytest.raises(InputError, match="n_classes is 1"):
        build_model("resnet32", 1)
    with pytest.raises(InputError, match="in_channels is 0"):
        build_model("resnet32", 2, in_channels=0)
    with pytest.raises(InputError, match="scale is 0"):
        build_model("resnet32", 2, scale=0)


def test_every_public_name_is_there() -> None:
    assert all(hasattr(imblens.models, name) for name in imblens.models.__all__)
