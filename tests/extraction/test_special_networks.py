"""Networks that are compiled, exported, lazy, quantised or parametrised: captured, or refused with one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from imblens.errors import InputError
from imblens.extraction import capture
from tests.extraction.networks import seeded

RNG = np.random.default_rng(8)
X = torch.from_numpy(RNG.normal(size=(24, 10)).astype(np.float32))
Y = np.arange(24) % 3


def plain(head: Callable[[], nn.Module] = lambda: nn.Linear(7, 3)) -> nn.Sequential:
    return nn.Sequential(nn.Linear(10, 7), nn.Tanh(), head())


def exported(model: nn.Module) -> Any:
    return torch.export.export(model, (X[:2],), dynamic_shapes=[{0: torch.export.Dim("b")}]).module()


def scripted(model: nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(model, X[:2])  # type: ignore[no-untyped-call]


def lazy() -> nn.Sequential:
    return nn.Sequential(nn.LazyLinear(7), nn.Tanh(), nn.LazyLinear(3))


def meta() -> nn.Sequential:
    with torch.device("meta"):
        return plain()


def quantised() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear}, dtype=torch.qint8)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: exported(plain()), r"exported program \(torch.export\).*torch.nn.Module that it was exported from"),
        (lambda: scripted(plain()), "TorchScript module, whose layers cannot be read"),
        (lazy, "lazy layer '0' of Sequential has no weights yet"),
        (meta, "'0.weight' of Sequential is on the device meta"),
        (quantised, "is quantised: it has no floating-point weights"),
        (lambda: plain().state_dict(), "found OrderedDict. Build the network"),
    ],
)
def test_what_cannot_be_read_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        capture(make(), train=(X, Y))


@pytest.mark.parametrize("body", [exported, scripted])
def test_programs_inside_a_network_run(body: Callable[[nn.Module], Any]) -> None:
    inner = seeded(plain)
    model = nn.Sequential(body(inner[:2]), inner[2])
    run = capture(model, train=(X, Y))
    np.testing.assert_allclose(run.train.logits, inner(X).detach(), atol=1e-4)


def test_lazy_layers_with_weights_become_ordinary_layers() -> None:
    filled = seeded(plain)
    model = lazy()
    model.load_state_dict(filled.state_dict())
    run = capture(model.train(), train=(X, Y))
    np.testing.assert_allclose(run.train.logits, filled(X).detach(), atol=1e-4)
    assert type(model[0]) is nn.Linear and (model[0].in_features, model[2].in_features) == (10, 7) and model[0].training
    np.testing.assert_array_equal(model(X).detach(), filled(X).detach())


def old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: nn.Module = weight_norm(nn.Linear(7, 3))
        return module


@pytest.mark.parametrize("head", [lambda: parametrizations.weight_norm(nn.Linear(7, 3)), old_weight_norm])
def test_heads_with_weight_norm_take_a_treated_head(head: Callable[[], nn.Module]) -> None:
    model = seeded(lambda: plain(head))
    run = capture(model, train=(X, Y))
    assert run.head is not None
    np.testing.assert_allclose(run.train.logits, model(X).detach(), atol=1e-4)
    better = run.with_head(type(run.head)(run.head.weight * 0.5 + 0.1, run.head.bias + np.arange(3, dtype=np.float32)))
    better.install(model)
    np.testing.assert_allclose(better.train.logits, model(X).detach(), atol=1e-4)


def test_a_spectral_norm_is_captured_and_must_go_before_a_treated_head() -> None:
    model = seeded(lambda: plain(lambda: parametrizations.spectral_norm(nn.Linear(7, 3)))).eval()
    run = capture(model, train=(X, Y))
    assert run.head is not None
    np.testing.assert_allclose(run.train.logits, model(X).detach(), atol=1e-4)
    better = run.with_head(type(run.head)(run.head.weight * 3, run.head.bias))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match="remove_parametrizations"):
        better.install(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    nn.utils.parametrize.remove_parametrizations(model[2], "weight")
    better.install(model)
    np.testing.assert_allclose(better.train.logits, model(X).detach(), atol=1e-4)
