"""Every form of batch reaches the network, and gives the logits that the network gives itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from imblens.errors import InputError
from imblens.extraction import capture
from imblens.run import Run
from tests.extraction.networks import seeded

RNG = np.random.default_rng(6)
N = 24
TOKENS = torch.from_numpy(RNG.integers(1, 50, size=(N, 6)))
MASK = (torch.arange(6)[None] < torch.from_numpy(RNG.integers(2, 7, size=N))[:, None]).long()
Y = torch.arange(N) % 3


class Text(nn.Module):
    """A mean over tokens that the mask keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 5), nn.Linear(5, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weights = mask[..., None].float()
        out: Tensor = self.head((self.embedding(input_ids) * weights).sum(1) / weights.sum(1))
        return out


class Items(Dataset[Any]):
    """Any function of the row as a data set."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        return self.item(i)


class Stream(IterableDataset[Any]):
    """A data set without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter([{"input_ids": TOKENS[i], "attention_mask": MASK[i], "labels": Y[i]} for i in range(N)])


def mapping(i: int, key: str = "labels") -> dict[str, Any]:
    return {"input_ids": TOKENS[i], "attention_mask": MASK[i], "extra": i, "text": f"text {i}" * 100, key: Y[i]}


def collate(rows: list[Any]) -> Any:
    return SimpleNamespace(x=torch.stack([row[0] for row in rows]), y=torch.stack([row[1] for row in rows]))


SPLITS: dict[str, Any] = {
    "mapping": lambda: Items(mapping),
    **{
        f"mapping, {key}": lambda key=key: Items(lambda i: mapping(i, key))
        for key in ("label", "target", "targets", "y")
    },
    "inner mapping": lambda: Items(lambda i: ({"input_ids": TOKENS[i], "attention_mask": MASK[i]}, Y[i])),
    "inner sequence": lambda: Items(lambda i: ((TOKENS[i], MASK[i]), Y[i])),
    "label last": lambda: Items(lambda i: (TOKENS[i], MASK[i], Y[i])),
    "more than forward takes": lambda: Items(lambda i: (TOKENS[i], MASK[i], torch.tensor(i), Y[i])),
    "tensors": lambda: TensorDataset(TOKENS, MASK, Y),
    "iterable": Stream,
    "loader of an iterable": lambda: DataLoader(Stream(), batch_size=5),
    "loader": lambda: DataLoader(Items(mapping), batch_size=5, shuffle=True, num_workers=0),
    "arrays in a mapping": lambda: {"input_ids": TOKENS.numpy(), "attention_mask": MASK.numpy(), "labels": Y.numpy()},
    "mapping of arrays and labels": lambda: ({"input_ids": TOKENS, "attention_mask": MASK}, Y),
    "arrays by position": lambda: (TOKENS, MASK, Y),
}


def check(run: Run, own: Tensor) -> None:
    """Logits are the network's own, and the head maps the features to them."""
    np.testing.assert_allclose(run.train.logits, own.detach(), atol=1e-4)
    assert run.head is not None
    np.testing.assert_allclose(run.head(run.train.features), own.detach(), atol=1e-4)


@pytest.mark.parametrize("form", SPLITS)
def test_any_batch(form: str) -> None:
    model = seeded(Text)
    run = capture(model, train=SPLITS[form](), test=SPLITS[form](), batch_size=7)
    check(run, model.eval()(TOKENS, MASK))
    assert run.train.labels.tolist() == Y.tolist()


def test_a_data_set_of_hugging_face_with_text_previews() -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_list([
        {"input_ids": TOKENS[i].tolist(), "attention_mask": MASK[i].tolist(), "label": int(Y[i]), "text": "ab" * 200}
        for i in range(N)
    ])  # fmt: skip
    model = seeded(Text)
    run = capture(model, train=table)
    check(run, model.eval()(TOKENS, MASK))
    assert run.train.instances(["preview"])["preview"].tolist() == ["ab" * 150] * N


def test_an_object_with_y_and_a_collate_function() -> None:
    class Graphs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, 3)

        def forward(self, batch: Any) -> Tensor:
            out: Tensor = self.head(batch.x)
            return out

    x = torch.from_numpy(RNG.normal(size=(N, 5)).astype(np.float32))
    model = seeded(Graphs)
    run = capture(model, train=DataLoader(TensorDataset(x, Y), batch_size=4, collate_fn=collate))
    check(run, model.head(x))


def test_label_and_forward_override() -> None:
    model = seeded(Text)
    for label in ("kind", 1, lambda batch: batch[1]):
        rows = Items(lambda i: {"input_ids": TOKENS[i], "kind": Y[i]}) if label == "kind" else TensorDataset(TOKENS, Y)
        run = capture(model, train=rows, label=label)
        assert run.train.labels.tolist() == Y.tolist()
        check(run, model.eval()(TOKENS))
    run = capture(
        model, train=(TOKENS, MASK, Y), forward=lambda network, inputs: network(inputs[0], attention_mask=inputs[1])
    )
    check(run, model(TOKENS, MASK))


def test_subsets_of_loaders_are_kept_and_samplers_reported() -> None:
    rows, model = TensorDataset(TOKENS, Y), seeded(Text)
    reported: list[str] = []
    chosen = [5, 3, 11, 0, 7, 8]
    run = capture(
        model,
        train=DataLoader(rows, batch_size=4, sampler=SubsetRandomSampler(chosen)),
        test=DataLoader(Subset(rows, [9, 2, 4]), batch_size=2),
        progress=reported.append,
    )
    assert run.train.labels.tolist() == Y[sorted(chosen)].tolist()
    check(run, model.eval()(TOKENS[sorted(chosen)]))
    assert run.test is not None and run.test.labels.tolist() == Y[[9, 2, 4]].tolist()
    assert any("6 of 24 instances; they are read in ascending order" in text for text in reported)
    weighted = WeightedRandomSampler([1.0] * N, N)
    run = capture(model, train=DataLoader(rows, batch_size=4, sampler=weighted), progress=reported.append)
    assert len(run.train) == N and "repeats or weighs" in reported[-1]


def test_labels_of_every_kind() -> None:
    model, reported = seeded(Text), []
    one_hot = torch.nn.functional.one_hot(Y, 3)
    for train in ((TOKENS, one_hot), TensorDataset(TOKENS, one_hot)):
        run = capture(model, train=train, test=train, progress=reported.append)
        assert run.task == "multiclass" and run.train.labels.tolist() == Y.tolist()
        assert any("one-hot" in text for text in reported)
        assert capture(model, train=train, test=train, task="multilabel").task == "multilabel"
    for labels, task in ((Y, "multilabel"), (1 - one_hot, "multiclass"), (Y, "several")):
        with pytest.raises(InputError, match=f"task='{task}' is not allowed|task is '{task}'"):
            capture(model, train=(TOKENS, labels), task=task)
    names = Items(lambda i: (TOKENS[i], "abc"[int(Y[i])]))
    assert capture(model, train=names, classes=["a", "b", "c"]).train.labels.tolist() == Y.tolist()
    partly = torch.where(torch.arange(N) % 4 == 0, -1, Y)
    run = capture(model, train=(TOKENS, Y), test=TensorDataset(TOKENS, partly), batch_size=5, progress=reported.append)
    assert run.test is not None and run.test.labels.tolist() == Y[partly >= 0].tolist()
    assert any(text.startswith("6 test instances have the label -1") for text in reported)
    np.testing.assert_allclose(run.test.logits, model(TOKENS[partly >= 0]).detach(), atol=1e-4)


def test_classes_by_value_and_by_name() -> None:
    model = seeded(Text)
    assert capture(model, train=(TOKENS, Y), classes={2: "c", 0: "a", 1: "b"}).classes == ("a", "b", "c")
    model.config = SimpleNamespace(id2label={0: "c", 1: "a", 2: "b"})
    run = capture(model, train=(TOKENS, Y), classes=["a", "b", "c"])
    assert run.classes == ("c", "a", "b") and run.train.labels.tolist() == [(int(y) + 1) % 3 for y in Y]
    assert capture(model, train=(TOKENS, Y)).classes == ("c", "a", "b")


def test_a_permutation_of_outputs_is_reported() -> None:
    x = torch.nn.functional.one_hot(Y, 3).float()
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    with torch.no_grad():
        for layer, weight in zip(model, (torch.eye(3), torch.eye(3)[[1, 2, 0]]), strict=True):
            layer.weight.copy_(weight)
            layer.bias.zero_()
    notes = capture(model, train=(x, Y), classes=["a", "b", "c"]).meta["notes"]
    assert (
        "the order of classes seems wrong: balanced accuracy is 0%, and 100% if the network's outputs are b, c, a"
        in notes[-1]
    )


def test_ids_and_mappings_that_do_not_fit(tmp_path: Path) -> None:
    model = seeded(Text)
    ids = [f"file-{i}" for i in range(N)]
    assert capture(model, train=TensorDataset(TOKENS, Y), ids={"train": ids}).train.ids.tolist() == ids
    assert capture(model, train=Items(mapping), ids="text").train.ids[3] == "text 3" * 100
    with pytest.raises(InputError, match="Rename the keys"):
        capture(model, train=Items(lambda i: {"a": MASK[i], "b": TOKENS[i], "label": Y[i]}))
    with pytest.raises(InputError, match="without labels"):
        capture(model, train=Items(lambda i: {"input_ids": TOKENS[i]}))


class Flexible(nn.Module):
    """A linear network that unpacks its one argument."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self.read, self.head = read, nn.Linear(5, 3)

    def forward(self, batch: Any) -> Tensor:
        out: Tensor = self.head(self.read(batch))
        return out


ROWS = torch.from_numpy(RNG.normal(size=(N, 5)).astype(np.float32))


@pytest.mark.parametrize(
    ("read", "train"),
    [
        (lambda batch: batch["rows"], {"rows": ROWS, "labels": Y}),
        (
            lambda batch: batch["rows"] + 0 * batch["more"],
            Items(lambda i: {"rows": ROWS[i], "more": ROWS[i], "y": Y[i]}),
        ),
        (lambda batch: batch[0] + 0 * batch[1], ((ROWS, ROWS), Y)),
    ],
)
def test_networks_that_take_the_whole_batch(read: Any, train: Any) -> None:
    model = seeded(lambda: Flexible(read))
    run = capture(model, train=train)
    check(run, model.head(ROWS))


def test_objects_are_spread_over_what_forward_requires() -> None:
    class Graphs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, 3)

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            sums = torch.zeros(int(batch.max()) + 1, 5).index_add_(0, batch, x + x[edge_index[0]])
            out: Tensor = self.head(sums)
            return out

    def graphs(rows: list[int]) -> Any:
        nodes = torch.cat([ROWS[[i, i]] for i in rows])
        edges = torch.arange(len(nodes)).expand(2, -1)
        owners = torch.arange(len(rows)).repeat_interleave(2)
        return SimpleNamespace(x=nodes, edge_index=edges, batch=owners, y=Y[rows])

    model = seeded(Graphs)
    run = capture(model, train=DataLoader(Items(int), batch_size=5, collate_fn=graphs))
    check(run, model.head(4 * ROWS))


def test_packed_sequences() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.LSTM(5, 7, batch_first=True), nn.Linear(7, 3)

        def forward(self, sequences: Any) -> Tensor:
            out: Tensor = self.head(self.body(sequences)[1][0][-1])
            return out

    def pack(rows: list[int]) -> Any:
        sequences = [ROWS[i : i + 1 + i % 3] for i in rows]
        return nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False), Y[rows]

    model = seeded(Packed)
    run = capture(model, train=DataLoader(Items(int), batch_size=5, collate_fn=pack))
    check(run, model(pack(list(range(N)))[0]))


@pytest.mark.parametrize("named", [True, False])
def test_a_mapping_behind_the_first_input_is_spread_by_keyword(named: bool) -> None:
    class Masked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(4, 3)

        if named:

            def forward(self, x, mask):
                return self.head(x * mask)
        else:

            def forward(self, x, **more):
                return self.head(x * more["mask"])

    rng = np.random.default_rng(0)
    x, mask = (torch.tensor(rng.random((12, 4)), dtype=torch.float32) for _ in range(2))
    data = [(x[i], {"mask": mask[i]}, i % 3) for i in range(12)]
    model = Masked()
    run = capture(model, train=data, test=data)
    assert run.test is not None
    np.testing.assert_allclose(run.test.logits, model.head(x * mask).detach().numpy(), atol=1e-5)
