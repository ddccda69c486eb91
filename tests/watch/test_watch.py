"""Audits during training: they disturb nothing, and their numbers arrive where the training logs."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from imblens.errors import InputError
from imblens.watch import audit_now, class_metrics

NAMES = ("a", "b/c", "<i>")


@pytest.fixture(scope="module")
def data() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (40, 15, 6))
    inputs = rng.normal(size=(61, 5)) + labels[:, None]
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def fitted(data, callbacks, loggers, epochs: int = 3):
    import lightning.pytorch as lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=16, shuffle=True)
    module = Module()
    torch.manual_seed(5)
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=loggers, callbacks=callbacks, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    return module


@pytest.mark.filterwarnings("ignore")  # what Lightning says of workers and devices
def test_a_training_takes_the_same_steps_with_and_without(data, tmp_path):
    pytest.importorskip("lightning")
    from lightning.pytorch.loggers import CSVLogger

    from imblens.watch import AuditCallback

    watching = AuditCallback(train=data, test=data, classes=NAMES, every=2, out=tmp_path / "audits")
    logger = CSVLogger(tmp_path / "log")
    with_it = fitted(data, [watching], [logger])
    without = fitted(data, [], False)
    for one, other in zip(with_it.parameters(), without.parameters(), strict=True):
        assert torch.equal(one, other)
    assert with_it.model[2].training
    assert {path.name for path in (tmp_path / "audits").iterdir()} == {"epoch-0002", "epoch-0003"}
    text = next((tmp_path / "log").rglob("metrics.csv")).read_text()
    assert "imblens/accuracy/b_c" in text.splitlines()[0] and len(text.splitlines()) == 3
    with torch.no_grad():
        right = (with_it.model.eval()(data[0]).argmax(1) == data[1])[data[1] == 1].float().mean()
    table = watching.audit["class_accuracy"].tables["class_accuracy"]
    assert table.loc[1, "accuracy"] == pytest.approx(float(right))


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_gets_numbers_and_charts(data, tmp_path):
    pytest.importorskip("lightning")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from imblens.watch import AuditCallback

    watching = AuditCallback(train=data, test=data, classes=NAMES)
    fitted(data, [watching], [TensorBoardLogger(tmp_path)], epochs=2)
    events = EventAccumulator(str(next(tmp_path.rglob("events.out*")).parent)).Reload()
    told = class_metrics(watching.audit)
    assert set(told) <= set(events.Tags()["scalars"])
    for name in ("imblens/balanced_accuracy", "imblens/accuracy/a", "imblens/safe_share/i"):
        points = events.Scalars(name)
        assert len(points) == 2 and points[-1].value == pytest.approx(told[name])
    assert "imblens/class_accuracy" in events.Tags()["images"]


def test_numbers_are_those_of_the_tables_and_undefined_ones_are_left_out(data):
    inputs, labels = data
    kept: dict[str, float] = {}
    test = (inputs[labels < 2], labels[labels < 2])  # no instance of the third class
    found = audit_now(
        network().eval(), train=data, test=test, classes=NAMES, log=lambda m, step: kept.update(m, step=step), step=7
    )
    accuracy = found["class_accuracy"].tables["class_accuracy"].set_index("class")["accuracy"]
    assert kept.pop("step") == 7
    assert kept["imblens/accuracy/a"] == accuracy["a"] and "imblens/accuracy/i" not in kept
    assert all(np.isfinite(value) for value in kept.values())
    assert kept == class_metrics(found)
    json.dumps(kept)


def test_loggers_that_do_not_fit_are_refused_before_the_work(data):
    with pytest.raises(InputError, match="log is a int"):
        audit_now(network(), train=None, log=3)


def test_epochs_between_audits_must_be_some():
    pytest.importorskip("lightning")
    from imblens.watch import AuditCallback

    with pytest.raises(InputError, match="every=0"):
        AuditCallback(train=None, every=0)


def test_importing_it_imports_neither_torch_nor_lightning():
    code = "import imblens.watch, sys; sys.exit(bool({'torch', 'lightning'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
