"""Audits during the training of a transformers.Trainer: a real one where `accelerate` is installed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from imblens import watch
from imblens.errors import InputError
from tests.extraction.test_trainer import bert, pad, texts, trainer, transformers

ODD = ["calm (quiet)", "angry, loud", "glad/\U0001f600"]
LENSES = ["class_accuracy"]


class TensorBoardCallback:
    """Named as that of transformers, with a writer that keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[int, float]]] = {}
        self.tb_writer = self

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.kept.setdefault(name, []).append((step, value))


def test_epochs_trackers_and_reports(tmp_path):
    board = TensorBoardCallback()
    made = trainer(bert(), texts(30, ODD), texts(12, ODD), pad, callback_handler=SimpleNamespace(callbacks=[board]))
    own = []
    watching = watch.TrainerAuditCallback(
        made, every=2, lenses=LENSES, figures=False, out=tmp_path, log=lambda metrics, step: own.append((step, metrics))
    )
    made.model.train()
    for epoch in (1, 2, 3):
        state = SimpleNamespace(
            epoch=epoch - 1e-9, is_world_process_zero=True, num_train_epochs=3, global_step=10 * epoch
        )
        watching.on_epoch_end(None, state, None, model=made.model)
    assert made.model.training and sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0002", "epoch-0003"]
    metrics = watch.class_metrics(watching.audit)
    assert [step for step, _ in own] == [20, 30] and own[-1][1] == metrics
    assert {name: points[-1] for name, points in board.kept.items()} == {name: (30, metrics[name]) for name in metrics}
    assert {"imblens/accuracy/calm_quiet", "imblens/accuracy/angry_loud", "imblens/accuracy/glad"} <= set(metrics)
    state = SimpleNamespace(epoch=2, is_world_process_zero=False, num_train_epochs=3, global_step=1)
    watching.on_epoch_end(None, state, None)
    assert len(own) == 2
    with pytest.raises(InputError, match="every=0"):
        watch.TrainerAuditCallback(made, every=0)


def test_every_tracker_that_the_trainer_reports_to_is_asked_for_what_is_active(monkeypatch):
    """The clients themselves take what they are given in test_trackers.py."""
    kinds = ["DefaultFlowCallback", "MLflowCallback", "WandbCallback", "CometCallback", "TensorBoardCallback"]
    board = type("TensorBoardCallback", (), {"tb_writer": None})()  # before the first epoch it has no writer
    callbacks = [*(type(kind, (), {})() for kind in kinds[:-1]), board]
    active = {"mlflow": "a run of MLflow", "wandb": "a run", "comet": "an experiment"}
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(active_run=lambda: active["mlflow"]))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=active["wandb"]))
    monkeypatch.setitem(sys.modules, "comet_ml", SimpleNamespace(get_running_experiment=lambda: active["comet"]))
    room = sys.modules[watch.TrainerAuditCallback.__module__]
    logged = []
    monkeypatch.setattr(room, "audit_now", lambda trainer, **_: "an audit")
    monkeypatch.setattr(room, "log_audit", lambda found, log, **options: logged.append((log, options)))
    made = SimpleNamespace(callback_handler=SimpleNamespace(callbacks=callbacks))
    state = SimpleNamespace(epoch=1, is_world_process_zero=True, num_train_epochs=1, global_step=8)
    watch.TrainerAuditCallback(made, report=True).on_epoch_end(None, state, None)
    options = {"step": 8, "figures": True, "report": True}
    assert logged == [(active[name], options) for name in ("mlflow", "wandb", "comet")]


@pytest.mark.filterwarnings("ignore")
def test_a_real_training_takes_the_same_steps_and_reaches_tensorboard(tmp_path, monkeypatch):
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    trained = []
    train, held_out = texts(30, ODD), texts(12, ODD)
    for audits in (True, False):
        torch.manual_seed(0)
        args = transformers.TrainingArguments(
            str(tmp_path / "out"), num_train_epochs=2, report_to=["tensorboard"] if audits else [], use_cpu=True,
            save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        made = transformers.Trainer(bert(), args=args, data_collator=pad, train_dataset=train, eval_dataset=held_out)
        if audits:
            watching = watch.TrainerAuditCallback(made, lenses=LENSES, figures=False)
            made.add_callback(watching)
        made.train()
        trained.append([parameter.detach().clone() for parameter in made.model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*trained, strict=True))
    events = EventAccumulator(str(next((tmp_path / "board").rglob("events.out*")).parent)).Reload()
    for name, value in watch.class_metrics(watching.audit).items():
        assert len(events.Scalars(name)) == 2 and events.Scalars(name)[-1].value == pytest.approx(value)
