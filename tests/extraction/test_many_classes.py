"""Capture of more than 200 classes: logits are left out where the head gives them, in memory and on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imblens.extraction import capture
from imblens.run import Run

C, N = 203, 406
X = torch.from_numpy(np.random.default_rng(2).normal(size=(N, 12)).astype(np.float32))
LABELS = np.arange(N) % C
GIVEN = (X, torch.from_numpy(LABELS))


class Odd(nn.Module):
    """A network whose last layer, beyond an instance, is more and more off from a linear one: by 3e-4 of the largest logit."""

    def __init__(self, above: float) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 8), nn.Linear(8, C)
        self.above = above
        self.head.register_forward_hook(self.hook)

    def hook(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> torch.Tensor:
        beyond = inputs[0].sum(dim=1, keepdim=True) > self.above
        return out + beyond * 3e-4 * out.abs().max()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(x).relu())
        return logits


def network(above: float | None = None) -> nn.Module:
    torch.manual_seed(0)
    if above is not None:
        return Odd(above)
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, C))


def captured(model: nn.Module, out: Path | None = None, labels: torch.Tensor | None = None) -> Run:
    data = torch.utils.data.TensorDataset(X, GIVEN[1] if labels is None else labels)
    return capture(model, train=data, test=data, val=data, batch_size=50, out=out)


@pytest.mark.parametrize("on_disk", [True, False], ids=["on disk", "in memory"])
def test_logits_are_those_of_the_network_and_take_no_space(tmp_path: Path, on_disk: bool) -> None:
    model = network()
    run = captured(model, tmp_path / "run" if on_disk else None)
    with torch.no_grad():
        own = model.eval()(X).numpy()
    for split in run.splits.values():
        assert [part.logits for part in split.parts] == [None]
        np.testing.assert_allclose(split.logits, own, rtol=1e-4, atol=1e-6)
        assert split.predictions.tolist() == own.argmax(axis=1).tolist()
    if on_disk:
        files = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["files"]
        assert not any("logits" in name for name in files) and not list((tmp_path / "run").rglob("logits.npy"))


def test_labels_that_are_one_hot_are_single_labels_here_too() -> None:
    run = captured(network(), labels=nn.functional.one_hot(GIVEN[1], C))
    assert run.task == "multiclass" and run.train.parts[0].logits is None


def test_labels_of_several_classes_keep_their_logits() -> None:
    several = nn.functional.one_hot(GIVEN[1], C) | nn.functional.one_hot(GIVEN[1].roll(1), C)
    run = captured(network(), labels=several)
    assert run.task == "multilabel" and run.train.parts[0].logits is not None


def test_where_some_batches_are_not_what_the_head_gives_all_logits_of_the_part_are_kept(tmp_path: Path) -> None:
    entered = network(0.0).body(X).relu().sum(dim=1).detach()  # type: ignore[operator]
    model = network(float(entered.max()) - 1e-4)  # one batch of nine
    run = captured(model, tmp_path / "run")
    assert [part.logits is not None for part in run.train.parts] == [True]
    with torch.no_grad():
        np.testing.assert_allclose(run.train.logits, model.eval()(X).numpy(), rtol=1e-5, atol=1e-6)


def test_few_digits_are_kept() -> None:
    data = torch.utils.data.TensorDataset(*GIVEN)
    run = capture(network(), train=data, precision="bf16")
    assert run.train.parts[0].logits is not None
