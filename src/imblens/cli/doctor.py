"""imblens doctor: which packages are installed, and what each extra adds; for example for a bug report."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from typing import Any

import typer

from imblens.base.extras import EXTRAS, missing_packages
from imblens.base.memory import lies_in_memory
from imblens.base.versions import IMBLENS, version_of
from imblens.cli._project import described
from imblens.cli._shared import Json, emit, examples

EXAMPLES = examples("imblens doctor", "imblens doctor --json")
NEEDED = ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "imbalanced-learn", "altair", "vl-convert-python")
NETWORK_LIBRARIES = ("timm", "torchvision", "transformers")


def command(
    context: typer.Context = None,  # type: ignore[assignment]  # given by Typer
    as_json: bool = Json,
    device: bool = typer.Option(True, help="Report the device that torch uses (loads torch)."),
) -> None:
    """List installed versions and what each extra adds, for example for a bug report."""
    report: dict[str, object] = {
        "imblens": IMBLENS,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "temporary files": _temporary_files(),
        **{package: version_of(package) for package in NEEDED},
    }
    for name, extra in EXTRAS.items():
        for package in extra.packages:
            report[package] = version_of(package) or f"not installed; pip install 'imblens[{name}]' adds it"
    for name, extra in EXTRAS.items():
        missing = missing_packages(name)
        state = f"missing {', '.join(missing)}" if missing else "installed"
        hint = f"; add it with: pip install 'imblens[{name}]'" if missing else ""
        report[f"[{name}]"] = f"{state}: {extra.purpose}{hint}"
    found = [f"{library} {version}" for library in NETWORK_LIBRARIES if (version := version_of(library))]
    report["network libraries"] = f"{', '.join(found) or 'none'} (of {', '.join(NETWORK_LIBRARIES)})"
    if device and not missing_packages("torch"):
        import torch

        report["torch device"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    if context is not None:
        group: Any = context.parent
        report.update(described(group.command.commands, group))
    lines = [f"{key}: {value or 'not installed'}" for key, value in report.items()]
    emit(report, [*lines, f"next: {_next()}"], as_json=as_json)


def _temporary_files() -> str:
    """Where large arrays are kept during a command, and whether that is memory."""
    folder = tempfile.gettempdir()
    free = f"{folder}, {shutil.disk_usage(folder).free / 1e9:.1f} GB free"
    return f"{free}; it lies in memory (tmpfs): set TMPDIR to a folder on a disk" if lies_in_memory(folder) else free


def _next() -> str:
    """A first command that works with what is installed."""
    if missing_packages("torch"):
        return "imblens audit ARRAYS.npz"
    return "imblens capture DATA --model FILE.py:FACTORY --out RUN" if missing_packages("train") else "imblens demo"
