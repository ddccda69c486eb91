"""Running a Lightning module: its devices, no files or messages of Lightning's own, Ctrl-C as Python raises it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from imblens.training._ranks import world


class _Interrupt(lightning.Callback):
    """Records whether the user stopped the training."""

    pressed = False

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Record it."""
        self.pressed = isinstance(exception, KeyboardInterrupt)


def fit(
    module: lightning.LightningModule,
    batches: Iterable[Any],
    validation: Iterable[Any] | None = None,
    *,
    epochs: int = 1,
    callbacks: Sequence[lightning.Callback] = (),
    plugins: Sequence[Any] = (),
    checkpoint: Path | None = None,
    **options: Any,
) -> None:
    """Train a module on a GPU where there is one, else on the CPU.

    Args:
        module: what is trained.
        batches, validation: of an epoch.
        epochs: how many.
        callbacks, plugins: of Lightning.
        checkpoint: where to resume, or None.
        options: of `lightning.pytorch.Trainer`.

    Raises:
        KeyboardInterrupt: the user stopped it.
    """
    interrupt = _Interrupt()
    gpu = torch.cuda.is_available()
    if world() > 1:
        options["strategy"] = DDPStrategy(
            process_group_backend="nccl" if gpu else "gloo", find_unused_parameters=True, broadcast_buffers=gpu
        )
        options |= {"use_distributed_sampler": False, "sync_batchnorm": gpu}
    trainer = lightning.Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=world(),
        max_epochs=epochs,
        callbacks=[*callbacks, interrupt],
        plugins=[LightningEnvironment(), *plugins],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    try:
        trainer.fit(module, batches, validation, ckpt_path=checkpoint)
    except SystemExit:  # Lightning turns Ctrl-C into this
        if not interrupt.pressed:
            raise
    if interrupt.pressed:
        raise KeyboardInterrupt
