"""The page on the papers names every study of a paper, and no study that is not there without saying so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imblens.studies import study_descriptions

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "papers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", [n for n, text in study_descriptions().items() if re.search(r"\((IML|EOS|LOOKING|FRAG)", text)]
)
def test_every_study_of_a_paper_is_on_the_page(name: str) -> None:
    assert f"`imblens study {name} --out DIR`" in PAGE


def test_every_study_on_the_page_is_there_or_stated_to_be_missing() -> None:
    lines = [line for line in PAGE.splitlines() if "`imblens study " in line]
    assert len(lines) > 15
    for line in lines:
        found = re.search(r"`imblens study (\S+) ", line)
        assert found and (found[1] in study_descriptions() or "not there yet" in line), line
