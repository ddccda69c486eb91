"""The README that the package carries leads somewhere on PyPI, too."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """hatch_build.py, also where hatchling is not installed: builds bring it themselves."""

    class Interface:
        root = str(ROOT)

    for name in ("hatchling", "hatchling.builders", "hatchling.builders.hooks", "hatchling.builders.hooks.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name in ("hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name in ("hatchling.builders.hooks.plugin.interface", "hatchling.metadata.plugin.interface"):
        module: Any = ModuleType(name)
        module.BuildHookInterface = module.MetadataHookInterface = Interface
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_every_link_of_the_packaged_readme_has_an_address(hooks: ModuleType) -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "readme" in stated["dynamic"] and "readme" not in stated
    hooks.Readme().update(stated)
    text = stated["readme"]["text"]
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert len(links) > 30 and all(link.startswith(("https://", "#")) for link in links), links
    prefix = re.compile(
        r"https://(?:github\.com/imblens/imblens/blob|raw\.githubusercontent\.com/imblens/imblens)/main/"
    )
    for link in filter(prefix.match, links):
        assert (ROOT / prefix.sub("", link).partition("#")[0]).is_file(), link
    images = re.findall(r"!\[[^\]]*\]\((\S+)\)", text)
    assert images and all("/raw.githubusercontent.com/" in image for image in images)


def test_only_relative_links_change(hooks: ModuleType) -> None:
    text = "[a](docs/a.md#b) ![c](d/c.webp) [e](https://e.org/f) [g](#g) `x](y`"
    assert hooks.with_addresses(text, "https://github.com/o/r") == (
        "[a](https://github.com/o/r/blob/main/docs/a.md#b) ![c](https://raw.githubusercontent.com/o/r/main/d/c.webp) "
        "[e](https://e.org/f) [g](#g) `x](y`"
    )
