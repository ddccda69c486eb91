"""A limit on address space (`ulimit -v`), with which the drawing engine would end the process, is refused in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.runs import make_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")
START = """
import resource, sys
from pathlib import Path
from imblens.report import draw
from imblens.report._figures import ADDRESSES
import altair as alt, vl_convert
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES + {more}, resource.RLIM_INFINITY))
"""
DRAW = START + "print(draw('dot', alt.Chart(alt.Data(values=[{{'a': 1}}])).mark_point(), ()).svg[:4])"
AUDIT = START + "sys.argv[1:] = ['audit', 'run', '--out', 'report']\nfrom imblens.cli import main\nmain()"


def done(script: str, more: int, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script.format(more=more)], cwd=cwd, capture_output=True, text=True)


def test_a_limit_that_is_allowed_leaves_room_to_draw(tmp_path: Path) -> None:
    drawn = done(DRAW, 2**20, tmp_path)
    assert (drawn.returncode, drawn.stdout) == (0, "<svg\n"), drawn.stderr


@pytest.mark.parametrize("gib", [-71, -1])
def test_a_lower_limit_is_refused_before_anything_is_computed(gib: int, tmp_path: Path) -> None:
    make_run().save(tmp_path / "run")
    refused = done(AUDIT, gib * 2**30, tmp_path)
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.startswith("error: drawing charts needs 72 GiB of address space")
    assert "ulimit -v unlimited" in refused.stderr and refused.stderr.count("\n") == 2
    assert refused.stdout == "" and not (tmp_path / "report").exists()
