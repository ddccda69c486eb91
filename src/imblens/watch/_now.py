"""One audit of a network during training, and its measures and charts for a tracker."""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from imblens.base.files import write_text
from imblens.comparison import SUMMARY
from imblens.lenses import class_measures
from imblens.report import Audit, audit
from imblens.watch._trackers import Tracker, tracker

if TYPE_CHECKING:
    import torch

LENSES = ("class_accuracy", "archetypes", "adversaries", "generalization_gap", "calibration")
LONGEST = 80  # characters of a class in a name; MLflow takes 250 in all
FIGURES = ("class_accuracy", "archetypes", "confusion")


def audit_now(
    model: torch.nn.Module,
    *,
    train: Any,
    test: Any | None = None,
    classes: Sequence[str] | None = None,
    lenses: Sequence[str] | None = LENSES,
    log: Any | None = None,
    step: int = 0,
    figures: bool = True,
    report: bool = False,
    **capture_options: Any,
) -> Audit:
    """Capture a network in the middle of its training, audit it, and log a number for each class and measure.

    The network, its mode and every random state are left as found, so a training takes the same steps with and without.

    Args:
        model: the network; its decision is a last `torch.nn.Linear`.
        train: what it is trained on, without augmentation, as `imblens.capture` takes it.
        test: what it is judged on; while training, a validation split.
        classes: C names.
        lenses: names; all when None, which takes longer.
        log: where numbers go: a function `(metrics: dict[str, float], step: int)`, a Lightning logger, a TensorBoard
            `SummaryWriter`, the module mlflow or a run of it, a run of Weights & Biases, or an experiment of Comet.
        step: the number they are logged under.
        figures: whether charts are logged too, where `log` takes images.
        report: whether the report is logged too, where `log` takes files.
        capture_options: of `imblens.capture`, such as `preprocessing`, `layer` or `batch_size`.

    Returns:
        The audit.

    Raises:
        InputError: `log` is none of these, or the network or the data cannot be captured.

    Example:
        >>> import numpy as np, torch
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> inputs, labels = torch.randn(40, 3), [0] * 30 + [1] * 10
        >>> kept = {}
        >>> found = audit_now(network, train=(inputs, labels), test=(inputs, labels), log=lambda m, step: kept.update(m))
        >>> sorted(kept)[:3]
        ['imblens/accuracy', 'imblens/accuracy/0', 'imblens/accuracy/1']
    """
    from imblens.extraction import capture

    tracker(log)  # refuse what cannot be logged to before the work
    options = {
        "colours": False,
        "shortcuts": False,
        "thumbnails": False,
        "previews": False,
        "alignment": False,
        "concepts": None,
        **capture_options,
    }
    run = capture(model, train=train, test=test, classes=classes, **options)
    found = audit(run, lenses=lenses)
    if log is not None:
        log_audit(found, log, step=step, figures=figures, report=report)
    return found


def log_audit(found: Audit, log: Any, *, step: int = 0, figures: bool = True, report: bool = False) -> None:
    """Log an audit's `class_metrics`, its charts where `log` takes images, and its report as files where it takes files.

    MLflow, Weights & Biases and Comet get the folder that `Audit.save` writes, and classes.json, which states the class of
    every name in a metric; TensorBoard takes no files and gets the verdict as text.

    Args:
        found: the audit.
        log: as for `audit_now`.
        step: the number under which all is logged.
        figures: whether to log charts.
        report: whether to log the report.

    Raises:
        InputError: `log` is none of these.

    Example:
        >>> import numpy as np, imblens
        >>> y, kept = np.repeat([0, 1], [30, 10]), {}
        >>> run = imblens.Run.from_arrays(train=(np.eye(2)[y], y), test=(np.eye(2)[y], y, np.eye(2)[y]))
        >>> log_audit(imblens.audit(run, lenses="class_accuracy"), lambda metrics, step: kept.update(metrics), step=3)
        >>> kept["imblens/balanced_accuracy"]
        1.0
    """
    where = tracker(log)
    where.metrics(class_metrics(found), step)
    if figures and not isinstance(log, (FunctionType, MethodType)):
        _log_images(found, where, step)
    if report:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "imblens-report"  # trackers show the name
            found.save(folder, figures=False)
            names = dict(zip(metric_names(found.run.classes), found.run.classes, strict=True))
            write_text(folder / "classes.json", json.dumps(names, ensure_ascii=False, indent=1) + "\n")
            where.report(folder, "\n\n".join(found.verdict()), step)


def class_metrics(found: Audit) -> dict[str, float]:
    """Numbers of an audit by name: `imblens/balanced_accuracy`, `imblens/accuracy/CLASS`, `imblens/safe_share/CLASS`, ...

    CLASS is the class's name as `metric_names` writes it. What is undefined is left out.

    Example:
        >>> import numpy as np, imblens
        >>> y = np.repeat([0, 1], [30, 10])
        >>> run = imblens.Run.from_arrays(train=(np.eye(2)[y], y), test=(np.eye(2)[y], y, np.eye(2)[y]), classes=["a b", "c/d"])
        >>> metrics = class_metrics(imblens.audit(run, lenses="class_accuracy"))
        >>> [name for name in metrics if "accuracy/" in name]
        ['imblens/accuracy/a_b', 'imblens/accuracy/c_d']
    """
    metrics: dict[str, float] = {}
    accuracy = found.findings.get("class_accuracy")
    if accuracy is not None:
        metrics |= {f"imblens/{key}": accuracy.summary[key] for key in SUMMARY if accuracy.summary.get(key) is not None}
    names = dict(zip(found.run.classes, metric_names(found.run.classes), strict=True))
    for name, found_measure in class_measures(found.findings).items():
        for label, value in found_measure.values.items():
            if math.isfinite(value):
                metrics[f"imblens/{name}/{names[label]}"] = float(value)
    return metrics


def _log_images(found: Audit, where: Tracker, step: int) -> None:
    from imblens.report import figures

    for (_, chart), figure in figures(found).items():
        if chart in FIGURES:
            where.image(f"imblens/{chart}", np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB")), step)


def metric_names(classes: Sequence[str]) -> list[str]:
    """Return a name for each class that can be part of a metric's name in MLflow, TensorBoard, W&B and Comet.

    Letters, digits, "_", "." and "-" of ASCII stay, accents are dropped, anything else becomes "_": MLflow refuses
    parentheses and commas, and treats a slash as a folder; Lightning's logger for it removes other letters. Classes that
    would share a name, or have none left, get their number. Case does not distinguish names, since some disks ignore it.

    Args:
        classes: C different names.

    Returns:
        C different names, in the same order.

    Example:
        >>> metric_names(["cat", "café (Paris)", "a/b", "a b", "\U0001f600"])
        ['cat', 'cafe_Paris', 'a_b.2', 'a_b.3', 'class.4']
    """
    cleaned = [_clean(name) or f"class.{number}" for number, name in enumerate(classes)]
    keys = [name.casefold() for name in cleaned]
    counts = Counter(keys)
    unchanged: dict[str, int] = {}  # the first class of a name that needs no change keeps it
    for number, (key, name, own) in enumerate(zip(keys, cleaned, classes, strict=True)):
        if name == own:
            unchanged.setdefault(key, number)
    taken = {*unchanged, *(key for key in keys if counts[key] == 1)}
    for number, key in enumerate(keys):
        if counts[key] > 1 and unchanged.get(key) != number:
            name = f"{cleaned[number]}.{number}"
            while name.casefold() in taken:
                name += "_"
            taken.add(name.casefold())
            cleaned[number] = name
    return cleaned


def _clean(name: str) -> str:
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return re.sub("[^A-Za-z0-9_.-]+", "_", plain).strip("_.-")[:LONGEST].strip("_.-")
