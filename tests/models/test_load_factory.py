"""Networks from a user's file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from imblens.errors import InputError, MissingError
from imblens.models import load_factory

SOURCE = """
from __future__ import annotations
import dataclasses
from torch import nn
import helper_beside

@dataclasses.dataclass
class Options:
    width: int = helper_beside.WIDTH

def plain(): return nn.Linear(Options().width, 3)
def by_name(*, num_classes=1000, **rest): return nn.Linear(2, num_classes)
def by_place(k): return nn.Linear(2, k)
def lazy(n_classes):
    import helper_beside
    return nn.Linear(helper_beside.WIDTH, n_classes)
def needy(width, depth): return nn.Linear(width, depth)
def broken():
    raise RuntimeError("no such backbone")
def leaves():
    raise SystemExit(3)
def text(): return "network"
class Net(nn.Linear):
    def __init__(self, n_classes): super().__init__(5, n_classes)
ready = nn.Linear(2, 9)
number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_net.py"
    path.write_text(SOURCE)
    (tmp_path / "helper_beside.py").write_text("WIDTH = 6\n")
    return path


@pytest.mark.parametrize(
    ("factory", "shape"),
    [
        ("plain", (3, 6)),
        ("by_name", (7, 2)),
        ("by_place", (7, 2)),
        ("lazy", (7, 6)),
        ("Net", (7, 5)),
        ("ready", (9, 2)),
    ],
)
def test_factories_of_every_kind(file: Path, factory: str, shape: tuple[int, int]) -> None:
    model = load_factory(f"{file}:{factory}", 7)
    assert isinstance(model, nn.Linear) and tuple(model.weight.shape) == shape


def test_importing_leaves_no_trace(file: Path) -> None:
    path, modules, bytecode = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    load_factory(f"{file}:plain", 7)
    assert sys.path == path
    assert set(sys.modules) == modules
    assert sys.dont_write_bytecode == bytecode
    assert sorted(p.name for p in file.parent.iterdir()) == ["helper_beside.py", "my_net.py"]


def test_two_files_may_have_helpers_of_one_name(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "helper_beside.py").write_text("WIDTH = 11\n")
    (other / "my_net.py").write_text(SOURCE)
    widths = [load_factory(f"{f}:plain", 7).in_features for f in (file, other / "my_net.py", file)]
    assert widths == [6, 11, 6]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("plian", "has no 'plian'. Did you mean 'plain'"),
        ("needy", "needs the arguments width, depth"),
        ("broken", "fails in line 19: RuntimeError: no such backbone"),
        ("leaves", "fails in line 21: SystemExit: 3"),
        ("text", "returned a str. It must return a torch.nn.Module"),
        ("number", "is a int, not a function"),
    ],
)
def test_faults_of_the_factory(file: Path, factory: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_factory(f"{file}:{factory}", 7)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = (", "fails while it is imported in line 1: SyntaxError"),
        ("\nimport not_there_at_all", "in line 2: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("import sys\nsys.exit('usage')", "in line 2: SystemExit: usage"),
    ],
)
def test_files_that_cannot_be_imported(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "bad.py").write_text(source)
    path = list(sys.path)
    with pytest.raises(InputError, match=message):
        load_factory(f"{tmp_path / 'bad.py'}:build", 7)
    assert sys.path == path and "imblens_user_bad" not in sys.modules


@pytest.mark.parametrize("reference", ["net.py", "net.py:", "net:build", ":build", ""])
def test_references_that_name_no_factory(reference: str) -> None:
    with pytest.raises(InputError, match=r"Give FILE.py:FACTORY"):
        load_factory(reference, 7)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no file"):
        load_factory(f"{tmp_path / 'none.py'}:build", 7)
