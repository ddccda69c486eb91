"""The optional extras of imblens: which packages each brings, what for, and what to install when one is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from imblens.errors import DependencyError


class Extra(NamedTuple):
    """Packages of an extra (as imported) and what it is for."""

    packages: tuple[str, ...]
    purpose: str


EXTRAS: dict[str, Extra] = {
    "torch": Extra(("torch", "numba"), "imblens.capture, install: reading networks and writing heads back"),
    "train": Extra(("torch", "numba", "lightning", "kornia"), "imblens train, imblens demo"),
    "approximate": Extra(("pynndescent",), "approximate neighbours above 300,000 instances"),
    "hub": Extra(("datasets",), "public data sets through Hugging Face (--hub)"),
    "ray": Extra(("ray",), "imblens audit --engine ray"),
    "remote": Extra(("fsspec",), "runs in object storage: s3://, gs:// (with s3fs, gcsfs)"),
    "lance": Extra(("lance",), "tables in Lance format"),
    "tensorboard": Extra(("tensorboard",), "audits during training in TensorBoard"),
}


def missing_packages(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed."""
    return [package for package in EXTRAS[extra].packages if find_spec(package) is None]


def require(extra: str, what: str) -> None:
    """Refuse work for which packages of an extra are missing, before anything else happens.

    Args:
        extra: name in `EXTRAS`.
        what: what was asked for, the subject of the message: "imblens capture".

    Raises:
        DependencyError: names the packages and the command that installs them.
    """
    missing = missing_packages(extra)
    if missing:
        raise lacking(extra, what, missing)


def lacking(extra: str, what: str, missing: list[str]) -> DependencyError:
    """Return the error for missing packages of an extra.

    Example:
        >>> print(lacking("train", "imblens demo", ["kornia"]))
        imblens demo needs kornia, which is not installed. Run: pip install 'imblens[train]'
        >>> lacking("train", "imblens demo", ["torch", "numba", "kornia"]).message
        'imblens demo needs torch, numba and kornia, which are not installed.'
    """
    verb = "is" if len(missing) == 1 else "are"
    packages = " and ".join([", ".join(missing[:-1]), missing[-1]] if len(missing) > 1 else missing)
    return DependencyError(
        f"{what} needs {packages}, which {verb} not installed.",
        hint=f"Run: pip install 'imblens[{extra}]'",
    )


def extra_of(package: str) -> str | None:
    """Return the smallest extra that brings a package; None where none does.

    Example:
        >>> extra_of("torch"), extra_of("kornia"), extra_of("numpy")
        ('torch', 'train', None)
    """
    return next((name for name, extra in EXTRAS.items() if package.split(".")[0] in extra.packages), None)
