"""One line per epoch, a bar for the running one, and log.csv."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.files import write_bytes
from imblens.errors import ImblensError
from imblens.training._module import Fitting


class EpochLog(lightning.Callback):
    """Records and shows the metrics of each epoch, of the validation split where there is one, else of training batches.

    Args:
        out: where log.csv is written.
        rare: (n,) the classes that the rare metric is the mean over; none where all are equally frequent.
        labels: names of labels that get a column each, after the others; none for single-label sets.
        show: whether to print, to stderr.
    """

    def __init__(self, out: Path, rare: NDArray[np.int64], labels: Sequence[str] = (), *, show: bool) -> None:
        self.rows: list[dict[str, Any]] = []
        self._path, self._rare, self._labels, self._show = out / "log.csv", rare, tuple(labels), show
        self._validated = False
        self._bar: Any = None
        self._started = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the epochs of a checkpoint."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, and the bar on a terminal."""
        self._started = time.monotonic()
        self._validated = False
        if self._show and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            text = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self._bar.add_task(text, total=trainer.num_training_batches)
            self._bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Record that the validation split is counted from here on."""
        self._validated = True

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the epoch's row, write log.csv, print the line."""
        assert isinstance(pl_module, Fitting)
        self._stop_bar()
        tally = pl_module.tally
        values = tally.values()
        row = {
            "epoch": trainer.current_epoch + 1,
            "loss": pl_module.mean_loss(),
            "split": "val" if self._validated else "train",
            tally.mean: _mean(values),
            f"rare_{tally.metric}": _mean(values[self._rare]),
            "lr": pl_module.lr,
            "seconds": round(time.monotonic() - self._started, 2),
            **{f"{tally.metric}: {name}": float(values[c]) for c, name in enumerate(self._labels)},
        }
        if not math.isfinite(pl_module.mean_loss()):
            raise ImblensError(
                f"the training diverged: the loss is {row['loss']} in epoch {row['epoch']}.",
                hint="Try a smaller learning rate (another --schedule) or a larger --batch-size.",
            )
        self.rows.append(row)
        if trainer.is_global_zero:
            write_bytes(self._path, self.frame().to_csv(index=False).encode())
        if self._show:
            print(epoch_line(self.rows, int(trainer.max_epochs or 0)), file=sys.stderr, flush=True)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Remove the bar."""
        self._stop_bar()

    def frame(self) -> pd.DataFrame:
        """Return the epochs so far as a table."""
        return pd.DataFrame(self.rows)

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


_SHOWN = (("balanced_accuracy", "bal.acc", "rare_accuracy"), ("auroc", "AUROC", "rare_auroc"))


def epoch_line(rows: list[dict[str, Any]], epochs: int) -> str:
    """Return the line of the last epoch.

    >>> row = {"epoch": 12, "loss": 0.413, "split": "val", "balanced_accuracy": 0.6551, "rare_accuracy": 0.47}
    >>> epoch_line([{**row, "lr": 0.1, "seconds": 38.0}], 200)
    'epoch 12/200  loss 0.413  val bal.acc .655  rare .470  lr .1  38 s  ETA 1h59'
    """
    row = rows[-1]
    mean, short, rare = next(names for names in _SHOWN if names[0] in row)
    left = (epochs - row["epoch"]) * float(np.mean([r["seconds"] for r in rows[-5:]]))
    parts = [
        f"epoch {row['epoch']}/{epochs}",
        f"loss {row['loss']:.3g}",
        f"{row['split']} {short} {_share(row[mean])}",
        f"rare {_share(row[rare])}" if not math.isnan(row[rare]) else "",
        f"lr {row['lr']:.2g}".replace(" 0.", " ."),
        _clock(row["seconds"]),
        f"ETA {_clock(left)}" if row["epoch"] < epochs else "",
    ]
    return "  ".join(part for part in parts if part)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}".removeprefix("0")


def _clock(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes}m{whole % 60:02d}" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}"
