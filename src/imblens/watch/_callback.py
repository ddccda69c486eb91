"""Audits at the end of epochs, logged where the training logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
from torch import nn

from imblens.base.arguments import checked, whole
from imblens.report import Audit
from imblens.watch._now import LENSES, audit_now, log_audit


class AuditCallback(lightning.Callback):
    """Audit the network every so many epochs, and log every class's figures through the trainer's loggers.

    Args:
        train: what the network is trained on, without augmentation, as `imblens.capture` takes it.
        test: what it is judged on while training: a validation split, not the test split of a paper.
        classes: C names.
        every: epochs between two audits; the last epoch is always audited.
        network: from the Lightning module to the network; by default its attribute `model`, `net` or `network`, else itself.
        lenses: names; all when None.
        figures: log charts too, where a logger takes images.
        report: log the report too, where a logger takes files.
        out: folder for a report of each audit, in epoch-NNNN; none are written without.
        capture_options: of `imblens.capture`.

    Attributes:
        audit: the latest one, or None.

    Example:
        >>> import torch
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> from imblens.training import quiet_lightning
        >>> class Mine(lightning.LightningModule):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.model = torch.nn.Linear(2, 2)
        ...     def training_step(self, batch, _):
        ...         return torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        ...     def configure_optimizers(self):
        ...         return torch.optim.SGD(self.parameters(), lr=0.1)
        >>> data = TensorDataset(torch.eye(2).repeat(20, 1), torch.arange(2).repeat(20))
        >>> watching = AuditCallback(train=data, test=data, classes=["cat", "dog"], every=5)
        >>> quiet = dict(logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
        >>> trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", callbacks=[watching], **quiet)
        >>> with quiet_lightning():
        ...     trainer.fit(Mine(), DataLoader(data, batch_size=8))
        >>> watching.audit["class_accuracy"].tables["class_accuracy"]["class"].tolist()
        ['cat', 'dog']
    """

    @checked(every=whole(1))
    def __init__(
        self,
        train: Any,
        test: Any | None = None,
        *,
        classes: Sequence[str] | None = None,
        every: int = 1,
        network: Callable[[lightning.LightningModule], nn.Module] | None = None,
        lenses: Sequence[str] | None = LENSES,
        figures: bool = True,
        report: bool = False,
        out: str | Path | None = None,
        **capture_options: Any,
    ) -> None:
        self.audit: Audit | None = None
        self._every, self._network = every, network or _network
        self._logged = {"figures": figures, "report": report}
        self._out = None if out is None else Path(out)
        self._given = {"train": train, "test": test, "classes": classes, "lenses": lenses, **capture_options}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Audit, on the first process alone."""
        epoch = trainer.current_epoch + 1
        if not trainer.is_global_zero or (epoch % self._every and epoch != trainer.max_epochs):
            return
        found = audit_now(self._network(pl_module), **self._given)
        for logger in trainer.loggers:
            log_audit(found, logger, step=trainer.global_step, **self._logged)
        if self._out is not None:
            found.save(self._out / f"epoch-{epoch:04d}", force=True)
        self.audit = found


def _network(module: lightning.LightningModule) -> nn.Module:
    for name in ("model", "net", "network"):
        found = getattr(module, name, None)
        if isinstance(found, nn.Module):
            return found
    return module
