"""Parts of the page by themselves."""

from __future__ import annotations

import jinja2
import pytest

from imblens.report._page import TEMPLATES


@pytest.mark.parametrize(
    ("names", "said"), [(["a", "b", ""], "2 more classes"), (["a", ""], "1 more class"), ([""], "Over all classes")]
)
def test_only_lines_of_a_class_are_counted_as_classes(names, said):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters["whole"] = environment.filters["kept_apart"] = str
    lines = [{"name": name, "text": "text"} for name in names]
    drawn = environment.get_template("parts.html").module.lines([{"name": "c", "text": "first"}], lines, "")
    assert f"<summary>{said}</summary>" in drawn
