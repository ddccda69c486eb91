"""The page on the papers is the generated one, its commands are there, and figures have the names that the docs state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import papers_table
from imblens.report import audit, compare
from imblens.studies import FIGURES, study_descriptions
from imblens.treatments import treat
from tests.commands import imblens
from tests.report.runs import make_run

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "papers.md").read_text(encoding="utf-8")


def test_the_page_is_the_one_that_its_command_writes() -> None:
    assert papers_table.TEXT.format(table="\n".join(papers_table.rows())) == PAGE


@pytest.mark.parametrize(
    "name", [n for n, text in study_descriptions().items() if re.search(r"\((IML|EOS|LOOKING|FRAG)", text)]
)
def test_every_study_of_a_paper_is_on_the_page(name: str) -> None:
    assert f"`imblens study {name} --out DIR`" in PAGE


@pytest.mark.parametrize(
    "how",
    [
        "eos-table9",
        "imblens audits RUN",
        "imblens audit RUN --for-paper",
        "imblens list lenses --al",
        "imblens compare A B --klass",
    ],
)
def test_a_study_command_or_option_that_is_not_there_is_noticed(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not papers_table.exists(how)
    monkeypatch.setattr(papers_table, "items", lambda: [papers_table.Item("EOS", "Table IX", "", how, "", "")])
    with pytest.raises(ValueError, match="EOS, Table IX: there is no"):
        papers_table.rows()


@pytest.mark.parametrize("how", [one.how for one in papers_table.items() if one.how.startswith("imblens list")])
def test_lists_on_the_page_are_there(how: str, tmp_path: Path) -> None:
    assert imblens(*how.split()[1:], cwd=tmp_path).returncode == 0


def figures_of_the_docs() -> dict[str, str]:
    """Names in the table of figures, each with the study or command that draws it."""
    table = (DOCS / "studies.md").read_text(encoding="utf-8").split("| figure |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {name: row[3] for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def test_figures_of_studies_have_the_names_that_the_docs_state() -> None:
    commands = figures_of_the_docs()
    assert {name for name, how in commands.items() if how.strip("`").split("`")[0] in study_descriptions()} == set(
        FIGURES
    )


def test_figures_of_audit_and_compare_have_the_names_that_the_docs_state(tmp_path: Path) -> None:
    from imblens.lenses import colours
    from tests.lenses.test_colours import drawn, run_of

    run = make_run(n=200, per_test=8)
    of_classes = compare([run, treat(run, "smote", k_neighbors=2)], of=["automobile", "truck"], draw_map=True)
    of_classes.save(tmp_path / "compared", papers=True)
    imaged = audit(make_run(n=100, per_test=2, images=True), lenses=["archetypes"])
    imaged.save(tmp_path / "audited", papers=True)
    saved = [file.stem for folder in ("compared", "audited") for file in (tmp_path / folder / "papers").glob("*.svg")]
    names = {re.sub(r"_[01]$", "_N", name) for name in saved}
    names |= set(colours(run_of(*drawn(), ["a", "b", "c"])).charts())
    stated = {name for name, how in figures_of_the_docs().items() if how.startswith("`imblens ")}
    assert len(stated) == 7 and stated <= names
