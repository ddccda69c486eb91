"""Versions of installed packages."""

from __future__ import annotations

import platform

IMBLENS = "0.1.0"


def version_of(package: str) -> str | None:
    """Return the version of an installed package by its name on the package index; None where it is not installed.

    Example:
        >>> version_of("no-such-package") is None
        True
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed; of imblens, NumPy and PyTorch by default."""
    found = {"python": platform.python_version()}
    for package in packages or ("imblens", "numpy", "torch"):
        version = version_of(package)
        if version is not None:
            found[package] = version
    return found
