"""One audit of a network as it is now, and its figures for whatever keeps them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.comparison import SUMMARY
from imblens.errors import InputError
from imblens.lenses import class_measures
from imblens.report import Audit, audit

if TYPE_CHECKING:
    import torch

LENSES = ("class_accuracy", "archetypes", "adversaries", "generalization_gap", "calibration")
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
        log: where figures go: a Lightning logger, a TensorBoard `SummaryWriter`, or a function
            `(metrics: dict[str, float], step: int)`.
        step: the number they are logged under.
        figures: whether charts are logged too, where `log` takes images.
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

    _sender(log)  # refuse what cannot be logged to before the work
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
        log_audit(found, log, step=step, figures=figures)
    return found


def log_audit(found: Audit, log: Any, *, step: int = 0, figures: bool = True) -> None:
    """Log an audit's `class_metrics`, and its charts where `log` takes images; see `audit_now` for what `log` can be."""
    _sender(log)(class_metrics(found), step)
    if figures:
        _log_images(found, log, step)


def class_metrics(found: Audit) -> dict[str, float]:
    """Numbers of an audit by name: `imblens/balanced_accuracy`, `imblens/accuracy/CLASS`, `imblens/safe_share/CLASS`, ...

    What is undefined is left out.
    """
    metrics: dict[str, float] = {}
    accuracy = found.findings.get("class_accuracy")
    if accuracy is not None:
        metrics |= {f"imblens/{key}": accuracy.summary[key] for key in SUMMARY if accuracy.summary.get(key) is not None}
    for name, found_measure in class_measures(found.findings).items():
        for label, value in found_measure.values.items():
            if math.isfinite(value):
                metrics[f"imblens/{name}/{label}"] = float(value)
    return metrics


def _sender(log: Any) -> Any:
    if log is None:
        return lambda metrics, step: None
    if hasattr(log, "log_metrics"):  # Lightning's loggers
        return lambda metrics, step: log.log_metrics(metrics, step=step)
    if hasattr(log, "add_scalar"):  # TensorBoard's writer

        def write(metrics: dict[str, float], step: int) -> None:
            for name, value in metrics.items():
                log.add_scalar(name, value, step)

        return write
    if callable(log):
        return log
    raise InputError(
        f"log is a {type(log).__name__}, which takes no metrics.",
        hint="Give a Lightning logger, a SummaryWriter, or a function (metrics, step).",
    )


def _log_images(found: Audit, log: Any, step: int) -> None:
    """Charts, where the logger takes images: TensorBoard's writer, alone or inside a logger, or `log_image`."""
    writer = log if hasattr(log, "add_image") else None
    if writer is None and hasattr(log, "log_metrics"):
        writer = log.experiment if hasattr(log.experiment, "add_image") else None
    if writer is None and not hasattr(log, "log_image"):
        return
    from PIL import Image

    from imblens.report import figures

    for (_, chart), figure in figures(found).items():
        if chart not in FIGURES:
            continue
        pixels = np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))
        if writer is not None:
            writer.add_image(f"imblens/{chart}", pixels, step, dataformats="HWC")
        else:
            log.log_image(key=f"imblens/{chart}", images=[pixels], step=step)
