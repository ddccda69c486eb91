"""Where metrics, charts and reports go: loggers of Lightning, TensorBoard, MLflow, Weights & Biases, Comet, or a function.

Each is used through its own client, which the user passes in; none is imported before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError

AT_ONCE = 1000  # metrics that MLflow takes in one request
HINT = (
    "Give a function (metrics, step), a Lightning logger, a SummaryWriter, the module mlflow or a run of it, a run of "
    "Weights & Biases, or an experiment of Comet."
)


class Tracker(Protocol):
    """What takes an audit's numbers, charts and files; what a tracker cannot take it leaves out."""

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log numbers by name."""

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Log an image, (H, W, 3)."""

    def report(self, folder: Path, verdict: str, step: int) -> None:
        """Keep the files of a report; `verdict` is its first lines, for trackers that take text only."""


def tracker(log: Any) -> Tracker:
    """Return the tracker that a user's object means.

    Raises:
        InputError: it is none that is known.
    """
    package = getattr(log, "__name__", None) if _is_module(log) else type(log).__module__.split(".")[0]
    if log is None:
        return _Function(lambda metrics, step: None)
    if hasattr(log, "log_metrics") and hasattr(log, "experiment"):  # loggers of Lightning
        return _Lightning(log)
    if hasattr(log, "add_scalar"):  # writers of TensorBoard
        return _TensorBoard(log)
    if package == "mlflow":
        return _MLflow(_mlflow_run(log))
    if package == "wandb" and hasattr(log, "log_artifact") and hasattr(log, "define_metric"):
        return _WandB(_wandb_run(log))
    if package == "comet_ml" and hasattr(log, "log_asset_folder"):
        return _Comet(log)
    if callable(log) and not _is_module(log):
        return _Function(log)
    what = f"the module {package}" if _is_module(log) else f"a {type(log).__name__}"
    raise InputError(f"log is {what}, which takes no metrics.", hint=HINT)


class _Function:
    def __init__(self, function: Callable[[dict[str, float], int], Any]) -> None:
        self._function = function

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._function(dict(metrics), step)

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        pass

    def report(self, folder: Path, verdict: str, step: int) -> None:
        pass


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        if hasattr(self._writer, "add_image"):
            self._writer.add_image(name, pixels, step, dataformats="HWC")

    def report(self, folder: Path, verdict: str, step: int) -> None:
        if hasattr(self._writer, "add_text"):
            self._writer.add_text("imblens/verdict", verdict, step)


class _MLflow:
    def __init__(self, run_id: str, client: Any = None) -> None:
        from mlflow import MlflowClient

        self._client, self._run = client or MlflowClient(), run_id

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [Metric(name, value, now, step) for name, value in metrics.items()]
        for start in range(0, len(found), AT_ONCE):
            self._client.log_batch(self._run, metrics=found[start : start + AT_ONCE])

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        self._client.log_image(self._run, pixels, artifact_file=f"{name}/step-{step:08d}.png")

    def report(self, folder: Path, verdict: str, step: int) -> None:
        self._client.log_artifacts(self._run, str(folder), f"imblens/report/step-{step:08d}")


class _WandB:
    def __init__(self, run: Any) -> None:
        self._run = run
        run.define_metric("imblens/step", hidden=True)  # its own axis: the run's steps must never go back
        run.define_metric("imblens/*", step_metric="imblens/step")

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log({**metrics, "imblens/step": step})

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        from wandb import Image

        self._run.log({name: Image(pixels), "imblens/step": step})

    def report(self, folder: Path, verdict: str, step: int) -> None:
        from wandb import Artifact

        artifact = Artifact(
            f"imblens-report-{self._run.id}", type="report", metadata={"step": step}, description=verdict
        )
        artifact.add_dir(str(folder))
        self._run.log_artifact(artifact)


class _Comet:
    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._experiment.log_metrics(dict(metrics), step=step)

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        self._experiment.log_image(pixels, name=name, step=step)

    def report(self, folder: Path, verdict: str, step: int) -> None:
        self._experiment.log_text(verdict, step=step)
        self._experiment.log_asset_folder(str(folder), step=step, log_file_name=True, recursive=True)


class _Lightning:
    """A logger of Lightning: numbers through the logger, the rest through the client that it holds."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._logger.log_metrics(dict(metrics), step=step)

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        inside = self._inside()
        if inside is not None:
            inside.image(name, pixels, step)
        elif hasattr(self._logger, "log_image"):
            self._logger.log_image(key=name, images=[pixels], step=step)

    def report(self, folder: Path, verdict: str, step: int) -> None:
        inside = self._inside()
        if inside is not None:
            inside.report(folder, verdict, step)

    def _inside(self) -> Tracker | None:
        client = self._logger.experiment
        if type(client).__name__ == "MlflowClient":
            return _MLflow(self._logger.run_id, client)
        try:
            return tracker(client)
        except InputError:
            return None


def _is_module(value: Any) -> bool:
    return type(value).__name__ == "module"


def _mlflow_run(log: Any) -> str:
    """The id of a run, or of the active one (started where there is none, as `mlflow.log_metric` does)."""
    info = getattr(log, "info", None)
    if info is not None and hasattr(info, "run_id"):
        return str(info.run_id)
    if _is_module(log):
        return str((log.active_run() or log.start_run()).info.run_id)
    raise InputError(
        f"log is a {type(log).__name__} of mlflow, which belongs to no run.",
        hint="Give the module mlflow, or what mlflow.start_run() returns.",
    )


def _wandb_run(log: Any) -> Any:
    """A run, or the active one of the module."""
    run = log.run if _is_module(log) else log
    if run is None:
        raise InputError("log is the module wandb, and no run is active.", hint="Call wandb.init(...) first.")
    return run
