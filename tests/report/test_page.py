"""The page as text: what stands in it, in which order, and that names are data."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import imblens.report._page as page
from imblens.lenses import HEADINGS, all_lenses, lens_page
from imblens.report import audit, figures, summary
from imblens.report._errors import wanted_images
from imblens.report._evidence import in_full
from imblens.report._html import table_html, turned, whole
from imblens.report._image_sheet import sheet
from tests.report.pages import parsed
from tests.report.runs import CIFAR, HOSTILE, make_run

TEMPLATES = Path(page.__file__).with_name("templates")


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("page") / "out"
    return audit(make_run(), lenses=["class_accuracy"]).save(out, figures=False).read_text()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("page") / "out"
    run = make_run(HOSTILE)
    run.meta["data"]["name"] = HOSTILE[1]
    return audit(run, lenses=["class_accuracy"], of=HOSTILE[0]).save(out, figures=False).read_text()


def test_page_has_the_parts_that_readers_and_machines_look_for(text):
    tree = parsed(text)
    assert tree.named("html")[0]["lang"] == "en"
    assert text.index("<meta charset") < text.index("<title>") < 2000
    for tag in ("title", "h1", "main", "header", "footer", "nav"):
        assert len(tree.named(tag)) == 1, tag
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for a in tree.named("a")]
    assert targets and all(target.startswith("#") and target[1:] in ids for target in targets)
    levels = [int(tag[1]) for tag, _ in tree.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 2 or levels[0] == 1
    figures = tree.named("figure")
    assert len(figures) == 2
    assert all(f["role"] == "img" and len(f["aria-label"]) > 20 for f in figures)
    assert len(tree.named("svg")) == 1  # few marks: elements
    assert len([a for a in tree.named("img") if a.get("class") == "drawing"]) == 1  # a hundred cells: one image
    assert "".join(tree.text).count("Show as table") == 2


def test_verdict_is_before_the_first_chart_and_needs_no_script(text):
    lines = audit(make_run(), lenses=["class_accuracy"]).verdict()
    shown = re.sub(r"<[^>]+>", "", text)
    assert shown.index(lines[0]) < shown.index(lines[1])
    assert text.index("<h1") < text.index('class="cards"') < text.index("<svg")
    assert text.index("<svg") < text.index("<script")
    order = [text.index(f'<tr data-class="{name}">') for name in CIFAR]
    assert order == sorted(order)  # the table of classes: rarest last


def test_policy_admits_only_the_scripts_that_are_there(text):
    tree = parsed(text)
    policy = next(m["content"] for m in tree.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe-eval" not in policy and "script-src 'unsafe-inline'" not in policy
    running = [body for attributes, body in tree.scripts if attributes.get("type") != "application/json"]
    assert len(running) == 2
    for body in running:
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    for attributes in (attributes for _, attributes in tree.tags):
        assert not [name for name in attributes if name.startswith("on")]
        assert "src" not in attributes or attributes["src"].startswith(
            ("data:image/png;base64,", "data:image/svg+xml;base64,")
        )
    assert not [tag for tag, _ in tree.tags if tag in ("link", "iframe", "object", "embed", "base", "form")]


def test_specifications_are_data(text):
    tree = parsed(text)
    body = next(body for attributes, body in tree.scripts if attributes.get("type") == "application/json")
    assert not set("<>&\u2028\u2029") & set(body)
    held = json.loads(body)
    assert held["classes"] == list(CIFAR)
    assert len(held["charts"]) == 2
    assert all(chart["spec"]["width"] == "container" for chart in held["charts"].values())


def test_hostile_names_are_text(hostile):
    tree = parsed(hostile)
    assert not [a for a in tree.named("img") if "onerror" in a]
    assert len(tree.named("script")) == 3
    said = "".join(tree.text)
    for name in HOSTILE[:2]:
        assert name in said
    assert "{{7*7}}" in said and "49" not in re.findall(r"\b49\b", " ".join(t for t in tree.text if "7*7" in t))
    options = [a["value"] for a in tree.named("option")]
    assert options == ["", *HOSTILE]
    assert tree.named("h1")[0].get("class") is None or len(HOSTILE[0]) > 200


def test_reproduction_names_versions_seed_command_and_hashes(text):
    said = "".join(parsed(text).text)
    run = make_run()
    for word in ("numpy (audit)", np.__version__, "seed", "imblens audit RUN"):
        assert word in said
    assert hashlib.sha256(run.train.features).hexdigest() in said


def test_size_is_that_of_one_bundle_and_little_more(text):
    assert len(text) < 1_100_000
    assert text.count("window.vegaEmbed=") == 1


def test_command_names_the_class_of_interest_quoted(hostile):
    assert "--class &#39;" in hostile or "--class &#34;" in hostile or "&#39;&#34;&#39;&#34;&#39;" in hostile


def test_skipped_lenses_are_listed_with_the_reason(tmp_path):
    run = make_run()
    bare = type(run)(train=run.train, test=None, head=run.head, classes=run.classes)
    said = "".join(parsed(audit(bare, lenses=["class_accuracy"]).save(tmp_path / "out").read_text()).text)
    assert "Skipped analyses" in said
    assert "The run has no test split." in said


def opened(found) -> Image.Image:
    return Image.open(io.BytesIO(found.jpeg))


def test_images_are_tiles_of_one_sheet():
    run = make_run(images=True)
    found = sheet(run, [("train", "train/5"), ("train", "nowhere"), ("train", "train/3"), ("val", "x")])
    assert found.places == {("train", "train/5"): 0, ("train", "train/3"): 1}
    assert found.at("train", "nowhere") is None and found.left_out == 0
    for name, x in (("train/5", 16), ("train/3", 48)):
        png = run.train.instances(["thumbnail"])["thumbnail"][int(name[6:])]
        there = opened(found).getpixel((x, 16))
        assert np.abs(np.subtract(there, Image.open(io.BytesIO(png)).getpixel((1, 1)))).max() < 12


def test_only_small_png_files_are_shown():
    run = make_run(images=True)
    table = run.train.parts[0].table
    table.loc[0, "thumbnail"] = b"<svg onload=alert(1)>"
    table.loc[1, "thumbnail"] = table["thumbnail"][2] + b"\0" * 2**17
    table.loc[3, "thumbnail"] = table["thumbnail"][3][:40]  # torn: an empty tile
    found = sheet(run, [("train", f"train/{i}") for i in range(4)])
    assert set(found.places) == {("train", "train/2"), ("train", "train/3")}
    assert np.abs(np.subtract(opened(found).getpixel((48, 16)), 221)).max() < 12


def test_a_sheet_keeps_its_limit_and_what_was_asked_for_first():
    run = make_run(images=True)
    names = [("train", f"train/{i}") for i in range(300)]
    whole_sheet = sheet(run, names)
    small = sheet(run, names, limit=len(whole_sheet.jpeg) * 2 // 3)
    assert len(small.jpeg) <= len(whole_sheet.jpeg) * 2 // 3
    assert small.left_out == 300 - len(small.places) > 0
    assert list(small.places) == names[: len(small.places)]


def test_suspects_are_beside_their_neighbours(tmp_path):
    run = make_run(images=True)
    found = audit(run, lenses=["label_suspects", "archetypes"])
    listed = found["label_suspects"].tables["label_suspects"]
    tree = parsed(found.save(tmp_path / "out", figures=False).read_text())
    ticks = [a for a in tree.named("input") if a.get("class") == "tick"]
    assert [a["data-id"] for a in ticks] == listed["id"].tolist()[:10] != []
    images = [a["aria-label"] for a in tree.named("span") if a.get("role") == "img" and "labelled" in a["aria-label"]]
    near = [f"{name}, labelled" for name in listed["neighbours"][0].split()]
    assert [text.rsplit(" ", 1)[0] for text in images[1:6]] == near
    assert all(a["aria-label"] for a in tree.named("span") if a.get("role") == "img")


def test_class_of_interest_is_shown_in_full(tmp_path):
    found = audit(make_run(images=True), lenses=["class_accuracy", "archetypes", "adversaries"], of="truck")
    tree = parsed(found.save(tmp_path / "out", figures=False).read_text())
    said = "".join(tree.text)
    part = said[said.index("What are all results for truck?") :]
    for lens in ("class_accuracy", "adversaries"):
        assert found[lens].lines()["truck"] in part
    assert "prototype" in part and "neighbour_count" in part


def test_images_of_the_first_error_of_each_cell_come_first():
    cells = ["ab", "ab", "ab", "cd", "ba"]
    rows = [
        {"id": str(i), "class": of[0], "predicted": of[1], "neighbours": [{"id": "n"}]} for i, of in enumerate(cells)
    ]
    order = [name for split, name in wanted_images(rows) if split == "test"]
    assert order == ["0", "3", "4", "1", "2"]


def test_a_class_has_a_short_page_of_its_own(tmp_path):
    run = make_run(HOSTILE)
    found = audit(run, lenses=["class_accuracy", "errors", "weight_norms"], of=HOSTILE[1])
    text = found.save(tmp_path / "out", figures=False).with_name("class.html").read_text()
    tree = parsed(text)
    assert len(text.encode()) < 200_000 and "onerror=window" not in re.sub(
        "&lt;[^&]*&gt;", "", text.split("<script")[0]
    )
    assert found.verdict()[0] in " ".join("".join(tree.text).split())
    assert "in-print" in text and "<table" not in re.sub(r"(?s)<details.*?</details>", "", text)  # tables are folded
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(a["href"].removeprefix("#") in ids for a in tree.named("a"))
    again = audit(run, lenses=["class_accuracy"])
    again.save(tmp_path / "out", force=True, figures=False)
    assert not (tmp_path / "out" / "class.html").exists()


def test_the_command_of_a_report_states_how_many_prototypes():
    options = {"archetypes": {"prototypes": 3}}
    found = audit(make_run(), lenses=["archetypes"], options=options, of="truck")
    assert summary(found)["commands"]["audit"] == "imblens audit RUN --lens archetypes --class truck --prototypes 3"


def test_tables_in_full_begin_with_the_strongest():
    run = make_run(dim=20)
    found = audit(run, lenses=["class_features", "feature_density"], of="truck")
    parts = in_full(found, [{"name": name, "stated": {}} for name in found.findings], [])["parts"]
    shown = {table["title"]: table["html"] for part in parts for table in part["tables"]}
    assert {"Class features", "Feature density"} <= set(shown)
    rows = found["class_features"].tables["class_features"].query("`class` == 'truck'")
    first = str(rows.loc[rows["magnitude"].idxmax(), "feature"])
    body = shown["Class features"].split("<tbody>")[1]
    assert re.findall(r"<td[^>]*>(.*?)</td>", body)[0] == first


def test_names_that_turn_the_text_are_kept_apart(hostile):
    hebrew = HOSTILE[5]
    assert turned([*HOSTILE, "a\u202eb"]) == [hebrew, "a\u202eb"]
    assert (
        f"<bdi>{hebrew}</bdi> is classified correctly" in hostile
        or f"<bdi>{hebrew}</bdi>" in hostile.split("<section")[0]
    )
    assert whole(f"{hebrew} +4 points", [hebrew]) == f'<bdi>{hebrew}</bdi> <span class="nb">+4 points</span>'


def test_of_very_many_classes_the_ends_are_shown(tmp_path):
    names = tuple(f"kind {i}" for i in range(150))
    found = audit(make_run(names, n=3000, per_test=4), lenses=["class_accuracy", "adversaries"])
    text = found.save(tmp_path / "out", figures=False).read_text()
    rows = [a for a in parsed(text).named("tr") if a.get("data-class", "").startswith("kind") and "class" in a]
    assert [a["data-class"] for a in rows if a["class"] == "rest"] == list(names[30:120])
    assert "the 30 largest and the 30 smallest, the charts also the 10 least accurate" in text
    shown = {
        name for figure in figures(found).values() for t in figure.data.values() for r in t for name in [r["class"]]
    }
    table = found["class_accuracy"].tables["class_accuracy"].sort_values(["accuracy", "accuracy_high"], kind="stable")
    assert {name.split(" (")[0] for name in shown} == {*names[:30], *names[120:], *table["class"].head(10)}
    assert set(table["class"].head(10)) - {*names[:30], *names[120:]}
    assert len(text) < 1_600_000


def test_tables_are_escaped_and_unknown_is_a_dash():
    html = table_html(pd.DataFrame({"class": ["<i>", "b"], "x": [0.123456, float("nan")], "n": [12345, 2]}))
    assert "<i>" not in html and "&lt;i&gt;" in html
    assert "0.1235" in html and "12,345" in html and ">–<" in html


def test_percentages_and_intervals_do_not_break():
    assert whole("a <b> 47% [44, 50] or [1, 2]") == (
        'a &lt;b&gt; <span class="nb">47% [44, 50]</span> or <span class="nb">[1, 2]</span>'
    )


def test_no_template_switches_escaping_off():
    for file in TEMPLATES.glob("*.html"):
        source = file.read_text()
        assert not re.search(r"\|\s*safe|autoescape|Markup", source), file
        for value in re.findall(r"\w=\{\{", source):
            raise AssertionError(f"{file}: an unquoted attribute: {value}")


@pytest.mark.parametrize("name", ["", "../errors", "a/b", "..", "none_such"])
def test_no_page_is_no_error(name):
    assert lens_page(name) == {}


def test_every_lens_has_a_page_with_the_fixed_headings():
    for name in all_lenses():
        assert list(lens_page(name)) == list(HEADINGS), name


def test_synthetic_images_are_shown_beside_real_ones(tmp_path):
    from imblens.report._synthetic import synthetic

    run = make_run()
    path = run.save(tmp_path / "run")
    run = type(run).load(path)
    assert synthetic(run) is None
    run.meta["data"]["oversample"] = {"name": "<b>smote</b>", "synthetic": 1234}
    (path / "oversampled").mkdir()
    (path / "oversampled" / "samples.png").write_bytes(b"not an image")
    assert synthetic(run) is None
    Image.new("RGB", (8, 8), "red").save(path / "oversampled" / "samples.png")
    shown = audit(run, lenses=["class_accuracy"]).save(tmp_path / "out", figures=False).read_text()
    assert 'id="synthetic"' in shown and "1,234 images in all" in shown and 'class="sheet"' in shown
    assert "<b>smote</b>" not in shown


def test_charts_can_be_restyled():
    found = audit(make_run(), skip=["embedding_map"])
    for name in found:
        for chart in found[name].charts().values():
            styled = chart.properties(width=300, title="mine").configure_axis(labelFont="Times").to_dict()
            assert (styled["width"], styled["title"], styled["config"]["axis"]) == (300, "mine", {"labelFont": "Times"})
