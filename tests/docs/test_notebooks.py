"""Notebooks of the examples run, show what is stored in them, and load nothing; kernels and marimo show the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from docs.notebooks import FOLDER, executed, notebooks

HEADING = re.compile("<h3>(.*?)</h3>")


def shown(notebook: Any) -> list[str]:
    """HTML of all outputs."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return ["".join(output["data"]["text/html"]) for output in outputs if "text/html" in output.get("data", {})]


def verdicts(notebook: Any) -> list[str]:
    return [found[1] for html in shown(notebook) if (found := HEADING.search(html))]


def assert_self_contained(html: str) -> None:
    assert not re.search("<(script|iframe|link|object|embed|svg)", html), html[:500]
    assert all(source.startswith("data:image/") for source in re.findall('src="([^"]*)', html))


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_stored_outputs_are_those_of_the_code(path: Path) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))
    found = executed(stored)
    assert len(verdicts(stored)) == 2 and verdicts(found) == verdicts(stored)
    assert len(shown(found)) == len(shown(stored))
    for html in shown(stored) + shown(found):
        assert_self_contained(html)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_kernel_shows_the_same(path: Path, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    run = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(run, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert verdicts(run) == verdicts(stored)


@pytest.mark.filterwarnings("ignore")
def test_marimo_shows_them() -> None:
    pytest.importorskip("marimo", reason="marimo is not installed")
    from importlib.util import module_from_spec, spec_from_file_location

    from marimo._output.formatting import try_format

    spec = spec_from_file_location("digits_marimo", FOLDER / "digits_marimo.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    _, names = module.app.run()
    for name in ("audit", "comparison"):
        made = try_format(names[name])
        assert made.mimetype == "text/html" and "<h3>" in made.data
        assert_self_contained(made.data)
