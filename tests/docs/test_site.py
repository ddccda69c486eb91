"""The site builds strictly, leads everywhere, and asks the network for nothing."""

from __future__ import annotations

import inspect
import os
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed")
from docs.build import loaded_from_elsewhere

from imblens.lenses import all_lenses

ROOT = Path(__file__).resolve().parents[2]
LOOKUP = re.compile(r"(all|find)_(?!maps|reading)|(?!class).*_(names|descriptions|candidates|info|sets)$")  # by name
REPORTS = ("shapes", "treated", "digits", "arrays", "network")


def written_pages() -> list[Path]:
    """The pages below docs/, without examples (parts of lens pages) and lens pages (in the folders of the lenses)."""
    return [page for page in (ROOT / "docs").rglob("*.md") if page.parent.name not in ("examples", "lenses")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name in REPORTS:
        (folder / "gallery" / name).mkdir(parents=True)
        (folder / "gallery" / name / "report.html").write_text(f"<title>{name}</title>")
    env = {**os.environ, "IMBLENS_GALLERY": str(folder / "gallery"), "NO_MKDOCS_2_WARNING": "1"}
    words = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder / "site")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.mark.thorough  # builds the site; links and menu: below
@pytest.mark.slow
def test_every_page_is_there_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in written_pages()}
    pages |= {Path("lenses", f"{name}.html") for name in all_lenses()}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}
    assert {f"{name}.html" for name in REPORTS} <= {path.name for path in (site / "gallery").iterdir()}
    assert loaded_from_elsewhere(site) == []


def test_every_page_is_in_the_menu() -> None:
    """Single decisions are not: their index lists them."""
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in written_pages():
        if page.parent.name == "decisions" and page.name != "index.md":
            assert f"({page.name})" in (page.parent / "index.md").read_text(encoding="utf-8"), page
            continue
        assert f" {page.relative_to(ROOT / 'docs').as_posix()}\n" in menu, page


def test_links_between_pages_lead_to_a_file() -> None:
    followed = 0
    for page in written_pages():
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
            path = (page.parent / target).resolve()
            lens = path.parent == ROOT / "docs" / "lenses" and (path.stem in all_lenses() or path.stem == "index")
            assert path.exists() or lens or path.parts[-2:-1] == ("gallery",), (page.name, target)
            followed += 1
    assert followed > 100


def test_what_is_loaded_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="https://a.org">followed, not loaded</a><script src="https://b.org/x.js"></script>'
        '<link rel="stylesheet" href="//c.org/x.css"><link rel="canonical" href="https://d.org">'
    )
    (tmp_path / "style.css").write_text("@import 'http://e.org/x.css'; p { background: url(https://f.org/x.png) }")
    found = loaded_from_elsewhere(tmp_path)
    assert len(found) == 4 and not any("a.org" in line or "d.org" in line for line in found)


@pytest.mark.thorough  # the same site
def test_pages_are_made_of_the_code(site: Path) -> None:
    commands = (site / "commands.html").read_text()
    assert "--dry-run" in commands and "imblens audit --explain archetypes" in commands
    assert "Which instances are typical" in (site / "lenses" / "index.html").read_text()
    api = (site / "api" / "watch.html").read_text()
    assert "audit_now" in api and "SummaryWriter" in api


def test_every_public_name_is_in_the_reference() -> None:
    """In full, or in the table of other names of its module."""
    from docs.hooks import OTHERS, described_names, public_names

    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    tables = set(OTHERS.findall(pages))
    for folder in sorted((ROOT / "src" / "imblens").iterdir()):
        if not (folder / "__init__.py").is_file() or folder.name in ("base", "cli"):
            continue
        left = public_names(f"imblens.{folder.name}") - described_names()
        assert not left or f"imblens.{folder.name}" in tables, (folder.name, left)


def test_every_name_described_in_full_has_an_example() -> None:
    """In its docstring or in one of a method; the doctests run them."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    described = [pydoc.locate(name) for name in re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE)]
    for found in filter(callable, described):
        methods = vars(found).values() if isinstance(found, type) else ()
        assert any(">>>" in (inspect.getdoc(one) or "") for one in (found, *methods)), found
    assert len(described) > 80


def test_every_lookup_by_name_has_a_line_to_try() -> None:
    """Names of the tables that users may type: they find or list something by its name."""
    from docs.hooks import OTHERS, described_names, other_names, public_names

    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    tried = 0
    for module in set(OTHERS.findall(pages)):
        table = other_names(module)
        for name in public_names(module) - described_names():
            if LOOKUP.match(name):
                row = next(line for line in table.splitlines() if line.startswith(f"| `{name}` |"))
                assert f"{name}(" in row.rpartition(" | ")[2], row
                tried += 1
    assert tried > 15


def test_the_example_of_a_table_is_one_line() -> None:
    from docs.hooks import short_example

    assert short_example("What.\n\n>>> import numpy as np\n>>> twice(2)\n4\n") == "`twice(2)` gives `4`"
    assert short_example("What.\n\n>>> x = 1\n>>> twice(x)\n2") == "" == short_example("What.")
    assert short_example("What.\n\n>>> twice(2)\n4\n5") == "`twice(2)`"


def test_each_lens_is_described_on_its_own_page() -> None:
    from docs.hooks import lens_functions, lens_pages

    pages, links = lens_pages(), lens_functions()
    assert ":::" not in links
    for name in all_lenses():
        page = pages[f"lenses/{name}.md"]
        assert f"::: imblens.lenses.{name}" in page and f'lenses="{name}"' in page
        assert f"(../lenses/{name}.md#function)" in links


def test_links_into_a_page_of_results_lead_to_a_section() -> None:
    """So do the addresses from when all results were one page."""
    results = [ROOT / "docs" / "results.md", *(ROOT / "docs" / "results").glob("*.md")]
    anchors = {page: places(page.read_text(encoding="utf-8")) for page in results}
    old = anchors[results[0]]
    assert all(one in old for page in results[1:] for one in anchors[page] - {"on-a-resnet-32"})
    followed = 0
    for page in written_pages():
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve() if target else page
            if path in anchors:
                assert anchor in anchors[path], (page.name, target, anchor)
                followed += 1
    assert followed > 25


def places(text: str) -> set[str]:
    """The anchors of a page: those of its headings, and those that it names."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^##+ (?:\[(.*)\]\(.*\)|(.*))$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", "".join(pair).lower()).strip().replace(" ", "-") for pair in headings}
    return made | set(re.findall(r'<a id="([\w-]+)">', text))


@pytest.mark.thorough  # the same site
def test_search_works_from_disk(site: Path) -> None:
    """The index is a script, and the frame that stands for a worker comes with the site."""
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __index")
    assert 'src="assets/iframe-worker.js"' in (site / "index.html").read_text(encoding="utf-8")
