"""A network is trained on drawn shapes whose faults are known; the lenses must find each of them."""

from __future__ import annotations

import numpy as np
import pytest

import imblens
from imblens.data import ImageSet, shapes
from imblens.report import Audit
from tests.lenses.made import archetype_instances

pytestmark = [pytest.mark.slow, pytest.mark.thorough]  # 30 epochs; tests/studies plants causes in stored features


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return shapes(seed=0)


@pytest.fixture(scope="module")
def audit(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    from imblens.training import train

    trained = train(images, out=tmp_path_factory.mktemp("shapes"), epochs=30, progress=False)
    run = imblens.capture(
        trained.model,
        train=images.train,
        test=images.test,
        classes=images.classes,
        preprocessing=trained.meta["preprocessing"],
        thumbnails=False,
    )
    return imblens.audit(run, skip=["embedding_map"])


def test_the_network_is_good_enough_to_state_something(audit: Audit) -> None:
    summary = audit["class_accuracy"].summary
    assert 0.5 < summary["balanced_accuracy"] < 0.95


def test_overlapping_classes_are_each_others_adversaries(audit: Audit) -> None:
    table = audit["adversaries"].tables["adversaries"]
    for name, other in (("oval", "disc"), ("disc", "oval")):
        rows = table[table["class"] == name]
        for forecast in ("soft", "fisher"):
            assert rows.loc[rows[forecast].idxmax(), "adversary"] == other, (name, forecast)
    rows = table[table["class"] == "oval"]
    assert rows.loc[rows["observed"].idxmax(), "adversary"] == "disc"


def test_wrong_labels_are_suspected(audit: Audit, images: ImageSet) -> None:
    wrong = set(images.planted["label_noise"]["train"])
    suspects = audit["label_suspects"].tables["label_suspects"]
    rings = suspects[suspects["class"] == "ring"]
    hits = rings["id"].isin(wrong)
    assert hits.mean() > 0.6, "most suspects are wrong labels"
    assert hits.sum() > 0.3 * len(wrong), "and they are a fair part of all wrong labels"
    instances = archetype_instances(audit.run).set_index("id")
    planted = instances.loc[sorted(wrong), "archetype"]
    clean = instances[(instances["class"] == "ring") & ~instances.index.isin(wrong)]["archetype"]
    assert (planted == "outlier").mean() > 20 * max((clean == "outlier").mean(), 0.005)


def test_the_background_is_seen_as_the_colour_of_its_class(audit: Audit, images: ImageSet) -> None:
    band = images.planted["background"]["band"]
    table = audit["colours"].tables["colours"]
    share = table[table["band"] == band].set_index("class")["share"]
    assert share["kite"] > 2 * share.drop("kite").max()
    assert "kite" in audit["colours"].lines()


def test_what_training_does_not_cover_shows_in_gap_and_diagnosis(audit: Audit) -> None:
    table = audit["generalization_gap"].tables["generalization_gap"].set_index("class")
    peers = table[table["train_count"] >= table.loc["arrow", "train_count"]]
    assert table.loc["arrow", "gap"] == peers["gap"].max(), "no class of as many instances has a wider gap"
    assert first_cause(audit, "arrow") == "uncovered_range"


def test_the_rare_sub_concept_is_less_safe(audit: Audit, images: ImageSet) -> None:
    kinds = images.planted["sub_concepts"]["train"]
    instances = archetype_instances(audit.run).set_index("id")
    safe = instances.loc[list(kinds), "same_class"].to_numpy(dtype=float)
    bars = np.array([kind == "two bars" for kind in kinds.values()])
    assert safe[bars].mean() < safe[~bars].mean()


def test_few_examples_come_out_worst(audit: Audit) -> None:
    table = audit["class_accuracy"].tables["class_accuracy"].set_index("class")
    assert set(table["accuracy"].nsmallest(3).index) >= {"hourglass", "crescent"}
    assert first_cause(audit, "hourglass") == "few_examples" == first_cause(audit, "crescent")


def test_diagnosis_names_what_was_planted(audit: Audit) -> None:
    assert first_cause(audit, "ring") == "label_noise"
    assert first_cause(audit, "oval") == "overlap"
    assert first_cause(audit, "kite") in ("shortcut", "shortcut_colours")
    assert first_cause(audit, "cross") == "none found"


def first_cause(audit: Audit, name: str) -> str:
    table = audit["diagnosis"].tables["diagnosis"]
    return str(table.loc[table["class"] == name, "cause"].iloc[0])


def test_a_class_known_by_its_background_is_not_looked_at(audit: Audit, images: ImageSet) -> None:
    (shortcut,) = images.planted["background"]["classes"]
    table = audit["alignment"].tables["alignment"].set_index("class")
    others = table.drop(shortcut)
    assert table.loc[shortcut, "excess"] < others["excess"].min()
    assert table.loc[shortcut, "excess_high"] < others["excess"].median()
    assert (others["excess_low"] > 0).mean() > 0.7, "the network looks at the other objects"
    assert next(iter(audit["alignment"].lines())) == shortcut


def test_concepts_lie_in_the_boxes(audit: Audit) -> None:
    table = audit["concepts"].tables["concepts"]
    assert (table["image_count"] == 100).all()
    assert (table["unique"] > 1).all() and (table["disjoint"] >= table["unique"]).all()
    assert (table["unique"] <= audit["concepts"].summary["channels"]).all()
