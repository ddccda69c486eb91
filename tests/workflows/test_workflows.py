"""Options by what they belong to, and what a training would do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imblens.data import digits
from imblens.errors import InputError, MissingError
from imblens.training import TrainingPlan
from imblens.workflows import assign_settings, images_of_run, train_and_capture, training_facts


def test_each_option_goes_to_what_has_it() -> None:
    pairs = ["alpha=0.4", "k_neighbors=3", "gamma=1.5", "weights=[1, 2]"]
    settings = assign_settings(pairs, mixing="remix", oversample="smote", loss="focal")
    assert settings.mixing == {"alpha": "0.4"} and settings.oversampler == {"k_neighbors": 3}
    assert settings.loss == {"gamma": 1.5, "weights": [1, 2]}
    assert assign_settings(["alpha=0.4"], loss="focal").loss == {"alpha": 0.4}


def test_options_of_nothing_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"--set kappa=3 does not belong to any requested option.*--rebalanced-mixup: kappa"
    ):
        assign_settings(["kappa=3"], mixing="remix")
    with pytest.raises(MissingError, match="smote has no option 'tau'"):
        assign_settings(["tau=1"], oversample="smote")


def test_facts_of_a_training_count_synthetic_images(tmp_path: Path) -> None:
    images = digits()
    plain = training_facts(images, TrainingPlan(batch_size=50), tmp_path / "run")
    balanced = training_facts(images, TrainingPlan(batch_size=50), tmp_path / "run", oversample="smote")
    n, largest = len(images.train), int(images.class_counts.max())
    assert (plain["n_images"], plain["steps"]) == (n, -(-n // 50))
    assert (balanced["n_images"], balanced["steps"]) == (10 * largest, -(-10 * largest // 50))
    assert plain["epochs"] > balanced["epochs"] == -(-500 // balanced["steps"])  # at least 500 batches
    assert "oversample_bytes" not in plain and balanced["oversample_bytes"] == 10 * largest * 32 * 32 * 3 * 14
    assert not (tmp_path / "run").exists()


def test_importing_needs_no_torch() -> None:
    code = "import sys, imblens.workflows; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_new_images_get_the_features_that_the_run_has_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = digits()
    folder = tmp_path / "run"
    run, _ = train_and_capture(
        images, folder, TrainingPlan(epochs=1, arch="smallnet"), colours=False, thumbnails=False, out=folder, force=True
    )
    assert run.test is not None
    (tmp_path / "new" / "deep").mkdir(parents=True)
    for place, name in ((0, "a.png"), (7, "deep/b.png")):
        Image.fromarray(images.held_out.image(place)).save(tmp_path / "new" / name)
    (tmp_path / "new" / "notes.txt").write_text("no image")
    monkeypatch.setattr("imblens.workflows._new_images.AT_ONCE", 1)
    monkeypatch.setattr("imblens.run._spool.IN_MEMORY", 50)
    found = images_of_run(folder, tmp_path / "new")
    assert isinstance(found.features, np.memmap) and isinstance(found.logits, np.memmap)
    assert found.ids.tolist() == ["a.png", "deep/b.png"]
    assert np.allclose(found.features, run.test.features[[0, 7]], atol=1e-4)
    assert np.allclose(found.logits, run.test.logits[[0, 7]], atol=1e-4)
    one = images_of_run(folder, tmp_path / "new" / "a.png")
    assert one.features.shape == (1, run.dim) and one.ids.tolist() == ["a.png"]
    with pytest.raises(MissingError, match="no image in"):
        images_of_run(folder, tmp_path / "new" / "notes.txt")
    run.save(tmp_path / "arrays_only")
    with pytest.raises(InputError, match="holds no network that imblens trained"):
        images_of_run(tmp_path / "arrays_only", tmp_path / "new")
