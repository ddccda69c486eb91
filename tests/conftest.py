"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("imblens", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("imblens")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real image sets, or a skip that says how to give one."""
    folder = Path(os.environ.get("IMBLENS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "cifar10-lt" / "train.parquet").exists():
        pytest.skip(f"no real data in {folder}; set IMBLENS_DATA to a folder with cifar10-lt/, bccd/, ...")
    return folder
