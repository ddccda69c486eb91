"""Classification embeddings: by hand, against a loop, laws and edges."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imblens import Run
from imblens.errors import InputError, MissingError, NotApplicable
from imblens.lenses import class_features, compare_class_features
from imblens.lenses.class_features import measure, rarefied
from imblens.run import Batch, Head, Part, Split
from tests.oracles import class_features_loop as loop

NAMES = ["ash", "birch", "cedar", "dogwood"]


def make(seed=0, n=90, m=70, dim=7, n_classes=4, test=True, scale=1.0, classes=None):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(n_classes, dim)).astype(np.float32)
    bias = rng.normal(size=n_classes).astype(np.float32)

    def draw(count):
        labels = rng.choice(n_classes, count, p=np.array([8, 4, 2, 1][:n_classes]) / sum([8, 4, 2, 1][:n_classes]))
        labels[:n_classes] = np.arange(n_classes)
        return np.maximum(rng.normal(size=(count, dim)) + 0.7 * weight[labels], 0).astype(np.float32) * scale, labels

    train = draw(n)
    held = draw(m) if test else None
    return Run.from_arrays(train=train, test=held, head=(weight / scale, bias), classes=classes or NAMES[:n_classes])


def test_by_hand():
    # one instance, predicted "a": CE = 3, 2, 0.5, -1; bias 0; logits 4.5 and (for "b") 3
    features = np.array([[3.0, 2.0, 0.5, 1.0], [0.0, 0.0, 0.0, 4.0]])
    weight = np.array([[1.0, 1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 3.0]])
    run = Run.from_arrays(train=(features, [0, 1]), head=(weight, np.zeros(2)), classes=["a", "b"])
    finding = class_features(run)
    table = finding.tables["class_features"].set_index(["class", "feature"])
    # 0 + (-1) + 3 = 2 < 3, with the next 4 >= 3: two features are needed
    assert table.loc["a", "frequency"].tolist() == [1, 1, 0, 0]
    assert table.loc["a", "magnitude"].tolist() == [3, 2, 0.5, -1]
    assert table.loc["a", "fe_mean"].tolist() == [3, 2, 0.5, 1]
    # "b" has CE 0, 0, 0, 12 against a runner-up of -4: the bias alone, 0, is above it
    assert table.loc["b", "frequency"].tolist() == [0, 0, 0, 0]
    diversity = finding.tables["class_diversity"].set_index("class")
    assert diversity.loc["a", "needed_mean"] == 2
    assert diversity.loc["a", "distinct"] == 2
    assert diversity.loc["a", "top1_magnitude"] == 3
    share = np.array([3, 2, 0.5]) / 5.5
    assert diversity.loc["a", "effective_number"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert diversity.loc["b", "effective_number"] == pytest.approx(1)
    assert diversity.loc["b", "needed_mean"] == 0
    assert np.isnan(diversity.loc["a", "distinct_equal_n"])  # one instance: too few


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("dim", "n_classes"), [(7, 4), (23, 3), (1, 2)])
def test_against_a_loop(split, dim, n_classes):
    run = make(seed=dim, dim=dim, n_classes=n_classes)
    finding = class_features(run, split=split, top=3)
    held = run.splits[split]
    weight, bias = run.head.weight.astype(float).tolist(), run.head.bias.astype(float).tolist()
    wanted = loop.class_features(held.features.astype(float).tolist(), held.labels.tolist(), weight, bias)
    table = finding.tables["class_features"].set_index("class")
    diversity = finding.tables["class_diversity"].set_index("class")
    for label, answer in wanted.items():
        name = run.classes[label]
        rows = table.loc[[name]]
        for column in ("frequency", "magnitude", "fe_mean"):
            np.testing.assert_allclose(rows[column], answer[column], atol=1e-9, err_msg=f"{name} {column}")
        for column in ("needed_mean", "distinct", "effective_number", "top1_magnitude", "top10_share"):
            assert diversity.loc[name, column] == pytest.approx(answer[column]), (name, column)


def test_match_against_a_loop():
    run = make(seed=5, n=140, m=110)
    match = class_features(run, top=3).tables["magnitude_match"]
    arrays = [
        values.tolist()
        for values in (
            run.train.features.astype(float),
            run.train.labels,
            run.test.features.astype(float),
            run.test.labels,
            run.head.weight.astype(float),
            run.head.bias.astype(float),
        )
    ]
    wanted = loop.magnitude_match(*arrays, top=3)
    compared = 0
    for label, shifts in wanted.items():
        for column, shift in zip(("correct_shift", "wrong_shift"), shifts, strict=True):
            if shift is None:
                assert np.isnan(match.loc[label, column])
            else:
                assert match.loc[label, column] == pytest.approx(shift)
                compared += 1
    assert compared >= 5
    assert (match["correct_shift"].fillna(0) >= match["correct_strength"].fillna(0).abs() - 1e-12).all()


def test_embeddings_and_bias_make_the_logit():
    run = make(seed=2)
    table = class_features(run).tables["class_features"]
    logits = run.head(run.train.features).astype(float)
    for label, name in enumerate(run.classes):
        rows = run.train.labels == label
        answers = logits[rows].argmax(axis=1)
        mean = (logits[rows].max(axis=1) - run.head.bias[answers]).mean()
        assert table.loc[table["class"] == name, "magnitude"].sum() == pytest.approx(mean, rel=1e-5)


def test_shift_is_zero_on_the_training_split_itself_when_all_is_right():
    features = np.array([[4.0, 1, 0], [6, 2, 0], [0, 1, 5], [0, 3, 4]])
    labels = [0, 0, 1, 1]
    head = (np.array([[1.0, 0, -1], [-1, 0, 1]]), np.zeros(2))
    run = Run.from_arrays(train=(features, labels), test=(features, labels), head=head)
    match = class_features(run).tables["magnitude_match"]
    np.testing.assert_allclose(match["correct_shift"], 0, atol=1e-9)
    assert match["wrong_shift"].isna().all()
    moved = Run.from_arrays(train=(features, labels), test=(features + np.array([[0.5, 0, 0]]), labels), head=head)
    # class 0: feature 0 has deviation 1, so half a deviation in one of its features that vary and count (0 and 1)
    row = class_features(moved, top=1).tables["magnitude_match"].loc[0]
    assert row["correct_shift"] == pytest.approx(0.5)
    assert row["correct_strength"] == pytest.approx(0.5)


def test_scale_of_features_and_order_do_not_matter():
    run, scaled = make(seed=9), make(seed=9, scale=4.0)
    plain, other = class_features(run), class_features(scaled)
    for name in ("class_diversity", "magnitude_match"):
        np.testing.assert_allclose(
            plain.tables[name].iloc[:, 1:].astype(float), other.tables[name].iloc[:, 1:].astype(float), atol=1e-6
        )
    mixed = np.random.default_rng(0).permutation(len(run.train))
    turned = Run.from_arrays(
        train=(run.train.features[mixed], run.train.labels[mixed]),
        head=(run.head.weight, run.head.bias),
        classes=run.classes,
    )
    first = plain.tables["class_features"].iloc[:, 1:].astype(float)
    np.testing.assert_allclose(
        first, class_features(turned).tables["class_features"].iloc[:, 1:].astype(float), atol=1e-12
    )


def in_parts(run, sizes):
    """The same run, captured in parts of the given sizes."""

    def split(latents):
        cuts = np.cumsum(sizes)
        pieces = zip(np.split(latents.features, cuts), np.split(latents.labels, cuts), strict=True)
        return replace(latents, parts=tuple(Part(f, y) for f, y in pieces))

    return replace(run, train=split(run.train), test=split(run.test))


def test_parts_do_not_matter():
    run = make(seed=10)
    whole, pieces = class_features(run), class_features(in_parts(run, (1, 30, 22)))
    for name, table in whole.tables.items():
        np.testing.assert_allclose(
            table.iloc[:, 1:].astype(float), pieces.tables[name].iloc[:, 1:].astype(float), atol=1e-9, err_msg=name
        )


def test_blocks_do_not_matter(monkeypatch):
    import imblens.base.blocks as blocks

    plain = class_features(make(seed=11)).tables["class_features"]
    monkeypatch.setattr(blocks, "BLOCK_NUMBERS", 40)
    cut = class_features(make(seed=11)).tables["class_features"]
    np.testing.assert_allclose(plain.iloc[:, 1:].astype(float), cut.iloc[:, 1:].astype(float), atol=1e-12)


def test_a_block_takes_memory_by_its_own_classes_not_by_all(monkeypatch):
    import imblens.base.blocks as blocks

    n_classes, dim = 2_000, 200
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(n_classes, dim)).astype(np.float32)
    sums = measure._Embeddings(Head(weight, np.zeros(n_classes, np.float32)), n_classes)
    features, labels = rng.random((40, dim), np.float32), rng.integers(0, n_classes, 40)
    monkeypatch.setattr(blocks, "BLOCK_NUMBERS", 8 * n_classes)
    measure._classes_of(labels)  # imports
    tracemalloc.start()
    sums.update(Batch(0, features, labels, None, n_classes))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * n_classes * dim / 2  # half of one product with all classes
    of_class = np.zeros((n_classes, dim))
    np.add.at(of_class, labels, features.astype(float))
    found = sums.finish()
    np.testing.assert_allclose(found.features, of_class)
    np.testing.assert_array_equal(found.count, np.bincount(labels, minlength=n_classes))


def test_a_large_table_lists_what_is_needed_and_the_strongest(monkeypatch):
    drawn = make(seed=12, n=60, dim=40)
    train = np.round(drawn.train.features), drawn.train.labels % 3  # whole numbers have ties; the last class is absent

    def found_in_a_new_run():
        return class_features(Run.from_arrays(train=train, head=drawn.head, classes=NAMES))

    whole = found_in_a_new_run().tables["class_features"]
    place = whole.groupby("class", sort=False)["magnitude"].rank(ascending=False, method="first")
    wanted = whole[(whole["frequency"] > 0) | (place <= 10)].reset_index(drop=True)
    monkeypatch.setattr(measure, "MOST_ROWS", 0)
    finding = found_in_a_new_run()
    found = finding.tables["class_features"]
    assert len(found) < len(whole) == 160 and set(found["class"]) == set(NAMES[:3])
    pd.testing.assert_frame_equal(found, wanted)
    assert "its ten strongest" in finding.notes[-1]


def test_rows_of_a_large_table_are_chosen_before_they_are_made():
    n_classes, dim = 300, 1_000
    rng = np.random.default_rng(0)
    needed, floats = np.zeros((n_classes, dim), np.int64), [rng.random((n_classes, dim)) for _ in range(3)]
    sums = measure.EmbeddingSums(np.ones(n_classes, np.int64), needed, *floats, 0)
    run = Run.from_arrays(train=(np.ones((n_classes, 2)), np.arange(n_classes)))
    tracemalloc.start()
    table = measure._features(run, sums)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 10 * n_classes
    assert peak < 4 * 8 * n_classes * dim  # with a row of five cells for each pair, it would be five columns and more


def test_a_head_without_positive_contributions_is_reported():
    run = Run.from_arrays(
        train=(np.ones((4, 2)), [0, 0, 1, 1]), head=(-np.ones((2, 2)), [0.0, 1.0]), classes=["a", "b"]
    )
    finding = class_features(run)
    assert finding.tables["class_diversity"]["effective_number"].isna().all()
    assert (finding.tables["class_diversity"]["needed_mean"] == 0).all()
    assert any("No feature contributes positively to predictions of a, b" in note for note in finding.notes)
    assert finding.lines() == {}


def test_rarefaction_by_drawing_every_subset():
    from itertools import combinations

    needs = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 0, 0]], dtype=bool)
    for n in (1, 2, 4, 5):
        drawn = [needs[list(rows)].any(axis=0).sum() for rows in combinations(range(5), n)]
        got = rarefied(needs.sum(axis=0)[None], np.array([5]), n)
        assert got[0] == pytest.approx(np.mean(drawn))
    assert np.isnan(rarefied(needs.sum(axis=0)[None], np.array([5]), 6)[0])


def test_equal_n_compares_large_with_small_classes():
    """Two classes drawn alike need as many features at equal n, though the larger has more in all."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [900, 30])
    features = rng.gamma(1.0, size=(930, 30)) * (rng.random((930, 30)) < 0.2)
    features[:, 0] = np.where(labels == 0, 9, 0)
    features[:, 1] = np.where(labels == 1, 9, 0)
    weight = np.ones((2, 30))
    weight[:, :2] = [[1, -1], [-1, 1]]
    weight[0, 2:16] = weight[1, 16:] = 0.5
    bias = np.array([-14.0, -14.0])
    finding = class_features(Run.from_arrays(train=(features, labels), head=(weight, bias)))
    table = finding.tables["class_diversity"]
    assert finding.summary["equal_n"] == 30
    assert table.loc[1, "distinct_equal_n"] == table.loc[1, "distinct"]
    assert table.loc[0, "distinct_equal_n"] <= table.loc[0, "distinct"]


def test_absent_class_and_class_of_one():
    run = Run.from_arrays(
        train=(np.eye(3)[[0, 0, 1, 1, 1]] + 0.1, [0, 0, 1, 1, 3]),
        test=(np.eye(3)[[0, 1]], [0, 1]),
        head=(np.eye(4, 3), np.zeros(4)),
        classes=NAMES,
    )
    finding = class_features(run)
    diversity = finding.tables["class_diversity"].set_index("class")
    assert diversity.loc["cedar", "count"] == 0
    assert diversity.loc["cedar"].drop("count").isna().all()
    assert diversity.loc["dogwood", "count"] == 1
    match = finding.tables["magnitude_match"].set_index("class")
    assert match.loc[["cedar", "dogwood"], ["correct_shift", "wrong_shift"]].isna().all(axis=None)
    assert any("No train instance of cedar" in note for note in finding.notes)
    assert any("No shift for" in note and "dogwood" in note for note in finding.notes)
    assert next(iter(finding.charts())) == "class_diversity"
    for chart in finding.charts().values():
        chart.to_dict()


def test_without_test_split_magnitudes_are_unknown():
    finding = class_features(make(test=False))
    assert finding.tables["magnitude_match"]["correct_shift"].isna().all()
    assert any("no test split" in note for note in finding.notes)
    assert "magnitude_match" not in finding.charts()


def test_stored_logits_that_are_not_the_heads_are_reported():
    run = make(seed=3, test=False)
    logits = run.head(run.train.features)
    logits[:5] = -logits[:5]
    told = Run.from_arrays(train=(run.train.features, run.train.labels, logits), head=(run.head.weight, run.head.bias))
    assert any("For 5 of 90 train instances" in note for note in class_features(told).notes)


def test_lines_name_the_narrow_class():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 60, 20])
    features = rng.random((140, 12))
    features[labels == 2] = 0
    features[labels == 2, 11] = 5  # one feature does it all
    weight = np.zeros((3, 12))
    weight[0, :6], weight[1, 5:11], weight[2, 11] = 1, 1, 1
    lines = class_features(
        Run.from_arrays(train=(features, labels), head=(weight, np.zeros(3)), classes=["a", "b", "narrow"])
    ).lines()
    assert list(lines) == ["narrow"]
    assert "relies on 1.0 features in effect" in lines["narrow"]


def test_refusals():
    run = make(test=False)
    with pytest.raises(InputError, match="top=0"):
        class_features(run, top=0)
    with pytest.raises(MissingError, match="no split 'tset'"):
        class_features(run, split="tset")
    with pytest.raises(NotApplicable, match="no head"):
        class_features(Run.from_arrays(train=(np.ones((3, 2)), [0, 1, 1])))


def test_same_features_are_compared_by_index():
    run = make(seed=4)
    table = class_features(run).tables["class_features"]
    strongest = int(table.loc[table.loc[table["class"] == "ash", "magnitude"].idxmax(), "feature"])
    weight = run.head.weight.copy()
    weight[:, strongest] = -50  # now the feature speaks against every class
    finding = compare_class_features(run, run.with_head(Head(weight, run.head.bias)), k=3)
    assert finding.summary["alignment"] == "same"
    changes = finding.tables["feature_changes"]
    gone = changes[(changes["feature"] == strongest) & (changes["class"] == "ash")]
    assert gone["change"].tolist() == ["vanished"]
    assert gone["rank_before"].tolist() == [1]
    for name in run.classes:
        counts = changes[changes["class"] == name]["change"].value_counts()
        assert counts.get("vanished", 0) == counts.get("appeared", 0)
        assert counts.get("stayed", 0) + counts.get("vanished", 0) == 3
    nothing = compare_class_features(run, run, k=3)
    assert (nothing.tables["feature_changes"]["change"] == "stayed").all()
    assert nothing.summary["kept_share"] == 1
    assert nothing.lines() == {}
    finding.charts()["diversity_changes"].to_dict()


def test_another_network_is_matched_by_what_its_features_respond_to():
    run = make(seed=6, m=200)
    turned = np.array([3, 0, 6, 1, 5, 2, 4])
    rng = np.random.default_rng(0)

    def shuffled(split):
        return split.features[:, turned] * 2 + rng.normal(size=split.features.shape) * 1e-5

    other = Run.from_arrays(
        train=(shuffled(run.train), run.train.labels),
        test=(shuffled(run.test), run.test.labels),
        head=(run.head.weight[:, turned] / 2, run.head.bias),
        classes=run.classes,
    )
    finding = compare_class_features(run, other, k=7)
    assert finding.summary["alignment"] == "matched"
    assert finding.summary["mean_correlation"] > 0.99
    changes = finding.tables["feature_changes"]
    assert (changes["change"] == "stayed").all()
    pairs = changes.drop_duplicates("feature")
    assert (turned[pairs["feature_after"].astype(int)] == pairs["feature"].astype(int)).all()
    np.testing.assert_allclose(changes["magnitude_before"], changes["magnitude_after"], atol=1e-3)


def test_strangers_are_compared_by_numbers_only():
    run, other = make(seed=7), make(seed=8, dim=5)
    finding = compare_class_features(run, other)
    assert finding.summary["alignment"] == "none"
    assert finding.summary["kept_share"] is None
    assert len(finding.tables["feature_changes"]) == 0
    assert finding.tables["diversity_changes"]["effective_after"].notna().all()
    assert "feature numbers mean different things" in finding.notes[0]


def test_comparison_refuses_foreign_classes():
    with pytest.raises(InputError, match="no class in common"):
        compare_class_features(make(), make(classes=["w", "x", "y", "z"]))
    with pytest.raises(NotApplicable, match="no head"):
        compare_class_features(make(), Run.from_arrays(train=(np.ones((4, 2)), NAMES)))
    with pytest.raises(InputError, match="k=0"):
        compare_class_features(make(), make(), k=0)


def test_a_weakness_that_rounds_to_zero_is_not_stated():
    finding = class_features(make(n=300, m=300))
    diversity, match = finding.tables["class_diversity"], finding.tables["magnitude_match"]
    few = diversity.assign(effective_number=np.where(diversity["class"] == "ash", 1.0, 9.0))

    def line(strength):
        tables = {
            **finding.tables,
            "class_diversity": few,
            "magnitude_match": match.assign(wrong_strength=strength, wrong_count=20),
        }
        return replace(finding, tables=tables).lines()["ash"]

    assert "0.1 training standard deviations weaker" in line(-0.06)
    assert "weaker" not in line(-0.04)


def test_another_network_that_holds_the_instances_in_another_order_is_matched_too():
    run = make(seed=6, m=200)
    order = np.random.default_rng(1).permutation(len(run.test))
    table = pd.DataFrame({"id": np.asarray(run.test.ids)[order]})
    turned = Part(run.test.features[order][:, ::-1] * 2, run.test.labels[order], table=table)
    head = Head(run.head.weight[:, ::-1] / 2, run.head.bias)
    train = Part(run.train.features[:, ::-1] * 2, run.train.labels)
    splits = {"train": Split((train,), run.classes, "train", head), "test": Split((turned,), run.classes, "test", head)}
    finding = compare_class_features(run, Run(**splits, head=head, classes=run.classes, meta={}))
    assert finding.summary["mean_correlation"] > 0.99
