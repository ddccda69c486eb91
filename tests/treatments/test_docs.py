"""The page on treatments names every treatment and every option."""

from __future__ import annotations

from pathlib import Path

import pytest

from imblens.treatments import all_treatments

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "treatments.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(all_treatments()))
def test_treatment_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", ["best", "eos", "refit", "crt", "tau_norm", "lws", "logit_adjustment", "temperature"])
def test_options_are_on_the_page(name: str) -> None:
    missing = [option.name for option in all_treatments()[name].options if f"`{option.name}" not in PAGE]
    assert missing == []
