"""Networks and batches of further kinds: the right run, or one sentence on what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from imblens.errors import InputError
from imblens.extraction import capture
from tests.extraction.networks import seeded

N = 24
V = torch.from_numpy(np.random.default_rng(7).normal(size=(N, 5)).astype(np.float32))
Y = torch.arange(N) % 3


class Net(nn.Module):
    """A body (5 to 7), further modules, and a function that makes the output of them."""

    def __init__(self, made: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self.body, self.made = nn.Linear(5, 7), made
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Any:
        return self.made(self, torch.relu(self.body(x)))


def plain(**modules: nn.Module) -> Net:
    return seeded(lambda: Net(lambda s, h: s.head(h), head=nn.Linear(7, 3), **modules))


def follows(model: nn.Module, logits_of: Callable[[Any], Tensor] = lambda output: output, **options: Any) -> Any:
    """Capture; logits are the network's, before and after a changed head is installed. Return the run."""
    run = capture(model, **{"train": (V, Y), "colours": False, **options})
    assert run.head is not None
    changed = run.with_head(type(run.head)(run.head.weight * 0.5, run.head.bias + np.arange(3, dtype=np.float32)))
    for found, install in ((run, False), (changed, True)):
        if install:
            changed.install(model)
        with torch.no_grad():
            own = logits_of(model.eval()(V)).numpy()
        np.testing.assert_allclose(found.train.logits, own, atol=1e-4)
        np.testing.assert_allclose(found.head(found.train.features), own, atol=1e-4)
    return run


SUMS: dict[str, Callable[[], nn.Module]] = {
    "mean of an ensemble": lambda: Net(
        lambda s, h: torch.stack([head(h) for head in s.heads]).mean(0),
        heads=nn.ModuleList([nn.Sequential(nn.Linear(7, 4), nn.Tanh(), nn.Linear(4, 3)) for _ in range(3)]),
    ),
    "averaged weights": lambda: torch.optim.swa_utils.AveragedModel(plain()),
    "temperature": lambda: Net(lambda s, h: s.head(h) / 2.5, head=nn.Linear(7, 3)),
    "batch norm behind": lambda: Net(lambda s, h: s.norm(s.head(h)), head=nn.Linear(7, 3), norm=nn.BatchNorm1d(3)),
}


@pytest.mark.parametrize("form", SUMS)
def test_networks_that_end_in_a_sum_or_scale(form: str) -> None:
    follows(seeded(SUMS[form]))


def test_an_update_of_low_rank_adds_no_features() -> None:
    class LowRank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.down, self.up = nn.Linear(7, 3), nn.Linear(7, 2, bias=False), nn.Linear(2, 3, bias=False)

        def forward(self, x: Tensor) -> Any:
            return self.base(x) + self.up(self.down(x))

    run = follows(seeded(lambda: Net(lambda s, h: s.head(h), head=LowRank())))
    assert run.meta["layer"] == "head" and run.dim == 7


@pytest.mark.parametrize("changed", [nn.utils.spectral_norm, lambda layer: prune.l1_unstructured(layer, "weight", 0.3)])
def test_layers_that_compute_their_weight_take_no_head_silently(changed: Callable[[nn.Module], Any]) -> None:
    model = plain()
    torch.manual_seed(0)  # of the vectors that a spectral norm is measured with
    changed(model.head)
    model.eval()(V)
    run = capture(model, train=(V, Y))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match="computes its weight from other parameters"):
        run.with_head(type(run.head)(run.head.weight + 1, run.head.bias)).install(model)  # type: ignore[union-attr]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_whether_a_layer_took_the_head_is_tried_with_all_digits_of_float32() -> None:
    seen: list[str] = []

    class Watched(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(precision_of_convolutions())
            return super().forward(x)

    model = plain()
    model.head = Watched(7, 3)
    run = capture(model, train=(V, Y))
    assert run.head is not None
    before = precision_of_convolutions()
    seen.clear()
    run.with_head(type(run.head)(run.head.weight + 1, run.head.bias)).install(model)
    assert seen == ["ieee"] and precision_of_convolutions() == before == "tf32"


def precision_of_convolutions() -> str:
    """On a GPU, `tf32` by default: 10 bits of each number."""
    if hasattr(torch.backends.cudnn, "conv"):  # torch >= 2.9
        return str(torch.backends.cudnn.conv.fp32_precision)
    return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"


def test_a_tied_weight_is_untied_when_a_head_is_installed() -> None:
    model = plain(table=nn.Embedding(3, 7))
    model.head.weight = model.table.weight
    model.made = lambda s, h: s.head(h + s.table.weight[0])
    before = model.table.weight.clone()
    follows(model)
    assert torch.equal(model.table.weight, before)


def test_what_follows_the_layer_only_later_is_stated() -> None:
    x = V.clone()
    x[20:] *= 100
    model = seeded(lambda: Net(lambda s, h: s.head(h).clamp(-20, 20), head=nn.Linear(7, 3)))
    notes = capture(model, train=(x, Y)).meta["notes"]
    assert any("something follows the layer" in note for note in notes)


class Streamed(IterableDataset[Any]):
    """Every instance, to every worker."""

    def __iter__(self) -> Iterator[Any]:
        return iter([(V[i], int(Y[i])) for i in range(N)])


def test_workers_do_not_repeat_a_streamed_set() -> None:
    run = capture(plain(), train=DataLoader(Streamed(), batch_size=5, num_workers=2))
    assert run.train.labels.tolist() == Y.tolist() and "read without workers" in run.meta["notes"][0]


def test_the_usual_name_of_an_input_is_taken() -> None:
    rows = [{"image": V[i], "label": int(Y[i]), "start": torch.zeros(3), "meta": {"a": np.eye(2)}} for i in range(N)]
    follows(plain(), train=rows)


def test_the_key_of_the_labels_names_the_output() -> None:
    model = seeded(
        lambda: Net(
            lambda s, h: {"coarse": s.coarse(h), "fine": s.head(h)}, coarse=nn.Linear(7, 2), head=nn.Linear(7, 3)
        )
    )
    rows = [(V[i], {"coarse": int(Y[i] > 0), "fine": int(Y[i])}) for i in range(N)]
    assert follows(model, lambda output: output["fine"], train=rows, label="fine").meta["layer"] == "head"
    model.made = lambda s, h: (s.coarse(h), s.head(h))  # by the largest label
    assert capture(model, train=TensorDataset(V, Y)).meta["layer"] == "head"


def test_entries_beyond_the_label_are_stated() -> None:
    index = torch.arange(N)
    run = capture(plain(), train=TensorDataset(V, index, Y))
    assert "the last is the label, and the network takes the first 1" in run.meta["notes"][0]
    assert capture(plain(), train=TensorDataset(V, Y, index), label=1).train.labels.tolist() == Y.tolist()


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (TensorDataset(V, Y, torch.arange(N)), r"holds 23.*label=POSITION names another"),
        ([(Y[i], V[i]) for i in range(N)], "label=POSITION"),
        ([(V[i], int(Y[i]), f"{i}.png") for i in range(N)], r"has the label '0.png'.*label=POSITION"),
        ([(Image.new("RGB", (4, 4)), 0)] * 3, "images without a transform"),
        ((torch.nested.nested_tensor(list(V), layout=torch.jagged), Y), "is a nested tensor.*Pad it"),
    ],
)
def test_batches_of_another_order_or_kind_are_refused(train: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        capture(plain(), train=train)


@pytest.mark.parametrize(
    "made",
    [
        lambda s, h: -(torch.cdist(h, s.head.weight) ** 2),
        lambda s, h: s.head(h).clamp(-0.01, 0.01),
        lambda s, h: s.head(h).softmax(0),
        lambda s, h: s.head(h)[:, [2, 0, 1]],
        lambda s, h: (s.head(h).softmax(1) + s.other(h).softmax(1)) / 2,
        lambda s, h: s.other(h).softmax(1)[:, :1] * s.head(h) + s.other(h).softmax(1)[:, 1:2] * s.third(h),
    ],
)
def test_what_no_head_gives_is_refused(made: Any) -> None:
    model = seeded(lambda: Net(made, head=nn.Linear(7, 3), other=nn.Linear(7, 3), third=nn.Linear(7, 3)))
    with pytest.raises(InputError, match="not the output of a linear layer"):
        capture(model, train=(V, Y))
    run = capture(model, train=(V, Y), features="body")
    assert run.head is None
    np.testing.assert_allclose(run.train.features, model.body(V).detach(), atol=1e-5)


@pytest.mark.parametrize("kind", ["DeiT", "Levit"])
def test_distilled_networks_of_transformers(kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 16}
    if kind == "Levit":
        sizes = {"hidden_sizes": [16, 24, 32], "num_attention_heads": [1, 2, 2], "depths": [1, 1, 1]}
        sizes |= {"key_dim": [8, 8, 8], "mlp_ratio": [2, 2, 2], "attention_ratio": [2, 2, 2]}
    config = getattr(transformers, f"{kind}Config")(image_size=64, num_labels=3, **sizes)
    model = seeded(lambda: getattr(transformers, f"{kind}ForImageClassificationWithTeacher")(config)).eval()
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(N, 3, 64, 64)).astype(np.float32))
    run = capture(model, train=(images, Y), colours=False)
    with torch.no_grad():
        own = model(images).logits.numpy()
    np.testing.assert_allclose(run.train.logits, own, atol=1e-4 * np.abs(own).max())
    assert " + " in run.meta["layer"] and run.head is not None
    changed = run.with_head(type(run.head)(run.head.weight * 0.5, run.head.bias + np.arange(3, dtype=np.float32)))
    changed.install(model)
    with torch.no_grad():
        np.testing.assert_allclose(changed.train.logits, model(images).logits.numpy(), atol=1e-4)
