"""Options by what they belong to, and what a training would do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imblens.data import digits
from imblens.errors import InputError, MissingError
from imblens.training import TrainingPlan
from imblens.workflows import assign_settings, training_facts


def test_each_option_goes_to_what_has_it() -> None:
    pairs = ["alpha=0.4", "k_neighbors=3", "gamma=1.5", "weights=[1, 2]"]
    settings = assign_settings(pairs, mixing="remix", oversample="smote", loss="focal")
    assert settings.mixing == {"alpha": "0.4"} and settings.oversampler == {"k_neighbors": 3}
    assert settings.loss == {"gamma": 1.5, "weights": [1, 2]}
    assert assign_settings(["alpha=0.4"], loss="focal").loss == {"alpha": 0.4}


def test_options_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"--set kappa=3 belongs to no requested option.*--rebalanced-mixup: kappa"):
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
    assert not (tmp_path / "run").exists()


def test_importing_needs_no_torch() -> None:
    code = "import sys, imblens.workflows; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
