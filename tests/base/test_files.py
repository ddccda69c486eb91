"""Files that a killed process left half-written."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest

from imblens.base.files import claim_file, write_atomic


def test_what_a_killed_process_left_of_a_file_is_removed_by_the_next_one(tmp_path: Path) -> None:
    def killed(file: BinaryIO) -> None:
        raise KeyboardInterrupt

    names = ["a [1].csv", "other.csv"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *args, **options: None)  # as if the process ended at once
        for name in names:
            with pytest.raises(KeyboardInterrupt):
                write_atomic(tmp_path / name, killed)
    assert len(list(tmp_path.iterdir())) == 2
    claim_file(tmp_path / names[0], force=False)
    assert len(list(tmp_path.iterdir())) == 1  # that of the other file, which another process may be writing
