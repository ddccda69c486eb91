"""What every loss obeys."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from imblens.losses import ClassLoss, LabelLoss, build_loss, loss_names

COUNTS = (70, 3, 22, 1, 9)
NEUTRAL: dict[str, dict[str, Any]] = {
    "ce": {},
    "weighted_ce": {"weights": [1.0] * len(COUNTS)},
    "focal": {"gamma": 0},
    "asl": {"gamma_pos": 0, "gamma_neg": 0, "smoothing": 0},
    "ldam": {"max_m": 0, "s": 1},
    "cb_ce": {"beta": 0},
    "cb_focal": {"beta": 0, "gamma": 0},
    "logit_adjusted": {"tau": 0},
    "overlap_ce": {},
}
LABELS = ((70, 3, 22, 1, 9), (30, 97, 78, 99, 91))  # of 100 instances, how many have each label, and have not
NEUTRAL_LABELS: dict[str, tuple[dict[str, Any], float]] = {
    "bce": ({}, 1),
    "wbce": ({}, 0.5),  # of a label that half of the instances have
    "focal_bce": ({"gamma": 0, "alpha": None}, 1),
    "cb_focal_bce": ({"gamma": 0, "beta": 0}, 1),
    "asl_bce": ({"gamma_pos": 0, "gamma_neg": 0, "margin": 0}, 1),
}
SETTINGS = [
    *((name, {}) for name in loss_names(multilabel=False)),
    ("focal", {"gamma": 0.5}),
    ("asl", {"gamma_pos": 0.5, "gamma_neg": 0.5}),
    ("ldam", {"s": 1}),
    ("logit_adjusted", {"tau": -2}),
    ("cb_focal", {"beta": 0.99, "drw": True}),
    ("ldam", {"drw": True}),
]
LABEL_SETTINGS = [
    *((name, {}) for name in loss_names(multilabel=True)),
    ("focal_bce", {"gamma": 0.5, "alpha": 0.1}),
    ("asl_bce", {"gamma_pos": 0.5, "gamma_neg": 0.5, "margin": 0}),
    ("asl_bce", {"gamma_neg": 0.5, "margin": 1e-6}),
    ("cb_focal_bce", {"beta": 0.99, "gamma": 0}),
]
every_label_loss = pytest.mark.parametrize(("name", "options"), LABEL_SETTINGS)
every_loss = pytest.mark.parametrize(("name", "options"), SETTINGS)


def built(name: str, options: dict[str, Any], counts: Any = COUNTS) -> ClassLoss:
    loss = build_loss(name, counts, **options)
    loss.set_epoch(9, 10)
    return loss


def batch(seed: int, n: int = 12, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, len(COUNTS), generator=generator, dtype=dtype)
    return logits, torch.randint(len(COUNTS), (n,), generator=generator)


def test_every_loss_is_here() -> None:
    assert set(NEUTRAL) == set(loss_names(multilabel=False)) == {name for name, _ in SETTINGS}
    assert set(NEUTRAL_LABELS) == set(loss_names(multilabel=True)) == {name for name, _ in LABEL_SETTINGS}


@pytest.mark.parametrize("name", NEUTRAL)
@settings(deadline=None, derandomize=True, database=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_neutral_is_cross_entropy(name: str, seed: int, n: int, scale: float) -> None:
    logits, targets = batch(seed, n, torch.float32)
    loss = build_loss(name, COUNTS, **NEUTRAL[name])
    expected = functional.cross_entropy(scale * logits, targets)
    torch.testing.assert_close(loss(scale * logits, targets), expected, atol=1e-6, rtol=1e-6)


@every_loss
def test_gradients_are_those_of_the_values(name: str, options: dict[str, Any]) -> None:
    logits, targets = batch(0, 4)
    loss = built(name, options)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), logits.requires_grad_())


@every_loss
@settings(deadline=None, derandomize=True, database=None, max_examples=15)
@given(order=st.permutations(range(len(COUNTS))), seed=st.integers(0, 99))
def test_renumbering_classes_changes_nothing(name: str, options: dict[str, Any], order: list[int], seed: int) -> None:
    logits, targets = batch(seed)
    position = torch.tensor(order).argsort()  # class c is now number position[c]
    renumbered = built(name, options, [COUNTS[c] for c in order])
    torch.testing.assert_close(
        renumbered(logits[:, order], position[targets]), built(name, options)(logits, targets), atol=1e-6, rtol=1e-6
    )


@every_loss
def test_order_of_the_batch_changes_nothing(name: str, options: dict[str, Any]) -> None:
    logits, targets = batch(3)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    loss = built(name, options)
    torch.testing.assert_close(loss(logits[order], targets[order]), loss(logits, targets))


@every_loss
def test_the_mean_over_halves_is_that_of_the_whole(name: str, options: dict[str, Any]) -> None:
    """No instance counts more or less for what else is in its batch."""
    logits, targets = batch(4)
    loss = built(name, options)
    halves = [loss(logits[part], targets[part]) for part in (slice(0, 6), slice(6, 12))]
    torch.testing.assert_close(sum(halves) / 2, loss(logits, targets))


@pytest.mark.parametrize("name", ["weighted_ce", "focal", "ce"])
@pytest.mark.parametrize("label", range(len(COUNTS)))
def test_the_weight_of_a_class_acts_on_its_instances_only(name: str, label: int) -> None:
    logits, targets = batch(5)
    plain, weights = [1.0] * len(COUNTS), [1.0] * len(COUNTS)
    weights[label] = 7.0
    gradients = []
    for values in (plain, weights):
        point = logits.clone().requires_grad_()
        build_loss(name, COUNTS, weights=values)(point, targets).backward()
        gradients.append(point.grad)
    mine = targets == label
    assert mine.any()
    torch.testing.assert_close(gradients[1][~mine], gradients[0][~mine], atol=0, rtol=0)
    torch.testing.assert_close(gradients[1][mine], 7 * gradients[0][mine])


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [0.0, 1e-4, 1.0, 1e4])
def test_extreme_logits_stay_finite(name: str, options: dict[str, Any], dtype: torch.dtype, size: float) -> None:
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * len(COUNTS))  # every combination of signs
    logits = (size * signs).repeat_interleave(len(COUNTS), dim=0).to(dtype).requires_grad_()
    targets = torch.arange(len(COUNTS)).repeat(len(signs))
    with torch.autocast("cpu", torch.bfloat16):
        loss = built(name, options)(logits, targets)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@every_loss
def test_autocast_changes_nothing(name: str, options: dict[str, Any]) -> None:
    logits, targets = batch(6, dtype=torch.float32)
    loss = built(name, options)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(logits, targets)
    assert torch.equal(inside, loss(logits, targets))
    half = logits.bfloat16()
    torch.testing.assert_close(loss(half, targets), loss(half.float(), targets), atol=0, rtol=0)


@every_loss
def test_a_class_without_instances_gives_numbers(name: str, options: dict[str, Any]) -> None:
    logits, targets = batch(7)
    loss = built(name, options, (70, 0, 22, 1, 9))
    assert (targets == 1).any()  # as in a validation split
    value = loss(logits.requires_grad_(), targets)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


@every_loss
def test_a_shift_of_all_logits_changes_nothing(name: str, options: dict[str, Any]) -> None:
    logits, targets = batch(8)
    loss = built(name, options)
    torch.testing.assert_close(loss(logits + 5.5, targets), loss(logits, targets))


@every_loss
def test_inputs_and_random_state_are_left_alone(name: str, options: dict[str, Any]) -> None:
    logits, targets = batch(9)
    before, random = (logits.clone(), targets.clone()), torch.get_rng_state()
    built(name, options)(logits, targets)
    assert torch.equal(logits, before[0]) and torch.equal(targets, before[1])
    assert torch.equal(torch.get_rng_state(), random)


# ------------------------------------------------------------------------------------------ several labels per instance


def labelled(seed: int, n: int = 12, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and targets of which about a fifth is not known."""
    generator = torch.Generator().manual_seed(seed)
    shape = (n, len(COUNTS))
    logits = 3 * torch.randn(shape, generator=generator, dtype=dtype)
    targets = torch.randint(2, shape, generator=generator)
    return logits, torch.where(torch.rand(shape, generator=generator) < 0.2, -1, targets)


def built_labels(name: str, options: dict[str, Any], counts: Any = LABELS) -> LabelLoss:
    loss = build_loss(name, counts[0], negative_counts=counts[1], **options)
    assert isinstance(loss, LabelLoss)
    return loss


@pytest.mark.parametrize("name", NEUTRAL_LABELS)
@settings(deadline=None, derandomize=True, database=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_neutral_is_binary_cross_entropy(name: str, seed: int, n: int, scale: float) -> None:
    logits, targets = labelled(seed, n, torch.float32)
    logits, targets = scale * logits, targets.clamp_min(0)
    options, share = NEUTRAL_LABELS[name]
    loss = built_labels(name, options, ([50] * len(COUNTS), [50] * len(COUNTS)))
    expected = share * functional.binary_cross_entropy_with_logits(logits, targets.float())
    torch.testing.assert_close(loss(logits, targets), expected, atol=1e-6, rtol=1e-5)


@every_label_loss
def test_gradients_of_labels_are_those_of_the_values(name: str, options: dict[str, Any]) -> None:
    logits, targets = labelled(0, 4)
    loss = built_labels(name, options)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), logits.requires_grad_())


@every_label_loss
def test_answers_that_are_not_known_do_not_count(name: str, options: dict[str, Any]) -> None:
    logits, targets = labelled(1)
    unknown = targets < 0
    assert unknown.any()
    loss = built_labels(name, options)
    point = logits.clone().requires_grad_()
    loss(point, targets).backward()
    assert (point.grad[unknown] == 0).all() and (point.grad[~unknown] != 0).any()
    torch.testing.assert_close(loss(torch.where(unknown, 77.0, logits), targets), loss(logits, targets))
    known = sum(
        loss(logits, torch.where(torch.eye(60).view(60, *targets.shape)[i] > 0, targets, -1)) for i in range(60)
    )
    torch.testing.assert_close(known / (~unknown).sum(), loss(logits, targets))  # the mean over the known pairs
    nothing = loss(point, torch.full_like(targets, -1))
    nothing.backward()
    assert nothing.item() == 0


@every_label_loss
@pytest.mark.parametrize("label", range(len(COUNTS)))
def test_counts_of_a_label_act_on_that_label_only(name: str, options: dict[str, Any], label: int) -> None:
    logits, targets = labelled(2)
    other = [list(counts) for counts in LABELS]
    other[0][label], other[1][label] = 50, 50
    gradients = []
    for counts in (LABELS, other):
        point = logits.clone().requires_grad_()
        built_labels(name, options, counts)(point, targets).backward()
        gradients.append(point.grad)
    elsewhere = torch.arange(len(COUNTS)) != label
    torch.testing.assert_close(gradients[0][:, elsewhere], gradients[1][:, elsewhere], atol=0, rtol=0)
    mine = targets[:, label] >= 0
    assert torch.equal(gradients[0], gradients[1]) == (name in ("bce", "focal_bce", "asl_bce"))
    if name in ("wbce", "cb_focal_bce"):
        assert (gradients[0][mine, label] != gradients[1][mine, label]).all()


@pytest.mark.parametrize("name", ["wbce", "cb_focal_bce"])
def test_the_rarer_answer_weighs_more(name: str) -> None:
    loss = built_labels(name, {})
    for positives, negatives, yes, no in zip(*LABELS, loss.positive_weight, loss.negative_weight, strict=True):
        assert (yes > no) == (positives < negatives)


@every_label_loss
def test_swapping_yes_and_no_swaps_the_weights(name: str, options: dict[str, Any]) -> None:
    """p and 1 - p play the same part in every loss that weighs by counts."""
    if name not in ("bce", "wbce", "cb_focal_bce"):
        pytest.skip("yes and no differ by design")
    logits, targets = labelled(3)
    swapped = torch.where(targets < 0, -1, 1 - targets)
    torch.testing.assert_close(
        built_labels(name, options, LABELS[::-1])(-logits, swapped), built_labels(name, options)(logits, targets)
    )


@every_label_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [0.0, 1e-4, 1.0, 1e4])
def test_extreme_logits_of_labels_stay_finite(
    name: str, options: dict[str, Any], dtype: torch.dtype, size: float
) -> None:
    logits = (size * torch.tensor([[-1.0, 1.0]] * 2).repeat(1, 3)[:, :5]).to(dtype).requires_grad_()
    targets = torch.tensor([[0] * 5, [1] * 5])
    with torch.autocast("cpu", torch.bfloat16):
        loss = built_labels(name, options)(logits, targets)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@every_label_loss
def test_a_label_that_no_instance_has_gives_numbers(name: str, options: dict[str, Any]) -> None:
    logits, targets = labelled(4)
    value = built_labels(name, options, ((70, 0, 22, 100, 9), (30, 100, 78, 0, 91)))(logits.requires_grad_(), targets)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()
