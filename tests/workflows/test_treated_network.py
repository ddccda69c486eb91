"""The whole network with a new head, and predictions with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imblens.data import digits
from imblens.errors import InputError
from imblens.run import Run
from imblens.training import TrainingPlan
from imblens.treatments import treat
from imblens.workflows import images_of_run, save_treated, train_and_capture
from tests.training.test_train import one_thread

__all__ = ["one_thread"]  # a fixture


@pytest.mark.parametrize("loss", ["ce", "ldam"])
def test_predictions_of_the_written_network_are_those_of_the_treated_run(loss: str, tmp_path: Path) -> None:
    from PIL import Image

    images = digits()
    plan = TrainingPlan(loss=loss, epochs=1, augment="crop")
    source = tmp_path / "run"
    train_and_capture(images, source, plan, colours=False, thumbnails=False, out=source, force=True)
    run = Run.load(source)
    better = treat(run, "eos", k_neighbors=10)
    written = save_treated(better, source, tmp_path / "treated.safetensors")
    better.save(tmp_path / "treated")
    assert images.test is not None and better.test is not None
    (tmp_path / "new").mkdir()
    for i in range(3):
        Image.fromarray(images.test.image(i)).save(tmp_path / "new" / f"{i}.png")
    found = images_of_run(tmp_path / "treated", tmp_path / "new", model=written)
    np.testing.assert_allclose(found.logits, better.test.logits[:3], rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="holds no network that imblens trained"):
        save_treated(better, tmp_path / "treated", tmp_path / "other.safetensors")
