"""Exports hold what the run holds, in the formats of other tools; what cannot be exported is refused with nothing written."""

from __future__ import annotations

import csv
import io
import json
from inspect import signature
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import imblens
from imblens.base import progress
from imblens.cli.export import command as export_command
from imblens.errors import ExistsError, ImblensError
from imblens.exports import exports
from imblens.lenses.label_suspects import suggested_labels, suspect_scores
from imblens.run import Part, Run, Split
from tests.commands import imblens as command

NAMES = ("cat (tabby)", "a, b", "<i>&", "\U0001f600/dog")


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (6, 4), (shade, 90, 200)).save(out, "PNG")
    return out.getvalue()


def build(columns=("thumbnail",), multilabel=False, names=NAMES) -> Run:
    """Four classes of a hundred and more instances, five training labels wrong, a head that errs."""
    rng = np.random.default_rng(0)
    centres = 4 * np.eye(4, 5)

    def split(name: str, counts: tuple[int, ...], wrong: int) -> Split:
        true = np.repeat(np.arange(4), counts)
        features = (centres[true] + rng.normal(size=(len(true), 5))).astype(np.float32)
        labels = true.copy()
        labels[:wrong] = 1
        if multilabel:
            labels = np.eye(4, dtype=np.uint8)[labels]
            labels[:20, 2] = 1
            labels[-1] = 0
        table = pd.DataFrame({"id": [f"{name}/pic {k}.png" for k in range(len(true))]})
        if "thumbnail" in columns:
            table["thumbnail"] = [png(40 * k) for k in true.tolist()]
        if "preview" in columns:
            table["preview"] = [f"text {k}\nof {name}" for k in range(len(true))]
        logits = (features[:, :4] + rng.normal(0, 1.5, (len(true), 4)) - (2 if multilabel else 0)).astype(np.float32)
        return Split((Part(features, labels, logits=logits, table=table),), names, name)

    train, test = split("train", (100, 60, 40, 30), 5), split("test", (20, 20, 20, 20), 0)
    return Run(train=train, test=test, head=None, classes=names, task="multilabel" if multilabel else "multiclass")


@pytest.fixture(scope="module")
def run() -> Run:
    return build()


@pytest.fixture(scope="module")
def suspects(run: Run) -> list[str]:
    """Ids in the order of their scores."""
    order = np.argsort(-suspect_scores(run), kind="stable")
    return [str(run.train.ids[k]) for k in order if suggested_labels(run)[k] != run.train.labels[k]]


def test_label_studio(run, suspects, tmp_path):
    tasks = json.loads(imblens.export(run, "label-studio", tmp_path / "out").read_text(encoding="utf-8"))
    assert [task["data"]["id"] for task in tasks] == suspects
    assert {f"train/pic {k}.png" for k in range(5)} <= set(suspects)
    view = ElementTree.parse(tmp_path / "out" / "interface.xml").getroot()
    choices = [choice.get("value") for choice in view.iter("Choice")]
    assert len(choices) == 4 and choices[0] == NAMES[0] and choices[3] == NAMES[3]
    for task in tasks:
        result = task["predictions"][0]["result"][0]
        assert result["value"]["choices"][0] in choices and result["to_name"] == view.find("Image").get("name")
        assert result["from_name"] == view.find("Choices").get("name")
        assert task["data"]["image"].startswith("data:image/png;base64,")
    assert tasks[0]["predictions"][0]["score"] == pytest.approx(float(np.nanmax(suspect_scores(run))))
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="label-studio-sdk is not installed")
    checker = interface.LabelInterface((tmp_path / "out" / "interface.xml").read_text(encoding="utf-8"))
    checker.validate()
    for task in tasks:
        assert checker.validate_task({"data": task["data"]})
        assert checker.validate_prediction(task["predictions"][0], return_errors=True) == []


def test_texts_and_ids_where_there_are_no_images(tmp_path):
    for columns, shown in ((("preview",), "text 0\nof train"), ((), "train/pic 0.png")):
        path = imblens.export(build(columns), "label-studio", tmp_path / f"out{len(columns)}", what="predictions")
        first = json.loads(path.read_text(encoding="utf-8"))[0]
        assert first["data"]["text"] == shown and first["predictions"][0]["result"][0]["to_name"] == "text"


def test_errors_most_confident_first(run, tmp_path):
    path = imblens.export(run, "label-studio", tmp_path / "out", what="errors", limit=3)
    found = [task["data"] for task in json.loads(path.read_text(encoding="utf-8"))]
    table = imblens.audit(run, lenses=["errors"])["errors"].tables["errors"]
    assert [task["id"] for task in found] == table["id"].head(3).tolist()
    assert [task["confidence"] for task in found] == pytest.approx(table["probability"].head(3).tolist(), abs=1e-6)
    assert all(task["class"] != task["predicted"] for task in found)


def test_cvat(run, suspects, tmp_path):
    path = imblens.export(run, "cvat", tmp_path / "out")
    root = ElementTree.parse(path).getroot()
    assert root.findtext("version") == "1.1" and root.findtext("meta/task/size") == str(len(suspects))
    labels = [label.findtext("name") for label in root.iter("label")]
    given = json.loads((tmp_path / "out" / "labels.json").read_text(encoding="utf-8"))
    assert [label["name"] for label in given] == labels and len(labels) == 4
    images = list(root.iter("image"))
    facts = {a.get("name"): a.text for a in images[0].find("tag")}
    assert facts["id"] == suspects[0] and facts["suggested"] in labels and images[0].find("tag").get("label") in labels
    written = {file.name for file in (tmp_path / "out" / "images").iterdir()}
    assert {image.get("name") for image in images} == written
    assert all((image.get("width"), image.get("height")) == ("6", "4") for image in images)
    assert (tmp_path / "out" / "images.txt").read_text().splitlines() == [image.get("name") for image in images]
    models = pytest.importorskip("cvat_sdk.models", reason="cvat-sdk is not installed")
    for label in given:  # refuses what the server's schema does not have
        text = models.InputTypeEnum("text")
        attributes = [models.AttributeRequest(**{**one, "input_type": text}) for one in label["attributes"]]
        models.PatchedLabelRequest(**{**label, "attributes": attributes})


def test_coco(run, suspects, tmp_path):
    path = imblens.export(run, "coco", tmp_path / "out")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [entry["name"] for entry in content["categories"]] == list(NAMES)
    assert len(content["images"]) == len(content["annotations"]) == len(suspects)
    first = content["annotations"][0]
    assert first["bbox"] == [0, 0, 6, 4] and first["area"] == 24 and first["score"] > 0.5
    assert first["suggested_category_id"] != first["category_id"]
    assert first["attributes"]["id"] == suspects[0]
    assert all((tmp_path / "out" / "images" / image["file_name"]).is_file() for image in content["images"])
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed").COCO(str(path))
    assert len(coco.getImgIds()) == len(suspects) and coco.loadCats(1)[0]["name"] == NAMES[0]


@pytest.mark.filterwarnings("ignore")  # fiftyone's own
def test_fiftyone(run, tmp_path):
    path = imblens.export(run, "fiftyone", tmp_path / "out")
    samples = json.loads(path.read_text(encoding="utf-8"))["samples"]
    assert len(samples) == len(run.train) + len(run.test)
    assert all((tmp_path / "out" / sample["filepath"]).is_file() for sample in samples)
    wrong = sum("error" in sample["tags"] for sample in samples)
    assert wrong == int((~run.train.correct).sum() + (~run.test.correct).sum())
    assert samples[0]["ground_truth"]["label"] == NAMES[1] and samples[0]["suggested"]["label"] == NAMES[0]
    importers = pytest.importorskip("fiftyone.utils.data.importers", reason="fiftyone is not installed")
    reader = importers.FiftyOneDatasetImporter(str(tmp_path / "out"))  # needs no database, unlike a Dataset
    assert reader._is_legacy_format_data()
    reader = reader._to_legacy_importer()
    reader.setup()
    first = next(iter(reader))
    assert len(reader) == len(samples) and reader.get_dataset_info() == {"classes": list(NAMES)}
    assert first["ground_truth"].label == NAMES[1] and first.tags == samples[0]["tags"]
    assert first["predictions"].confidence == pytest.approx(samples[0]["predictions"]["confidence"])


@pytest.mark.filterwarnings("ignore")  # Spotlight's own
def test_spotlight(run, tmp_path):
    path = imblens.export(run, "spotlight", tmp_path / "out")
    table = pd.read_parquet(path)
    assert len(table) == len(run.train) + len(run.test)
    assert np.array_equal(np.stack(table["embedding"]), np.concatenate([run.train.features, run.test.features]))
    assert table["image"][0] == png(0) and table["class"][0] == NAMES[1] and table["suggested"][0] == NAMES[0]
    instances = imblens.audit(run, lenses=["label_suspects"]).instances()
    assert table["confidence"].tolist() == instances["confidence"].tolist()
    store = pytest.importorskip("renumics.spotlight.data_store", reason="renumics-spotlight is not installed")
    from renumics.spotlight import dtypes
    from renumics.spotlight.data_source import create_datasource
    from renumics.spotlight.plugin_loader import load_plugins

    load_plugins()
    read = store.DataStore(create_datasource(path), {"image": dtypes.image_dtype, "embedding": dtypes.embedding_dtype})
    assert read.get_converted_values("embedding")[0] == pytest.approx(table["embedding"][0])
    assert read.get_converted_values("image")[0].startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore")  # cleanlab's own, with new releases of pandas
def test_datalab_finds_the_wrong_labels(run, tmp_path):
    path = imblens.export(run, "datalab", tmp_path / "out")
    table = pd.read_parquet(path)
    probabilities = np.stack(table["pred_probs"])
    assert len(table) == len(run.train) and probabilities.sum(axis=1) == pytest.approx(1)
    import pyarrow.parquet as pq

    columns = json.loads(pq.read_schema(path).metadata[b"classes"])
    own = probabilities[np.arange(len(table)), [columns.index(name) for name in table["label"]]]
    assert 1 - own == pytest.approx(suspect_scores(run))
    cleanlab = pytest.importorskip("cleanlab", reason="cleanlab is not installed")
    lab = cleanlab.Datalab({"label": table["label"].tolist()}, label_name="label", verbosity=0)
    lab.find_issues(pred_probs=probabilities, issue_types={"label": {}})
    issues = lab.get_issues("label")
    assert issues["is_label_issue"][:5].all() and issues["is_label_issue"].mean() < 0.1
    assert issues["predicted_label"][:5].tolist() == [NAMES[0]] * 5


def test_images_in_a_folder_and_at_an_address(run, suspects, tmp_path):
    for name in suspects:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20)).save(tmp_path / "photos" / name)
    path = imblens.export(run, "label-studio", tmp_path / "a", images=tmp_path / "photos")
    shown = [task["data"]["image"] for task in json.loads(path.read_text(encoding="utf-8"))]
    assert shown == [f"/data/local-files/?d={name.replace(' ', '%20')}" for name in suspects]
    content = json.loads(imblens.export(run, "coco", tmp_path / "b", images=tmp_path / "photos").read_text())
    assert content["images"][0] == {"id": 1, "file_name": suspects[0], "width": 30, "height": 20}
    assert not (tmp_path / "b" / "images").exists()
    content = json.loads(imblens.export(run, "coco", tmp_path / "c", images="https://x.org/p/").read_text())
    assert content["images"][0]["coco_url"] == f"https://x.org/p/{suspects[0].replace(' ', '%20')}"
    assert "width" not in content["images"][0] and "bbox" not in content["annotations"][0]


def test_a_list_of_ticked_instances(run, suspects, tmp_path):
    with (tmp_path / "ticked.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "class"], [suspects[2], ""], [suspects[0], ""]])
    path = imblens.export(run, "coco", tmp_path / "out", ids=tmp_path / "ticked.csv")
    found = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    assert [one["attributes"]["id"] for one in found] == [suspects[0], suspects[2]]
    path = imblens.export(run, "coco", tmp_path / "of", of=NAMES[1], limit=2)
    found = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    assert [one["category_id"] for one in found] == [2, 2]


def test_several_labels(tmp_path):
    run = build(multilabel=True)
    tasks = json.loads(imblens.export(run, "label-studio", tmp_path / "a", what="errors").read_text(encoding="utf-8"))
    assert len(tasks) == int((~run.test.correct).any(axis=1).sum())
    assert 'choice="multiple"' in (tmp_path / "a" / "interface.xml").read_text(encoding="utf-8")
    content = json.loads(imblens.export(run, "coco", tmp_path / "b", what="predictions").read_text(encoding="utf-8"))
    assert len(content["annotations"]) == int(run.train.labels.sum() + run.test.labels.sum())
    assert len(content["images"]) == len(run.train) + len(run.test)
    samples = json.loads(imblens.export(run, "fiftyone", tmp_path / "c").read_text(encoding="utf-8"))["samples"]
    assert [one["label"] for one in samples[0]["ground_truth"]["classifications"]] == [NAMES[1], NAMES[2]]
    assert len(pd.read_parquet(imblens.export(run, "spotlight", tmp_path / "d"))) == len(content["images"])


REFUSED = {
    "format": ({"to": "label_studios"}, "Did you mean 'label-studio'?"),
    "kind": ({"what": "suspect"}, "Did you mean 'suspects'?"),
    "class": ({"of": "dog"}, "no class 'dog'"),
    "nearly a class": ({"of": "cat (taby)"}, "Did you mean 'cat (tabby)'?"),
    "limit": ({"limit": 0}, "limit=0"),
    "unknown id": ({"ids": ["nothing"]}, "1 of 1 ids name no instance of the run: 'nothing'"),
    "no suspect": ({"ids": ["test/pic 0.png"]}, "name no suspect"),
    "no list": ({"ids": "none.csv"}, "--ids none.csv: there is no such file"),
    "no folder": ({"images": "nowhere"}, "no such folder"),
    "no files": ({"images": "."}, "ids name no file there"),
    "chosen for Datalab": ({"to": "datalab", "limit": 3}, "cannot be chosen"),
    "address for FiftyOne": ({"to": "fiftyone", "images": "https://x.org"}, "not from an address"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_write_nothing(run, tmp_path, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options, fragment = REFUSED[case]
    with pytest.raises(ImblensError) as refused:
        imblens.export(run, **{"to": "label-studio", "out": "out", **options})
    assert fragment in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_runs_without_what_a_format_needs(tmp_path):
    plain, several = build(()), build(multilabel=True)
    for case, to, what, fragment in (
        (plain, "cvat", None, "shows images"),
        (several, "label-studio", "suspects", "pairs of an instance and a label"),
        (several, "datalab", None, "single-label runs only"),
        (Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1])), "label-studio", "errors", "no test split"),
        (Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1]), test=(np.eye(4), [0, 0, 1, 1])), "coco", "errors", "unknown"),
    ):
        with pytest.raises(ImblensError, match=fragment):
            imblens.export(case, to, tmp_path / "out", what=what)
    assert not list(tmp_path.iterdir())


def test_command(run, tmp_path):
    run.save(tmp_path / "run")
    done = command("export", "run", "--to", "coco", "--limit", "2", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = Path("out") / "annotations.json"
    assert done.stdout.splitlines() == [f"export: {path}", "use: pycocotools.coco.COCO('out/annotations.json')"]
    assert len(json.loads((tmp_path / path).read_text(encoding="utf-8"))["images"]) == 2
    again = command("export", "run", "--to", "coco", "--out", "out", cwd=tmp_path)
    assert again.returncode == 2 and "already exists" in again.stderr and again.stdout == ""
    with pytest.raises(ExistsError):
        imblens.export(run, "coco", tmp_path / "out")
    asked = command("export", "run", "--to", "coco", "--what", "error", "--out", "other", cwd=tmp_path)
    assert asked.returncode == 2 and "Did you mean 'errors'?" in asked.stderr and not (tmp_path / "other").exists()
    listed = command("list", "exports", "--json", cwd=tmp_path)
    assert set(json.loads(listed.stdout)) == set(exports())


@pytest.mark.parametrize(("column", "types"), [("thumbnail", "'image': 'Image', "), ("preview", ""), ("", "")])
def test_the_command_for_spotlight_names_the_columns_that_are_there(tmp_path, column, types):
    build((column,)).save(tmp_path / "run")
    done = command("export", "run", "--to", "spotlight", "--what", "errors", "--out", "out", cwd=tmp_path)
    assert f"dtype={{{types}'embedding': 'Embedding'}}" in done.stdout
    assert ("image" in pd.read_parquet(tmp_path / "out" / "instances.parquet").columns) == bool(types)


def test_the_help_states_where_what_is_refused():
    assert "Not with datalab" in signature(export_command).parameters["what"].default.help


def test_a_terminal_sees_how_much_of_a_long_export_is_done(run: Run, tmp_path: Path, monkeypatch) -> None:
    begun: dict[str, int | None] = {}

    class Noted(progress.Loop):
        def __init__(self, what: str, total: int | None) -> None:
            super().__init__(what, total)
            begun[what] = total

    monkeypatch.setattr(progress, "Loop", Noted)
    with progress.listening():
        imblens.export(run, "coco", tmp_path / "coco", what="predictions")
        imblens.export(run, "spotlight", tmp_path / "spotlight", what="predictions")
    assert begun["reading sizes of images"] == begun["writing images"] == 310
    assert begun["writing instances"] == 1
