"""Which classes is a class mistaken for, and could training alone have told?"""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.intervals import wilson
from imblens.base.wording import FEW, percent
from imblens.errors import InputError
from imblens.lenses._class_accuracy import confusion_counts
from imblens.lenses._contract import Finding, lens
from imblens.lenses._forecast import (
    cloud_forecast,
    divergence,
    fisher_forecast,
    neighbour_forecast,
    sampling_floor,
    shares,
)
from imblens.lenses._moments import class_moments
from imblens.run import Run

METHODS = ("soft", "forecast", "fisher")


class Adversaries(Finding):
    """Forecast and observed errors of each pair of classes; see `adversaries`."""

    def lines(self) -> dict[str, str]:
        """One line for each class whose errors are forecast to go mostly one way, surest first."""
        table = self.tables["adversaries"]
        leading = self.summary["leading"]
        known = table.dropna(subset=[leading])
        best = known.loc[known.groupby("class", sort=False)[leading].idxmax()]
        found: dict[str, str] = {}
        for row in best.sort_values(leading, ascending=False, kind="stable").to_dict("records"):
            if row[leading] >= 0.3:
                text = f"Errors of {row['class']} are expected to go to {row['adversary']} ({percent(row[leading])})"
                if np.isfinite(row["observed"]):
                    text += f"; {_observed(row['observed'], int(row['test_error_count']))}"
                found[str(row["class"])] = text + "."
        return found

    def charts(self) -> dict[str, Any]:
        """The leading forecast, and what was observed."""
        charts = {"adversaries": _chart(self, self.summary["leading"], "forecast from training alone")}
        if self.tables["adversaries"]["observed"].notna().any():
            charts["adversaries_observed"] = _observed_chart(self)
        return charts


@lens("Which classes is each class mistaken for, and could training alone have told?", order=40, needs=("multiclass",))
def adversaries(run: Run, *, k: int = 5) -> Adversaries:
    """Share of a class's errors that go to each other class: three forecasts from training, and the test's answer.

    forecast: over the training instances of the class that the network gets wrong, the classes of their k nearest neighbours,
        own class left out, as shares. With fewer than ten such errors all instances of the class count, and `basis` says "all".
    fisher: 1 / mean over features of (mu_i - mu_k)^2 / (var_i + var_k), as shares.
    soft: of draws from the widened cloud of the class's training logits that the head gets wrong, where they go (ours; it
        leads; see `cloud_forecast`).
    observed: of the test instances of the class that are wrong, where they went.

    The summary holds, for each, the mean over classes of KL(observed, forecast) in nats (0.001 added to every share), beside
    `uniform` and `prior` (training counts). Classes without test errors are left out; a class of which a forecast says nothing
    counts as uniform there and is NaN in the table. `kl_floor` is what the true shares would score: test errors are a sample.
    `kl_rare` is the mean over the rarer half, the classes with no more training instances than the median class.

    Args:
        run: single-label. Without answers in training, `soft` is NaN and the neighbours of all instances count.
        k: neighbours, 1 or more.

    Returns:
        Table `adversaries` (class, adversary, neighbour_count, forecast, fisher, soft, observed, basis, test_error_count of the
        class), a row for each ordered pair. Summary: kl, kl_rare, kl_floor, classes_compared, leading (the column that the
        image shows).

    Raises:
        InputError: k is less than 1.
        NotApplicable: a multi-label run.

    References:
        IML, section III-D, Alg. 1, eq. 1 and Table II. Training errors are often too few to count: the rule of ten is
        ours, and so is `soft`.
    """
    import pandas as pd

    if k < 1:
        raise InputError(f"adversaries: k={k} neighbours were asked for.", hint="The usual number is 5.")
    n = run.n_classes
    unknown = np.full((n, n), np.nan)
    near = neighbour_forecast(run, k)
    matrices = {
        "forecast": shares(near.counts),
        "fisher": fisher_forecast(class_moments(run)),
        "soft": cloud_forecast(run) if run.train.has_logits else unknown,
    }
    answered = run.test is not None and run.test.has_logits
    confusion = confusion_counts(run.test).astype(np.float64) if answered else None  # type: ignore[arg-type]
    observed = unknown if confusion is None else shares(confusion)
    pairs = ~np.eye(n, dtype=bool)
    names = np.asarray(run.classes, dtype=object)
    table = pd.DataFrame(
        {
            "class": np.repeat(names, n - 1),
            "adversary": np.broadcast_to(names, (n, n))[pairs],
            "neighbour_count": near.counts[pairs],
            **{name: matrix[pairs] for name, matrix in matrices.items()},
            "observed": observed[pairs],
            "basis": np.repeat(np.where(near.of_errors, "errors", "all").astype(object), n - 1),
            "test_error_count": np.nan if confusion is None else np.repeat(_test_errors(confusion), n - 1),
        }
    )
    prior = np.broadcast_to(run.train.class_counts.astype(np.float64), (n, n))
    rivals = {**matrices, "uniform": np.ones((n, n)), "prior": prior}
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
    return Adversaries({"adversaries": table}, summary, notes=tuple(_notes(run, near.of_errors, observed)))


def _test_errors(confusion: Any) -> Any:
    return (confusion.sum(axis=1) - np.diag(confusion)).astype(np.int64)


def _observed(share: float, errors: int) -> str:
    if errors < FEW:
        went = "went there" if share else "did not go there"
        said = (
            f"its one test error {went}"
            if errors == 1
            else f"{share * errors:.0f} of its {errors} test errors went there"
        )
        return f"{said}, too few to tell"
    low, high = wilson(np.array(share * errors), np.array(errors))
    return f"on the test split {percent(share)} [{100 * low:.0f}, {100 * high:.0f}] did"


def _known(matrix: Any) -> bool:
    return bool(np.isfinite(matrix).any())


def _notes(run: Run, of_errors: Any, observed: Any) -> list[str]:
    notes = []
    if not run.train.has_logits:
        notes.append("Without answers in training there is no soft forecast, and neighbours of all instances count.")
    elif not of_errors.all():
        few = [name for name, enough in zip(run.classes, of_errors, strict=True) if not enough]
        notes.append(f"Fewer than ten training errors, so the neighbours of all instances count: {', '.join(few)}.")
    if run.test is None or not run.test.has_logits:
        notes.append("Without answers on a test split nothing is observed, and the forecasts cannot be scored.")
    else:
        right = [name for name, row in zip(run.classes, observed, strict=True) if not np.nansum(row) > 0]
        if right:
            notes.append(f"No test error to compare with: {', '.join(right)}.")
    return notes


def _chart(finding: Adversaries, value: str, title: str) -> Any:
    from imblens.lenses._matrix import matrix_chart

    order = finding.tables["adversaries"]["class"].unique().tolist()
    legend = "share of errors"
    return matrix_chart(
        finding.tables["adversaries"], column="adversary", value=value, order=order, title=title, legend=legend
    )


def _observed_chart(finding: Adversaries) -> Any:
    from imblens.lenses._matrix import error_chart

    table = finding.tables["adversaries"]
    order = table["class"].unique().tolist()
    return error_chart(
        table,
        column="adversary",
        value="observed",
        errors="test_error_count",
        order=order,
        title="answer given on the test split",
    )
