"""Which layer decides."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imblens.errors import InputError, MissingError
from imblens.models import evaluating, find_head


class Auxiliary(nn.Module):
    """Registers an auxiliary classifier after the real one, and runs it first."""

    def __init__(self, answer: str = "tensor") -> None:
        super().__init__()
        self.real = nn.Linear(4, 3)
        self.auxiliary = nn.Linear(4, 3)
        self.drop = nn.Dropout(0.5)
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        other = self.auxiliary(x)
        logits = self.real(self.drop(x))
        if self.answer == "softmax":
            return logits.softmax(1)
        if self.answer == "squeezed":
            return logits[..., None]
        return {
            "tensor": logits,
            "tuple": (logits, other),
            "mapping": OrderedDict(aux=other, logits=logits),
            "mapping without logits": OrderedDict(out=logits, aux=other),
            "object": SimpleNamespace(logits=logits),
            "nothing": None,
        }[self.answer]


@pytest.mark.parametrize("answer", ["tensor", "tuple", "mapping", "mapping without logits", "object"])
def test_a_sample_shows_which_layer_gives_the_logits(answer: str) -> None:
    model = Auxiliary(answer)
    name, layer = find_head(model, sample=torch.rand(2, 4), n_classes=3)
    assert name == "real" and layer is model.real


def test_finding_leaves_the_network_and_random_state_as_found() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)).train()
    model[1].eval()
    before, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    find_head(model, sample=torch.rand(5, 4, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(InputError, match=r"cannot run on images of shape \(9,\): RuntimeError"):
        find_head(model, sample=torch.zeros(5, 9))
    assert [m.training for m in model] == [True, False, True]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m._forward_hooks for m in model.modules())
    assert torch.is_grad_enabled()


def test_work_in_place_after_the_layer_is_seen() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x).abs_()

    torch.manual_seed(0)
    with pytest.raises(InputError, match=r"not the output of a linear layer.*fc \(3 outputs\).*--layer"):
        find_head(InPlace(), sample=torch.randn(20, 4))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("softmax", "not the output of a linear layer"),
        ("squeezed", r"a tensor of shape \(2, 3, 1\)"),
        ("nothing", "no tensor"),
    ],
)
def test_answers_that_are_no_logits_are_refused(answer: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_head(Auxiliary(answer), sample=torch.rand(2, 4))


def test_without_a_sample_the_number_of_classes_decides() -> None:
    model = nn.Sequential(OrderedDict(hidden=nn.Linear(4, 8), out=nn.Linear(8, 3), decoder=nn.Linear(3, 4)))
    assert find_head(model, n_classes=3)[0] == "out"
    assert find_head(model)[0] == "decoder"
    with pytest.raises(InputError, match=r"no linear layer with 5 outputs: hidden \(8 outputs\), out .*--layer NAME"):
        find_head(model, n_classes=5)
    with pytest.raises(InputError, match=r"2 linear layers with 3 outputs: real \(3 outputs\), auxiliary"):
        find_head(Auxiliary(), n_classes=3)


def test_a_named_layer_settles_it() -> None:
    model = Auxiliary()
    assert find_head(model, "auxiliary")[1] is model.auxiliary
    with pytest.raises(MissingError, match=r"'reel' does not exist.*Did you mean 'real'"):
        find_head(model, "reel")
    with pytest.raises(MissingError, match="'drop' is a Dropout, not a linear layer"):
        find_head(model, "drop")


def test_the_wrong_number_of_classes_and_no_layer_at_all() -> None:
    with pytest.raises(InputError, match="'real' has 3 outputs for 10 classes"):
        find_head(Auxiliary(), sample=torch.rand(2, 4), n_classes=10)
    with pytest.raises(InputError, match="Conv2d has no linear layer"):
        find_head(nn.Conv2d(1, 1, 1))
    with pytest.raises(MissingError, match="It has no linear layer"):
        find_head(nn.Conv2d(1, 1, 1), "fc")


def test_a_network_that_is_the_layer() -> None:
    model = nn.Linear(4, 3)
    assert find_head(model, sample=torch.rand(2, 4)) == ("", model)


def test_evaluating_restores_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Dropout()).train()
    model[1].eval()
    random = torch.get_rng_state()
    with pytest.raises(RuntimeError), evaluating(model):
        assert not model[0].training and not torch.is_grad_enabled()
        torch.rand(3)
        raise RuntimeError
    assert model[0].training and not model[1].training and model.training
    assert torch.equal(torch.get_rng_state(), random) and torch.is_grad_enabled()


def test_lazy_layers_are_initialised_by_the_sample() -> None:
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))
    name, head = find_head(model, sample=torch.zeros(2, 3, 4, 4), n_classes=3)
    assert name == "3" and head.weight.shape == (3, 8)


def test_an_exported_program_is_refused_in_one_sentence() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
    exported = torch.export.export(model, (torch.zeros(2, 5),)).module()
    with pytest.raises(InputError, match="exported program"):
        find_head(exported, sample=torch.zeros(2, 5))
