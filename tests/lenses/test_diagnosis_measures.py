"""What is planted in normal classes is measured, first among the causes, and absent where nothing is planted."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.lenses import diagnosis
from imblens.lenses.diagnosis import noise, strengths
from imblens.lenses.diagnosis.failing import failing
from imblens.lenses.diagnosis.measures import MEASURES
from imblens.lenses.diagnosis.noise import label_noise
from imblens.lenses.diagnosis.regions import clusters, uncovered
from imblens.run import Run
from imblens.studies import Arrays, planted_in

COUNTS, TESTED = (900, 600, 500, 400, 300), 200


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Five normal classes, four standard deviations apart, in ten dimensions."""
    rng = np.random.default_rng(1)
    labels, tested = np.repeat(np.arange(5), COUNTS), np.repeat(np.arange(5), TESTED)
    centres = 4 / np.sqrt(2) * np.eye(5, 10)
    train, test = (centres[own] + rng.normal(size=(len(own), 10)) for own in (labels, tested))
    return Arrays(train.astype(np.float32), labels, test.astype(np.float32), tested, tuple("abcde"))


def run_of(arrays: Arrays, labels: np.ndarray | None = None) -> Run:
    return Run.from_arrays(
        train=(arrays.train, arrays.train_labels if labels is None else labels),
        test=(arrays.test, arrays.test_labels),
        classes=arrays.classes,
    )


def first(arrays: Arrays) -> dict[str, str]:
    return diagnosis(arrays.fitted(0)).tables["diagnosis"].groupby("class")["cause"].first().to_dict()


def test_nothing_planted_names_nothing_but_what_is_there(arrays: Arrays) -> None:
    assert not {"label_noise", "sub_concepts", "uncovered_range"} & set(first(arrays).values())
    found = label_noise(run_of(arrays))
    assert all(one.z < 2.6 for one in found.values())
    assert max(region.share for region in uncovered(run_of(arrays)).values()) < 0.03


@pytest.mark.parametrize("share", [0.05, 0.1])
@pytest.mark.parametrize("source", [None, 1])
def test_the_share_of_wrong_labels_is_estimated(arrays: Arrays, share: float, source: int | None) -> None:
    rng = np.random.default_rng(2)
    labels = arrays.train_labels.copy()
    pool = np.flatnonzero(labels != 0 if source is None else labels == source)
    n = round(share / (1 - share) * COUNTS[0])
    labels[rng.choice(pool, n, replace=False)] = 0
    found = label_noise(run_of(arrays, labels))
    assert found[0].share == pytest.approx(share, rel=0.4) and found[0].z > 3.4
    assert found[0].source == source
    assert all(found[other].z < 3.6 for other in range(1, 5))


def test_evidence_on_wrong_labels_is_a_number_where_they_explain_everything() -> None:
    counts, base, shapes = np.zeros(40), np.full(40, 1 / 360), np.zeros((2, 40))
    counts[:3], base[:3] = (250, 2, 1), 0
    shapes[0, :3], shapes[1, :3] = (0.01, 0.01, 0.001), (0.8, 0.1, 0.1)
    found = noise._ratios(counts, base, shapes, 250.0)
    assert np.isfinite(found).all() and found[1] > found[0] > 0


def test_wrong_labels_are_found_where_the_network_confuses_nothing() -> None:
    rng = np.random.default_rng(4)
    labels, tested = np.repeat([0, 1], [260, 220]), np.repeat([0, 1], 100)
    centres = 12 * np.eye(2, 6)
    labelled = labels.copy()
    labelled[260:275] = 0  # images of the second class
    found = label_noise(
        Run.from_arrays(
            train=((centres[labels] + rng.normal(size=(480, 6))).astype(np.float32), labelled),
            test=((centres[tested] + rng.normal(size=(200, 6))).astype(np.float32), tested),
        )
    )
    assert found[0].z > 3.0 and found[0].share == pytest.approx(15 / 275, abs=0.015)
    assert found[1].z < 1.0


def test_a_cluster_of_a_class_without_errors_is_no_cause_of_errors(arrays: Arrays) -> None:
    changed = [values.copy() for values in (arrays.train, arrays.test)]
    for values, labels in zip(changed, (arrays.train_labels, arrays.test_labels), strict=True):
        own = np.flatnonzero(labels == 0)
        values[own] += 30 * np.eye(10, dtype=np.float32)[8]  # far from all other classes
        values[own[::8]] += 12 * np.eye(10, dtype=np.float32)[9]
    apart = Arrays(changed[0], arrays.train_labels, changed[1], arrays.test_labels, arrays.classes)
    table = diagnosis(apart.fitted(0)).tables["diagnosis"].set_index("class")
    assert table.loc["a", "accuracy"] == 1.0 and table.loc["a", "cause"] == "none found"


@pytest.mark.parametrize("plant", ["group absent", "merged", "split", "10% from one", "few"])
def test_the_planted_cause_is_first(arrays: Arrays, plant: str) -> None:
    cause = {"group absent": "uncovered_range", "merged": "sub_concepts", "split": "overlap", "few": "few_examples"}
    found = planted_in(arrays, plant, 0)
    causes = first(found.arrays)
    assert {causes[name] for name in found.planted} == {cause.get(plant, "label_noise")}


def test_a_cloud_of_its_own_is_a_cluster_and_half_of_one_cloud_is_not(arrays: Arrays) -> None:
    rng = np.random.default_rng(3)
    alone = arrays.train.copy()
    moved = rng.choice(arrays.rows(0), 100, replace=False)
    alone[moved] += 12 * np.eye(10, dtype=np.float32)[9]
    test = arrays.test.copy()
    test[rng.choice(arrays.test_rows(0), 22, replace=False)] += 12 * np.eye(10, dtype=np.float32)[9]
    changed = Arrays(alone, arrays.train_labels, test, arrays.test_labels, arrays.classes)
    found = clusters(run_of(changed))
    assert found[0].cut < 0.03 and found[0].trained == pytest.approx(100 / 900, abs=0.03)
    assert all(found[other].cut > 0.12 for other in range(1, 5))


def test_other_causes_explain_overlap_unless_no_line_separates_the_two() -> None:
    def overlap(value: float, **others: float) -> float:
        return {cause.name: strength for cause, strength in strengths({"overlap": value, **others})}["overlap"]

    assert overlap(0.8) == 0.8 and overlap(1.0) == 1.0
    assert overlap(0.8, few_examples=1.0) == pytest.approx(0.4)
    assert overlap(1.0, few_examples=1.0, uncovered_range=1.0) == 1.0
    assert strengths({})[0][1] == 0.0


def test_clusters_are_searched_in_classes_of_sixty_and_more() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [59, 60, 61])
    features = rng.normal(size=(180, 3)) + 9 * np.eye(3)[labels]
    features[np.r_[0:9, 59:68, 119:128]] += 50  # a separate cloud of each class
    assert list(clusters(Run.from_arrays(train=(features, labels)))) == [1, 2]


def memorised(*, absent: str = "") -> Run:
    """Test instances of small classes lie apart from training, the more the smaller; of `absent`, a fifth do."""
    rng = np.random.default_rng(0)
    sizes = (900, 800, 700, 600, 300, 200, 100, 60)
    names = [f"of {n}" for n in sizes]
    means = 12 * np.eye(len(sizes), 16)

    def split(counts: tuple[int, ...], apart: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(len(sizes)), counts)
        features = means[labels] + rng.normal(size=(len(labels), 16))
        for label, n in apart.items():
            features[np.flatnonzero(labels == label)[:n], len(sizes) + label] += 9
        return features, labels

    apart = {4: 12, 5: 22, 6: 32, 7: 42} | ({names.index(absent): 20} if absent else {})
    return Run.from_arrays(train=split(sizes, {}), test=split((100,) * len(sizes), apart), classes=names)


def uncovered_strength(run: Run) -> dict[str, float]:
    """Strength of an uncovered range by class; without predictions at most half."""
    return {run.classes[label]: strength for label, (strength, _) in MEASURES["uncovered_range"](run).items()}


def test_classes_that_a_network_has_memorised_are_compared_with_those_of_their_size() -> None:
    found = uncovered(memorised())
    assert [found[label].share > 0.1 for label in range(8)] == [False] * 4 + [True] * 4
    assert max(uncovered_strength(memorised()).values()) == 0.0


def test_a_group_that_training_lacks_is_found_beside_memorised_classes() -> None:
    found = uncovered_strength(memorised(absent="of 700"))
    assert found.pop("of 700") == 0.5 and max(found.values()) == 0.0


def scattered(kept: int, *, tested_alike: bool = False, groups: np.ndarray | None = None) -> Run:
    """Six balanced classes; a fifth of the first one's test instances are scattered among the others, where the head errs.

    Training has `kept` of such instances; with `tested_alike` the test split has only as many of a hundred.
    """
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(6), 150)
    tested = np.repeat(np.arange(6), 100)
    centres = 5 * np.eye(6, 12)
    train, test = (centres[own] + rng.normal(size=(len(own), 12)) for own in (labels, tested))
    part = 4.5 * np.eye(12)[8] + 1.5 * centres[1:3].mean(axis=0)
    n = kept if tested_alike else 20
    train[:kept] = part + rng.normal(size=(kept, 12))
    test[:n] = part + rng.normal(size=(n, 12))
    logits = [np.asarray(values @ centres.T) for values in (train, test)]
    return Run.from_arrays(
        train=(train.astype(np.float32), labels, logits[0]),
        test=(test.astype(np.float32), tested, logits[1]),
        groups=None if groups is None else {"train": np.arange(900), "test": groups},
    )


@pytest.mark.parametrize("kept, cause", [(3, "sub_concepts"), (0, "uncovered_range")])
def test_a_group_that_fails_and_is_rare_or_absent_in_training_is_the_cause(kept: int, cause: str) -> None:
    run = scattered(kept)
    one = failing(run)[0]
    assert one.rare and one.share == pytest.approx(0.2, abs=0.05) and one.trained == pytest.approx(kept / 150, abs=0.02)
    strength, evidence = MEASURES[cause](run)[0]
    assert strength > 0.5 and ("misclassified" in evidence or not kept)
    assert max(MEASURES[cause](run)[other][0] for other in range(1, 6) if other in MEASURES[cause](run)) < 0.25


def test_a_group_that_fails_as_often_in_training_is_not_rare() -> None:
    run = scattered(20, tested_alike=True)
    one = failing(run)[0]
    assert not one.rare and one.share > 0.1
    assert "misclassified" not in MEASURES["sub_concepts"](run).get(0, (0.0, ""))[1]


def test_a_group_of_two_patients_that_fails_is_not_a_region() -> None:
    patients = np.arange(600)
    patients[:20] = np.repeat([-1, -2], 10)
    patients[20:100] = np.arange(80) + 1000
    found = failing(scattered(3, groups=patients))
    assert found[0].share == 0 and failing(scattered(3, groups=np.arange(600)))[0].share > 0.1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_memorised_classes_without_a_reference_have_no_region_that_fails(n_classes: int) -> None:
    rng = np.random.default_rng(3)
    labels, tested = np.repeat(np.arange(n_classes), 200), np.repeat(np.arange(n_classes), 100)
    centres = 2 * np.eye(n_classes, 8)
    train = centres[labels] + 0.5 * rng.normal(size=(len(labels), 8))
    test = centres[tested] + rng.normal(size=(len(tested), 8))
    run = Run.from_arrays(
        train=(train.astype(np.float32), labels, train @ centres.T),
        test=(test.astype(np.float32), tested, test @ centres.T),
    )
    assert not failing(run)
    assert "misclassified" not in "".join(seen[1] for seen in MEASURES["uncovered_range"](run).values())
