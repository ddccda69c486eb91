"""Mixed batches: the papers' definitions by hand, and training with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from imblens.data import ImageSet
from imblens.errors import InputError, MissingError
from imblens.losses import build_loss
from imblens.training import MIXINGS, Mixed, TrainingPlan, rebalanced_mixup, remix, train
from tests.training.test_train import one_thread, quick, same, split

__all__ = ["one_thread"]
COUNTS = torch.tensor([90.0, 31.0, 30.0, 10.0])  # 90 / 30 is exactly kappa; 90 / 31 is not
LABELS = torch.arange(4).repeat(16)
PAPER = {"kappa": 3.0, "tau": 0.5, "alpha": 1.0}


def mixed(seed: int, **options: float) -> tuple[float, list[tuple[int, int, float]]]:
    """Return lambda, read off the images, and (i, j, share of i) of each mixed image."""
    torch.manual_seed(seed)
    values = torch.arange(64, dtype=torch.float32) ** 2  # every pair of images mixes to a value of its own
    batch = rebalanced_mixup(values[:, None, None, None].expand(-1, 3, 2, 2), LABELS, COUNTS, **{**PAPER, **options})
    torch.manual_seed(seed)
    part = float(torch.distributions.Beta(options.get("alpha", 1.0), options.get("alpha", 1.0)).sample())
    partner = torch.randperm(64)
    expected = part * values + (1 - part) * values[partner]
    torch.testing.assert_close(batch.inputs[:, 0, 0, 0], expected, rtol=1e-5, atol=1e-2)
    assert (batch.labels == LABELS).all() and (batch.other == LABELS[partner]).all()
    return part, list(zip(LABELS.tolist(), batch.other.tolist(), batch.share.tolist(), strict=True))


def test_rebalanced_mixup_favours_the_rarer_class_as_in_the_paper() -> None:
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


def test_without_majorities_rebalanced_mixup_is_mixup() -> None:
    for options in ({"kappa": 1e9}, {"tau": 0.0}):
        part, pairs = mixed(1, **options)
        assert [share for _, _, share in pairs] == pytest.approx([part] * 64)


def remixed(labels: list[int], seed: int, alpha: float = 0.2) -> Mixed:
    """Mix images whose pixels all are 2 ** (their row): a mixed image shows which two it is of."""
    torch.manual_seed(seed)
    values = 2.0 ** torch.arange(len(labels))
    return remix(values[:, None, None, None].expand(-1, 3, 2, 2), torch.tensor(labels), torch.ones(9), alpha=alpha)


def test_remix_mixes_pairs_with_one_share_for_images_and_labels() -> None:
    labels = [0, 0, 0, 0, 0, 2, 2, 5]
    for seed in range(5):
        batch = remixed(labels, seed)
        part = float(batch.share[0])
        assert batch.share.tolist() == [part] * 8
        pairs = {(i, j): part * 2.0**i + (1 - part) * 2.0**j for i in range(8) for j in range(8)}
        for value, first, second in zip(batch.inputs[:, 1, 0, 1], batch.labels, batch.other, strict=True):
            possible = [pair for pair, mixed in pairs.items() if mixed == pytest.approx(float(value), rel=1e-5)]
            assert (int(first), int(second)) in {(labels[i], labels[j]) for i, j in possible}
        assert sorted(batch.labels.tolist()) == sorted(batch.other.tolist())  # a permutation of the same batch


def test_remix_draws_a_batch_from_classes_of_equal_count() -> None:
    """Of 6, 2 and 1 images, the pool has 6 of each class; a batch of 9 has at most 6 of a class, on average 3."""
    labels = [0] * 6 + [1] * 2 + [2]
    counts = np.array([np.bincount(remixed(labels, seed).labels, minlength=3) for seed in range(400)])
    assert counts.max() <= 6 and (counts.sum(axis=1) == 9).all()
    spread = np.sqrt(9 * (1 / 3) * (2 / 3) * (18 - 9) / (18 - 1) / 400)  # hypergeometric
    np.testing.assert_allclose(counts.mean(axis=0), 3, atol=4 * spread)
    assert set(remixed([4, 4, 4], 0).labels.tolist()) == {4}  # one class: nothing to repeat
    balanced = remixed([0, 1, 2], 1, alpha=1000)  # equal counts: the pool is the batch itself
    assert sorted(balanced.labels.tolist()) == [0, 1, 2] and float(balanced.share[0]) == pytest.approx(0.5, abs=0.1)


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


@pytest.mark.parametrize(("name", "defaults"), [("remix", {"alpha": 0.2}), ("rebalanced_mixup", PAPER)])
def test_a_training_with_mixed_batches_learns_and_is_reproducible(
    name: str, defaults: dict[str, float], tmp_path: Path
) -> None:
    images = ImageSet("colours", ("red", "green", "blue"), "multiclass", split([40, 9, 4], 0))
    trained = quick(images, tmp_path / "a", epochs=12, **{name: True})
    assert trained.meta[name] == defaults
    fresh = split([6, 6, 6], 5)
    pre = trained.meta["preprocessing"]
    inputs = (fresh.array() / 255 - pre["mean"]) / pre["std"]
    with torch.no_grad():
        predictions = trained.model(torch.tensor(inputs, dtype=torch.float32).permute(0, 3, 1, 2)).argmax(dim=1).numpy()
    assert (predictions == fresh.labels).mean() > 0.8
    assert np.isfinite(trained.log["loss"]).all()
    assert same(trained.model, quick(images, tmp_path / "b", epochs=12, **{name: {"alpha": defaults["alpha"]}}).model)
    assert not same(trained.model, quick(images, tmp_path / "c", epochs=12).model)
    with pytest.raises(InputError, match=name + r" {.*}, and None is requested"):
        quick(images, tmp_path / "a", epochs=12, resume=True)


def test_options_are_checked(tmp_path: Path) -> None:
    images = ImageSet("colours", ("red", "green", "blue"), "multiclass", split([9, 4, 4], 0))
    for options, message in (
        ({"kappa": 0.5}, "rebalanced_mixup: kappa=0.5 is not allowed. Give a number of 1 or more"),
        ({"tau": "half"}, "rebalanced_mixup: tau='half' is not allowed"),
        ({"alpha": float("nan")}, "rebalanced_mixup: alpha=nan is not allowed"),
    ):
        with pytest.raises(InputError, match=message):
            train(images, out=tmp_path / "x", rebalanced_mixup=options)
    with pytest.raises(MissingError, match=r"rebalanced_mixup has no option 'kapa'. Did you mean 'kappa'"):
        MIXINGS["rebalanced_mixup"].check({"kapa": 3})
    with pytest.raises(MissingError, match=r"remix has no option 'kappa'"):
        train(images, out=tmp_path / "x", remix={"kappa": 3})
    with pytest.raises(InputError, match="remix and rebalanced_mixup both mix"):
        train(images, out=tmp_path / "x", remix=True, rebalanced_mixup=True)
    assert TrainingPlan(remix=False).remix is None and not (tmp_path / "x").exists()
