"""LDAM: features before their normalisation, a head that normalises, deferred re-weighting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imblens.data import ImageSet, ImageSplit
from imblens.extraction import capture
from imblens.lenses import class_features, weight_norms
from imblens.losses import build_loss
from imblens.models import build_model
from imblens.run import Head, Run
from imblens.studies import find_study
from imblens.treatments import treat


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model("smallnet", 3, normalised_head=True, scale=10).eval()


@pytest.fixture(scope="module")
def run(network: torch.nn.Module) -> Run:
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), np.repeat([0, 1, 2], [18, 8, 4])
    images = ImageSet("noise", ("a", "b", "c"), "multiclass", ImageSplit.from_arrays(pixels, labels))
    preprocessing = {"mean": [0.5] * 3, "std": [0.25] * 3, "size": [8, 8]}
    options = {"preprocessing": preprocessing, "colours": False, "thumbnails": False}
    return capture(network, train=images.train, classes=images.classes, **options)


def test_features_are_those_before_the_normalisation(network: torch.nn.Module, run: Run, tmp_path: Path) -> None:
    features = np.asarray(run.train.features)
    lengths = np.linalg.norm(features, axis=1)
    assert lengths.std() > 1e-3 and abs(lengths.mean() - 1) > 1e-2  # not of length 1
    assert run.head is not None and run.head.unit
    unit = features / lengths[:, None]
    np.testing.assert_allclose(np.asarray(run.train.logits), unit @ run.head.weight.T, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run.head(features), np.asarray(run.train.logits), rtol=1e-4, atol=1e-4)
    stored = Run.load(run.save(tmp_path / "run"))
    assert stored.head is not None and stored.head.unit


def test_a_head_that_normalises_by_hand() -> None:
    """Features (3, 4) have length 5: (0.6, 0.8); rows 10 and 20 give 6 and 16."""
    head = Head(np.array([[10, 0], [0, 20]], np.float32), np.array([0, 1], np.float32), unit=True)
    assert head(np.array([[3, 4]], np.float32)).tolist() == [[pytest.approx(6), pytest.approx(17)]]
    assert Head(head.weight, head.bias)(np.array([[3, 4]], np.float32)).tolist() == [[30, 81]]


def test_corrections_keep_the_normalisation_and_new_heads_drop_it(network: torch.nn.Module, run: Run) -> None:
    for name, unit in (("logit_adjustment", True), ("eos", False)):
        options: dict[str, Any] = {"tau": 1.0} if unit else {"k_neighbors": 3}
        better = treat(run, name, **options)
        assert better.head is not None and better.head.unit == unit
        torch.manual_seed(1)
        model = build_model("smallnet", 3, normalised_head=True).eval()
        model.load_state_dict(network.state_dict())
        better.install(model)
        features = torch.from_numpy(np.asarray(run.train.features).copy())
        found = model.head(features).detach().numpy()  # type: ignore[operator]
        np.testing.assert_allclose(found, better.head(features.numpy()), rtol=1e-4, atol=1e-4)
        again = build_model("smallnet", 3, normalised_head=True).eval()
        again.head.bias = None if model.head.bias is None else torch.nn.Parameter(torch.zeros(3))  # type: ignore[union-attr]
        again.load_state_dict(model.state_dict())
        np.testing.assert_allclose(again.head(features).detach().numpy(), found, rtol=1e-5)  # type: ignore[operator]


def test_lenses_follow_the_head(run: Run) -> None:
    sums = class_features(run).tables["class_features"].groupby("class")["magnitude"].sum()
    predicted = np.asarray(run.train.logits)[np.arange(30), run.train.predictions]
    for c, name in enumerate(run.classes):  # sum of the classification embedding = logit - bias
        assert sums[name] == pytest.approx(predicted[run.train.labels == c].mean(), rel=1e-4)
    assert any("equal norms" in note for note in weight_norms(run).notes)


def test_weights_come_in_the_last_fifth() -> None:
    loss = build_loss("ldam", [90, 10], drw=True)
    for epochs, first in ((200, 160), (15, 12), (4, 3), (10, 8)):
        weighted = []
        for epoch in range(epochs):
            loss.set_epoch(epoch, epochs)
            weighted.append(bool(loss.class_weight[0] != loss.class_weight[1]))  # type: ignore[union-attr, operator]
        assert weighted.index(True) == first and all(weighted[first:])


@pytest.mark.parametrize("name", ["eos-table2", "eos-table3", "eos-gap"])
def test_studies_train_ldam_with_deferred_reweighting(name: str) -> None:
    study = find_study(name, data={"CIFAR-10": "digits"})
    found = {(job.options["loss"], bool(job.options["drw"])) for job in study.jobs}  # type: ignore[attr-defined]
    assert found == {("ce", False), ("asl", False), ("focal", False), ("ldam", True)}
