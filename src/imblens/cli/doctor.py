"""imblens doctor: what is installed, and what each extra would add; a block to paste into a bug report."""

from __future__ import annotations

import os
import platform

import typer

from imblens.cli._shared import Json, emit, examples

EXAMPLES = examples("imblens doctor", "imblens doctor --json")

NEEDED = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "imbalanced-learn",
    "altair",
    "vl-convert-python",
    "torch",
    "captum",
)
EXTRAS = {
    "train": (("lightning", "kornia"), "imblens train, imblens demo"),
    "hub": (("datasets",), "public sets through Hugging Face (--hub)"),
    "ray": (("ray",), "imblens audit --engine ray"),
    "tensorboard": (("tensorboard",), "logs of audits during training that TensorBoard shows"),
    "approximate": (("pynndescent",), "approximate neighbours above 300,000 instances"),
}
CHECKS = ("faiss-cpu",)  # the tests compare with it; imblens itself does not need it
LIBRARIES = ("timm", "torchvision", "transformers")


def command(
    as_json: bool = Json, device: bool = typer.Option(True, help="Ask torch for its device (loads torch).")
) -> None:
    """Say what is installed here, and what each extra adds: a block to paste into a bug report."""
    from imblens import __version__

    found: dict[str, object] = {
        "imblens": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
    }
    for package in NEEDED:
        found[package] = _version(package)
    adds = {package: f"; pip install 'imblens[{extra}]' adds it" for extra, (of, _) in EXTRAS.items() for package in of}
    adds |= dict.fromkeys(CHECKS, "; only the tests of imblens use it")
    for package in adds:
        found[package] = _version(package)
    for extra, (packages, use) in EXTRAS.items():
        missing = [package for package in packages if _version(package) is None]
        state = "installed" if not missing else f"missing {', '.join(missing)}"
        add = f"; add it with: pip install 'imblens[{extra}]'" if missing else ""
        found[f"[{extra}]"] = f"{state}: {use}{add}"
    there = [f"{library} {version}" for library in LIBRARIES if (version := _version(library))]
    found["networks by name"] = f"{', '.join(there) or 'none'}; of {', '.join(LIBRARIES)}, each with pip install NAME"
    if device:
        import torch

        found["torch device"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    emit(
        found,
        [
            *(f"{key}: {value or 'not installed' + adds.get(key, '')}" for key, value in found.items()),
            "next: imblens demo",
        ],
        as_json=as_json,
    )


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
