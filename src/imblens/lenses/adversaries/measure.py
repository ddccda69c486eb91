"""Classes that errors go to: forecasts from training data, and observations on the test split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from imblens.base.arguments import checked, whole
from imblens.base.blocks import row_blocks
from imblens.base.wording import listed
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments
from imblens.lenses._pairs import kept_pairs, pairs_note
from imblens.lenses.adversaries.fisher import fisher_forecast
from imblens.lenses.adversaries.forecast import (
    CLOUD_CLASSES,
    ENOUGH_ERRORS,
    Matrix,
    NeighbourClasses,
    cloud_forecast,
    divergences,
    neighbour_forecast,
    random_divergences,
    sampling_floor,
    shares,
    softmax_forecast,
)
from imblens.run import Run

NAMED = 50  # classes that a note names


@lens(
    "Which classes is each class confused with?",
    order=40,
    needs=("multiclass",),
    pairs={"adversaries": "observed"},
    neighbours=5,
)
@checked(k=whole(1), least_errors=whole(0))
def adversaries(run: Run, *, k: int = 5, least_errors: int = 10) -> Finding:
    """Share of a class's errors that go to each other class: three forecasts from training data, and test errors.

    forecast: over the misclassified training instances of the class, the classes of their k nearest neighbours, own class left
        out, as shares. With fewer than `least_errors` such errors all instances of the class count, and `basis` is "all".
    fisher: 1 / mean over features of (mu_i - mu_k)^2 / (var_i + var_k), as shares.
    soft: draws from the widened distribution of the class's training logits; of those misclassified by the head, the
        predicted classes, and training errors (ours, used as the leading forecast; see `cloud_forecast`).
    observed: over the misclassified test instances of the class, the predicted classes.

    The summary holds, for each, the mean over classes of KL(observed, forecast) in nats (0.001 added to every share), beside
    `uniform`, `prior` (training counts) and `random`, the paper's baseline: the mean over 100 rows of random shares, with
    `random_over_forecast`, how many times worse it is. Classes without test errors are left out; a class without a
    forecast counts as uniform and is NaN in the table. `kl_floor` is the score of the true shares: test errors are a sample.
    `kl_rare` is the mean over the rarer half, the classes with no more training instances than the median class.

    Args:
        run: single-label. Without predictions in training, `soft` is NaN and the neighbours of all instances count.
        k: neighbours, 1 or more.
        least_errors: 0 is Alg. 1 of the paper, which counts the neighbours of errors only, however few; a class without errors
            in training has no forecast there.

    Returns:
        Table `adversaries` (class, adversary, neighbour_count, forecast, fisher, soft, observed, basis, test_error_count and
        train_error_count of the class), a row for each ordered pair; of more than 200 classes, for those with test errors
        and for the strongest of each class. Summary: kl, kl_rare, kl_floor, classes_compared, leading (the column that the
        chart shows).

    Raises:
        InputError: k is less than 1, or least_errors less than 0.
        NotApplicable: a multi-label run.

    References:
        IML, section III-D, Alg. 1, eq. 1 and Table II. Training errors are often too few to count: the rule of ten is
        ours, and so is `soft`.
    """
    near = neighbour_forecast(run, k, least_errors)
    tables, compared = [], _Compared(run)
    for block in _blocks(run):
        matrices, observed = _matrices(run, near, block)
        tables.append(_rows(run, near, matrices, observed, block))
        compared.add(matrices, observed, block.start)
    predicted = run.test is not None and run.test.has_logits
    kl = compared.mean(compared.all)
    ours = kl.get("forecast")
    summary = {
        "kl": kl,
        "random_over_forecast": kl["random"] / ours if ours and kl["random"] is not None else None,
        "kl_rare": compared.mean(compared.rare),
        "kl_floor": sampling_floor(run.test.confusion) if predicted else None,  # type: ignore[union-attr]
        "classes_compared": int(compared.has_errors.sum()),
        "leading": "soft" if run.train.has_logits else "forecast",
        "k": run.neighbours(k).k,
    }
    return Finding(
        {"adversaries": pd.concat(tables, ignore_index=True)},
        summary,
        notes=(
            *_notes(run, near.of_errors, compared.has_errors, least_errors),
            *pairs_note(run.n_classes, "observed errors and "),
        ),
    )


def _blocks(run: Run) -> Iterator[slice]:
    """Consecutive classes whose rows are held at once: all where covariances of logits are used, which need every class."""
    n = run.n_classes
    if n <= CLOUD_CLASSES:
        yield slice(0, n)
    else:
        yield from row_blocks(n, n)


def _matrices(run: Run, near: NeighbourClasses, block: slice) -> tuple[dict[str, Matrix], Matrix]:
    """(n, C) the forecasts and the observed shares of the errors of consecutive classes; NaN where unknown."""
    rows = np.arange(block.start, block.stop)
    unknown = np.full((len(rows), run.n_classes), np.nan)
    soft = unknown
    if run.train.has_logits:
        soft = cloud_forecast(run) if run.n_classes <= CLOUD_CLASSES else softmax_forecast(run, block)
    matrices = {
        "forecast": shares(near.counts[rows].toarray(), block.start),
        "fisher": fisher_forecast(class_moments(run), block),
        "soft": soft,
    }
    if run.test is None or not run.test.has_logits:
        return matrices, unknown
    return matrices, shares(run.test.confusion[rows].toarray(), block.start)


def _rows(
    run: Run, near: NeighbourClasses, matrices: Mapping[str, Matrix], observed: Matrix, block: slice
) -> pd.DataFrame:
    first, second = kept_pairs(list(matrices.values()), np.nan_to_num(observed) > 0, start=block.start)
    names, at = np.asarray(run.classes, dtype=object), (first - block.start, second)
    predicted = run.test is not None and run.test.has_logits
    return pd.DataFrame(
        {
            "class": names[first],
            "adversary": names[second],
            "neighbour_count": near.counts[np.arange(block.start, block.stop)].toarray()[at],
            **{name: matrix[at] for name, matrix in matrices.items()},
            "observed": observed[at],
            "basis": np.where(near.of_errors, "errors", "all").astype(object)[first],
            "test_error_count": _errors(run.test.confusion)[first] if predicted else np.nan,  # type: ignore[union-attr]
            "train_error_count": _errors(run.train.confusion)[first] if run.train.has_logits else np.nan,
        }
    )


class _Compared:
    """How far forecasts are from observed errors, gathered over blocks of classes."""

    def __init__(self, run: Run) -> None:
        self.counts = run.train.class_counts
        self.is_rare = self.counts <= np.median(self.counts[self.counts > 0])
        self.has_errors = np.zeros(run.n_classes, bool)
        self.all: dict[str, list[Matrix]] = {}
        self.rare: dict[str, list[Matrix]] = {}
        self.known: set[str] = {"uniform", "prior", "random"}

    def add(self, matrices: Mapping[str, Matrix], observed: Matrix, start: int) -> None:
        """Take in the rows of consecutive classes."""
        rows = slice(start, start + len(observed))
        self.has_errors[rows] = np.nansum(observed, axis=1) > 0
        prior = np.broadcast_to(self.counts.astype(np.float64), observed.shape)
        rivals = {**matrices, "uniform": np.broadcast_to(1.0, observed.shape), "prior": prior}
        is_rare = self.is_rare[rows][self.has_errors[rows]]
        for name, matrix in rivals.items():
            found = divergences(observed, matrix, start)
            self.all.setdefault(name, []).append(found)
            self.rare.setdefault(name, []).append(found[is_rare])
            if np.isfinite(matrix).any():
                self.known.add(name)
        found = random_divergences(observed, start)
        self.all.setdefault("random", []).append(found)
        self.rare.setdefault("random", []).append(found[is_rare])

    def mean(self, found: Mapping[str, list[Matrix]]) -> dict[str, float | None]:
        """Return the mean over classes for each forecast; None where it is unknown for all, or nothing was observed."""
        means: dict[str, float | None] = {}
        for name, blocks in found.items():
            values = np.concatenate(blocks)
            means[name] = float(np.mean(values)) if len(values) and name in self.known else None
        return means


def _errors(confusion: Any) -> Any:
    return (confusion.sum(axis=1) - confusion.diagonal()).astype(np.int64)


def _notes(run: Run, of_errors: Any, has_errors: Any, least: int) -> list[str]:
    notes = []
    if not run.train.has_logits:
        notes.append(
            "Without predictions in training there is no soft forecast, and neighbours of all instances count."
        )
    elif not of_errors.all():
        few = [name for name, enough in zip(run.classes, of_errors, strict=True) if not enough]
        number, named = "ten" if least == ENOUGH_ERRORS else str(least), listed(few, NAMED)
        notes.append(f"Fewer than {number} training errors, so the neighbours of all instances count: {named}.")
    if run.test is None or not run.test.has_logits:
        notes.append(
            "Without predictions on a test split there are no observed errors, and the forecasts cannot be scored."
        )
    else:
        faultless = [name for name, some in zip(run.classes, has_errors, strict=True) if not some]
        if faultless:
            notes.append(f"No test error to compare with: {listed(faultless, NAMED)}.")
    return notes
