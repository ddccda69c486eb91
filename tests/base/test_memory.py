"""Temporary files that lie in memory are noticed: in doctor, and where large arrays begin to be written."""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imblens.base import memory
from imblens.cli import app, main
from imblens.errors import ImblensWarning

LISTED = Path("/proc/mounts")
SHARED = LISTED.exists() and "tmpfs /dev/shm tmpfs" in LISTED.read_text()
MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /fast tmpfs rw,nosuid,nodev 0 0
/dev/vdb /fast/disk xfs rw 0 0
/dev/vdc /over ext4 rw 0 0
tmpfs /over tmpfs rw 0 0
tmpfs /with\\040space tmpfs rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "mounts"
    file.write_text(MOUNTS)
    monkeypatch.setattr(memory, "MOUNTS", file)
    return file


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/fast", True),
        ("/fast/a/b", True),
        ("/faster", False),
        ("/fast/disk/a", False),
        ("/over/a", True),
        ("/with space/a", True),
        ("/home", False),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of Linux")
def test_a_folder_is_in_memory_where_its_innermost_mount_is(mounts: Path, folder: str, expected: bool) -> None:
    assert memory.lies_in_memory(folder) is expected


def test_where_mounts_are_not_listed_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOUNTS", tmp_path / "none")
    assert not memory.lies_in_memory("/fast")


@pytest.mark.skipif(not SHARED, reason="no tmpfs at /dev/shm")
def test_shared_memory_of_linux_is_memory() -> None:
    assert memory.lies_in_memory("/dev/shm")


def test_large_temporary_files_in_memory_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "NOTED", 1_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(memory, "lies_in_memory", lambda folder: False)
        memory.refuse_full(1_000, "rows need")
        monkeypatch.setattr(memory, "lies_in_memory", lambda folder: True)
        memory.refuse_full(999, "rows need")
    with pytest.warns(ImblensWarning, match="lies in memory .tmpfs.: set TMPDIR"):
        memory.refuse_full(1_000, "rows need")


def test_doctor_states_where_temporary_files_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (False, True):
        monkeypatch.setattr("imblens.cli.doctor.lies_in_memory", lambda folder, found=found: found)
        report = json.loads(CliRunner().invoke(app, ["doctor", "--json", "--no-device"]).stdout)
        assert report["temporary files"].startswith(tempfile.gettempdir() + ", ")
        assert ("set TMPDIR" in report["temporary files"]) is found


def test_a_command_prints_warnings_of_imblens_as_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn(*given: object, **options: object) -> int:
        warnings.warn("temporary files lie in memory.", ImblensWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("imblens.cli.app", warn)
    before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(SystemExit):
            main()
    assert capsys.readouterr().err == "note: temporary files lie in memory.\n"
    assert warnings.showwarning is before
