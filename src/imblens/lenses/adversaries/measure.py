"""Classes that errors go to: forecasts from training data, and observations on the test split."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.memory import memory_limit
from imblens.errors import InputError, NotApplicable
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments
from imblens.lenses._pairs import kept_pairs, pairs_note
from imblens.lenses.adversaries.chart import charts
from imblens.lenses.adversaries.forecast import (
    cloud_forecast,
    divergence,
    fisher_forecast,
    neighbour_forecast,
    sampling_floor,
    shares,
)
from imblens.lenses.adversaries.text import lines
from imblens.lenses.class_accuracy.measure import confusion_counts
from imblens.run import Run

METHODS = ("soft", "forecast", "fisher")

PAIR_BYTES = 120  # for each pair of classes, at the peak: measured with 5,000 classes


@lens(
    "Which classes is each class confused with?",
    order=40,
    lines=lines,
    charts=charts,
    needs=("multiclass",),
    pairs={"adversaries": "observed"},
)
def adversaries(run: Run, *, k: int = 5) -> Finding:
    """Share of a class's errors that go to each other class: three forecasts from training data, and test errors.

    forecast: over the misclassified training instances of the class, the classes of their k nearest neighbours, own class left
        out, as shares. With fewer than ten such errors all instances of the class count, and `basis` is "all".
    fisher: 1 / mean over features of (mu_i - mu_k)^2 / (var_i + var_k), as shares.
    soft: draws from the widened distribution of the class's training logits; of those misclassified by the head, the
        predicted classes, and training errors (ours, used as the leading forecast; see `cloud_forecast`).
    observed: over the misclassified test instances of the class, the predicted classes.

    The summary holds, for each, the mean over classes of KL(observed, forecast) in nats (0.001 added to every share), beside
    `uniform` and `prior` (training counts). Classes without test errors are left out; a class without a
    forecast counts as uniform and is NaN in the table. `kl_floor` is the score of the true shares: test errors are a sample.
    `kl_rare` is the mean over the rarer half, the classes with no more training instances than the median class.

    Args:
        run: single-label. Without predictions in training, `soft` is NaN and the neighbours of all instances count.
        k: neighbours, 1 or more.

    Returns:
        Table `adversaries` (class, adversary, neighbour_count, forecast, fisher, soft, observed, basis, test_error_count and
        train_error_count of the class), a row for each ordered pair; of more than 200 classes, for those with test errors
        and for the strongest of each class. Summary: kl, kl_rare, kl_floor, classes_compared, leading (the column that the
        chart shows).

    Raises:
        InputError: k is less than 1.
        NotApplicable: a multi-label run, or more pairs of classes than memory holds.

    References:
        IML, section III-D, Alg. 1, eq. 1 and Table II. Training errors are often too few to count: the rule of ten is
        ours, and so is `soft`.
    """
    import pandas as pd

    if k < 1:
        raise InputError(f"adversaries: k={k} neighbours were asked for.", hint="The usual number is 5.")
    n = run.n_classes
    if PAIR_BYTES * n**2 > memory_limit():
        raise NotApplicable(
            f"adversaries: {n:,} classes are {n**2:,} pairs, which need about {PAIR_BYTES * n**2 / 2**30:.0f} GiB: more than "
            "half of this machine's memory."
        )
    unknown = np.full((n, n), np.nan)
    near = neighbour_forecast(run, k)
    matrices = {
        "forecast": shares(near.counts),
        "fisher": fisher_forecast(class_moments(run)),
        "soft": cloud_forecast(run) if run.train.has_logits else unknown,
    }
    trained = run.train.has_logits
    predicted = run.test is not None and run.test.has_logits
    confusion = confusion_counts(run.test).astype(np.float64) if predicted else None  # type: ignore[arg-type]
    observed = unknown if confusion is None else shares(confusion)
    first, second = kept_pairs(list(matrices.values()), np.nan_to_num(observed) > 0)
    names = np.asarray(run.classes, dtype=object)
    table = pd.DataFrame(
        {
            "class": names[first],
            "adversary": names[second],
            "neighbour_count": near.counts[first, second],
            **{name: matrix[first, second] for name, matrix in matrices.items()},
            "observed": observed[first, second],
            "basis": np.where(near.of_errors, "errors", "all").astype(object)[first],
            "test_error_count": np.nan if confusion is None else _errors(confusion)[first],
            "train_error_count": _errors(confusion_counts(run.train))[first] if trained else np.nan,
        }
    )
    prior = np.broadcast_to(run.train.class_counts.astype(np.float64), (n, n))
    rivals = {**matrices, "uniform": np.broadcast_to(1.0, (n, n)), "prior": prior}
    counts = run.train.class_counts
    rare = np.where((counts <= np.median(counts[counts > 0]))[:, None], observed, np.nan)
    summary = {
        "kl": {name: divergence(observed, matrix) if _known(matrix) else None for name, matrix in rivals.items()},
        "kl_rare": {name: divergence(rare, matrix) if _known(matrix) else None for name, matrix in rivals.items()},
        "kl_floor": None if confusion is None else sampling_floor(confusion),
        "classes_compared": int((np.nansum(observed, axis=1) > 0).sum()),
        "leading": "soft" if run.train.has_logits else "forecast",
        "k": run.neighbours(k).k,
    }
    return Finding(
        {"adversaries": table},
        summary,
        notes=(*_notes(run, near.of_errors, observed), *pairs_note(n, "observed errors and ")),
    )


def _errors(confusion: Any) -> Any:
    return (confusion.sum(axis=1) - np.diag(confusion)).astype(np.int64)


def _known(matrix: Any) -> bool:
    return bool(np.isfinite(matrix).any())


def _notes(run: Run, of_errors: Any, observed: Any) -> list[str]:
    notes = []
    if not run.train.has_logits:
        notes.append(
            "Without predictions in training there is no soft forecast, and neighbours of all instances count."
        )
    elif not of_errors.all():
        few = [name for name, enough in zip(run.classes, of_errors, strict=True) if not enough]
        notes.append(f"Fewer than ten training errors, so the neighbours of all instances count: {', '.join(few)}.")
    if run.test is None or not run.test.has_logits:
        notes.append(
            "Without predictions on a test split there are no observed errors, and the forecasts cannot be scored."
        )
    else:
        faultless = [name for name, row in zip(run.classes, observed, strict=True) if not np.nansum(row) > 0]
        if faultless:
            notes.append(f"No test error to compare with: {', '.join(faultless)}.")
    return notes
