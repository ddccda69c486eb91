"""Every form of head: logits equal the network's own, the head maps features to them, and a treated head installs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imblens.errors import InputError, NotApplicable
from imblens.extraction import capture
from imblens.treatments import treat
from tests.extraction.networks import seeded

RNG = np.random.default_rng(5)
X = torch.from_numpy(RNG.normal(size=(30, 6, 5)).astype(np.float32))
Y = np.arange(30) % 3


class Net(nn.Module):
    """Tokens (b, 6, 5) or maps (b, 5, 6, 1); `after` makes the output from the head and the body's output."""

    def __init__(self, head: nn.Module, after: Callable[[nn.Module, Tensor], Any], maps: bool = False) -> None:
        super().__init__()
        self.body, self.head, self.after, self.maps = nn.Linear(5, 7), head, after, maps

    def forward(self, x: Tensor) -> Any:
        tokens = torch.tanh(self.body(x))
        return self.after(self.head, tokens.transpose(1, 2)[..., None] if self.maps else tokens)


def pooled(head: nn.Module, t: Tensor) -> Tensor:
    out: Tensor = head(t.mean(dim=1))
    return out


SCALE, SHIFT = torch.tensor([0.5, 2.0, 1.5]), torch.tensor([1.0, -1.0, 0.25])
LINEAR: dict[str, tuple[Callable[[nn.Module, Tensor], Any], Callable[[Any], Any]]] = {
    "plain": (pooled, lambda o: o),
    "softmax": (lambda h, t: pooled(h, t).softmax(1), lambda o: o.log()),
    "log_softmax": (lambda h, t: pooled(h, t).log_softmax(1), lambda o: o),
    "sigmoid": (lambda h, t: pooled(h, t).sigmoid(), lambda o: o.logit()),
    "scale": (lambda h, t: pooled(h, t) * SCALE, lambda o: o),
    "shift": (lambda h, t: pooled(h, t) + SHIFT, lambda o: o),
    "scale and shift": (lambda h, t: pooled(h, t) * SCALE + SHIFT, lambda o: o),
    "shift, then softmax": (lambda h, t: (pooled(h, t) + SHIFT).softmax(1), lambda o: o.log()),
    "mean over tokens": (lambda h, t: h(t).mean(1), lambda o: o),
    "first token": (lambda h, t: h(t)[:, 0], lambda o: o),
    "last token": (lambda h, t: h(t)[:, -1].softmax(1), lambda o: o.log()),
    "features first": (lambda h, t: (t.mean(1), pooled(h, t)), lambda o: o[1]),
    "mapping": (lambda h, t: {"aux": t.mean((1, 2)), "out": pooled(h, t)}, lambda o: o["out"]),
}


def centred(values: Any) -> Any:
    return values - values.mean(axis=1, keepdims=True)


def check(model: nn.Module, logits_of: Callable[[Any], Any], *, shared: bool = False) -> None:
    run = capture(model, train=(X, Y), test=(X + 0.1, Y), colours=False)
    with torch.no_grad():
        own = logits_of(model.eval()(X.clone())).reshape(30, -1).numpy()
    found = np.asarray(run.train.logits)
    np.testing.assert_allclose(*((centred(found), centred(own)) if shared else (found, own)), atol=1e-4)
    assert run.head is not None
    np.testing.assert_allclose(run.head(run.train.features), found, atol=1e-4)
    treated = run.with_head(type(run.head)(run.head.weight * 0.5 + 0.1, run.head.bias + np.arange(3, dtype=np.float32)))
    treated.install(model)
    with torch.no_grad():
        own = logits_of(model(X.clone())).reshape(30, -1).numpy()
    new = np.asarray(treated.train.logits)
    np.testing.assert_allclose(*((centred(new), centred(own)) if shared else (new, own)), atol=1e-3)


@pytest.mark.parametrize("form", LINEAR)
def test_linear_heads(form: str) -> None:
    after, logits_of = LINEAR[form]
    check(seeded(lambda: Net(nn.Linear(7, 3), after)), logits_of, shared="softmax" in form or form == "last token")


@pytest.mark.parametrize("before", [True, False])
def test_convolution_heads(before: bool) -> None:
    def after(head: nn.Module, maps: Tensor) -> Tensor:
        out: Tensor = head(maps).mean((2, 3)) if before else head(maps.mean((2, 3), keepdim=True)).flatten(1)
        return out

    check(seeded(lambda: Net(nn.Conv2d(7, 3, 1), after, maps=True)), lambda o: o)


@pytest.mark.parametrize("after", [pooled, lambda h, t: pooled(h, t)[:, 0], lambda h, t: pooled(h, t).sigmoid()])
def test_one_logit(after: Callable[[nn.Module, Tensor], Any]) -> None:
    model = seeded(lambda: Net(nn.Linear(7, 1), after))
    run = capture(model, train=(X, Y % 2), test=(X, (Y % 2)[:, None].astype(float)), classes=["ok", "defect"])
    with torch.no_grad():
        own = model.eval()(X).reshape(-1)
    own = own.logit() if bool(((own > 0) & (own < 1)).all()) else own
    np.testing.assert_allclose(run.train.logits, np.stack([0 * own, own], axis=1), atol=1e-4)
    assert run.head is not None
    better = run.with_head(type(run.head)(run.head.weight, run.head.bias + np.array([0, 2], np.float32)))
    better.install(model)
    with torch.no_grad():
        new = model(X).reshape(-1)
    new = new.logit() if bool(((new > 0) & (new < 1)).all()) else new
    np.testing.assert_allclose(new, own + 2, atol=1e-3)


def test_features_without_a_linear_head() -> None:
    model = seeded(lambda: Net(nn.Linear(7, 3), lambda h, t: h(t).pow(3).mean(1)))
    run = capture(model, train=(X, Y), features="body", pool="mean")
    with torch.no_grad():
        np.testing.assert_allclose(run.train.logits, model.eval()(X), atol=1e-4)
        np.testing.assert_allclose(run.train.features, model.body(X).mean(1), atol=1e-5)
    assert run.head is None
    with pytest.raises(NotApplicable):
        run.install(model)
    with pytest.raises(InputError, match="no linear head follows it"):
        treat(run, "ncm").install(model)
    first, last, custom = (
        capture(model, train=(X, Y), features="body", pool=pool).train.features
        for pool in ("first", "last", lambda v: v.amax(dim=1))
    )
    body = model.body(X).detach()
    np.testing.assert_allclose(first, body[:, 0], atol=1e-5)
    np.testing.assert_allclose(last, body[:, -1], atol=1e-5)
    np.testing.assert_allclose(custom, body.amax(1), atol=1e-5)


def test_a_layer_whose_output_is_not_the_prediction_is_reported() -> None:
    model = seeded(lambda: Net(nn.Linear(7, 3), lambda h, t: -pooled(h, t).pow(3)))
    reported: list[str] = []
    run = capture(model, train=(X, Y), layer="head", progress=reported.append)
    with torch.no_grad():
        n = int((run.train.predictions != model.eval()(X).argmax(1).numpy()).sum())
    assert n and any(text.startswith(f"{n} of 30 train predictions of layer 'head' differ") for text in reported)
    assert run.meta["notes"]


def test_half_precision_networks() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        model = seeded(lambda: Net(nn.Linear(7, 3), lambda h, t: pooled(h, t).softmax(1))).to(dtype)
        assert capture(model, train=(X, Y)).train.logits.dtype == np.float32


@pytest.mark.parametrize(
    ("output", "labels", "words"),
    [
        (lambda h, t: h(t).transpose(1, 2)[..., None].expand(-1, -1, -1, 4), Y, "segmentation"),
        (lambda h, t: [{"boxes": t[i], "labels": t[i]} for i in range(len(t))], Y, "object detection"),
        (pooled, Y * 0.37, "regression"),
        (pooled, np.zeros((30, 4, 4), int), "dense prediction"),
        (lambda h, t: h(t), Y, "one prediction per position, as tagging does"),
    ],
)
def test_what_is_no_classifier_is_refused(output: Any, labels: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        capture(seeded(lambda: Net(nn.Linear(7, 3), output)), train=(X, labels))


class Own(nn.Module):
    """A linear layer of the user's own, with its weight the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.offset = nn.Parameter(torch.randn(7, 3)), nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.kernel + self.offset


class LowRank(nn.Module):
    """A linear layer with an update of low rank beside it (LoRA)."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer, self.down, self.up = nn.Linear(7, 3), nn.Linear(7, 2, bias=False), nn.Linear(2, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base_layer(x) + 0.5 * self.up(self.down(x))
        return out


@pytest.mark.parametrize("head", [Own, LowRank])
def test_modules_of_other_classes_that_compute_a_linear_layer(head: Any) -> None:
    model = seeded(lambda: Net(head(), pooled))
    check(model, lambda o: o)
    check(seeded(lambda: Net(head(), lambda h, t: h(t).mean(1).softmax(1))), lambda o: o.log(), shared=True)
    assert capture(model, train=(X, Y), layer="head").meta["head"]["kind"] == "affine"


class Cosines(nn.Module):
    """A cosine classifier, as LDAM is trained with; `unit_weight` scales the weight to length 1 as well."""

    def __init__(self, unit_weight: bool) -> None:
        super().__init__()
        self.weight, self.unit_weight = nn.Parameter(torch.randn(3, 7)), unit_weight

    def forward(self, x: Tensor) -> Tensor:
        weight = nn.functional.normalize(self.weight) if self.unit_weight else self.weight
        return 9 * nn.functional.linear(nn.functional.normalize(x), weight)


@pytest.mark.parametrize("unit_weight", [True, False])
def test_cosine_classifiers(unit_weight: bool) -> None:
    model = seeded(lambda: Net(Cosines(unit_weight), pooled)).eval()
    run = capture(model, train=(X, Y), test=(X, Y))
    assert run.head is not None and run.head.unit
    with torch.no_grad():
        np.testing.assert_allclose(run.train.logits, model(X), atol=1e-4)
        np.testing.assert_allclose(run.train.features, torch.tanh(model.body(X)).mean(1), atol=1e-5)
    np.testing.assert_allclose(run.head(run.train.features), run.train.logits, atol=1e-4)
    other = run.with_head(replace(run.head, weight=run.head.weight * np.float32([[2], [0.5], [1]])))
    if unit_weight:  # its rows all have one length
        with pytest.raises(InputError, match="no weight that takes the head"):
            other.install(model)
    else:
        other.install(model)
        with torch.no_grad():
            np.testing.assert_allclose(other.train.logits, model(X), atol=1e-3)
    with pytest.raises(InputError, match="no weight that takes the head"):
        run.with_head(replace(run.head, unit=False)).install(model)


def test_a_linear_module_without_a_weight_of_its_own_takes_no_head() -> None:
    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(2, 7))

        def forward(self, x: Tensor) -> Tensor:
            return x @ (self.first @ self.second).T

    model = seeded(lambda: Net(Product(), pooled))
    run = capture(model, train=(X, Y))
    before = model.head.first.clone()
    with pytest.raises(InputError, match=r"Product\) has no weight that takes the head"):
        run.with_head(type(run.head)(run.head.weight + 1, run.head.bias)).install(model)  # type: ignore[union-attr]
    assert torch.equal(model.head.first, before)


class TwoHeads(nn.Module):
    """Two heads on different features, as distilled networks have them; `after` makes the output of both."""

    def __init__(self, after: Callable[[Tensor, Tensor], Any], second: nn.Module | None = None, chained: bool = False):
        super().__init__()
        self.body, self.head, self.chained = nn.Linear(5, 7), nn.Linear(7, 3), chained
        self.head_dist, self.after = second or nn.Linear(4, 3), after

    def forward(self, x: Tensor) -> Any:
        tokens = torch.tanh(self.body(x))
        one = self.head(tokens[:, 0])
        return self.after(one, self.head_dist(torch.cat([one, x[:, 1, :1]], 1) if self.chained else x[:, 1, :4]))


SUMS: dict[str, tuple[Callable[[Tensor, Tensor], Any], Callable[[Any], Any]]] = {
    "mean": (lambda a, b: (a + b) / 2, lambda o: o),
    "sum": (lambda a, b: a + b, lambda o: o),
    "weighted, softmax": (lambda a, b: (0.3 * a - 1.7 * b).softmax(1), lambda o: o.log()),
    "shifted": (lambda a, b: a + 2 * b + SHIFT, lambda o: o),
    "logits first of three": (
        lambda a, b: {"cls_logits": a, "distillation_logits": b, "logits": (a + b) / 2},
        lambda o: o["logits"],
    ),
}


@pytest.mark.parametrize("form", SUMS)
def test_sums_of_two_heads(form: str) -> None:
    after, logits_of = SUMS[form]
    model = seeded(lambda: TwoHeads(after))
    check(model, logits_of, shared="softmax" in form)
    run = capture(model, train=(X, Y))
    assert run.meta["layer"] == "head + head_dist" and run.train.features.shape == (30, 11)
    assert "notes" not in run.meta or not any("differ from the network's own" in note for note in run.meta["notes"])


def test_sums_of_heads_without_bias_or_with_a_convolution() -> None:
    second = nn.Sequential(nn.Unflatten(1, (4, 1, 1)), nn.Conv2d(4, 3, 1, bias=False), nn.Flatten())
    check(seeded(lambda: TwoHeads(lambda a, b: a + b, second)), lambda o: o)


def test_a_head_that_reads_another_head_is_not_a_sum() -> None:
    with pytest.raises(InputError, match="not the output of a linear layer"):
        capture(seeded(lambda: TwoHeads(lambda a, b: a + b, chained=True)), train=(X, Y))


VIEWS: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "the same call twice": lambda h, t: (pooled(h, t).sum(), pooled(h, t)),
    "mean over two views": lambda h, t: (pooled(h, t) + pooled(h, -t)) / 2,
    "the last of two calls": lambda h, t: (pooled(h, t), pooled(h, 2 * t))[1],
    "frames in the batch axis": lambda h, t: h(t.flatten(0, 1)).reshape(len(t), 6, 3).mean(1),
    "views one after another": lambda h, t: h(t.transpose(0, 1).flatten(0, 1)).reshape(6, len(t), 3).mean(0),
    "one more axis": lambda h, t: pooled(h, t)[:, None],
    "the last step, time first": lambda h, t: h(t.transpose(0, 1))[-1],
    "mean over steps, time first": lambda h, t: h(t.transpose(0, 1)).mean(0),
}


@pytest.mark.parametrize("form", VIEWS)
def test_heads_that_run_several_times(form: str) -> None:
    check(seeded(lambda: Net(nn.Linear(7, 3), VIEWS[form])), lambda o: o[1] if isinstance(o, tuple) else o)


class Both(NamedTuple):
    """What GoogLeNet and Inception return in training."""

    logits: Any
    aux: Any


@dataclass
class Result:
    """An output object without logits by name."""

    loss: Any
    prediction: Any


class Slots:
    """An output object without a dictionary."""

    __slots__ = ("logits",)

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


@pytest.mark.parametrize(
    ("after", "logits_of"),
    [
        (lambda h, t: Both(pooled(h, t), t.mean(1)), lambda o: o.logits),
        (lambda h, t: Both(pooled(h, t), pooled(h, t) * 0), lambda o: o.logits),
        (lambda h, t: Result(None, pooled(h, t)), lambda o: o.prediction),
        (lambda h, t: Slots(pooled(h, t)), lambda o: o.logits),
    ],
)
def test_outputs_of_every_class(after: Any, logits_of: Any) -> None:
    check(seeded(lambda: Net(nn.Linear(7, 3), after)), logits_of)


def test_one_of_several_outputs_is_that_of_the_classes() -> None:
    class Tasks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.age, self.kind = nn.Linear(5, 2), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"age": self.age(x[:, 0]), "kind": self.kind(x[:, 0])}

    model, rows = seeded(Tasks), [(X[i], {"age": i, "kind": int(Y[i])}) for i in range(30)]
    for label in ("kind", lambda batch: batch[1]["kind"]):
        run = capture(model, train=rows, label=label, classes=["a", "b", "c"])
        assert run.meta["layer"] == "kind" and run.train.labels.tolist() == Y.tolist()
        np.testing.assert_allclose(run.train.logits, model(X)["kind"].detach(), atol=1e-4)
    with pytest.raises(InputError, match=r"several targets: age, kind.*label='age'"):
        capture(model, train=rows, classes=["a", "b", "c"])


@pytest.mark.parametrize("pool", ["mean", "first", "last"])
def test_a_named_layer_with_a_pool(pool: str) -> None:
    model = seeded(lambda: Net(nn.Linear(7, 3), lambda h, t: h(t).sin().mean(1)))
    run = capture(model, train=(X, Y), layer="head", pool=pool)
    tokens = model.head(torch.tanh(model.body(X))).detach()
    own = {"mean": tokens.mean(1), "first": tokens[:, 0], "last": tokens[:, -1]}[pool]
    np.testing.assert_allclose(run.train.logits, own, atol=1e-4)
    assert run.head is not None
    np.testing.assert_allclose(run.head(run.train.features), own, atol=1e-4)


def test_random_outputs_are_reported() -> None:
    model = seeded(lambda: Net(nn.Linear(7, 3), lambda h, t: pooled(h, nn.functional.dropout(t, 0.5, True))))
    assert any("draws random numbers" in note for note in capture(model, train=(X, Y)).meta["notes"])


def test_an_output_that_is_passed_over_is_reported() -> None:
    model = seeded(lambda: Net(nn.Linear(7, 3), lambda h, t: {"logits": pooled(h, t).sin(), "plain": pooled(h, t)}))
    run = capture(model, train=(X, Y))
    np.testing.assert_allclose(run.train.logits, model(X)["plain"].detach(), atol=1e-4)
    assert any("logits are output 2 of the network, that of layer 'head'" in note for note in run.meta["notes"])


@pytest.mark.parametrize("name", ["refit", "eos", "logit_adjustment", "ncm"])
@pytest.mark.parametrize("after", [pooled, lambda h, t: pooled(h, t).sigmoid()[:, 0]])
def test_treatments_of_a_network_with_one_logit_install(name: str, after: Any) -> None:
    model = seeded(lambda: Net(nn.Linear(7, 1), after))
    labels = (np.arange(30) % 3 == 0).astype(int)
    run = capture(model, train=(X, labels), test=(X + 0.1, labels), colours=False)
    better = treat(run, name)
    better.install(model)
    with torch.no_grad():
        own = model(X).reshape(-1)
    probabilities = bool(((own > 0) & (own < 1)).all())
    assert ((own > (0.5 if probabilities else 0)).numpy() == (better.train.predictions == 1)).all()
