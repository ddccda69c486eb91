"""Losses against numbers on paper, other libraries' formulas, and bad requests."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.nn import functional

from imblens.errors import InputError, MissingError, ShapeError
from imblens.losses import build_loss, find_loss, loss_descriptions, loss_names

COUNTS = [60, 25, 10, 5]


def batch(n: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator) * 2, torch.randint(4, (n,), generator=generator)


def test_focal_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])  # p = 1/4, 3/4
    assert build_loss("focal", [1, 1], gamma=2)(logits, torch.tensor([1])).item() == pytest.approx(
        -(1 / 16) * math.log(3 / 4)
    )
    assert build_loss("focal", [1, 1], gamma=1, weights=[2, 5])(logits, torch.tensor([0])).item() == pytest.approx(
        -2 * (3 / 4) * math.log(1 / 4)
    )


def test_asymmetric_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])
    loss = build_loss("asl", [1, 1], gamma_pos=1, gamma_neg=2, smoothing=0.2)
    expected = -(0.9 * (1 / 4) * math.log(3 / 4) + 0.1 * (1 / 4) ** 2 * math.log(1 / 4))
    assert loss(logits, torch.tensor([1])).item() == pytest.approx(expected)


def test_asymmetric_without_focus_is_label_smoothing() -> None:
    logits, targets = batch()
    loss = build_loss("asl", COUNTS, gamma_pos=0, gamma_neg=0, smoothing=0.3)
    torch.testing.assert_close(loss(logits, targets), functional.cross_entropy(logits, targets, label_smoothing=0.3))


def test_margins_of_ldam_are_those_of_the_paper() -> None:
    """max_m for the rarest class, and proportional to n^(-1/4); the loss is theirs on cosines."""
    cosines, targets = batch()
    cosines = cosines.tanh()
    margins = torch.tensor([0.4 * (5 / n) ** 0.25 for n in COUNTS])
    shifted = cosines.clone()
    shifted[range(9), targets] -= margins[targets]
    expected = functional.cross_entropy(20 * shifted, targets)
    torch.testing.assert_close(build_loss("ldam", COUNTS, max_m=0.4, s=20)(20 * cosines, targets), expected)


def test_a_class_without_instances_gets_the_widest_margin() -> None:
    loss = build_loss("ldam", [16, 0, 1], max_m=0.5, s=1)
    assert loss.margin.tolist() == pytest.approx([0.25, 0.5, 0.5])


def test_weights_by_hand() -> None:
    """1 / n, scaled so that the mean over the 100 training instances is 1."""
    loss = build_loss("weighted_ce", COUNTS)
    assert loss.class_weight.tolist() == pytest.approx([25 / n for n in COUNTS])
    effective = [(1 - 0.9) / (1 - 0.9**n) for n in COUNTS]
    scale = 100 / sum(w * n for w, n in zip(effective, COUNTS, strict=True))
    for name in ("cb_ce", "cb_focal"):
        weights = build_loss(name, COUNTS, beta=0.9).class_weight.tolist()
        assert weights == pytest.approx([w * scale for w in effective])
    assert build_loss("weighted_ce", COUNTS, weights=[1, 2, 3, 4]).class_weight.tolist() == [1, 2, 3, 4]


def test_weighted_cross_entropy_over_the_training_set_is_torchs() -> None:
    """Over a batch with the classes' own shares, the sum of the weights is N, so both normalisations agree."""
    targets = torch.repeat_interleave(torch.arange(4), torch.tensor(COUNTS))
    logits = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    loss = build_loss("weighted_ce", COUNTS)
    torch.testing.assert_close(
        loss(logits, targets), functional.cross_entropy(logits, targets, weight=1 / torch.tensor(COUNTS))
    )


def test_balanced_softmax_by_hand() -> None:
    logits = torch.tensor([[math.log(2), math.log(5)]])
    loss = build_loss("logit_adjusted", [30, 10])(logits, torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(5 * 10 / (2 * 30 + 5 * 10)))


def test_deferred_weights_start_late() -> None:
    logits, targets = batch()
    plain, weighted = build_loss("ce", COUNTS)(logits, targets), build_loss("cb_ce", COUNTS)(logits, targets)
    loss = build_loss("ce", COUNTS, drw=True)
    torch.testing.assert_close(loss(logits, targets), plain)
    for epoch, expected in ((0, plain), (159, plain), (160, weighted), (199, weighted), (3, plain)):
        loss.set_epoch(epoch, 200)
        torch.testing.assert_close(loss(logits, targets), expected)


def test_deferred_weights_multiply_those_of_the_loss() -> None:
    logits, targets = batch()
    loss = build_loss("focal", COUNTS, drw=True, gamma=1, weights=[1, 2, 3, 4])
    loss.set_epoch(9, 10)
    both = loss.late_weight * torch.tensor([1.0, 2, 3, 4])
    torch.testing.assert_close(
        loss(logits, targets), build_loss("focal", COUNTS, gamma=1, weights=both.tolist())(logits, targets)
    )


def test_nothing_of_a_loss_enters_a_state_dict() -> None:
    single, several = loss_names(multilabel=False), loss_names(multilabel=True)
    assert not any(build_loss(name, COUNTS, drw=drw).state_dict() for name in single for drw in (False, True))
    assert not any(build_loss(name, COUNTS, negative_counts=COUNTS).state_dict() for name in several)


def test_names_and_descriptions_need_no_torch() -> None:
    code = (
        "import sys; from imblens.losses import loss_descriptions; from imblens.models import model_descriptions;"
        "assert loss_descriptions() and model_descriptions(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert tuple(loss_descriptions()) == loss_names()
    assert [name for name in loss_names() if find_loss(name).normalised_head] == ["ldam"]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("focl", COUNTS), {}, "no loss 'focl'. Did you mean 'focal'"),
        (("focal", COUNTS), {"gama": 1}, "'focal' has no option 'gama'. Did you mean 'gamma'"),
        (("focal", COUNTS), {"gamma": -1}, "gamma is -1. It must be a finite number, 0 or more"),
        (("focal", COUNTS), {"gamma": "high"}, "gamma is 'high'"),
        (("focal", COUNTS), {"weights": [1, 2]}, "weights must be 4 finite numbers"),
        (("weighted_ce", COUNTS), {"weights": [1, 2, 3, math.nan]}, "weights must be 4 finite numbers"),
        (("asl", COUNTS), {"smoothing": 1}, "smoothing is 1. .* 0 or more, below 1"),
        (("cb_ce", COUNTS), {"beta": 1}, "beta is 1"),
        (("ldam", COUNTS), {"s": 0}, "s is 0"),
        (("logit_adjusted", COUNTS), {"tau": math.inf}, "tau is inf"),
        (("ce", [3]), {}, "class_counts must be two or more whole numbers"),
        (("ce", [0, 0]), {}, "class_counts"),
        (("ce", [1.5, 2]), {}, "class_counts"),
        (("ce", [-1, 2]), {}, "class_counts"),
        (("ce", "many"), {}, "class_counts"),
        (("ce", None), {}, "class_counts"),
    ],
)
def test_invalid_requests_raise_a_message_with_what_to_do(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises((InputError, MissingError), match=message):
        build_loss(*arguments, **options)


@pytest.mark.parametrize("shapes", [((3, 5), (3,)), ((3, 4), (2,)), ((3, 4), (3, 1)), ((4,), (4,))])
def test_shapes_that_do_not_fit(shapes: Any) -> None:
    with pytest.raises(ShapeError, match="a loss for 4 classes got logits"):
        build_loss("ce", COUNTS)(torch.zeros(shapes[0]), torch.zeros(shapes[1], dtype=torch.int64))


# ------------------------------------------------------------------------------------------ multi-label


def labels(n: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return 2 * torch.randn(n, 4, generator=generator), torch.randint(2, (n, 4), generator=generator)


@pytest.mark.parametrize("name", ["bce", "wbce", "focal_bce", "cb_focal_bce"])
def test_losses_of_looking_are_equation_2(name: str) -> None:
    """Written out as the paper prints it, label by label, pair by pair, in Python's floats."""
    positives, negatives = [60, 25, 10, 5], [40, 75, 90, 95]
    logits, targets = labels()
    total = 0.0
    for row, truth in zip(logits.tolist(), targets.tolist(), strict=True):
        for x, y, yes, no in zip(row, truth, positives, negatives, strict=True):
            p = 1 / (1 + math.exp(-x))
            plus, minus = {
                "bce": (1, 1),
                "wbce": (no / (yes + no), yes / (yes + no)),
                "focal_bce": (0.25 * (1 - p) ** 2, 0.75 * p**2),
                "cb_focal_bce": (
                    (1 - 0.9999) / (1 - 0.9999**yes) * (1 - p) ** 2,
                    (1 - 0.9999) / (1 - 0.9999**no) * p**2,
                ),
            }[name]
            total -= plus * y * math.log(p) + minus * (1 - y) * math.log(1 - p)
    found = build_loss(name, positives, negative_counts=negatives)(logits, targets)
    assert found.item() == pytest.approx(total / logits.numel(), rel=1e-5)


def test_weights_of_wbce_are_those_of_torch() -> None:
    logits, targets = labels()
    positives, negatives = torch.tensor([60, 25, 10, 5]), torch.tensor([40, 75, 90, 95])
    expected = functional.binary_cross_entropy_with_logits(
        logits, targets.float(), weight=positives / 100, pos_weight=negatives / positives
    )
    found = build_loss("wbce", positives.tolist(), negative_counts=negatives.tolist())(logits, targets)
    torch.testing.assert_close(found, expected)


def test_asymmetric_labels_by_hand() -> None:
    loss = build_loss("asl_bce", [1, 1], negative_counts=[1, 1], gamma_pos=1, gamma_neg=2, margin=0.25)
    p = torch.tensor([[0.2, 0.75], [0.5, 0.2]])
    found = loss(torch.logit(p), torch.tensor([[1, 0], [0, 0]]))
    expected = -(0.8 * math.log(0.2) + 0.5**2 * math.log(0.5) + 0.25**2 * math.log(0.75) + 0) / 4
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_loss_for_the_other_kind_of_labels_is_refused() -> None:
    with pytest.raises(InputError, match=r"'ce' is for single-label data, but the data is multi-label.*bce, wbce"):
        build_loss("ce", COUNTS, negative_counts=COUNTS)
    with pytest.raises(InputError, match=r"'bce' is for multi-label data, but the data is single-label.*: ce,"):
        build_loss("bce", COUNTS)
    with pytest.raises(InputError, match="deferred re-weighting"):
        build_loss("bce", COUNTS, negative_counts=COUNTS, drw=True)
    with pytest.raises(InputError, match="3 negative_counts for 4"):
        build_loss("bce", COUNTS, negative_counts=[1, 2, 3])
    with pytest.raises(ShapeError, match="-1 where"):
        build_loss("bce", COUNTS, negative_counts=COUNTS)(torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(MissingError, match="gama"):
        build_loss("focal_bce", COUNTS, negative_counts=COUNTS, gama=1)
