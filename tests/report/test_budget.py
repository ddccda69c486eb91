"""How large a page may become: the budget of 10, of 100 and of 1,000 classes."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imblens.lenses import Finding, embedding_map, lens_info
from imblens.report import Audit, audit, report_html
from imblens.report._class_table import ENDS, LEAST_ACCURATE, WORST
from imblens.report._image_sheet import SHEET_BYTES
from tests.report.runs import make_run

POINTS = 20_000  # the most that a map holds, whatever the number of instances


def audited(n_classes: int, n: int, *, points: int = 0, lenses: tuple[str, ...] | None = None) -> Audit:
    names = tuple(f"kind {i}" for i in range(n_classes))
    run = make_run(names, n=n, per_test=5)
    found = audit(run, skip=["embedding_map"]) if lenses is None else audit(run, lenses=lenses)
    if not points:
        return found
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": [f"train/{i:06d}" for i in range(points)],
            "split": "train",
            "class": rng.choice(names, points),
            "archetype": rng.choice(["safe", "border", "rare", "outlier"], points),
            "correct": rng.random(points) < 0.8,
            "x": rng.normal(size=points).round(3),
            "y": rng.normal(size=points).round(3),
        }
    )
    summary = {"points": points, "instances": 100_000, "perplexity": 30.0, "random_state": 0}
    made = Finding({"embedding_map": table}, summary, info=lens_info(embedding_map))
    return replace(found, findings={**found.findings, "embedding_map": made}, skipped={})


@pytest.mark.parametrize(
    ("n_classes", "n", "points", "megabytes"),
    [(10, 800, 0, 1.6), pytest.param(100, 3_000, POINTS, 3.0, marks=[pytest.mark.slow, pytest.mark.thorough])],
)
def test_a_page_keeps_its_budget(n_classes, n, points, megabytes):
    size = len(report_html(audited(n_classes, n, points=points)).encode())
    print(f"{n_classes} classes, {points} points: {size / 1e6:.2f} MB")
    assert size <= megabytes * 1e6


def test_of_very_many_classes_a_page_draws_the_ends_and_holds_a_row_for_each():
    lenses = ("class_accuracy", "archetypes", "weight_norms")
    text = report_html(audited(1_000, 4_000, lenses=lenses))
    assert len(text.encode()) <= 4e6
    start = text.index('id="table-of-classes"')
    table = text[start : text.index("</table>", start)]
    assert table.count("<tr data-class=") == 1_000
    assert table.count('class="rest"') == 1_000 - 2 * ENDS
    page = json.loads(text.split('id="imblens-page">')[1].split("</script>")[0])
    assert len(page["classes"]) == 1_000
    rows = {data["n"] for chart in page["charts"].values() for data in chart["data"].values()}
    assert max(rows) <= (2 * ENDS + LEAST_ACCURATE) ** 2


def test_of_more_classes_most_rows_are_packed():
    names = [f"kind {i}" for i in range(1_010)]
    text = report_html(audited(len(names), 4_000, lenses=("class_accuracy",)))
    start = text.index('id="table-of-classes"')
    whole = re.findall('<tr data-class="([^"]+)"', text[start : text.index("</table>", start)])
    assert 2 * ENDS < len(whole) <= 2 * ENDS + WORST
    page = json.loads(text.split('id="imblens-page">')[1].split("</script>")[0])
    more = json.loads(zlib.decompress(base64.b64decode(page["more"])))
    packed = [re.match('<tr data-class="([^"]+)" class="rest">', row)[1] for row in more["rows"]]
    assert sorted(packed + whole) == sorted(names)
    assert len(more["places"]) == len(packed) and more["places"] == sorted(set(more["places"]))
    assert min(more["places"]) >= ENDS and max(more["places"]) < len(names) - ENDS
    assert "lines" not in page and {"lines", "sentences"} < set(more)
    assert 'href="tables/class_accuracy.csv"' in text


def test_images_fit_beside_the_largest_page():
    with_images = 3e6 + SHEET_BYTES * 4 / 3 + POINTS * 24  # page, sheet in base64, a place for each point
    assert with_images < 10e6
