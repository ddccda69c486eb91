"""Two processes do not write one folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import imblens
from imblens.base.files import claim
from imblens.base.locks import folders_kept, take
from imblens.errors import StorageError
from imblens.run import Run, merge

fcntl = pytest.importorskip("fcntl")
ARRAYS = (np.eye(6), [0, 0, 0, 0, 1, 1])
RUN = Run.from_arrays(train=ARRAYS, meta={"shard": {"index": 0, "of": 1, "instances": {"train": 6}}})
TESTED = Run.from_arrays(train=ARRAYS, test=ARRAYS, head=(np.eye(2, 6), [0, 0]))


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that another process writes: its lock belongs to another open file, as that of a process would."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".imblens-tmp-theirs").write_text("half")
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield folder
    os.close(descriptor)


WRITERS = {
    "run": lambda folder: RUN.save(folder, force=True),
    "audit": lambda folder: imblens.audit(RUN, lenses=["archetypes"]).save(folder, force=True),
    "comparison": lambda folder: imblens.compare([TESTED, TESTED]).save(folder, force=True),
    "merge": lambda folder: merge([RUN.save(folder.parent / "part")], folder, force=True),
}
TESTED = Run.from_arrays(
    train=(np.eye(6), [0, 0, 0, 0, 1, 1]), test=(np.eye(6), [0, 0, 0, 0, 1, 1]), head=(np.eye(2, 6), [0, 0])
)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_another_process_writes_is_refused(busy: Path, writer: str) -> None:
    with pytest.raises(StorageError, match="another process is writing"):
        WRITERS[writer](busy)
    assert [path.name for path in busy.iterdir()] == [".imblens-tmp-theirs"], "their files stay, ours were not begun"


def test_the_command_line_refuses_it(
    busy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from imblens.cli import main

    RUN.save(busy.parent / "run")
    monkeypatch.setattr(sys, "argv", ["imblens", "audit", str(busy.parent / "run"), "--out", str(busy), "--force"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "another process is writing" in capsys.readouterr().err


def free(folder: Path) -> bool:
    """Whether another process could take the folder now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_a_folder_is_held_until_the_block_around_ends(tmp_path: Path) -> None:
    with folders_kept():
        claim(tmp_path, force=True)
        assert not free(tmp_path)
        with folders_kept():
            take(tmp_path)  # the same process may take it again
        assert not free(tmp_path)
    assert free(tmp_path)
    claim(tmp_path, force=True)
    assert free(tmp_path), "nothing around: only checked"


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folders_kept():
        take(tmp_path)
        1 / 0  # noqa: B018
    assert free(tmp_path)
    RUN.save(tmp_path)
    assert free(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_keep_the_folder(tmp_path: Path) -> None:
    read, write = os.pipe()
    with folders_kept():
        take(tmp_path)
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        assert free(tmp_path), "a worker that outlives us holds nothing"
    finally:
        os.write(write, b"x")
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
