"""Figures for papers where classes are very many, or their names long."""

from __future__ import annotations

import re

import pytest

from imblens.report import _papers, audit
from imblens.report import figures as drawn_figures
from tests.report.runs import make_run


def figures(names: tuple[str, ...], n: int = 600) -> dict[str, str]:
    drawn = drawn_figures(audit(make_run(names, n=n, per_test=12), lenses=["class_accuracy"]))
    return {chart: _papers.drawn(figure)["svg"].decode() for (_, chart), figure in drawn.items()}


def test_a_hundred_classes_have_a_page_and_a_label_each():
    svg = figures(tuple(f"kind {i}" for i in range(100)), n=3000)["class_accuracy"]
    height = re.search(r'height="([\d.]+)mm"', svg)
    assert height is not None and 180 < float(height[1]) < 240
    labels = re.findall(r'translate\(-?[\d.]+,([\d.]+)\)"[^>]*font-size="(\d+)px"[^>]*>kind \d+ \(', svg)
    places = sorted(float(at) for at, _ in labels)
    assert len(places) > 50
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) >= int(labels[0][1])


@pytest.mark.parametrize(("letters", "length", "numbers"), [("abcdef", 3, True), ("abcdefghijklmnopqrst", 40, False)])
def test_numbers_are_in_cells_that_are_wide_enough_and_counts_are_whole(letters, length, numbers):
    drawn = figures(tuple(letter * length for letter in letters))
    assert (f'font-size="{_papers.CELL_TEXT}px"' in drawn["confusion"]) == numbers
    assert drawn["class_accuracy"].count("x rarer)") == len(letters) - 1
