"""Remix: the paper's cases by hand, and what training makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from imblens.data import ImageSet
from imblens.errors import InputError, MissingError
from imblens.losses import build_loss
from imblens.training import train
from imblens.training._remix import checked_remix, remix
from tests.training.test_train import one_thread, quick, same, split

__all__ = ["one_thread"]
COUNTS = torch.tensor([90.0, 31.0, 30.0, 10.0])  # 90 / 30 is exactly kappa; 90 / 31 is not
LABELS = torch.arange(4).repeat(16)
PAPER = {"kappa": 3.0, "tau": 0.5, "alpha": 1.0}


def mixed(seed: int, **options: float) -> tuple[float, list[tuple[int, int, float]]]:
    """Return lambda, read off the images, and (i, j, share of i) of each mixed image."""
    torch.manual_seed(seed)
    values = torch.arange(64, dtype=torch.float32) ** 2  # every pair of images mixes to a value of its own
    found = remix(values[:, None, None, None].expand(-1, 3, 2, 2), LABELS, COUNTS, **{**PAPER, **options})
    torch.manual_seed(seed)
    part = float(torch.distributions.Beta(options.get("alpha", 1.0), options.get("alpha", 1.0)).sample())
    partner = torch.randperm(64)
    expected = part * values + (1 - part) * values[partner]
    torch.testing.assert_close(found.inputs[:, 0, 0, 0], expected, rtol=1e-5, atol=1e-2)
    assert (found.other == LABELS[partner]).all()
    return part, list(zip(LABELS.tolist(), found.other.tolist(), found.share.tolist(), strict=True))


def test_labels_lean_to_the_rarer_class_as_the_paper_says() -> None:
    seen = set()
    for seed in range(6):
        part, pairs = mixed(seed)
        for i, j, share in pairs:
            n_i, n_j = int(COUNTS[i]), int(COUNTS[j])
            if n_i >= 3 * n_j and part < 0.5:
                expected, case = 0.0, "to the other"
            elif n_j >= 3 * n_i and 1 - part < 0.5:
                expected, case = 1.0, "to itself"
            else:
                expected, case = part, "mixup"
            assert share == pytest.approx(expected), (i, j, part)
            seen.add((i, j, case))
    assert (0, 2, "to the other") in seen and (2, 0, "to itself") in seen  # exactly kappa counts
    assert not any({i, j} == {0, 1} and case != "mixup" for i, j, case in seen)
    assert (0, 3, "mixup") in seen and (3, 0, "mixup") in seen


def test_without_majorities_it_is_mixup() -> None:
    for options in ({"kappa": 1e9}, {"tau": 0.0}):
        part, pairs = mixed(1, **options)
        assert [share for _, _, share in pairs] == pytest.approx([part] * 64)


@pytest.mark.parametrize("name", ["ce", "focal", "weighted_ce", "ldam"])
def test_shares_of_a_loss_add_up(name: str) -> None:
    loss = build_loss(name, [90, 31, 30, 10])
    logits, labels = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 4
    share = torch.linspace(0, 1, 7)
    parts = loss(logits, labels, share) + loss(logits, labels, 1 - share)
    torch.testing.assert_close(parts, loss(logits, labels))


def test_for_cross_entropy_it_is_the_loss_of_the_mixed_label() -> None:
    loss, logits = build_loss("ce", [9, 3, 2, 1]), torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    a, b, share = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([3, 2, 2, 0, 1]), torch.tensor([0.0, 1.0, 0.3, 0.6, 0.5])
    soft = share[:, None] * torch.eye(4)[a] + (1 - share)[:, None] * torch.eye(4)[b]
    torch.testing.assert_close(
        loss(logits, a, share) + loss(logits, b, 1 - share), torch.nn.functional.cross_entropy(logits, soft)
    )


def test_a_training_with_remix_learns_and_repeats_itself(tmp_path: Path) -> None:
    images = ImageSet("colours", ("red", "green", "blue"), "multiclass", split([40, 9, 4], 0))
    trained = quick(images, tmp_path / "a", epochs=12, remix=True)
    assert trained.meta["remix"] == PAPER
    fresh = split([6, 6, 6], 5)
    pre = trained.meta["preprocessing"]
    inputs = (fresh.array() / 255 - pre["mean"]) / pre["std"]
    with torch.no_grad():
        answers = trained.model(torch.tensor(inputs, dtype=torch.float32).permute(0, 3, 1, 2)).argmax(dim=1).numpy()
    assert (answers == fresh.labels).mean() > 0.8
    assert np.isfinite(trained.log["loss"]).all()
    assert same(trained.model, quick(images, tmp_path / "b", epochs=12, remix={"kappa": 3}).model)
    assert not same(trained.model, quick(images, tmp_path / "c", epochs=12).model)
    with pytest.raises(InputError, match=r"had remix {.*}, and None is asked for"):
        quick(images, tmp_path / "a", epochs=12, resume=True)


def test_options_are_checked(tmp_path: Path) -> None:
    images = ImageSet("colours", ("red", "green", "blue"), "multiclass", split([9, 4, 4], 0))
    for options, message in (
        ({"kappa": 0.5}, "remix: kappa is 0.5. Give a number from 1"),
        ({"tau": "half"}, "remix: tau is 'half'"),
        ({"alpha": float("nan")}, "remix: alpha is nan"),
    ):
        with pytest.raises(InputError, match=message):
            train(images, out=tmp_path / "x", remix=options)
    with pytest.raises(MissingError, match=r"remix has no option 'kapa'. Did you mean 'kappa'"):
        checked_remix({"kapa": 3})
    assert checked_remix(False) is None and not (tmp_path / "x").exists()
