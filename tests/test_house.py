"""The house holds: imports flow one way, start-up stays light, nothing writes or imports what it must not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "imblens"
ALLOWED = {
    "base": set(),
    "charts": set(),
    "run": set(),
    "data": set(),
    "models": set(),
    "losses": set(),
    "lenses": {"run", "charts"},
    "treatments": {"run"},
    "extraction": {"data", "models", "run"},
    "training": {"data", "models", "losses"},
    "synthesis": {"data", "run", "training", "treatments"},
    "report": {"lenses", "run", "charts"},
    "watch": {"extraction", "report"},
}
EVERYTHING = {"studies", "cli"}


def rooms() -> list[str]:
    return sorted(p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py")))


def imported_rooms(file: Path) -> set[str]:
    """Rooms that a file imports, anywhere in it, `if TYPE_CHECKING` included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "imblens" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("room", rooms())
def test_imports_follow_the_arrows(room: str) -> None:
    if room in EVERYTHING:
        return
    assert room in ALLOWED, f"{room} is a new room: say in docs/architecture.md and here what it may import"
    for file in (PACKAGE / room).rglob("*.py"):
        extra = imported_rooms(file) - ALLOWED[room] - {room, "base", "errors", "__version__"}
        assert not extra, f"{file.relative_to(PACKAGE)} imports {sorted(extra)}"


def test_every_public_room_has_tests() -> None:
    tests = Path(__file__).parent
    for room in rooms():
        assert any((tests / room).glob("test_*.py")), f"tests/{room} has no test"


LIGHT = """
import sys, random
state = random.getstate()
import imblens
assert random.getstate() == state
heavy = {"torch", "pandas", "altair", "lightning", "kornia", "datasets", "matplotlib", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


def test_importing_costs_nothing() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


ARRAYS_WITHOUT_TORCH = """
import sys
import numpy as np
import imblens
rng = np.random.default_rng(0)
y = np.repeat(np.arange(3), (40, 20, 10))
X = rng.normal(size=(70, 5)) + y[:, None]
W = rng.normal(size=(3, 5))
run = imblens.Run.from_arrays(train=(X, y, X @ W.T), test=(X, y, X @ W.T), head=(W, np.zeros(3)))
imblens.audit(run)
heavy = {"torch", "lightning", "kornia", "datasets"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_array_path_never_imports_torch() -> None:
    subprocess.run([sys.executable, "-c", ARRAYS_WITHOUT_TORCH], check=True)


def test_the_code_names_no_path_of_a_machine() -> None:
    root = PACKAGE.parents[1]
    for file in [*PACKAGE.rglob("*.py"), *(root / "docs").rglob("*.md"), root / "README.md"]:
        text = file.read_text(encoding="utf-8")
        assert f"{root}/" not in text and f"{Path.home()}/" not in text, file
