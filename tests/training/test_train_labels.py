"""Training on multi-label images: a label is a bright channel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from imblens.data import ImageSet, ImageSplit
from imblens.errors import InputError, MissingError
from imblens.losses import loss_names
from imblens.models import build_model
from imblens.training import Fitting, Trained, train
from tests.training.test_train import one_thread, same

__all__ = ["one_thread"]  # a fixture


def split(n: int, seed: int) -> ImageSplit:
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.permutation(n) < share * n for share in (0.6, 0.3, 0.15)], axis=1).astype(np.uint8)
    bright = np.where(labels, 190, 70)[:, None, None]
    return ImageSplit.from_arrays((bright + rng.integers(-60, 60, (n, 8, 6, 3))).astype(np.uint8), labels)


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return ImageSet("channels", ("red", "green", "blue"), "multilabel", split(60, 0), test=split(20, 1))


def quick(images: ImageSet, out: Path, **options: Any) -> Trained:
    return train(images, out=out, **{"epochs": 3, "batch_size": 12, "progress": False, **options})


@pytest.mark.parametrize("loss", loss_names(multilabel=True))
def test_every_loss_learns_under_the_default_schedule(images: ImageSet, tmp_path: Path, loss: str) -> None:
    """Also those whose weights are a thousandth."""
    trained = quick(images, tmp_path / "out", epochs=10, loss=loss)
    assert trained.log["auroc"].iloc[-1] > 0.95
    columns = ["epoch", "loss", "split", "auroc", "rare_auroc", "lr", "seconds"]
    assert list(trained.log.columns) == [*columns, "auroc: red", "auroc: green", "auroc: blue"]
    assert trained.meta["schedule"] == "short_adam" and trained.meta["loss"] == loss
    labels = images.train.labels
    assert trained.meta["class_counts"] == labels.sum(axis=0).tolist()
    assert trained.meta["negative_counts"] == (1 - labels).sum(axis=0).tolist()


def test_figures_come_from_the_validation_split_and_rare_is_the_rarest(
    images: ImageSet, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    val = split(30, 2)
    val.labels[:, 1] = 0  # no image shows it: undefined
    trained = quick(replace(images, val=val), tmp_path / "out", progress=True)
    row = trained.log.iloc[-1]
    assert row["split"] == "val" and np.isnan(row["auroc: green"])
    assert row["auroc"] == pytest.approx((row["auroc: red"] + row["auroc: blue"]) / 2)
    assert row["rare_auroc"] == row["auroc: blue"]
    assert "  val AUROC " in capfd.readouterr().err


def test_unknown_labels_change_nothing(images: ImageSet, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    unknown = rng.random((60, 3)) < 0.3
    given = replace(images.train, unknown=unknown, labels=np.where(unknown, 0, images.train.labels))
    other = replace(given, labels=np.where(unknown, 1, images.train.labels).astype(np.uint8))
    counts = [0, 0]
    for i, part in enumerate((given, other)):
        part = replace(part, labels=part.labels.astype(np.uint8))
        counts[i] = quick(replace(images, train=part), tmp_path / str(i), loss="bce")
    assert same(counts[0].model, counts[1].model)
    pd.testing.assert_frame_equal(counts[0].log.drop(columns="seconds"), counts[1].log.drop(columns="seconds"))
    known = np.where(unknown, -1, images.train.labels)
    assert counts[0].meta["negative_counts"] == (known == 0).sum(axis=0).tolist()


def test_a_resumed_training_of_labels_ends_in_the_same_bits(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict(loss="cb_focal_bce", schedule="looking50")
    images = replace(images, val=split(30, 2))
    unbroken = quick(images, tmp_path / "unbroken", **options)
    step = Fitting.training_step

    def breaking(self: Any, batch: Any, batch_idx: int) -> Any:
        if self.current_epoch == 1 and batch_idx == 1:
            raise RuntimeError("enough")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Fitting, "training_step", breaking)
    with pytest.raises(RuntimeError, match="enough"):
        quick(images, tmp_path / "broken", **options)
    monkeypatch.undo()
    resumed = quick(images, tmp_path / "broken", resume=True, **options)
    assert same(unbroken.model, resumed.model)
    pd.testing.assert_frame_equal(unbroken.log.drop(columns="seconds"), resumed.log.drop(columns="seconds"))
    assert unbroken.meta == resumed.meta
    with pytest.raises(InputError, match="had loss 'cb_focal_bce', and 'bce' is requested"):
        quick(images, tmp_path / "broken", resume=True, schedule="looking50", loss="bce")


def test_pretrained_weights_are_where_the_training_starts(images: ImageSet, tmp_path: Path) -> None:
    torch.manual_seed(5)
    source = build_model("smallnet", 9)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    trained = quick(images, tmp_path / "out", weights=tmp_path / "w.pt", epochs=1, loss_options={})
    plain = quick(images, tmp_path / "plain", epochs=1)

    def distance(state: dict[str, torch.Tensor]) -> float:
        name = "convolutions.0.weight"
        return float((state[name] - source.state_dict()[name]).abs().max())

    assert distance(trained.model.state_dict()) < 0.05 < distance(plain.model.state_dict())
    assert trained.meta["weights"] and plain.meta["weights"] is None
    with pytest.raises(MissingError, match="no weights file"):
        quick(images, tmp_path / "x", weights=tmp_path / "none.pt")
    assert not (tmp_path / "x").exists()


def test_what_labels_rule_out_is_refused(images: ImageSet, tmp_path: Path) -> None:
    for options, message in [
        ({"loss": "ce"}, "'ce' is for single-label data"),
        ({"sampler": "class_balanced"}, "draws images by class"),
        ({"drw": True}, "deferred re-weighting"),
        ({"augment": "jitter+jitter"}, "no augmentation"),
    ]:
        with pytest.raises(InputError, match=message):
            quick(images, tmp_path / "x", **options)
    everywhere = replace(images.train, labels=np.ones((60, 3), np.uint8))
    with pytest.raises(InputError, match="no label has both positive and negative images"):
        quick(replace(images, train=everywhere), tmp_path / "x")
    assert not (tmp_path / "x").exists()
