"""Loaders, outputs and lists in the forms that people have them: read as they are, or refused; never another's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import ChainDataset, DataLoader, IterableDataset, TensorDataset

import imblens
from imblens.errors import InputError

N = 45


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(N, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def y() -> torch.Tensor:
    return torch.arange(N) % 3


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.head(getattr(x, "x", x))


class Two(nn.Module):
    def __init__(self, names: tuple[str, str] | None, first: int = 3) -> None:
        super().__init__()
        self.first, self.second, self.names = nn.Linear(6, first), nn.Linear(6, 3), names

    def forward(self, x: torch.Tensor) -> Any:
        outputs = self.first(x), self.second(x)
        return outputs if self.names is None else dict(zip(self.names, outputs, strict=True))


class Scaled(DataLoader[Any]):
    """A loader that prepares batches itself."""

    def __iter__(self) -> Any:
        return ((4 * a, b) for a, b in super().__iter__())


class Wrapped:
    """A loader around a loader, as those that prefetch or move to a device; with the data set, or without."""

    def __init__(self, loader: Any, dataset: bool) -> None:
        self.loader = loader
        if dataset:
            self.dataset = loader.dataset

    def __iter__(self) -> Any:
        return ((4 * a, b) for a, b in self.loader)

    def __len__(self) -> int:
        return len(self.loader)


def logits(model: nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(x).numpy()


@pytest.mark.parametrize("kind", ["subclass", "wrapper", "wrapper without data set"])
def test_a_loader_with_prepared_batches_is_read_unchanged(kind: str, x: torch.Tensor, y: torch.Tensor) -> None:
    model, data = Plain(), TensorDataset(x, y)
    loader = Scaled(data, 8) if kind == "subclass" else Wrapped(DataLoader(data, 8), kind == "wrapper")
    run = imblens.capture(model, train=loader, test=loader)
    assert np.allclose(run.test.logits, logits(model, 4 * x), atol=1e-5) and len(run.train) == N
    if kind != "wrapper without data set":
        assert any("makes its own batches" in note for note in run.meta["notes"])


@pytest.mark.parametrize("names", [("aux", "out"), ("aux_out", "pred"), ("domain", "logits")])
def test_the_name_of_an_output_decides(names: tuple[str, str], x: torch.Tensor, y: torch.Tensor) -> None:
    model = Two(names)
    run = imblens.capture(model, train=(x, y), test=(x, y), classes=["a", "b", "c"])
    assert run.meta["layer"] == "second" and np.allclose(run.test.logits, logits(model.second, x), atol=1e-5)


def test_outputs_without_names_are_noted(x: torch.Tensor, y: torch.Tensor) -> None:
    run = imblens.capture(Two(None), train=(x, y), test=(x, y))
    assert any("returns several outputs" in note for note in run.meta["notes"])


def test_labels_tell_the_prediction_from_a_projection(x: torch.Tensor, y: torch.Tensor) -> None:
    model = Two(None, first=20)
    run = imblens.capture(model, train=(x, y), test=(x, y))
    assert run.n_classes == 3 and np.allclose(run.test.logits, logits(model.second, x), atol=1e-5)


def test_outputs_beyond_the_labels_are_noted(x: torch.Tensor, y: torch.Tensor) -> None:
    run = imblens.capture(nn.Sequential(nn.Linear(6, 10)), train=(x, y), test=(x, y))
    assert any("10 outputs, and the training labels hold 3 classes" in note for note in run.meta["notes"])


def test_lists_of_two_batches_rows_or_objects(x: torch.Tensor, y: torch.Tensor) -> None:
    class Graph:
        def __init__(self, rows: slice) -> None:
            self.x, self.y = x[rows], y[rows]

    model, half = Plain(), (slice(0, 20), slice(20, N))
    for test in ([(x[rows], y[rows]) for rows in half], [Graph(rows) for rows in half], [Graph(slice(0, N))]):
        run = imblens.capture(model, train=(x, y), test=test)
        assert np.allclose(run.test.logits, logits(model, x), atol=1e-5)
    run = imblens.capture(model, train=(x, y), test=[(x[0], 0), (x[1], 1)])
    assert np.allclose(run.test.logits, logits(model, x[:2]), atol=1e-5)


def test_batches_padded_by_a_collate_function_keep_their_size() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.rnn, self.head = nn.Embedding(50, 8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(self.embed(tokens))[1][0][-1])

    def padded(rows: Any) -> Any:
        return nn.utils.rnn.pad_sequence([a for a, _ in rows], batch_first=True), torch.tensor([b for _, b in rows])

    rng = np.random.default_rng(0)
    rows = [(torch.from_numpy(rng.integers(1, 50, rng.integers(2, 30))), i % 3) for i in range(N)]
    model, loader = Recurrent(), DataLoader(rows, 4, collate_fn=padded)
    run = imblens.capture(model, train=loader, test=loader)
    assert np.allclose(run.test.logits, np.concatenate([logits(model, tokens) for tokens, _ in loader]), atol=1e-5)


def test_a_mask_is_used_though_the_first_rows_need_none() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(50, 16), nn.Linear(16, 3)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return (self.head(self.embed(ids)) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 50, (N, 12), generator=generator)
    mask = (torch.arange(12) < torch.randint(2, 12, (N, 1), generator=generator)).long()
    mask[:16] = 1
    model, data = Pooled(), {"ids": ids, "mask": mask, "labels": torch.arange(N) % 3}
    run = imblens.capture(model, train=data, test=data)
    with torch.no_grad():
        assert np.allclose(run.test.logits, model(ids, mask).numpy(), atol=1e-5)


def test_streamed_data_sets(x: torch.Tensor, y: torch.Tensor) -> None:
    datasets = pytest.importorskip("datasets")
    stream = datasets.Dataset.from_dict({"x": x.tolist(), "label": y.tolist()}).to_iterable_dataset()
    model = Plain()
    run = imblens.capture(model, train=stream, test=stream)
    assert np.allclose(run.test.logits, logits(model, x), atol=1e-5)


def test_a_number_is_no_list_of_classes(x: torch.Tensor, y: torch.Tensor) -> None:
    with pytest.raises(InputError, match="classes must be a sequence of names, found 3"):
        imblens.capture(Plain(), train=(x, y), test=(x, y), classes=3)  # type: ignore[arg-type]


def test_chains_of_streamed_sets(x: torch.Tensor, y: torch.Tensor) -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(zip(x, y, strict=True))

    run = imblens.capture(Plain(), train=ChainDataset([Stream(), Stream()]))
    assert len(run.train) == 2 * len(x) and np.array_equal(run.train.labels, np.tile(y, 2))


def test_a_mapping_that_holds_the_inputs_or_the_label(x: torch.Tensor, y: torch.Tensor) -> None:
    network = Plain()
    plain = imblens.capture(network, train=(x, y))
    rows = [
        ({"inputs": {"x": one}, "label": int(label)}, (one, {"label": int(label)}))
        for one, label in zip(x, y, strict=True)
    ]
    for form in (0, 1):
        run = imblens.capture(network, train=DataLoader([row[form] for row in rows], batch_size=5))  # type: ignore[arg-type]
        np.testing.assert_array_equal(run.train.labels, plain.train.labels)
        np.testing.assert_allclose(run.train.logits, plain.train.logits, atol=1e-6)


def test_inputs_that_cannot_be_a_batch_are_named(x: torch.Tensor, y: torch.Tensor) -> None:
    network = Plain()
    with pytest.raises(InputError, match="yields single instances, not batches"):
        imblens.capture(network, train=DataLoader(list(zip(x, y, strict=True)), batch_size=None))  # type: ignore[arg-type]
    ragged = [np.zeros(k % 3 + 1) for k in range(len(y))]
    for rows in (ragged, np.array(ragged, dtype=object)):
        with pytest.raises(InputError, match=r"3 shapes, such as \(1,\) and \(2,\)\. Pad them"):
            imblens.capture(network, train=(rows, y))
    with pytest.raises(InputError, match="pass them as float32"):
        imblens.capture(network, train=(x.long(), y))
