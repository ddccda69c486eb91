"""A file that holds a whole pickled network, whose classes are looked up by the names of their files."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from imblens.errors import InputError
from imblens.models import load_factory, load_weights

NET = """
from torch import nn
from its_parts import Block
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = Block(), nn.Linear(4, 2)
    def forward(self, x):
        return self.head(self.block(x))
"""
PARTS = """
from torch import nn
class Block(nn.Linear):
    def __init__(self):
        super().__init__(3, 4)
    def forward(self, x):
        return super().forward(x).relu()
"""


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network saved as a whole by a script beside `its_net.py`, which nobody can import any more."""
    (tmp_path / "its_net.py").write_text(NET)
    (tmp_path / "its_parts.py").write_text(PARTS)
    with monkeypatch.context() as here:
        here.syspath_prepend(tmp_path)
        here.setattr(sys, "dont_write_bytecode", True)
        torch.save(importlib.import_module("its_net").Net(), tmp_path / "whole.pt")
    for name in ("its_net", "its_parts"):
        del sys.modules[name]
    return tmp_path / "whole.pt"


def test_it_is_read_with_the_file_of_its_class(saved: Path) -> None:
    network = load_factory(f"{saved.parent / 'its_net.py'}:Net", 2)
    path = list(sys.path)
    load_weights(network, saved, unsafe_pickle=True)
    assert sys.path == path and not {"its_net", "its_parts"} & set(sys.modules)
    again = load_weights(load_factory(f"{saved.parent / 'its_net.py'}:Net", 2), saved, unsafe_pickle=True)
    inputs = torch.randn(5, 3)
    assert torch.equal(network(inputs), again(inputs))
    assert not list(saved.parent.glob("__pycache__"))


def test_without_that_file_an_error_states_what_is_missing(saved: Path) -> None:
    with pytest.raises(InputError) as told:
        load_weights(nn.Linear(3, 2), saved, unsafe_pickle=True)
    assert told.value.message.endswith(
        "holds a whole network, and its class cannot be found: No module named 'its_net'."
    )
    assert "--model FILE.py:FACTORY" in told.value.hint and "state_dict" in told.value.hint
    with pytest.raises(InputError, match="--unsafe-pickle"):
        load_weights(nn.Linear(3, 2), saved)
