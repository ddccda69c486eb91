"""What the papers suggest for training: shared features cost, EOS within the batch, colours that follow the class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from imblens.data import ImageSet, ImageSplit
from imblens.errors import InputError, MissingError, NotApplicable
from imblens.extraction import BANDS
from imblens.lenses import colours
from imblens.losses import ClassLoss, build_loss
from imblens.run import Run
from imblens.training import Recolour, TrainingPlan, eos_in_batch, train
from imblens.workflows import class_colours
from tests.lenses.made import captured_run

COLOURS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]])
REFERENCES = [[200, 40, 40], [40, 200, 40], [40, 40, 200]]
SHARES = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 1.0]}
FACTORY = """
from torch import nn
def build(n_classes):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, n_classes)
    )
"""


@pytest.fixture(scope="module")
def images() -> ImageSet:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [30, 12, 6]))
    noise = rng.integers(-40, 40, (len(labels), 8, 6, 3))
    pixels = np.clip(COLOURS[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    return ImageSet("blocks", ("a", "b", "c"), "multiclass", ImageSplit.from_arrays(pixels, labels))


@pytest.fixture
def arch(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(FACTORY)
    return f"{tmp_path / 'net.py'}:build"


def test_shared_top_features_cost_by_hand() -> None:
    """K = 1. Means: a (4, 1), b (3, 2), c (0, 5): feature 0 is top for a and b, feature 1 for c alone.

    s_a0 = s_b0 = 1/2 (one of two others), s_c1 = 0. Costs: a 4/5 x 1/2, b 3/5 x 1/2, c 0; mean 0.7/3.
    """
    loss = build_loss("overlap_ce", [1, 1, 1], strength=2.0, top=1)
    assert isinstance(loss, ClassLoss)
    features = torch.tensor([[4.0, 1.0], [3.0, 2.0], [0.0, 5.0]], requires_grad=True)
    cost = loss.penalty(features, torch.tensor([0, 1, 2]))
    assert cost.item() == pytest.approx(2 * 0.7 / 3)
    cost.backward()
    assert features.grad is not None and features.grad[0, 0] > 0 and not features.grad[2].any()
    loss.set_epoch(1, 2)  # the means begin at zero again: alone, a class shares nothing
    assert loss.penalty(features, torch.tensor([0, 0, 0])).item() == 0


def test_a_class_shares_nothing_that_others_have_not_at_their_top() -> None:
    loss = build_loss("overlap_ce", [1, 1], top=1, drw=True)
    assert isinstance(loss, ClassLoss) and loss.needs_features
    assert loss.penalty(torch.eye(2), torch.tensor([0, 1])).item() == 0


def test_eos_in_a_batch_by_hand() -> None:
    """On a line: a at 0, 1, 2, 10; b at 2.5 has a at 2 as nearest: three samples between 2.5 and 2, none elsewhere."""
    features = torch.tensor([[0.0], [1.0], [2.0], [10.0], [2.5]], requires_grad=True)
    made, labels = eos_in_batch(features, torch.tensor([0, 0, 0, 0, 1]), 1)
    assert labels.tolist() == [1, 1, 1]
    assert ((made > 2.0) & (made <= 2.5)).all()
    made.sum().backward()
    assert features.grad is not None and features.grad[[2, 4]].all() and not features.grad[[0, 1, 3]].any()


def test_a_class_without_enemies_among_its_neighbours_moves_toward_the_nearest() -> None:
    features = torch.tensor([[0.0], [1.0], [9.0], [20.0], [20.1]])
    made, labels = eos_in_batch(features, torch.tensor([0, 0, 0, 1, 1]), 1)
    assert labels.tolist() == [1] and 9.0 <= made.item() <= 20.1
    even = eos_in_batch(features[:4], torch.tensor([0, 0, 1, 1]), 1)
    alone = eos_in_batch(features, torch.zeros(5, dtype=torch.long), 1)
    assert not len(even[0]) and not len(alone[0])


def test_only_pixels_of_a_salient_colour_of_the_class_change() -> None:
    torch.manual_seed(0)
    recolour = Recolour(REFERENCES, list(SHARES.values()), p=1.0)
    red, green = torch.tensor([200, 40, 40.0]) / 255, torch.tensor([40, 200, 40.0]) / 255
    image = red[:, None, None].repeat(1, 2, 2)
    image[:, 0, 0] = green
    changed = recolour(image[None].repeat(8, 1, 1, 1), torch.zeros(8, dtype=torch.long))
    assert torch.equal(changed[:, :, 0, 0], green.expand(8, 3))  # green is not what class a relies on
    assert (changed[:, :, 1, 1] != red).any(dim=1).all()
    apart = changed[:, :, 1, 1] - red  # a step along the line to green or to blue
    assert (apart[:, 0] <= 0).all() and (apart[:, 1:].amax(dim=1) > 0).all() and (apart[:, 1:].amin(dim=1) == 0).all()
    kept = Recolour(REFERENCES, list(SHARES.values()), p=0.0)(image[None], torch.tensor([0]))
    assert torch.equal(kept, image[None])


def test_each_changes_the_training_and_the_seed_decides(images: ImageSet, arch: str, tmp_path: Path) -> None:
    plain = {"arch": arch, "epochs": 2, "batch_size": 16, "augment": "none", "precision": "32-true"}
    asked = {
        "plain": {},
        "again": {"eos": True},
        "eos": {"eos": True},
        "late": {"eos": {"start": 1.0}},
        "overlap": {"loss": "overlap_ce", "loss_options": {"top": 3}},
        "colours": {"class_colours": {"references": REFERENCES, "shares": SHARES}},
    }
    weights = {}
    for name, options in asked.items():
        trained = train(images, TrainingPlan(**plain, **options), out=tmp_path / name, progress=False)
        weights[name] = torch.cat([value.flatten() for value in trained.model.state_dict().values()])
        assert not any(module._forward_pre_hooks for module in trained.model.modules())
        assert torch.isfinite(weights[name]).all() and (trained.meta.get("eos") is not None) == ("eos" in options)
    assert torch.equal(weights["again"], weights["eos"]) and torch.equal(weights["late"], weights["plain"])
    for name in ("eos", "overlap", "colours"):
        assert not torch.allclose(weights[name], weights["plain"])


def test_what_cannot_be_is_refused(images: ImageSet, arch: str, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="eos has no option 'k'"):
        TrainingPlan(eos={"k": 3})
    with pytest.raises(InputError, match=r"eos: start=2 is not allowed\. Give a number from 0 to 1"):
        TrainingPlan(eos={"start": 2})
    with pytest.raises(InputError, match="remix mixes them"):
        TrainingPlan(eos=True, remix=True)
    part = {"references": REFERENCES, "shares": {"a": SHARES["a"], "b": SHARES["b"]}}
    with pytest.raises(InputError, match="have no entry for class 'c'"):
        train(images, arch=arch, class_colours=part, out=tmp_path / "run", progress=False)


def test_class_colours_of_a_run() -> None:
    run = captured_run()
    found = class_colours(run)
    table = colours(run).tables["colours"]
    name = run.classes[0]
    for row in table[table["class"] == name].itertuples():
        assert found["shares"][name][list(BANDS).index(row.band)] == pytest.approx(row.share)
    assert sum(found["shares"][name]) == pytest.approx(1) and len(found["references"]) == 14
    assert TrainingPlan(class_colours=found).class_colours == found
    plain = Run.from_arrays(train=(np.eye(4), np.array([0, 0, 1, 1])))
    with pytest.raises(NotApplicable, match="colours"):
        class_colours(plain)
