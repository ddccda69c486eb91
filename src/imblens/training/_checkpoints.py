"""Checkpoints as Lightning writes and reads them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.plugins.io import CheckpointIO

from imblens.base.files import write_bytes
from imblens.training._files import LAST, read_checkpoint


class WholeCheckpoints(CheckpointIO):
    """Writes beside the target, flushes, renames; reads tensors and plain values only, never a pickle of code.

    Lightning's own writes to the system's temporary folder, which may be another disk, where moving is copying.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint to the CPU."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


class KeepLast(lightning.Callback):
    """Write `checkpoints/last.ckpt` after each epoch. No best epoch is selected: the last one counts."""

    def __init__(self, out: Path) -> None:
        self.path = out / LAST

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write."""
        trainer.save_checkpoint(self.path)
