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
from tests.commands import imblens
from tests.training.test_train import one_thread

__all__ = ["one_thread"]  # a fixture


def test_the_commands_write_a_treated_network_and_predict_with_it(tmp_path: Path) -> None:
    """A shift of the head's bias is seen in the predictions: those of the network are not those of the treated run."""
    import pandas as pd
    from PIL import Image

    images = digits()
    source = tmp_path / "run"
    plan = TrainingPlan(epochs=1, augment="crop")
    train_and_capture(images, source, plan, colours=False, thumbnails=False, out=source, force=True)
    done = imblens(
        "treat", "run", "--with", "logit_adjustment", "--model", "new.safetensors", "--out", "new", cwd=tmp_path
    )
    assert done.returncode == 0 and "network: new.safetensors" in done.stdout, done.stderr
    treated = Run.load(tmp_path / "new")
    assert images.test is not None and treated.test is not None
    (tmp_path / "some").mkdir()
    for i in range(20):
        Image.fromarray(images.test.image(i)).save(tmp_path / "some" / f"{i:02d}.png")
    words = ("predict", "new", "some", "--model", "new.safetensors", "--choose-on", "test", "--out", "out.csv")
    done = imblens(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out.csv").sort_values("id")
    expected = [treated.classes[label] for label in treated.test.predictions[:20]]
    assert table["prediction"].astype(str).tolist() == expected
    before = Run.load(source).test
    assert before is not None and (before.predictions[:20] != treated.test.predictions[:20]).any()
    refused = imblens("treat", "run", "--with", "tau_norm", "--model", "new.bin", "--out", "other", cwd=tmp_path)
    assert refused.returncode == 2 and "ends in .safetensors" in refused.stderr


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
