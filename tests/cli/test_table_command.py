"""imblens audit, treat and compare of a table, as a person would call them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imblens.run import Run
from tests.commands import imblens

COLUMNS = ("--features", "embedding", "--label", "y", "--split", "part")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    labels = np.r_[np.repeat([0, 1, 2], (150, 60, 12)), np.repeat([0, 1, 2], 30)]
    features = rng.normal(size=(len(labels), 6)) + 2 * np.eye(3, 6)[labels]
    frame = pd.DataFrame({"embedding": list(features.astype(np.float32)), "y": np.array(["ant", "bee", "cow"])[labels]})
    frame["part"] = ["train"] * 222 + ["test"] * 90
    frame["key"] = [f"n{k}" for k in range(len(frame))]
    frame["scores"] = list(features[:, :3])
    for k in range(6):
        frame[f"f{k}"] = features[:, k]
    file = tmp_path_factory.mktemp("table") / "emb.parquet"
    frame.to_parquet(file)
    return file


def test_audit_treat_and_compare_a_table(table: Path, tmp_path: Path) -> None:
    words = (*COLUMNS, "--id", "key", "--logits", "scores", "--classes", "ant,bee,cow")
    done = imblens("audit", table, *words, "--out", "a", "--no-map", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "a" / "findings.json").read_text())
    assert summary["lenses"]["class_accuracy"]["skipped"] is None
    following = done.stdout.strip().splitlines()[-1]
    assert following.startswith(f"next: imblens treat {table} --features embedding --label y --split part")
    ids = pd.read_parquet(tmp_path / "a" / "instances.parquet")["id"]
    assert set(ids) <= {f"n{k}" for k in range(312)}
    treated = imblens("treat", table, *words, "--with", "smote", "--out", "better", cwd=tmp_path)
    assert treated.returncode == 0, treated.stderr
    assert f"next: imblens compare {table} better --features embedding" in treated.stdout
    done = imblens("compare", table, "better", *words, "--no-map", "--out", "c", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c" / "report.html").exists()
    assert Run.load(tmp_path / "better").meta["data"]["layout"] == "table"


def test_columns_by_pattern(table: Path, tmp_path: Path) -> None:
    for features in ("f?", "f0,f1,f2,f3,f4,f5"):
        words = ("--features", features, *COLUMNS[2:], "--lens", "archetypes", "--out", features[1:3])
        done = imblens("audit", table, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--features and --label and --split are not given"),
        (COLUMNS[2:], "--features is not given"),
        (COLUMNS[:4], "--split is not given"),
        ((*COLUMNS[:5], "prat"), "Did you mean 'part'?"),
        ((*COLUMNS, "--logits", "scores"), "Pass classes="),
        ((*COLUMNS[:3], "embedding", *COLUMNS[4:]), "named as a feature and as something else"),
    ],
)
def test_what_is_missing_is_stated_with_the_columns_found(
    table: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = imblens("audit", table, *words, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("error:") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []
    if "given" in said:
        assert "Its columns: embedding, y, part, key, scores" in done.stderr


def test_broken_tables_and_options_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    np.savez(tmp_path / "a.npz", train_features=np.eye(4), train_labels=[0, 0, 1, 1])
    for words, said in (
        (("audit", "broken.parquet", *COLUMNS), "broken.parquet cannot be read"),
        (("audit", "a.npz", *COLUMNS), "a.npz is not a table, so --features, --label, --split cannot be used"),
        (("audit", "none.parquet", *COLUMNS), "no run at none.parquet"),
    ):
        done = imblens(*words, "--out", "out", cwd=tmp_path)
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert not (tmp_path / "out").exists()
