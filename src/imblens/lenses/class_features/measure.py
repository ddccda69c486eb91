"""Number, identity, frequency and magnitude of the features that predictions of a class need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import a_text, checked, whole
from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.base.wording import FEW, number
from imblens.errors import MissingError, did_you_mean
from imblens.lenses._contract import Finding, Measure, lens
from imblens.lenses._moments import class_moments
from imblens.run import Batch, Head, Run, Statistic

Floats = NDArray[np.float64]


MOST_ROWS = 200_000  # beyond it, the table keeps features that are needed or among a class's strongest
STRONGEST = 10


@lens(
    "Does a class rely on few features?",
    order=70,
    measures=(Measure("class_diversity", "effective_number", "features in effect", "higher", "features_in_effect"),),
    needs=("head", "multiclass"),
    pairs={"class_features": "magnitude"},
)
@checked(split=a_text(), top=whole(1))
def class_features(run: Run, *, split: str = "train", top: int = 10) -> Finding:
    """Classification embeddings (CE) of each class: how many a prediction needs, which, how strong, how diverse.

    CE of an instance predicted p = FE * W[p], elementwise, so sum(CE) + bias[p] = logit[p]
    needed = the fewest largest CE whose sum + bias + all negative CE reaches the runner-up logit

    Instances are grouped by their label; each instance's CE is that of its own prediction p, so a misclassified
    instance shows the features of the wrong class. On a training split that is classified correctly, both readings agree.

    frequency_cd = share of class c's instances that need feature d
    magnitude_cd = mean CE of feature d over class c's instances; fe_mean_cd = mean FE
    distinct_c = how many features any instance of c needs. It grows with the number of instances; compare
        distinct_equal_n, the number expected in a random draw of `equal_n` instances of each class
    effective_number_c = exp(entropy of share_cd), share_cd = mean positive CE of d / sum over features: 1 when one
        feature does it all, D when all do as much
    shift_c = mean over the `top` features of c of |mean test CE - mean train CE| / train standard deviation

    The shift takes CE of the label class for correct and misclassified instances alike, so that both have the same
    reference; `..._strength` is the same mean without the absolute value (below 0: test instances show the class's
    features more weakly). The `top` features of a class are those of largest mean training CE of that class.

    Args:
        run: single-label, with a head.
        split: "train" or "test": whose instances the first two tables describe.
        top: features whose magnitudes are matched, and counted in top10_share; 1 or more.

    Returns:
        Tables `class_features` (class, feature, frequency, magnitude, fe_mean), `class_diversity` (class, needed_mean,
        distinct, effective_number, top1_magnitude, top10_share, count, distinct_equal_n) and `magnitude_match` (class,
        correct_shift, wrong_shift, correct_count, wrong_count, correct_strength, wrong_strength). top1_magnitude is the
        largest magnitude, top10_share the part of the shares above that the ten largest hold. NaN for a class without
        such instances. Summary: means over classes, equal_n.

    Raises:
        NotApplicable: no head, or a multi-label run.
        MissingError: the run has no such split.
        InputError: `top` is less than 1.

    References:
        Dablain et al. 2022, Understanding CNN fragility when learning with imbalanced data (arXiv 2210.09465), on the
        number, frequency, magnitude and identity of class top-K CE and FE. Effective number and distinct_equal_n are
        ours: Hill 1973, Diversity and evenness; Hurlbert 1971, The nonconcept of species diversity (rarefaction).
    """
    if split not in run.splits:
        raise MissingError(
            f"class_features: the run has no split {split!r}.", hint=did_you_mean(split, list(run.splits))
        )
    run = run.at_head()
    head = run.head
    assert head is not None
    sums = embedding_sums(run, split)
    equal_n = max(FEW, int(sums.count[sums.count > 0].min()))
    match = _magnitude_match(run, head, top)
    diversity = _diversity(run, sums, equal_n)
    features = _features(run, sums)
    notes = _notes(run, split, sums, equal_n, match, len(features))
    summary = {
        "split": split,
        "needed_mean": number(diversity["needed_mean"].mean()),
        "effective_number": number(diversity["effective_number"].mean()),
        "top10_share": number(diversity["top10_share"].mean()),
        "correct_shift": number(match["correct_shift"].mean()),
        "wrong_shift": number(match["wrong_shift"].mean()),
        "equal_n": equal_n,
        "top": top,
    }
    tables = {"class_features": features, "class_diversity": diversity, "magnitude_match": match}
    return Finding(tables, summary, notes=notes)


@dataclass(frozen=True)
class EmbeddingSums:
    """Per class (C,) or class and feature (C, D), over the instances of the class.

    Attributes:
        count: (C,) instances.
        needed: (C, D) instances that need the feature.
        magnitude: (C, D) summed CE.
        positive: (C, D) summed positive part of CE.
        features: (C, D) summed FE.
        disagree: instances whose stored prediction differs from the head's.
    """

    count: NDArray[np.int64]
    needed: NDArray[np.int64]
    magnitude: Floats
    positive: Floats
    features: Floats
    disagree: int


def embedding_sums(run: Run, split: str) -> EmbeddingSums:
    """Sums over the classification embeddings of a split's instances, for a run with a head."""
    run = run.at_head()
    head = run.head
    assert head is not None
    return run.splits[split].reduce(lambda: _Embeddings(head, run.n_classes))


class _Embeddings(Statistic[EmbeddingSums]):
    """Sums over classification embeddings, and how many instances need each feature."""

    needs_logits = True
    sums = ("_count", "_needed", "_floats", "_disagree")

    def __init__(self, head: Head, n_classes: int) -> None:
        self._weight = head.weight.astype(np.float64)
        self._bias = head.bias.astype(np.float64)
        dim = head.weight.shape[1]
        self._count = np.zeros(n_classes, np.int64)
        self._needed = np.zeros((n_classes, dim), np.int64)
        self._floats = np.zeros((3, n_classes, dim))  # CE, positive CE, FE
        self._disagree = 0

    def update(self, batch: Batch) -> None:
        self._count += np.bincount(batch.labels, minlength=len(self._count))
        for rows in row_blocks(len(batch), max(self._weight.shape)):
            features = np.asarray(batch.features[rows], dtype=np.float64)
            embeddings, base, runner_up, predicted = classification_embeddings(features, self._weight, self._bias)
            positive = np.maximum(embeddings, 0)
            needed = needed_features(positive, base, runner_up)
            classes, to_class = _classes_of(batch.labels[rows])
            self._needed[classes] += (to_class @ needed.astype(np.float32)).astype(np.int64)
            for place, values in enumerate((embeddings, positive, features)):
                self._floats[place, classes] += to_class @ values
            if batch.logits is not None:
                self._disagree += int(np.count_nonzero(np.asarray(batch.logits[rows]).argmax(axis=1) != predicted))

    def finish(self) -> EmbeddingSums:
        magnitude, positive, features = self._floats.copy()
        return EmbeddingSums(self._count.copy(), self._needed.copy(), magnitude, positive, features, self._disagree)


def _classes_of(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
    """The c classes that b instances have, and a sparse (c, b) matrix, 1 where the instance is of the class.

    Where there are thousands of classes, few are in a block: a product with all of them would be zeros.
    """
    from scipy.sparse import csr_array

    classes, place = np.unique(labels, return_inverse=True)
    return classes, csr_array(
        (np.ones(len(labels)), (place, np.arange(len(labels)))), shape=(len(classes), len(labels))
    )


def classification_embeddings(
    features: Floats, weight: Floats, bias: Floats
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """CE of each instance for its predicted class, and what decides how many of them it needs.

    Args:
        features: (b, D).
        weight: (C, D).
        bias: (C,).

    Returns:
        CE (b, D); base (b,) = bias + all negative CE; runner-up logit (b,); predicted class (b,).
    """
    logits = features @ weight.T + bias  # (b, C)
    predicted = logits.argmax(axis=1)
    embeddings = features * weight[predicted]  # (b, D)
    base = bias[predicted] + np.minimum(embeddings, 0).sum(axis=1)
    logits[np.arange(len(logits)), predicted] = -np.inf
    runner_up = logits.max(axis=1)
    return embeddings, base, runner_up, predicted


def needed_features(positive: Floats, base: Floats, runner_up: Floats) -> NDArray[np.bool_]:
    """(b, D) which positive CE an instance needs: the fewest largest whose sum + base reaches the runner-up logit."""
    order = np.argsort(-positive, axis=1, kind="stable")
    largest_first = np.take_along_axis(positive, order, axis=1)
    reached = np.cumsum(largest_first, axis=1) - largest_first + base[:, None]  # before each feature is added
    # of what is still short, a feature that adds nothing can be short by rounding only
    wanted = (reached < runner_up[:, None]) & (largest_first > 0)
    needed = np.zeros(positive.shape, dtype=bool)
    np.put_along_axis(needed, order, wanted, axis=1)
    return needed


def _features(run: Run, sums: EmbeddingSums) -> pd.DataFrame:
    """The rows of every class; of a large table those that matter, chosen before rows are made."""
    label, feature = np.nonzero(_listed(sums))
    count = sums.count[label]
    return pd.DataFrame(
        {
            "class": np.array(run.classes, dtype=object)[label],
            "feature": feature,
            "frequency": divide(sums.needed[label, feature], count),
            "magnitude": divide(sums.magnitude[label, feature], count),
            "fe_mean": divide(sums.features[label, feature], count),
        }
    )


def _listed(sums: EmbeddingSums) -> NDArray[np.bool_]:
    """(C, D) whether the table has the feature: all, or those that an instance needs and the ten strongest."""
    shape = sums.magnitude.shape
    if sums.magnitude.size <= MOST_ROWS:
        return np.ones(shape, dtype=bool)
    found = sums.needed > 0
    for rows in row_blocks(*shape):
        strongest = np.argsort(-per_instance(sums.magnitude[rows], sums.count[rows]), axis=1, kind="stable")
        np.put_along_axis(found[rows], strongest[:, :STRONGEST], True, axis=1)
    found[sums.count == 0] = False
    return found


def _diversity(run: Run, sums: EmbeddingSums, equal_n: int) -> pd.DataFrame:
    magnitude = per_instance(sums.magnitude, sums.count)
    total = sums.positive.sum(axis=1, keepdims=True)
    share = divide(sums.positive, total)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    seen = sums.count > 0
    return pd.DataFrame(
        {
            "class": run.classes,
            "needed_mean": per_instance(sums.needed.sum(axis=1)[:, None], sums.count)[:, 0],
            "distinct": np.where(seen, (sums.needed > 0).sum(axis=1), np.nan),
            "effective_number": np.exp(-(share * logs).sum(axis=1)),
            "top1_magnitude": np.where(seen, magnitude.max(axis=1), np.nan),
            "top10_share": np.sort(share, axis=1)[:, -10:].sum(axis=1),
            "count": sums.count,
            "distinct_equal_n": rarefied(sums.needed, sums.count, equal_n),
        }
    )


def rarefied(needed: NDArray[np.int64], count: NDArray[np.int64], n: int) -> Floats:
    """Features that n random instances of a class need together, in expectation; NaN for classes of fewer than n.

    sum over features of 1 - (instances without it choose n) / (instances choose n)

    Args:
        needed: (C, D) instances of the class that need the feature.
        count: (C,) instances of the class.
        n: instances in the draw.

    Example:
        >>> rarefied(np.array([[3, 1]]), np.array([4]), 2)  # 1 - 0/6 and 1 - 3/6
        array([1.5])
    """
    from scipy.special import gammaln

    whole = count[:, None].astype(np.float64)
    without = whole - needed
    enough = without >= n
    room = np.where(enough, without, n)  # keeps gammaln off its poles
    missed = np.exp(
        gammaln(room + 1) - gammaln(room - n + 1) - gammaln(whole + 1) + gammaln(np.maximum(whole - n, 0) + 1)
    )
    expected = (1 - np.where(enough, missed, 0.0)).sum(axis=1)
    return np.where(count >= n, expected, np.nan)


def per_instance(sums: NDArray[Any], count: NDArray[np.int64]) -> Floats:
    """(C, D) sums over the instances of each class as means; NaN for a class without instances."""
    return divide(sums, count[:, None])


class _FeatureSums(Statistic[tuple[NDArray[np.int64], Floats]]):
    """Count (2, C) and summed FE (2, C, D) of misclassified (0) and correct (1) instances of each class."""

    needs_logits = True
    sums = ("_count", "_sums")

    def __init__(self, n_classes: int, dim: int) -> None:
        self._count = np.zeros((2, n_classes), np.int64)
        self._sums = np.zeros((2, n_classes, dim))

    def update(self, batch: Batch) -> None:
        correct = batch.predictions == batch.labels
        members = batch.membership.tocsc()
        for kind in (0, 1):
            rows = np.flatnonzero(correct == bool(kind))
            self._count[kind] += np.bincount(batch.labels[rows], minlength=self._count.shape[1])
            self._sums[kind] += members[:, rows] @ np.asarray(batch.features[rows], dtype=np.float64)

    def finish(self) -> tuple[NDArray[np.int64], Floats]:
        return self._count.copy(), self._sums.copy()


def _magnitude_match(run: Run, head: Head, top: int) -> pd.DataFrame:
    n_classes, dim = head.weight.shape
    table: dict[str, Any] = {"class": run.classes}
    count = np.zeros((2, n_classes), np.int64)
    shift = np.full((2, n_classes), np.nan)
    strength = np.full((2, n_classes), np.nan)
    if run.test is not None:
        count, sums = run.test.reduce(lambda: _FeatureSums(n_classes, dim))
        moments = class_moments(run)
        weight = head.weight.astype(np.float64)
        deviation = np.abs(weight) * np.sqrt(moments.variance)
        for label in np.flatnonzero(moments.count):
            train = weight[label] * moments.mean[label]
            strongest = np.argsort(-train, kind="stable")[:top]
            strongest = strongest[deviation[label, strongest] > 0]
            for kind in (0, 1):
                if count[kind, label] and strongest.size:
                    test = weight[label] * sums[kind, label] / count[kind, label]
                    steps = ((test - train) / np.maximum(deviation[label], 1e-300))[strongest]
                    shift[kind, label] = np.abs(steps).mean()
                    strength[kind, label] = steps.mean()
    for name, values in (("shift", shift), ("count", count), ("strength", strength)):
        table[f"correct_{name}"], table[f"wrong_{name}"] = values[1], values[0]
    return pd.DataFrame(table)


def _notes(
    run: Run, split: str, sums: EmbeddingSums, equal_n: int, match: pd.DataFrame, n_rows: int
) -> tuple[str, ...]:
    notes = [
        f"Distinct features are also counted for {equal_n} random instances of each class, so that large and "
        "small classes can be compared."
    ]
    absent = [name for name, n in zip(run.classes, sums.count, strict=True) if n == 0]
    if absent:
        notes.append(f"No {split} instance of {', '.join(absent)}: no features to report.")
    small = [name for name, n in zip(run.classes, sums.count, strict=True) if 0 < n < equal_n]
    if small:
        notes.append(
            f"Fewer than {equal_n} {split} instances of {', '.join(small)}: too few to tell how diverse it is."
        )
    silent = (sums.count > 0) & (sums.positive.sum(axis=1) == 0)
    if silent.any():
        named = ", ".join(name for name, is_silent in zip(run.classes, silent, strict=True) if is_silent)
        notes.append(
            f"No feature contributes positively to predictions of {named}, so there is no diversity to measure."
        )
    if sums.disagree:
        notes.append(
            f"For {sums.disagree:,} of {sums.count.sum():,} {split} instances the stored prediction differs from "
            "that of head and features; this lens follows the head."
        )
    if run.test is None:
        notes.append("The run has no test split: whether magnitudes match is unknown.")
    else:
        unshifted = match.loc[match["correct_shift"].isna() & match["wrong_shift"].isna(), "class"]
        if len(unshifted):
            notes.append(
                f"No shift for {', '.join(unshifted)}: no test instances, or fewer than two different training instances."
            )
    if n_rows < run.n_classes * run.dim:
        notes.append("The table of features lists those that an instance of the class needs, and its ten strongest.")
    return tuple(notes)
