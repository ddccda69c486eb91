"""What MkDocs cannot take from a page alone: the gallery's reports, and the help of every command."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

GALLERY = Path(os.environ.get("IMBLENS_GALLERY", "build/gallery"))
HELP = re.compile(r"<!-- help: (\w+) -->")
LIST = "<!-- lenses -->"


def on_files(files: Any, config: Any) -> Any:
    """Put the reports that `docs.build` made beside the pages: build/gallery/NAME/report.html as gallery/NAME.html."""
    for report in sorted(GALLERY.glob("*/report.html")):
        files.append(File.generated(config, f"gallery/{report.parent.name}.html", abs_src_path=str(report.resolve())))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the help of commands, and the list of lenses."""
    if LIST in markdown:
        markdown = markdown.replace(LIST, lens_table())
    return HELP.sub(lambda match: f"```text\n{help_of(match[1])}\n```", markdown)


def help_of(name: str) -> str:
    """Return what `imblens NAME --help` prints, without boxes."""
    import typer
    from typer.testing import CliRunner

    from imblens.cli import app

    plain = typer.Typer(rich_markup_mode=None, context_settings=app.info.context_settings)
    plain.registered_commands = app.registered_commands
    output = CliRunner().invoke(plain, [name, "--help"], prog_name="imblens", terminal_width=82).output
    return re.sub(r"\n\n+(?=\s*\$ )", "\n", output.strip())


def lens_table() -> str:
    """Return every built-in lens with its question, in the order of a report."""
    from imblens.lenses import all_lenses, lens_info

    rows = [f"| {lens_info(lens).question} | [{name}]({name}.md) |" for name, lens in all_lenses().items()]
    return "\n".join(["| question | lens |", "|---|---|", *rows])
