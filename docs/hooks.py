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
    """Return the page of every lens by its path in the site: its text, an example where there is one, its function."""
    from imblens.lenses import all_lenses, lens_info

    found = {}
    for name, function in all_lenses().items():
        page, example = lens_info(function).page, EXAMPLES / f"{name}.md"
        if page is not None:
            parts = [file.read_text(encoding="utf-8").strip() for file in (page, example) if file.is_file()]
            parts += [lens_reference(function)] * lens_info(function).built_in
            found[f"lenses/{name}.md"] = "\n\n".join(parts) + "\n"
    return found


def lens_reference(lens: Any) -> str:
    """Return the part of a lens's page that describes its function: a call, arguments, tables."""
    name = lens.__name__
    call = f'```python\nimblens.audit(run, lenses="{name}")["{name}"].lines()  # or {name}(run, ...).tables\n```'
    options = "    options:\n      heading_level: 3"
    return f"## Function\n\n{call}\n\n::: {lens.__module__}.{name}\n{options}"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the help of commands, the list of lenses, and links to their functions."""
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
    """Return links to the functions of the built-in lenses, each on the page of its lens."""
    from imblens.lenses import all_lenses, lens_info

    lenses = {name: lens_info(lens) for name, lens in all_lenses().items() if lens_info(lens).built_in}
    rows = [f"| [{name}](../lenses/{name}.md#function) | {info.question} |" for name, info in lenses.items()]
    return "\n".join(["## Lenses", "", "| function | question |", "|---|---|", *rows])


def other_names(module: str) -> str:
    """Return a table of the public names of a module that no page of the reference describes in full."""
    room = import_module(module)
    rows = []
    for name in sorted(public_names(module) - described_names()):
        found = getattr(room, name)
        what = "value" if not callable(found) else "class" if isinstance(found, type) else "function"
        text = "" if what == "value" else inspect.getdoc(found) or ""
        cells = [text.split("\n\n")[0].replace("\n", " "), short_example(text)]
        rows.append(f"| `{name}` | {what} | {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    if not rows:
        return ""
    return "\n".join([f"## Also in {module}", "", "| name | kind | what it is | example |", "|---|---|---|---|", *rows])


def short_example(docstring: str) -> str:
    """Return the first example of a docstring, with its result, where both are one line; "" where it needs lines before."""
    lines = [*map(str.strip, docstring.splitlines()), "", "", ""]
    first = next((i for i, line in enumerate(lines) if line.startswith(">>> ") and " import " not in line), None)
    if first is None or re.match(r">>> (\w+ = |@|\w+ \w+)", lines[first]) or lines[first + 1].startswith("..."):
        return ""
    one = lines[first + 1] and (not lines[first + 2] or lines[first + 2].startswith(">>>"))
    return f"`{lines[first][4:]}`" + (f" gives `{lines[first + 1]}`" if one else "")


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
