"""Figures of studies: what they average, draw and mark, and that they resume."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imblens.errors import MissingError
from imblens.report import column_figure
from imblens.run import Run
from imblens.studies import FIGURES, Results, find_study, open_jobs, run_study
from imblens.studies._details import DETAILS
from imblens.studies._measures import measured
from imblens.treatments import treat
from tests.report.runs import make_run

COLUMN = 992  # pixels of 84 mm at 300 dots an inch
CLASSES = [f"class {i}" for i in range(10)]
COUNTS = [500 // (i + 1) ** 2 for i in range(10)]
GROUP = ["data", "loss", "treatment"]


def cells(data=("CIFAR-10",), losses=("ce",), treatments=("none", "smote", "eos k_neighbors=10"), seeds=(0, 1)):
    for one in data:
        for loss in losses:
            for treatment in treatments:
                for seed in seeds:
                    yield {"data": one, "loss": loss, "treatment": treatment, "seed": seed}


def class_rows(**asked) -> pd.DataFrame:
    rows = []
    for cell in cells(**asked):
        for i, (name, count) in enumerate(zip(CLASSES, COUNTS, strict=True)):
            gap = (3 + i) * (0.4 if cell["treatment"].startswith("eos") else 1) + cell["seed"]
            values = {"train_count": count, "imbalance": COUNTS[0] / count, "accuracy": 1 - 0.08 * i, "gap": gap}
            rows.append({**cell, "class": name, **values, "weight_norm": 2 - 0.1 * i})
    return pd.DataFrame(rows[::-1])


def error_rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for cell in cells(treatments=("none",), seeds=(0,)):
        for name in CLASSES:
            others = [other for other in CLASSES if other != name]
            for other, observed, forecast in zip(
                others, rng.dirichlet(np.ones(9)), rng.dirichlet(np.ones(9)), strict=True
            ):
                rows.append({**cell, "class": name, "adversary": other, "observed": observed, "forecast": forecast})
    return pd.DataFrame(rows)


def archetype_rows() -> pd.DataFrame:
    rows = []
    for cell in cells(treatments=("none",), seeds=(0,)):
        for name, count in zip(CLASSES, COUNTS, strict=True):
            for place, kind in enumerate(("safe", "border", "rare", "outlier")):
                values = {"count": count / 4, "accuracy": 1 - 0.2 * place, "train_count": count}
                rows.append({**cell, "class": name, "archetype": kind, **values})
    return pd.DataFrame(rows)


def curve_rows() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {**cell, "epoch": epoch, "train": 0.9 - 0.3 / epoch, "test": 0.72 - 0.2 / epoch + 0.02 * cell["seed"]}
            for cell in cells(treatments=("smote epochs=30", "eos k_neighbors=10 epochs=30"))
            for epoch in range(1, 31)
        ]
    )


def number_rows() -> pd.DataFrame:
    sets = ("NIH", "NIH, finding or none")
    return pd.DataFrame(
        [
            {
                **cell,
                "auroc": 0.8,
                "average_precision": 0.3,
                "probability": 0.1 + place / 20,
                "gap_correct": 3,
                "gap_wrong": 5,
            }
            for place, cell in enumerate(cells(data=sets, losses=("bce", "wbce", "focal_bce"), treatments=("none",)))
        ]
    )


PAPER = pd.DataFrame(
    {
        "data": "CIFAR-10",
        "loss": ["ce", "ce", "asl"],
        "treatment": ["smote", "eos k_neighbors=10", "smote"],
        "balanced_accuracy": [0.739, 0.757, 0.1],
    }
)
ROWS = {
    "class_accuracy": lambda: class_rows(data=("CIFAR-10", "Places-10"), treatments=("none",)),
    "archetypes": archetype_rows,
    "adversaries": error_rows,
    "gap": lambda: class_rows(losses=("ce", "ldam")),
    "weight_norms": class_rows,
    "gap_correct": number_rows,
    "curve": curve_rows,
    "ranking": number_rows,
}


@pytest.mark.parametrize("name", list(ROWS))
def test_every_figure_is_as_wide_as_a_column(name):
    drawing = FIGURES[name].draw(Results(ROWS[name](), GROUP, paper=PAPER))
    files = column_figure(name, drawing.chart)
    assert abs(Image.open(io.BytesIO(files["png"])).width - COLUMN) < 3
    assert b' width="83.87mm"' in files["svg"][:400]  # 317 pixels
    assert files["pdf"].startswith(b"%PDF") and b"NaN" not in files["svg"]


def test_gaps_are_means_over_seeds_largest_class_first_with_the_line_of_imbalance():
    drawing = FIGURES["gap"].draw(Results(class_rows(), GROUP))
    table = drawing.table.set_index(["treatment", "class"])["gap"]
    assert table["none", "class 0"] == 3.5  # seeds 0 and 1
    assert table["eos k_neighbors=10", "class 9"] == pytest.approx(0.4 * 12 + 0.5)
    assert list(dict.fromkeys(drawing.table["class"])) == CLASSES
    spec = drawing.chart.to_dict()
    assert [layer["encoding"]["y"]["field"] for layer in spec["concat"][0]["layer"]] == ["gap", "imbalance"]


def spec_of(rows, name):
    return FIGURES[name].draw(Results(rows, GROUP)).chart.to_dict()


def lines_of(spec, group, panel):
    """The rows that the lines of a panel are drawn from."""
    data = next(one["data"] for one in (panel, *panel.get("layer", [])[:1], group) if "data" in one)
    return pd.DataFrame(spec["datasets"][data["name"]])


def test_the_first_panel_of_a_set_has_its_networks_without_over_sampling():
    """Subfigures a, f, k and p of EOS, Figs 3 and 5."""
    for name in ("gap", "weight_norms"):
        spec = spec_of(class_rows(data=("CIFAR-10", "SVHN"), losses=("ce", "asl", "ldam")), name)
        over, under = spec["vconcat"]
        assert {panel["title"] for panel in over["concat"]} == {"CIFAR-10", "SVHN"} and len(under["concat"]) == 6
        for panel in over["concat"]:
            rows = lines_of(spec, over, panel)
            assert set(rows["treatment"]) == {"none"} and set(rows["data"]) == {panel["title"]}
            assert rows.groupby("network")["class"].nunique().to_dict() == {"ce": 10, "asl": 10, "ldam": 10}
            colour = (panel["layer"][0] if name == "gap" else panel)["encoding"]["color"]
            assert set(colour["scale"]["domain"]) == {"ce", "asl", "ldam"}
        assert ("layer" in over["concat"][0]) == (name == "gap")  # the line of imbalance
        assert "vconcat" not in spec_of(class_rows(), name)  # one loss: nothing to compare


def test_norms_that_are_equal_in_all_classes_are_stated_instead_of_drawn():
    """The normalised head of LDAM: 30 in every class, beside norms of 1 to 2."""
    rows = class_rows(losses=("ce", "asl", "ldam"))
    rows.loc[(rows["loss"] == "ldam") & (rows["treatment"] == "none"), "weight_norm"] = 30.0
    spec = spec_of(rows, "weight_norms")
    over = spec["vconcat"][0]
    assert set(lines_of(spec, over, over["concat"][0])["network"]) == {"ce", "asl"}
    assert over["title"]["text"] == ["Without over-sampling.", "Not drawn: ldam, 30 in every class."]
    assert spec["vconcat"][1]["title"]["text"] == "Not drawn in CIFAR-10, ldam: none, 30 in every class."
    panels = {panel["title"]: lines_of(spec, spec["vconcat"][1], panel) for panel in spec["vconcat"][1]["concat"]}
    assert set(panels["CIFAR-10, ldam"]["treatment"]) == {"smote", "eos k_neighbors=10"}
    assert set(panels["CIFAR-10, ce"]["treatment"]) == {"none", "smote", "eos k_neighbors=10"}
    alone = spec_of(rows[(rows["loss"] == "ldam") & (rows["treatment"] == "none")], "weight_norms")
    assert set(lines_of(alone, alone, alone["concat"][0])["treatment"]) == {"none"}


def test_the_gap_after_eos_is_that_with_synthetic_instances():
    """EOS, Fig. 3: SMOTE leaves the ranges of training features as they were, EOS widens those of classes that grow."""
    run = make_run(n=200, per_test=10)
    smote, eos = treat(run, "smote", k_neighbors=2, random_state=0), treat(run, "eos", k_neighbors=150, random_state=0)
    before, same, after = ({row["class"]: row["gap"] for row in DETAILS["classes"](one)} for one in (run, smote, eos))
    assert same == pytest.approx(before)
    assert all(after[name] < before[name] for name in run.classes[-5:])
    means = [measured(one, ("gap",)) for one in (run, smote, eos)]
    assert means[2]["gap"] < means[1]["gap"] == pytest.approx(means[0]["gap"])
    assert means[2]["gap_rare"] < means[0]["gap_rare"]


def test_the_curve_marks_the_published_values_of_its_network():
    drawing = FIGURES["curve"].draw(Results(curve_rows(), GROUP, paper=PAPER))
    marked = drawing.table[drawing.table["split"] == "published"].set_index("method")["value"]
    assert marked.to_dict() == {"smote": 0.739, "eos": 0.757}
    last = drawing.table[(drawing.table["epoch"] == 30) & (drawing.table["split"] == "test")]
    assert last["value"].tolist() == pytest.approx([0.72 - 0.2 / 30 + 0.01] * 2)


def test_chosen_classes_alone_are_drawn():
    drawing = FIGURES["adversaries"].draw(Results(error_rows(), GROUP, classes=["class 9", "class 3"]))
    assert set(drawing.table["class"]) == {"class 3", "class 9"}
    assert drawing.table.groupby("class")["observed"].sum().tolist() == pytest.approx([1, 1])


def test_errors_are_drawn_beside_alg_1_where_cells_have_it():
    """The rule of ten gives class 1 all of the forecast, Alg. 1 class 2."""
    rows = error_rows().query("`class` == 'class 3'")
    rows = rows.assign(forecast=rows["adversary"] == "class 1", alg1=rows["adversary"] == "class 2").astype(
        {"forecast": float, "alg1": float}
    )
    drawn = FIGURES["adversaries"].draw(Results(rows, GROUP))
    text = drawn.chart.to_json()
    assert "(b) forecast, Alg. 1" in text and drawn.table["alg1"].sum() == drawn.table["forecast"].sum() == 1
    assert "Alg. 1" not in FIGURES["adversaries"].draw(Results(error_rows(), GROUP)).chart.to_json()


def test_classes_without_a_forecast_are_explained():
    rows = error_rows()
    assert "no error in training" not in FIGURES["adversaries"].draw(Results(rows, GROUP)).chart.to_json()
    rows.loc[rows["class"] == "class 3", "forecast"] = np.nan
    assert "no error in training" in FIGURES["adversaries"].draw(Results(rows, GROUP)).chart.to_json()


def test_the_legend_of_figure_2_names_what_is_drawn():
    both = FIGURES["ranking"].draw(Results(number_rows(), GROUP)).chart.to_json()
    assert '"average of labels"' in both and '"unhealthy"' in both
    one = number_rows().query("data == 'NIH, finding or none'")
    assert '"average of labels"' not in FIGURES["ranking"].draw(Results(one, GROUP)).chart.to_json()


def test_the_rows_of_figure_5_have_both_forecasts():
    """One training error of a, whose neighbours but a are two of b and one of c: Alg. 1 gives 2/3; with all of a 4/9."""
    features = np.array([[0.0], [1], [9], [10], [11], [-1], [-2]])
    labels = np.array([0, 0, 0, 1, 1, 2, 2])
    logits = np.eye(3)[[0, 0, 1, 1, 1, 2, 2]]
    run = Run.from_arrays(train=(features, labels, logits), test=(features, labels, logits), classes=list("abc"))
    row = next(row for row in DETAILS["adversaries"](run) if (row["class"], row["adversary"]) == ("a", "b"))
    assert (row["observed"], row["alg1"], row["forecast"]) == pytest.approx((1, 2 / 3, 4 / 9))


def test_of_many_classes_archetypes_are_of_the_largest_and_smallest():
    many = pd.concat([archetype_rows().assign(**{"class": lambda t, k=k: t["class"] + f" {k}"}) for k in range(3)])
    drawing = FIGURES["archetypes"].draw(Results(many, GROUP))
    assert drawing.table["class"].nunique() == 10
    assert {name[:7] for name in drawing.table["class"]} == {"class 0", "class 1", "class 8", "class 9"}


def test_nothing_is_drawn_of_nothing():
    assert (
        FIGURES["curve"].draw(Results(pd.DataFrame([{"data": "a", "treatment": "none"}]), ["data", "treatment"]))
        is None
    )
    unknown = class_rows().assign(weight_norm=None)
    assert FIGURES["weight_norms"].draw(Results(unknown, GROUP)) is None


MINE = """
question = "What is drawn?"
figures = ["curve", "gap_correct", "class_accuracy"]
measures = ["accuracy", "gap"]
treatments = ["none", "smote curve=true epochs=3"]
seeds = [0]
data = [{name = "digits", source = "digits", profile = "exp:20"}]
train = {arch = "smallnet", schedule = "short", epochs = 1}
"""


def test_a_study_writes_its_figures_and_measures_again_what_they_lack(tmp_path):
    path, out = tmp_path / "mine.toml", tmp_path / "out"
    path.write_text(MINE.replace(MINE.splitlines()[2], ""))
    plain = run_study(find_study(path), out, workers=1)
    assert not (out / "figures").exists() and len(plain.results) == 2
    path.write_text(MINE)
    study = find_study(path)
    assert open_jobs(study, out) == {"digits seed=0": 2}  # the same study: its network is kept
    result = run_study(study, out, workers=1)
    assert open_jobs(study, out) == {}
    for name in ("curve", "gap_correct", "class_accuracy"):
        assert {f"{name}.{kind}" for kind in ("svg", "png", "pdf")} <= {
            file.name for file in (out / "figures").iterdir()
        }
        assert f"(figures/{name}.png)" in result.text
    curve = pd.read_csv(out / "tables" / "figure_curve.csv")
    assert curve["epoch"].unique().tolist() == [1, 2, 3] and curve["value"].between(0, 1).all()
    drawn = pd.read_csv(out / "tables" / "figure_class_accuracy.csv")
    untreated = drawn.loc[drawn["treatment"] == "none", "accuracy"].mean()
    assert untreated == pytest.approx(plain.results.loc[0, "balanced_accuracy"], abs=1e-5)
    assert "details" not in pd.read_csv(out / "results.csv")


def test_unknown_figures_are_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace('"curve"', '"curves"'))
    with pytest.raises(MissingError, match="no figure 'curves'"):
        find_study(path)


def test_titles_name_options_that_are_on():
    rows = pd.DataFrame({"data": ["a", "a"], "loss": ["ce", "ldam"], "drw": [False, True], "seed": [0, 0]})
    results = Results(rows, ["data", "loss", "drw"])
    assert results.panel_of(rows).tolist() == ["a, ce", "a, ldam, drw"]
