"""Tables of any origin: the same run as from arrays; what cannot be read is refused in one sentence with column and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from imblens import Run
from imblens.errors import DependencyError, InputError, MissingError, ShapeError

RNG = np.random.default_rng(23)
LABELS = np.repeat([0, 1, 2], (70, 25, 13))
FEATURES = (RNG.normal(size=(108, 5)) + LABELS[:, None]).astype(np.float32)
LOGITS = RNG.normal(size=(108, 3)).astype(np.float32)
SPLIT = np.array(["train", "test", "train", "val"])[np.arange(108) % 4]
NAMES = np.array(["dog", "ant", "cat"])
COLUMNS = {"features": "embedding", "label": "y", "split": "split"}


def fixed(array: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])


def table(**changed: Any) -> pa.Table:
    return pa.table({"embedding": fixed(FEATURES), "y": NAMES[LABELS], "split": SPLIT, **changed})


def same(run: Run, *, order: np.ndarray | None = None) -> None:
    """The run holds the features and labels of the table."""
    for name in ("train", "test", "val"):
        rows = SPLIT == name
        np.testing.assert_array_equal(run.splits[name].features, FEATURES[rows])
        expected = [str(name) for name in NAMES[LABELS[rows]]]
        assert [run.classes[k] for k in run.splits[name].labels] == expected
        assert run.splits[name].ids.tolist() == [str(k) for k in np.flatnonzero(rows)]


def sources(folder: Path) -> dict[str, Any]:
    whole = table()
    pq.write_table(whole, folder / "a.parquet", row_group_size=17)
    pq.write_table(whole, folder / "noname")
    pyarrow.feather.write_feather(whole, folder / "a.feather", chunksize=11)
    with pa.OSFile(str(folder / "a.arrow"), "wb") as file, pa.ipc.new_stream(file, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=13)
    (folder / "shards").mkdir()
    pq.write_table(whole.slice(0, 40), folder / "shards" / "0.parquet")
    pq.write_table(whole.slice(40), folder / "shards" / "1.parquet")
    lists = pa.array(FEATURES.tolist(), pa.large_list(pa.float32()))
    return {
        "parquet": folder / "a.parquet",
        "text path": str(folder / "a.parquet"),
        "no suffix": folder / "noname",
        "feather": folder / "a.feather",
        "stream": folder / "a.arrow",
        "folder": folder / "shards",
        "arrow": whole,
        "batch": whole.combine_chunks().to_batches()[0],
        "reader": whole.to_reader(),
        "data set": pyarrow.dataset.dataset(folder / "a.parquet"),
        "lists": table(embedding=lists),
        "dictionary": table(y=pa.array(NAMES[LABELS]).dictionary_encode()),
        "pandas": pd.DataFrame({"embedding": list(FEATURES), "y": pd.Categorical(NAMES[LABELS]), "split": SPLIT}),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "parquet",
        "text path",
        "no suffix",
        "feather",
        "stream",
        "folder",
        "arrow",
        "batch",
        "reader",
        "data set",
        "lists",
        "dictionary",
        "pandas",
    ],
)
def test_every_kind_of_table_gives_the_same_run(tmp_path: Path, kind: str) -> None:
    same(Run.from_table(sources(tmp_path)[kind], **COLUMNS))


def test_polars_and_lance(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.from_arrow(table())
    same(Run.from_table(frame, **COLUMNS))
    same(Run.from_table(frame.lazy(), **COLUMNS))
    lance = pytest.importorskip("lance")
    lance.write_dataset(table(), str(tmp_path / "t.lance"))
    same(Run.from_table(tmp_path / "t.lance", **COLUMNS))


def test_lance_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.lance").mkdir()
    monkeypatch.setattr("imblens.base.extras.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"imblens\[lance\]"):
        Run.from_table(tmp_path / "t.lance", **COLUMNS)


def test_hugging_face_data_sets_and_their_class_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "embedding": datasets.Sequence(datasets.Value("float32"), 5),
            "y": datasets.ClassLabel(names=NAMES.tolist()),
            "split": datasets.Value("string"),
        }
    )
    made = datasets.Dataset.from_dict({"embedding": FEATURES, "y": LABELS, "split": SPLIT}, features=features)
    run = Run.from_table(made, **COLUMNS)
    same(run)
    assert run.classes == tuple(NAMES) and "named by the schema of the table: dog, ant, cat" in run.meta["notes"][0]
    shuffled = Run.from_table(made.select(range(107, -1, -1)), **COLUMNS)
    np.testing.assert_array_equal(shuffled.train.features, FEATURES[SPLIT == "train"][::-1])


@pytest.mark.parametrize("layout", ["names", "folders", "hive", "mapping"])
def test_splits_from_the_names_of_files(tmp_path: Path, layout: str) -> None:
    given: Any = tmp_path
    for name in ("train", "test"):
        rows = table().filter(pa.array(name == SPLIT)).select(["embedding", "y"])
        file = {
            "names": tmp_path / f"{name}-00000-of-00001.parquet",
            "folders": tmp_path / f"{name}ing" / "0.parquet",
            "hive": tmp_path / f"split={name}" / "0.parquet",
            "mapping": tmp_path / f"{name}.parquet",
        }[layout]
        file.parent.mkdir(exist_ok=True)
        pq.write_table(rows, file)
    if layout == "mapping":
        given = {"train": tmp_path / "train.parquet", "test": tmp_path / "test.parquet"}
    run = Run.from_table(given, features="embedding", label="y", split="split" if layout == "hive" else None)
    for name in ("train", "test"):
        np.testing.assert_array_equal(run.splits[name].features, FEATURES[name == SPLIT])


@pytest.mark.parametrize(
    ("words", "splits"),
    [
        (("Training", "TEST", "dev"), {"train", "val", "test"}),
        (("train", "eval", "validation"), {"train", "val", "test"}),
        (("train", "valid", "valid"), {"train", "test"}),
    ],
)
def test_usual_names_of_splits(words: tuple[str, str, str], splits: set[str]) -> None:
    named = pa.array(np.array(words)[np.arange(108) % 3]).dictionary_encode()
    run = Run.from_table(table(split=named), **COLUMNS)
    assert set(run.splits) == splits
    assert ("val is the held-out split" in " ".join(run.meta["notes"])) == ("val" not in splits)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8"])
def test_dtypes_and_one_column_per_feature(dtype: str) -> None:
    values = (FEATURES * 8).clip(0).astype(dtype)
    columns = {f"f{k}": values[:, k] for k in range(5)}
    run = Run.from_table(table(**columns), features=list(columns), label="y", split="split")
    np.testing.assert_array_equal(run.train.features, values[SPLIT == "train"].astype(np.float32))
    assert run.meta["feature_names"] == list(columns)
    whole = Run.from_table(table(embedding=fixed(values)), **COLUMNS)
    np.testing.assert_array_equal(whole.test.features, values[SPLIT == "test"].astype(np.float32))
    assert "feature_names" not in whole.meta


def test_labels_of_every_kind() -> None:
    for labels, classes in ((LABELS, ("0", "1", "2")), (LABELS * 5 + 3, ("3", "8", "13")), (LABELS * 1.0, None)):
        run = Run.from_table(table(y=labels), **COLUMNS)
        assert run.train.labels.tolist() == LABELS[SPLIT == "train"].tolist()
        assert classes is None or run.classes == classes
    run = Run.from_table(table(y=LABELS > 0), **COLUMNS)
    assert run.classes == ("False", "True") and run.train.labels.tolist() == (LABELS > 0)[SPLIT == "train"].tolist()


def test_multi_hot_lists_columns_and_lists_of_classes() -> None:
    hot = (RNG.random((108, 3)) < 0.4).astype(np.uint8)
    hot[0] = 1
    lists = [[str(NAMES[k]) for k in np.flatnonzero(row)] for row in hot]
    columns = {f"is_{name}": hot[:, k] for k, name in enumerate(NAMES)}
    tables = [
        (table(y=pa.array(hot.tolist())), "y", list("abc")),
        (table(**columns), list(columns), None),
        (table(y=pa.array(lists)), "y", NAMES.tolist()),
        (table(y=pa.array([np.flatnonzero(row).tolist() for row in hot])), "y", None),
    ]
    for given, label, classes in tables:
        run = Run.from_table(given, features="embedding", label=label, split="split", classes=classes)
        assert run.task == "multilabel"
        np.testing.assert_array_equal(run.train.labels, hot[SPLIT == "train"])
    assert Run.from_table(tables[1][0], features="embedding", label=list(columns), split="split").classes == tuple(
        columns
    )


def test_logits_head_id_group_and_preview(tmp_path: Path) -> None:
    weight, bias = RNG.normal(size=(3, 5)), RNG.normal(size=3)
    more = {"l": fixed(LOGITS), "key": np.arange(108) * 7, "patient": ["p1", "p2"] * 54, "text": ["ab" * 300] * 108}
    run = Run.from_table(
        table(**more),
        **COLUMNS,
        logits="l",
        id="key",
        group="patient",
        preview="text",
        head=(weight, bias),
        classes=NAMES,
    )
    rows = SPLIT == "test"
    assert run.classes == tuple(NAMES)
    np.testing.assert_array_equal(run.test.logits, LOGITS[rows])
    np.testing.assert_allclose(run.head.weight, weight, rtol=1e-6)
    back = Run.load(run.save(tmp_path / "run"))
    assert back.test.ids.tolist() == [str(7 * k) for k in np.flatnonzero(rows)]
    assert set(back.test.columns) == {"id", "group", "preview"}
    assert back.test.instances(["preview"])["preview"].tolist() == ["ab" * 150] * rows.sum()
    separate = Run.from_table(
        table(**{f"l{k}": LOGITS[:, k] for k in range(3)}), **COLUMNS, logits=["l0", "l1", "l2"], classes=NAMES
    )
    np.testing.assert_array_equal(separate.test.logits, LOGITS[rows])
    with pytest.raises(InputError, match=r"order of the 3 classes .* Pass classes="):
        Run.from_table(table(**more), **COLUMNS, logits="l")


def test_unlabelled_held_out_rows_are_left_out() -> None:
    labels = np.where((SPLIT == "test") & (LABELS == 2), -1, LABELS)
    run = Run.from_table(table(y=labels), **COLUMNS)
    kept = (SPLIT == "test") & (LABELS != 2)
    np.testing.assert_array_equal(run.test.features, FEATURES[kept])
    assert run.test.ids.tolist() == [str(k) for k in np.flatnonzero(kept)]
    assert "label -1 (unlabelled) left out" in run.meta["notes"][0]


def test_a_large_offset_is_centred_as_in_arrays() -> None:
    far = FEATURES.astype(np.float64) + np.array([1e7, 0, 0, 0, 0])
    weight, bias = RNG.normal(size=(3, 5)), RNG.normal(size=3)
    run = Run.from_table(table(embedding=fixed(far)), **COLUMNS, head=(weight, bias), classes=NAMES)
    rows = {name: SPLIT == name for name in ("train", "test", "val")}
    arrays = Run.from_arrays(
        **{name: (far[chosen], NAMES[LABELS[chosen]]) for name, chosen in rows.items()},
        head=(weight, bias),
        classes=NAMES,
    )
    np.testing.assert_allclose(run.train.features, arrays.train.features, atol=1e-6)
    np.testing.assert_allclose(run.head.bias, arrays.head.bias, rtol=1e-6)
    np.testing.assert_allclose(run.meta["centre"], arrays.meta["centre"])


def test_large_matrices_are_mapped_from_a_file_without_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("imblens.run._spool.IN_MEMORY", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = Run.from_table(table(), **COLUMNS)
    same(run)
    assert isinstance(run.train.features, np.memmap) and not list(tmp_path.iterdir())
    same(Run.load(run.save(tmp_path / "run")))


def holed(values: list[Any], at: int, value: Any) -> list[Any]:
    return [*values[:at], value, *values[at + 1 :]]


LISTS, TEXTS = FEATURES.tolist(), NAMES[LABELS].tolist()
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "null label": ({"y": holed(TEXTS, 7, None)}, "'y' has no value in row 7"),
    "null split": ({"split": holed(SPLIT.tolist(), 3, None)}, "'split' has no value in row 3"),
    "null vector": ({"embedding": holed(LISTS, 5, None)}, "'embedding' has no value in row 5"),
    "null number": ({"embedding": holed(LISTS, 5, [1.0, None, 1.0, 1.0, 1.0])}, "'embedding' has no value in row 5"),
    "nan": ({"embedding": holed(LISTS, 90, [np.nan] * 5)}, "NaN or infinite values (first in row 90)"),
    "infinite": ({"embedding": holed(LISTS, 2, [np.inf] * 5)}, "NaN or infinite values (first in row 2)"),
    "ragged": ({"embedding": holed(LISTS, 4, [1.0])}, "5 values in row 0, 1 in row 4"),
    "empty lists": ({"embedding": [[]] * 108}, "empty lists"),
    "text features": ({"embedding": TEXTS}, "holds string, not numbers"),
    "lists of lists": ({"embedding": [[row] for row in LISTS]}, "lists of lists"),
    "half labels": ({"y": LABELS + 0.5}, "0.5 in row 0, not a whole number"),
    "nan label": ({"y": np.where(LABELS == 2, np.nan, LABELS)}, "nan in row 95"),
    "dates": ({"y": pd.date_range("2020-01-01", periods=108)}, "label column 'y' holds timestamp"),
    "unknown split": ({"split": holed(SPLIT.tolist(), 3, "tset")}, "names the split 'tset'"),
    "folds": ({"split": np.arange(108) % 5}, "names the split '0'"),
    "no training": ({"split": ["test"] * 108}, "no training rows"),
    "no held-out": ({"split": ["train"] * 108}, "no held-out rows"),
    "one class": ({"y": ["x"] * 108}, "at least two"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_with_column_row_and_what_to_do(case: str, tmp_path: Path) -> None:
    changed, fragment = BAD[case]
    pq.write_table(table(**changed), tmp_path / "t.parquet")
    for source in (table(**changed), tmp_path / "t.parquet"):
        with pytest.raises(InputError) as caught:
            Run.from_table(source, **COLUMNS)
        assert fragment in str(caught.value) and caught.value.hint


def test_columns_that_are_missing_are_listed() -> None:
    for given, said in (
        ({"label": "y", "split": "split", "features": "embeding"}, "Did you mean 'embedding'? Its columns: embedding"),
        ({"split": "split"}, "no column of labels was named"),
        ({"label": "y"}, "no split column was named"),
        ({"label": "y", "split": "split", "features": []}, "no column of features was named"),
    ):
        with pytest.raises(MissingError) as caught:
            Run.from_table(table(), **given)
        assert said in str(caught.value) and "embedding, y, split" in str(caught.value)


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "good.parquet")
    content = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[:-60])
    (tmp_path / "text.parquet").write_text("no table")
    (tmp_path / "empty.feather").write_bytes(b"")
    (tmp_path / "ARROW.feather").write_bytes(b"ARROW1\0\0" + b"x" * 40)
    broken = bytearray(content)
    broken[4:60] = b"\xff" * 56
    (tmp_path / "broken.parquet").write_bytes(bytes(broken))
    for name in ("cut.parquet", "text.parquet", "empty.feather", "ARROW.feather", "broken.parquet"):
        with pytest.raises(InputError) as caught:
            Run.from_table(tmp_path / name, **COLUMNS)
        assert name in str(caught.value) and caught.value.hint
    with pytest.raises(MissingError, match=r"Did you mean '.*good\.parquet'"):
        Run.from_table(tmp_path / "goot.parquet", **COLUMNS)
    with pytest.raises(InputError, match=r"is a table, whose columns have to be named"):
        Run.load(tmp_path / "good.parquet")
    with pytest.raises(ShapeError, match="no rows"):
        Run.from_table(table().slice(0, 0), **COLUMNS)


def test_pages_of_large_maps_are_dropped_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imblens.run._spool.IN_MEMORY", 100)
    monkeypatch.setattr("imblens.run._part.BATCH_BYTES", 16)
    features = RNG.normal(size=(5000, 7)).astype(np.float32)
    given = pa.table({"x": fixed(features), "y": np.arange(5000) % 3, "split": ["train"] * 4500 + ["test"] * 500})
    run = Run.from_table(given, features="x", label="y", split="split")
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([b.features for b in run.train.batches()]), features[:4500])


def small(labels: Any) -> dict[Any, Any]:
    return {**{k: np.arange(12.0) * k for k in range(1, 4)}, "y": labels, "s": ["train"] * 8 + ["test"] * 4}


def test_columns_named_by_numbers_and_joined_labels() -> None:
    frame = pd.DataFrame(small(["a|b", "a", "b"] * 4))
    options: dict[str, Any] = {"features": [1, 2, 3], "label": "y", "split": "s"}
    run = Run.from_table(frame, **options)
    assert (
        run.task == "multilabel"
        and run.classes == ("a", "b")
        and run.train.labels[:3].tolist() == [[1, 1], [1, 0], [0, 1]]
    )
    assert Run.from_table(frame, **options, task="multiclass").classes == ("a", "a|b", "b")
    assert Run.from_table(pd.DataFrame(small(["10", "9", "2"] * 4)), **options).classes == ("2", "9", "10")


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds columns, not tables"):
        Run.from_table(small([0, 1, 2] * 4), features="f", label="y", split="s")
    (tmp_path / "x.csv").write_text("f,y\n1,2\n")
    with pytest.raises(InputError, match=r"is text.*read_csv"):
        Run.from_table(tmp_path / "x.csv", features="f", label="y", split="s")
