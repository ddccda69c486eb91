"""Real trainings and the trackers' own clients: numbers, charts and reports arrive, whatever the classes are called.

MLflow, Weights & Biases and Comet are tested where they are installed, without a network; `make peers` installs them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from imblens import Audit, audit
from imblens.errors import InputError
from imblens.watch import class_metrics, log_audit, metric_names
from tests.lenses.made import make_run

torch = pytest.importorskip("torch")

NAMES = ("cat (tabby)", "a/b, c", "\U0001f600", "a b c", "dune")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the trackers' own


@pytest.fixture(scope="module")
def found() -> Audit:
    return audit(make_run(names=NAMES), lenses=["class_accuracy", "archetypes"])


def test_tensorboard(found, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        for step in (3, 7):
            log_audit(found, writer, step=step, report=True)
    events = EventAccumulator(str(tmp_path)).Reload()
    for name, value in class_metrics(found).items():
        assert [point.step for point in events.Scalars(name)] == [3, 7]
        assert events.Scalars(name)[0].value == pytest.approx(value)
    assert "imblens/class_accuracy" in events.Tags()["images"]
    verdict = events.Tensors("imblens/verdict/text_summary")[0].tensor_proto.string_val[0].decode()
    assert found.verdict()[0] in verdict


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'runs.db'}")
    mlflow.create_experiment("imblens", artifact_location=tmp_path_factory.mktemp("artifacts").as_uri())
    mlflow.set_experiment("imblens")
    return mlflow


def test_mlflow(found, client):
    with client.start_run() as run:
        log_audit(found, client, step=3, report=True)
        log_audit(found, run, step=7)
    kept = client.MlflowClient()
    assert client.MlflowClient().get_run(run.info.run_id).data.metrics == pytest.approx(class_metrics(found))
    accuracy = f"imblens/accuracy/{metric_names(NAMES)[0]}"
    assert [point.step for point in kept.get_metric_history(run.info.run_id, accuracy)] == [3, 7]
    files = {file.path for file in kept.list_artifacts(run.info.run_id, "imblens/report/step-00000003")}
    assert {"imblens/report/step-00000003/report.html", "imblens/report/step-00000003/classes.json"} <= files
    path = kept.download_artifacts(run.info.run_id, "imblens/report/step-00000003/classes.json")
    assert list(json.loads(Path(path).read_text(encoding="utf-8")).values()) == list(NAMES)
    assert kept.list_artifacts(run.info.run_id, "imblens/class_accuracy")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of MLflow over HTTP: it checks names by itself, and passes artefacts on. Its address and its folder."""
    if os.name == "nt":
        pytest.skip("the server and its workers are ended as a group of processes")
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    pytest.importorskip("mlflow.server", reason="only mlflow-skinny is installed")
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]
    with open(folder / "server.txt", "w") as said:
        started = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words], stdout=said, stderr=said, start_new_session=True
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", started)
        yield f"http://127.0.0.1:{port}", folder / "files"
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(60)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(1800):  # a loaded machine needs minutes
        assert server.poll() is None
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{address} does not answer")


def test_wandb(found, tmp_path):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    with wandb.init(mode="offline", dir=tmp_path, project="imblens", settings=wandb.Settings(console="off")) as run:
        run.log({"loss": 1.0}, step=50)
        log_audit(found, run, step=3, report=True)
        kept = dict(run.summary)
    metrics = class_metrics(found)
    assert {name: kept[name] for name in metrics} == pytest.approx(metrics) and kept["imblens/step"] == 3
    assert kept["imblens/class_accuracy"]["_type"] == "image-file"
    with pytest.raises(InputError, match="no run is active"):
        log_audit(found, wandb)


def test_comet(found, tmp_path):
    comet = pytest.importorskip("comet_ml", reason="comet_ml is not installed")
    experiment = comet.OfflineExperiment(
        offline_directory=str(tmp_path), api_key="none", log_code=False, log_git_metadata=False
    )
    log_audit(found, experiment, step=3, report=True)
    experiment.end()
    with zipfile.ZipFile(next(tmp_path.glob("*.zip"))) as archive:
        messages = [json.loads(line) for line in archive.read("messages.json").decode().splitlines()]
    logged = {
        message["payload"]["metric"]["metricName"]: float(message["payload"]["metric"]["metricValue"])
        for message in messages
        if message["payload"].get("metric")
    }
    metrics = class_metrics(found)
    assert {name: logged[name] for name in metrics} == pytest.approx(metrics)
    files = [message["payload"].get("additional_params", {}).get("fileName") for message in messages]
    assert "imblens-report/report.html" in files and "imblens-report/classes.json" in files


def test_functions_get_numbers_only(found):
    kept = []
    log_audit(found, lambda metrics, step: kept.append((step, metrics)), step=5, report=True)
    assert kept == [(5, class_metrics(found))]


@pytest.mark.parametrize("log", [3, "mlflow", ModuleType("json"), SimpleNamespace(log=print)])
def test_what_is_no_tracker_is_refused(found, log):
    with pytest.raises(InputError, match="takes no metrics"):
        log_audit(found, log)


@pytest.mark.slow
def test_a_real_training_reaches_a_server_of_mlflow_and_tensorboard(server, tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")
    from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from imblens.watch import AuditCallback
    from tests.watch.test_watch import fitted

    mlflow, (address, files) = pytest.importorskip("mlflow"), server
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (40, 15, 6))
    inputs = torch.tensor(rng.normal(size=(61, 5)) + labels[:, None], dtype=torch.float32)
    data = (inputs, torch.tensor(labels))
    logger = MLFlowLogger("imblens", tracking_uri=address)
    watching = AuditCallback(train=data, test=data, classes=NAMES[:3], report=True, figures=False)
    fitted(data, [watching], [logger, TensorBoardLogger(tmp_path)], epochs=2)
    assert lightning.__version__
    metrics = class_metrics(watching.audit)
    client = mlflow.MlflowClient(address)
    kept = client.get_run(logger.run_id).data.metrics
    assert {name: kept[name] for name in metrics} == pytest.approx(metrics)
    accuracy = client.get_metric_history(logger.run_id, f"imblens/accuracy/{metric_names(NAMES)[0]}")
    assert len(accuracy) == 2
    assert client.list_artifacts(logger.run_id, "imblens/report") and len(list(files.rglob("report.html"))) == 2
    events = EventAccumulator(str(next(tmp_path.rglob("events.out*")).parent)).Reload()
    assert set(metrics) <= set(events.Tags()["scalars"]) and len(events.Scalars("imblens/balanced_accuracy")) == 2
