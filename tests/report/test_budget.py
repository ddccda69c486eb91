"""How large a page may become: the budget of 10, of 100 and of 1,000 classes."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imblens.lenses import Finding, embedding_map, lens_info
from imblens.report import Audit, audit, report_html
from imblens.report._class_table import ENDS
from imblens.run import Part, Split
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


@pytest.mark.parametrize(("n_classes", "n", "points", "megabytes"), [(10, 800, 0, 1.6), (100, 3_000, POINTS, 3.0)])
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
    assert max(rows) <= (2 * ENDS) ** 2


def test_a_hundred_classes_and_100_000_instances_with_images_stay_within_10_megabytes():
    """Images of noise, which compress least; the map draws as many points as it ever does, each with its image."""
    found = audited(100, 100_000, points=POINTS, lenses=("class_accuracy", "errors"))
    rng = np.random.default_rng(0)
    noise = [png(rng.integers(0, 255, (64, 64, 3), np.uint8)) for _ in range(200)]
    splits = {}
    for name, split in found.run.splits.items():
        table = {"id": [f"{name}/{i:06d}" for i in range(len(split))], "thumbnail": noise * (len(split) // 200 + 1)}
        frame = pd.DataFrame({key: column[: len(split)] for key, column in table.items()})
        splits[name] = Split(
            (Part(split.features, split.labels, table=frame),), found.run.classes, name, found.run.head
        )
    run = replace(found.run, train=splits["train"], test=splits["test"])
    assert len(run.train) > 95_000
    text = report_html(replace(found, run=run))
    print(f"{len(text.encode()) / 1e6:.2f} MB")
    assert 3e6 < len(text.encode()) < 10e6


def png(image):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()
