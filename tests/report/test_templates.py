"""Parts of the page by themselves."""

from __future__ import annotations

import jinja2
import pandas as pd
import pytest

from imblens.report._html import shown
from imblens.report._page import TEMPLATES


@pytest.mark.parametrize(
    ("names", "text"), [(["a", "b", ""], "2 more classes"), (["a", ""], "1 more class"), ([""], "All classes together")]
)
def test_only_lines_of_a_class_are_counted_as_classes(names, text):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters["whole"] = environment.filters["kept_apart"] = str
    lines = [{"name": name, "text": "text"} for name in names]
    drawn = environment.get_template("parts.html").module.lines([{"name": "c", "text": "first"}], lines, "")
    assert f"<summary>{text}</summary>" in drawn


def test_a_table_of_pairs_has_rows_of_every_class():
    names = [f"c{i}" for i in range(20)]
    pairs = pd.DataFrame([(a, b, (7 * i + 3 * j) % 20) for i, a in enumerate(names) for j, b in enumerate(names)])
    pairs.columns = ["class", "predicted", "share"]
    found = shown(pairs, "confusion", "confusion", 20)
    assert found.kept == "the 3 largest of each class by share" and found.rows == "60" and found.all_rows == "400"
    assert all(found.html.count(f"<tr><td>{name}</td>") == 3 for name in names)
    assert found.html.count("<td>19</td>") == 20 and "<td>14</td>" not in found.html
    ten = pairs[pairs["class"].isin(names[:10]) & pairs["predicted"].isin(names[:10])]
    assert not shown(ten, "confusion", "confusion", 10).left_out
