"""Audits during the training of a transformers.Trainer, logged where it reports."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import transformers

from imblens.base.arguments import checked, whole
from imblens.report import Audit
from imblens.watch._now import LENSES, audit_now, log_audit


class TrainerAuditCallback(transformers.TrainerCallback):  # type: ignore[misc]  # not installed where types are checked
    """Audit the network of a Trainer every so many epochs, and log every class's numbers where the Trainer reports.

    Data sets, collator and label names are the trainer's, as `imblens.capture(trainer)` takes them; its evaluation set is what
    the network is judged on. TensorBoard, MLflow, Weights & Biases and Comet are found by `report_to`.

    Args:
        trainer: the transformers.Trainer that the callback is added to.
        every: epochs between two audits; the last epoch is always audited.
        log: where numbers go besides; as for `audit_now`.
        lenses: names; all when None.
        figures: log charts too.
        report: log the report too, where a tracker takes files.
        out: folder for a report of each audit, in epoch-NNNN; none are written without.
        capture_options: of `imblens.capture`.

    Attributes:
        audit: the latest one, or None.

    Raises:
        InputError: `every` is less than 1.

    Example:
        >>> import tempfile, transformers
        >>> sizes = {"vocab_size": 9, "hidden_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1, "num_labels": 2}
        >>> network = transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))
        >>> rows = [{"input_ids": [1 + i % 8] * 4, "labels": int(i % 4 == 0)} for i in range(24)]
        >>> given = {"num_train_epochs": 2, "report_to": [], "use_cpu": True, "save_strategy": "no", "disable_tqdm": True}
        >>> options = transformers.TrainingArguments(tempfile.mkdtemp(), **given)
        >>> trainer = transformers.Trainer(network, options, train_dataset=rows, eval_dataset=rows[:12])
        >>> watching = TrainerAuditCallback(trainer, every=2, lenses=["class_accuracy"])
        >>> trainer.add_callback(watching)
        >>> _ = trainer.train()  # prints when it is done
        {'train_runtime': ...}
        >>> watching.audit["class_accuracy"].tables["class_accuracy"]["test_count"].tolist()
        [9, 3]
    """

    @checked(every=whole(1))
    def __init__(
        self,
        trainer: Any,
        *,
        every: int = 1,
        log: Any | None = None,
        lenses: Sequence[str] | None = LENSES,
        figures: bool = True,
        report: bool = False,
        out: str | Path | None = None,
        **capture_options: Any,
    ) -> None:
        self.audit: Audit | None = None
        self._trainer, self._every, self._log = trainer, every, log
        self._out = None if out is None else Path(out)
        self._given = {"lenses": lenses, **capture_options}
        self._logged = {"figures": figures, "report": report}

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Audit, on the first process alone."""
        epoch = round(state.epoch)
        if not state.is_world_process_zero or (epoch % self._every and epoch < state.num_train_epochs):
            return
        found = audit_now(self._trainer, train=None, **self._given)
        for log in [*_reported(self._trainer), *([] if self._log is None else [self._log])]:
            log_audit(found, log, step=state.global_step, **self._logged)
        if self._out is not None:
            found.save(self._out / f"epoch-{epoch:04d}", force=True)
        self.audit = found


def _reported(trainer: Any) -> list[Any]:
    """Clients of the trackers that the trainer's own callbacks report to."""
    found: list[Any] = []
    for callback in trainer.callback_handler.callbacks:
        kind = type(callback).__name__
        if kind == "TensorBoardCallback":
            found.append(callback.tb_writer)
        elif kind == "MLflowCallback":
            found.append(import_module("mlflow").active_run())
        elif kind == "WandbCallback":
            found.append(import_module("wandb").run)
        elif kind == "CometCallback":
            found.append(import_module("comet_ml").get_running_experiment())
    return [client for client in found if client is not None]
