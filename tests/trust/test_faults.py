"""A command whose disk or memory fails ends with exit code 2 and one error; `python -m tests.trust.faults` tries many."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.commands import imblens
from tests.trust.options import run


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EIO, "Input/output error", "part-00000/features.npy"), "features.npy: Input/output error."),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.npy"), "a.npy: No such file or directory."),
        (OSError("flaky"), "the system reports: flaky."),
        (MemoryError("9 GB"), "not enough memory: 9 GB"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory: DefaultCPUAllocator"),
        (MemoryError(), "error: not enough memory."),
        (RuntimeError("can't start new thread"), "not enough memory: can't start new thread."),
        (ImportError("x.so: failed to map segment from shared object"), "not enough memory: x.so"),
    ],
    ids=[
        "disk",
        "vanished",
        "unnamed",
        "memory",
        "memory of torch",
        "memory without words",
        "thread",
        "memory for a library",
    ],
)
def test_a_fault_is_one_error(error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run().save(tmp_path / "run")

    def fail(*given: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("imblens.run.Run.load", fail)
    done = imblens("audit", "run", "--out", "report", cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and "hint: " in done.stderr and "bug" not in done.stderr
    assert not (tmp_path / "report").exists()
