"""What MkDocs cannot take from a page alone: the gallery's reports, the pages of lenses, and the help of every command."""

from __future__ import annotations

import ast
import inspect
import os
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

GALLERY = Path(os.environ.get("IMBLENS_GALLERY", "build/gallery"))
HELP = re.compile(r"<!-- help: (\w+) -->")
LIST = "<!-- lenses -->"
FUNCTIONS = "<!-- lens functions -->"
OTHERS = re.compile(r"<!-- others: ([\w.]+) -->")
EXAMPLES = Path(__file__).parent / "examples"


def on_config(config: Any) -> Any:
    """Put the page of every lens below the entry `Lenses` of the menu, in the order of a report."""
    for entry in config["nav"]:
        if "Lenses" in entry:
            entry["Lenses"] += list(lens_pages())
    return config


def on_files(files: Any, config: Any) -> Any:
    """Put the reports that `docs.build` made beside the pages: build/gallery/NAME/report.html as gallery/NAME.html."""
    for report in sorted(GALLERY.glob("*/report.html")):
        files.append(File.generated(config, f"gallery/{report.parent.name}.html", abs_src_path=str(report.resolve())))
    for name, text in lens_pages().items():
        if name not in files.src_uris:  # until every lens is a folder
            files.append(File.generated(config, name, content=text))
    return files


def lens_pages() -> dict[str, str]:
    """Return the page of every lens by its path in the site: its own text, and an example where `docs.build` wrote one."""
    from imblens.lenses import all_lenses, lens_info

    found = {}
    for name, function in all_lenses().items():
        page, example = lens_info(function).page, EXAMPLES / f"{name}.md"
        if page is not None:
            parts = [file.read_text(encoding="utf-8").strip() for file in (page, example) if file.is_file()]
            found[f"lenses/{name}.md"] = "\n\n".join(parts) + "\n"
    return found


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the help of commands, the list of lenses and their functions."""
    if LIST in markdown:
        markdown = markdown.replace(LIST, lens_table())
    if FUNCTIONS in markdown:
        markdown = markdown.replace(FUNCTIONS, lens_functions())
    markdown = OTHERS.sub(lambda match: other_names(match[1]), markdown)
    return HELP.sub(lambda match: f"```text\n{help_of(match[1])}\n```", markdown)


def help_of(name: str) -> str:
    """Return what `imblens NAME --help` prints."""
    from typer.testing import CliRunner

    from imblens.cli import app

    return CliRunner().invoke(app, [name, "--help"], prog_name="imblens", terminal_width=82).output.strip()


def lens_table() -> str:
    """Return every built-in lens with its question, in the order of a report."""
    from imblens.lenses import all_lenses, lens_info

    rows = [
        f"| {lens_info(lens).question} | {f'[{name}]({name}.md)' if lens_info(lens).page else name} |"
        for name, lens in all_lenses().items()
    ]
    return "\n".join(["| question | lens |", "|---|---|", *rows])


def lens_functions() -> str:
    """Return the reference of every built-in lens's function."""
    from imblens.lenses import all_lenses, lens_info

    functions = [lens for lens in all_lenses().values() if lens_info(lens).built_in]
    call = '```python\nimblens.audit(run, lenses="{0}")["{0}"].lines()  # or {0}(run, ...).tables\n```\n'
    return "\n".join(f"::: {lens.__module__}.{lens.__name__}\n\n{call.format(lens.__name__)}" for lens in functions)


def other_names(module: str) -> str:
    """Return a table of the public names of a module that no page of the reference describes in full."""
    room = import_module(module)
    rows = []
    for name in sorted(public_names(module) - described_names()):
        found = getattr(room, name)
        what = "value" if not callable(found) else "class" if isinstance(found, type) else "function"
        first = (inspect.getdoc(found) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{name}` | {what} | {'' if what == 'value' else first} |")
    if not rows:
        return ""
    return "\n".join([f"## Also in {module}", "", "| name | kind | what it is |", "|---|---|---|", *rows])


def public_names(module: str) -> set[str]:
    """The names that a room exports: those that its `__init__` imports as themselves."""
    tree = ast.parse(Path(str(import_module(module).__file__)).read_text(encoding="utf-8"))
    imported = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    return {alias.name for alias in imported if alias.name == alias.asname}


@cache
def described_names() -> frozenset[str]:
    """The names that pages of the reference describe in full, lenses included."""
    from imblens.lenses import all_lenses

    pages = "\n".join(page.read_text(encoding="utf-8") for page in (Path(__file__).parent / "api").glob("*.md"))
    return frozenset(re.findall(r"^::: [\w.]*\.(\w+)$", pages, re.MULTILINE)) | frozenset(all_lenses())
