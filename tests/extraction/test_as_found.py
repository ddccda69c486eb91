"""The network, the data and every random state are left as they were found, also after an error."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from imblens.extraction import capture
from tests.extraction.networks import Pair, Residual, seeded, sequential

RNG = np.random.default_rng(2)
IMAGES = RNG.integers(0, 256, size=(7, 8, 6, 3), dtype=np.uint8)
LABELS = np.array([0, 2, 0, 1, 0, 0, 1])
TENSORS = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 255


def portrait(model: nn.Module) -> dict[str, Any]:
    """Everything about a network and the process that a capture might disturb."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {
        "bytes": {name: tensor.detach().numpy().tobytes() for name, tensor in named},
        "memory": {name: (id(tensor), tensor.data_ptr(), tensor.stride()) for name, tensor in named},
        "device": {name: str(tensor.device) for name, tensor in named},
        "requires_grad": {name: tensor.requires_grad for name, tensor in named},
        "grad": {
            name: None if p.grad is None else (id(p.grad), p.grad.data_ptr(), p.grad.numpy().tobytes())
            for name, p in model.named_parameters()
        },
        "training": {name: module.training for name, module in model.named_modules()},
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "values": {
            name: {k: id(v) for k, v in vars(module).items() if not k.startswith("_")}
            for name, module in model.named_modules()
        },
        "hooks": {
            name: [list(vars(module)[key]) for key in sorted(vars(module)) if key.endswith("_hooks")]
            for name, module in model.named_modules()
        },
        "python": random.getstate(),
        "numpy": [str(part) for part in np.random.get_state()],
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        "precision": (
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.are_deterministic_algorithms_enabled(),
        ),
    }


def lived_in(make: Callable[[], nn.Module]) -> nn.Module:
    """A network in the middle of its user's work: mixed modes, some parameters frozen, gradients, a hook."""
    model: nn.Module = seeded(make)
    model.train()
    children = list(model.children())
    children[0].eval()
    first = next(model.parameters())
    first.requires_grad_(False)
    for parameter in list(model.parameters())[1:]:
        parameter.grad = torch.full_like(parameter, 0.5)
    children[-1].register_forward_hook(lambda module, args, output: None)
    return model


@pytest.mark.parametrize("make", [sequential, Residual, Pair])
@pytest.mark.parametrize("kind", ["images", "tensors"])
def test_after_a_capture(make: Callable[[], nn.Module], kind: str) -> None:
    model = lived_in(make)
    inputs: Any = IMAGES if kind == "images" else TENSORS
    before, data = portrait(model), np.asarray(inputs).tobytes()
    capture(model, train=(inputs, LABELS), test=(inputs, LABELS), batch_size=3)
    assert portrait(model) == before
    assert np.asarray(inputs).tobytes() == data


@pytest.mark.parametrize("make", [sequential, Residual, Pair])
@pytest.mark.parametrize("when", ["first", "middle"])
def test_after_an_error(make: Callable[[], nn.Module], when: str) -> None:
    model = lived_in(make)
    calls = 0

    def fail(module: nn.Module, args: Any) -> None:
        nonlocal calls
        calls += 1
        torch.rand(3)
        if calls >= (1 if when == "first" else 7):
            raise RuntimeError("injected")

    model.register_forward_pre_hook(fail)
    before = portrait(model)
    with pytest.raises(Exception, match="injected"):
        capture(model, train=(IMAGES, LABELS), batch_size=2)
    assert portrait(model) == before
    assert calls == (1 if when == "first" else 7)


def test_after_an_interrupt_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.extraction._walk.PROGRESS_SECONDS", 0)
    model = lived_in(sequential)
    before = portrait(model)

    def interrupt(text: str) -> None:
        random.random()
        np.random.rand()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture(model, train=(IMAGES, LABELS), batch_size=2, progress=interrupt)
    assert portrait(model) == before


def test_a_data_set_that_draws_random_numbers_moves_no_state() -> None:
    class Noisy(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            random.random()
            return TENSORS[i] + torch.rand(1) + float(np.random.rand()), i % 3

    model = lived_in(sequential)
    before = portrait(model)
    capture(model, train=Noisy())
    assert portrait(model) == before


def test_training_resumes_as_if_never_interrupted() -> None:
    def weights(interrupted: bool) -> list[bytes]:
        model = seeded(Pair).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for step in range(3):
            if interrupted and step:
                capture(model, train=(IMAGES, LABELS))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(TENSORS.clone())[0], torch.from_numpy(LABELS)).backward()
            optimizer.step()
        return [p.detach().numpy().tobytes() for p in model.parameters()]

    assert weights(True) == weights(False)


def test_a_wrapped_network_is_looked_into() -> None:
    model = seeded(sequential)
    inside = nn.DataParallel(model)
    expected = capture(model, train=(IMAGES, LABELS))
    run = capture(inside, train=(IMAGES, LABELS))
    np.testing.assert_array_equal(run.train.features, expected.train.features)
    assert run.meta["layer"] == "3.3"


def test_tied_weights_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(3, 3), nn.Linear(3, 3)
            self.head.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.head(self.first(x.mean(dim=(2, 3))).relu())
            return logits

    model = lived_in(Tied)
    before = portrait(model)
    capture(model, train=(IMAGES, LABELS))
    assert portrait(model) == before and model.head.weight is model.first.weight
