"""How large a page may become: the budget of 10 and of 100 classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imblens.lenses import all_lenses
from imblens.lenses._embedding_map import EmbeddingMap
from imblens.report import Audit, audit
from imblens.report._pictures import SHEET_BYTES
from tests.report.runs import make_run

POINTS = 20_000  # the most that a map holds, whatever the number of instances


def audited(n_classes: int, n: int, *, points: int = 0) -> Audit:
    names = tuple(f"kind {i}" for i in range(n_classes))
    found = audit(make_run(names, n=n, per_test=5), skip=["embedding_map"])
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
    made = EmbeddingMap({"embedding_map": table}, summary)
    return replace(found, findings={**found.findings, "embedding_map": made}, skipped={})


@pytest.mark.parametrize(("n_classes", "n", "points", "megabytes"), [(10, 800, 0, 1.6), (100, 3_000, POINTS, 4.5)])
def test_a_page_keeps_its_budget(tmp_path, n_classes, n, points, megabytes):
    text = audited(n_classes, n, points=points).save(tmp_path / "out", figures=False).read_text()
    size = len(text.encode())
    print(f"{n_classes} classes, {points} points: {size / 1e6:.2f} MB")
    assert size <= megabytes * 1e6


def test_pictures_fit_beside_the_largest_page():
    with_pictures = 4.5e6 + SHEET_BYTES * 4 / 3 + POINTS * 24  # page, sheet in base64, a place for each point
    assert with_pictures < 10e6
    assert "embedding_map" in all_lenses()
