"""How instances are shown that are not images: text, signals, values of rows; ids that the data set knows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from imblens import Run
from imblens.errors import ShapeError
from imblens.extraction import capture
from tests.extraction.networks import seeded

RNG = np.random.default_rng(9)
N = 12
Y = np.arange(N) % 3
TOKENS = torch.from_numpy(RNG.integers(1, 9, size=(N, 4)))
WORDS = [f"w{i}" for i in range(9)]
ROWS = RNG.normal(size=(N, 5)).astype(np.float32)


class Items(Dataset[Any]):
    """Rows by a function, with any attributes."""

    def __init__(self, item: Any, **attributes: Any) -> None:
        self.item = item
        vars(self).update(attributes)

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        return self.item(i)


class Text(nn.Module):
    """A mean over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 5), nn.Linear(5, 3)

    def forward(self, input_ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.embedding(input_ids).mean(1))
        return out


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))


def shown(run: Run, column: str = "preview") -> list[Any]:
    values: list[Any] = run.train.instances([column])[column].tolist()
    return values


def words(row: list[int]) -> str:
    return " ".join(WORDS[token] for token in row)


@pytest.mark.parametrize(
    "tokenizer",
    [
        WORDS,
        words,
        SimpleNamespace(decode=words),
        SimpleNamespace(batch_decode=lambda rows, skip_special_tokens: [words(row) for row in rows]),
    ],
)
def test_tokens_are_decoded(tokenizer: Any) -> None:
    run = capture(seeded(Text), train=(TOKENS, Y), tokenizer=tokenizer)
    assert run.train.preview_kind == "text" and shown(run) == [words(row) for row in TOKENS.tolist()]


def test_texts_of_a_batch_are_kept_whatever_their_key() -> None:
    pairs = Items(
        lambda i: {"input_ids": TOKENS[i], "label": Y[i], "premise": f"a {i}", "hypothesis": "b" * 400, "id": f"n{i}"}
    )
    run = capture(seeded(Text), train=pairs)
    assert shown(run)[3] == ("a 3 | " + "b" * 400)[:300] and run.train.ids[3] == "n3"
    assert capture(seeded(Text), train=pairs, previews=False).train.preview_kind is None


def test_previews_of_the_user(tmp_path: Path) -> None:
    data, texts = TensorDataset(TOKENS, torch.from_numpy(Y)), [f"text {i}" for i in range(N)]
    given = {"train": texts, "test": texts[::-1]}
    run = capture(seeded(Text), train=data, test=data, previews=given, batch_size=5, out=tmp_path / "run")
    assert run.test is not None and shown(run) == texts
    assert run.test.instances(["preview"])["preview"].tolist() == texts[::-1]
    by_batch = capture(seeded(Text), train=data, previews=lambda batch: [str(row.tolist()) for row in batch[0]])
    assert shown(by_batch) == [str(row) for row in TOKENS.tolist()]
    image = np.full((4, 4), 7, np.uint8)
    assert capture(seeded(Text), train=data, previews={"train": [image] * N}).train.preview_kind == "image"
    with pytest.raises(ShapeError, match="previews has 3 entries for 12 train instances"):
        capture(seeded(Text), train=data, previews=lambda batch: texts[:3])


@pytest.mark.parametrize("channels", [1, 2])
def test_signals_become_envelopes(channels: int, tmp_path: Path) -> None:
    signal = torch.from_numpy(RNG.normal(size=(N, channels, 1000)).astype(np.float32))
    model = seeded(
        lambda: nn.Sequential(nn.Conv1d(channels, 4, 9, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    )
    run = capture(model, train=(signal, Y), out=tmp_path / "run")
    assert run.train.preview_kind == "waveform"
    found = run.train.matrix("waveform").reshape(N, 128, 2)
    assert found.shape == (N, 128, 2) and (found[..., 0] <= found[..., 1]).all()
    np.testing.assert_allclose(found[..., 0].min(axis=1), signal[:, 0].amin(1))
    np.testing.assert_allclose(found[..., 1].max(axis=1), signal[:, 0].amax(1))


def test_rows_of_a_table_keep_values_and_names(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS.astype(float), columns=["age", "pay", "debt", "x", "y"])
    run = capture(seeded(mlp), train=(table, Y), test=(table, Y), out=tmp_path / "run")
    assert run.train.preview_kind == "values" and run.meta["value_names"] == list(table.columns)
    np.testing.assert_allclose(run.train.matrix("values"), ROWS)
    np.testing.assert_allclose(run.train.logits, seeded(mlp)(torch.from_numpy(ROWS)).detach(), atol=1e-4)
    named = capture(seeded(mlp), train=(ROWS, Y), previews={"names": list("abcde")})
    assert named.meta["value_names"] == list("abcde")
    assert capture(seeded(mlp), train=(ROWS, Y)).meta["value_names"][1] == "value 1"


def test_continuous_and_categorical_inputs_are_one_row() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.body, self.head = nn.Embedding(9, 2), nn.Linear(9, 6), nn.Linear(6, 3)

        def forward(self, x_cont: Tensor, x_cat: Tensor) -> Tensor:
            both = torch.cat([x_cont, self.embedding(x_cat[:, :2]).flatten(1)], dim=1)
            out: Tensor = self.head(self.body(both).relu())
            return out

    run = capture(seeded(Mixed), train={"x_cont": ROWS, "x_cat": TOKENS, "label": Y})
    assert run.meta["value_names"] == [f"x_cont[{i}]" for i in range(5)] + [f"x_cat[{i}]" for i in range(4)]
    np.testing.assert_allclose(run.train.matrix("values"), np.concatenate([ROWS, TOKENS.numpy()], axis=1))


def test_ids_of_a_data_set() -> None:
    paths = [Path(f"a/{i}.wav") for i in range(N)]
    rows = Items(lambda i: (ROWS[i], Y[i]), files=paths)
    assert capture(seeded(mlp), train=rows).train.ids.tolist() == [str(path) for path in paths]
    part = DataLoader(Subset(rows, [4, 1, 8]), batch_size=2)
    assert capture(seeded(mlp), train=part).train.ids.tolist() == ["a/4.wav", "a/1.wav", "a/8.wav"]
    own = capture(seeded(mlp), train=rows, ids=lambda batch: [f"{value:.3f}" for value in batch[0][:, 0]])
    assert own.train.ids[2] == f"{ROWS[2, 0]:.3f}"
    mapping = Items(lambda i: {"input": ROWS[i], "label": Y[i], "path": f"p{i}"})
    assert capture(seeded(mlp), train=mapping).train.ids[5] == "p5"


def test_class_names_of_a_data_set() -> None:
    rows = Items(lambda i: (ROWS[i], Y[i]), classes=["ant", "bee", "cow"])
    assert capture(seeded(mlp), train=DataLoader(Subset(rows, range(9)))).classes == ("ant", "bee", "cow")
    assert capture(seeded(mlp), train=rows, classes=["x", "y", "z"]).classes == ("x", "y", "z")
    run = capture(seeded(mlp), train=Items(lambda i: (ROWS[i], Y[i]), classes=list("abcd")))
    assert run.classes == ("0", "1", "2") and any("names 4 classes" in note for note in run.meta["notes"])


def test_lists_of_rows_and_of_batches() -> None:
    model = seeded(mlp)
    rows = [(ROWS[i], int(Y[i])) for i in range(N)]
    batches = [(torch.from_numpy(ROWS[i : i + 4]), torch.from_numpy(Y[i : i + 4])) for i in range(0, N, 4)]
    for train in (rows, batches, [{"x": ROWS[i], "label": int(Y[i])} for i in range(N)]):
        run = capture(model, train=train)
        np.testing.assert_allclose(run.train.logits, model(torch.from_numpy(ROWS)).detach(), atol=1e-4)
        assert run.train.labels.tolist() == Y.tolist()


def test_sparse_inputs_become_dense() -> None:
    from scipy import sparse

    rows = np.where(ROWS > 0, ROWS, 0).astype(np.float32)
    own = seeded(mlp)(torch.from_numpy(rows)).detach()
    for inputs in (sparse.csr_matrix(rows), torch.from_numpy(rows).to_sparse()):
        np.testing.assert_allclose(capture(seeded(mlp), train=(inputs, Y), batch_size=5).train.logits, own, atol=1e-4)
