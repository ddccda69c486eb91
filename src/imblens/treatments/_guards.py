"""Checks before a treatment: leakage between splits, and a head that does not fit the features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import percent
from imblens.errors import InputError, NotApplicable, ShapeError
from imblens.run import Head, Run, Split, copied_within, copies, nearest

SHARE_COPIED = 0.05  # of a class's test instances, bit by bit equal to a training instance of that class
FEW_COPIES, MOST_COPIED = 3, 0.5  # of all test instances: more than chance doubles in the smallest of splits
SHARE_BETWEEN = 0.2  # of a class's test instances, on the line between two training instances of that class
ENOUGH = 10  # test instances of a class below which its share is not judged
LOOKED_AT = 200  # test instances of a class that are looked at for lying between
NEAREST = 8  # training instances tried as ends of the line
STRAIGHT = 1 - 1e-6  # cosine of the angle at which two training instances are opposite each other
MIN_DIM = 8  # features in which two instances differ; with fewer, others lie between them by chance


def single_label(run: Run, name: str) -> None:
    """Refuse multi-label runs.

    Raises:
        NotApplicable: with the reason.
    """
    if run.task == "multilabel":
        raise NotApplicable(
            f"{name}: this run is multi-label. Balancing one label unbalances those that come with it, "
            "and the heads here predict one class per instance.",
            hint="Train with a loss that weighs labels instead: wbce, cb_focal_bce or asl_bce.",
        )


def own_head(run: Run, name: str) -> Head:
    """Return the run's head, or raise an error where it has none.

    Raises:
        NotApplicable: the run has no head.
    """
    if run.head is None:
        raise NotApplicable(
            f"{name} changes the network's own head, and this run has none.",
            hint="Give head_weight and head_bias with the arrays, or try refit, crt, ncm or eos, which make their own head.",
        )
    return run.head


def head_fits(run: Run) -> None:
    """Refuse a head that does not produce the logits that the run stores.

    Raises:
        InputError: the stored logits are not features @ weight.T + bias, by more than low precision explains.
    """
    if run.head is None:
        return
    for part in run.train.parts:
        if part.logits is None or not len(part):
            continue
        rows = np.unique(np.linspace(0, len(part) - 1, 256).astype(np.int64))
        stored = np.asarray(part.logits[rows], dtype=np.float64)
        made = np.asarray(run.head(np.asarray(part.features[rows])), dtype=np.float64)
        stored -= stored.mean(axis=1, keepdims=True)  # a constant per row changes no prediction
        made -= made.mean(axis=1, keepdims=True)
        off = float(np.sqrt(np.mean((stored - made) ** 2)))
        spread = float(np.sqrt(np.mean(stored**2)))
        if off > 0.05 * spread:
            raise InputError(
                f"the head does not fit the features: its logits differ from the stored ones by {off:.3g} on average, "
                f"where those spread over {spread:.3g}.",
                hint="Give the features that enter the last linear layer, and that layer's weight and bias.",
            )
        return


def resampled_before_split(run: Run) -> None:
    """Refuse a run whose test instances were made from its training instances.

    Seen are copies (random over-sampling before the split) and, from 8 features on, points between two training
    instances of the class (SMOTE before the split). SMOTE on pixels cannot be seen in the features.

    Raises:
        InputError: names the class and the share.
    """
    if run.test is None:
        return
    copied = copies(run.train, run.test)
    if _few_values(run):
        return
    for label in range(run.n_classes):
        members = np.flatnonzero(run.test.labels == label)
        if len(members) < ENOUGH:
            continue
        share = float(copied[members].mean())
        if share > SHARE_COPIED:
            _refuse(f" of {run.classes[label]!r}", share, "are copies of training instances")
        if run.dim >= MIN_DIM:
            share = _share_between(run, label, members)
            if share > SHARE_BETWEEN:
                _refuse(f" of {run.classes[label]!r}", share, "lie exactly between two training instances")
    if copied.sum() >= FEW_COPIES and copied.mean() > MOST_COPIED:  # however few of each class
        _refuse("", float(copied.mean()), "are copies of training instances")


def _few_values(run: Run) -> bool:
    """Whether instances of every class are often equal, as in tables of categories: copies then show nothing.

    Over-sampling repeats instances of the rare classes only.
    """
    repeated = copied_within(run.train)
    shares = [repeated[run.train.labels == label].mean() for label in np.flatnonzero(run.train.class_counts >= ENOUGH)]
    return len(shares) > 1 and min(shares) > SHARE_COPIED


def held_out(run: Run, validation: Any) -> Split | None:
    """Check held-out instances to choose options on: the run's own `val` split, or what the caller gave.

    Args:
        run: the run to be treated.
        validation: Split, (features, labels), or None.

    Raises:
        ShapeError, InputError: they do not fit the run, or are the test split.
    """
    if validation is None:
        validation = run.splits.get("val")
        if validation is None or _few_values(run):
            return validation
    if not isinstance(validation, Split):
        two = np.unique(run.train.labels, return_index=True)[1][:2]  # the least that makes a run
        given = Run.from_arrays(
            train=(run.train.features[two], run.train.labels[two]), test=validation, classes=run.classes
        )
        assert given.test is not None
        validation = given.test
    if validation.dim != run.dim:
        raise ShapeError(
            f"validation has {validation.dim} features, the run {run.dim}.",
            hint="Capture both with the same network.",
        )
    if run.test is not None and (validation is run.test or copies(run.test, validation).mean() > 0.5):
        raise InputError(
            "validation is the test split, on which nothing may be chosen.",
            hint="Hold out other instances, or leave validation out to choose on training features.",
        )
    if copies(run.train, validation).mean() > 0.5:
        raise InputError(
            "validation is part of the training split, which the network has memorised.",
            hint="Give instances that the network was not trained on, or leave validation out.",
        )
    return validation


def _refuse(whose: str, share: float, what: str) -> None:
    raise InputError(
        f"{percent(share)} of the test instances{whose} {what}: if the data were resampled before they were split, "
        "the test split cannot show which head is better.",
        hint="Split first, then resample the training split only. If different instances have equal features, as in a table "
        "of few values, set check_split=false; images that are in both splits belong in one.",
    )


def _share_between(run: Run, label: int, members: NDArray[np.int64]) -> float:
    """Share of a class's test instances on the line between two of its nearest training instances."""
    assert run.test is not None
    own = np.flatnonzero(run.train.labels == label)
    if len(own) < 2:
        return 0.0
    looked = members[np.unique(np.linspace(0, len(members) - 1, LOOKED_AT).astype(np.int64))]
    train = np.asarray(run.train.features[own], dtype=np.float64)
    test = np.asarray(run.test.features[looked], dtype=np.float64)
    near = nearest(train, test, min(NEAREST, len(own)))[0]  # (n, k)
    away = train[near] - test[:, None]  # (n, k, D)
    length = np.linalg.norm(away, axis=2, keepdims=True)
    away /= np.where(length > 0, length, 1)
    cosine = np.einsum("nid,njd->nij", away, away)
    varied = (train[near][:, :, None] != train[near][:, None]).sum(axis=3) >= MIN_DIM  # few values meet by chance
    seen = (cosine < -STRAIGHT) & varied & (length * length.transpose(0, 2, 1) > 0)
    return float(seen.any(axis=(1, 2)).mean())
