"""What a user states about deployment: class shares, costs of errors, constraints."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import mapping, number
from imblens.base.wording import counted
from imblens.errors import InputError, MissingError, ShapeError, did_you_mean, nearby
from imblens.run import Run

Floats = NDArray[np.float64]
RECALLS = mapping("recall by class", of=number(finite=False), optional=True)
PRIORS = ("equal", "training", "estimated")


def share_hint(value: Any) -> str:
    """What to give instead of a number that is not between 0 and 1.

    Example:
        >>> share_hint(95), share_hint(-1)
        ('Give 0.95 for 95%.', 'Give a number from 0 to 1.')
    """
    percent = isinstance(value, (int, float)) and 1 < value <= 100
    return f"Give {value / 100:g} for {value:g}%." if percent else "Give a number from 0 to 1."


def class_number(run: Run, name: str) -> int:
    """Position of a class name.

    Raises:
        MissingError: there is no such class.
    """
    if name not in run.classes:
        raise MissingError(f"{name!r} is not a class of the run.", hint=did_you_mean(name, run.classes))
    return run.classes.index(name)


def checked_prior(run: Run, prior: str | Mapping[str, float]) -> Floats:
    """(C,) class shares: "equal", "training", or one for each class.

    Raises:
        MissingError: an unknown or a missing class.
        InputError: a share below 0 or NaN, shares that do not sum to 1, or another word.

    Example:
        >>> run = Run.from_arrays(train=(np.eye(4), [0, 0, 0, 1]), classes=["cat", "dog"])
        >>> checked_prior(run, "training").tolist(), checked_prior(run, {"cat": 0.9, "dog": 0.1}).tolist()
        ([0.75, 0.25], [0.9, 0.1])
    """
    multilabel = run.task == "multilabel"
    if isinstance(prior, str):
        if prior == "equal" and not multilabel:
            return np.full(run.n_classes, 1 / run.n_classes)
        if prior == "training":
            return np.asarray(run.train.class_counts / len(run.train), dtype=np.float64)
        raise InputError(
            f"prior {prior!r} is neither equal, training, estimated nor a file.", hint="Give a CSV: class, share."
        )
    shares = np.full(run.n_classes, np.nan)
    for name, share in prior.items():
        shares[class_number(run, str(name))] = share
    for name, share in zip(run.classes, shares, strict=True):
        if name not in prior:
            raise MissingError(f"the prior has no share of {name!r}.", hint="Give one share for every class.")
        if not 0 <= share <= 1:
            raise InputError(f"the prior of {name!r} is {share:g}, not between 0 and 1.", hint=share_hint(float(share)))
    if not multilabel and abs(shares.sum() - 1) > 1e-3:
        raise InputError(
            f"the shares of the prior sum to {shares.sum():.4g}, not to 1.", hint="Divide them by their sum."
        )
    return shares if multilabel else shares / shares.sum()


def read_prior(run: Run, given: str) -> Floats:
    """The shares of `--prior`: a word, a CSV with columns class, share, or a JSON mapping; see `checked_prior`.

    Raises:
        MissingError: no such file or column.
        InputError: it cannot be read, or the shares do not fit.
    """
    path = Path(given)
    if given in PRIORS or not (path.suffix or path.exists()):
        return checked_prior(run, given)
    if path.suffix == ".json":
        try:
            values = json.loads(_text(path, "class shares"))
            return checked_prior(run, {str(name): float(share) for name, share in values.items()})
        except (ValueError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path} is not a mapping of class names to numbers.", hint='Give {"cat": 0.9, ...}.'
            ) from error
    frame = _csv(path, "class shares", ("class", "share"))
    twice = frame["class"][frame["class"].duplicated()]
    if len(twice):
        raise InputError(f"{path} names the class {twice.iloc[0]!r} twice.", hint="Give one share for every class.")
    return checked_prior(run, dict(zip(frame["class"], _numbers(frame["share"], path), strict=True)))


def read_costs(run: Run, path: Path) -> Floats:
    """(C, C) costs from a CSV: first column the true class, one column for every predicted class.

    Raises:
        MissingError: no such file, or a class is missing or unknown.
        InputError: it cannot be read, or a cost is not a finite number.

    Example:
        >>> import tempfile, numpy as np, imblens
        >>> y = np.repeat([0, 1], [30, 10])
        >>> run = imblens.Run.from_arrays(train=(np.eye(2)[y], y), classes=["healthy", "ill"])
        >>> path = Path(tempfile.mkdtemp(), "costs.csv")
        >>> _ = path.write_text("true,healthy,ill\\nhealthy,0,1\\nill,20,0\\n")
        >>> read_costs(run, path).tolist()
        [[0.0, 1.0], [20.0, 0.0]]
    """
    frame = _csv(path, "costs", ())
    rows = [str(name) for name in frame.iloc[:, 0]]
    columns = [str(name) for name in frame.columns[1:]]
    for what, names in (("row", rows), ("column", columns)):
        lacking = [name for name in run.classes if name not in names]
        more = [name for name in names if name not in run.classes]
        if lacking or more:
            problem = (
                f"has no {what} for {lacking[0]!r}" if lacking else f"has a {what} for {more[0]!r}, no class of the run"
            )
            raise MissingError(f"{path} {problem}.", hint=f"The classes are: {', '.join(run.classes)}.")
        if len(names) != run.n_classes:
            raise InputError(f"{path} has two {what}s for one class.", hint="Give one for every class.")
    values = np.array([_numbers(frame[name], path) for name in frame.columns[1:]]).T
    order = [rows.index(name) for name in run.classes], [columns.index(name) for name in run.classes]
    return checked_costs(values[np.ix_(*order)], run.n_classes)


def checked_costs(costs: Any, n_classes: int, multilabel: bool = False) -> Floats:
    """Check a (C, C) matrix of costs: row the true class, column the predicted one.

    Raises:
        ShapeError: another shape.
        InputError: a cost that is not finite, or a class whose correct prediction costs most.
    """
    if multilabel:
        raise InputError("a cost matrix is for single-label runs.", hint="State min_recall of the labels that matter.")
    try:
        matrix = np.asarray(costs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("the costs are not a matrix of numbers.", hint="Rows: true, columns: predicted.") from error
    if matrix.shape != (n_classes, n_classes):
        raise ShapeError(
            f"the costs have shape {matrix.shape} for {n_classes} classes.", hint="Rows: true, columns: predicted."
        )
    if not np.isfinite(matrix).all():
        raise InputError("a cost is not a finite number.", hint="Give a number for every pair of classes.")
    if (np.diag(matrix) >= matrix.max(axis=1)).any() or (np.diag(matrix) > matrix.min(axis=1)).any():
        raise InputError(
            "a correct prediction costs as much as any error, or more than one.",
            hint="Rows are true classes, columns predicted; the smallest cost of a row belongs on the diagonal.",
        )
    return matrix


def recall_threshold(probability: NDArray[Any], recall: float, *, confidence: float = 0.95) -> float:
    """Largest threshold that keeps at least `recall` of a class, with confidence `confidence`.

    The k-th smallest probability of held-out instances of the class, k as large as possible such that the chance of k or
    more values below the true quantile is at most 1 - confidence (a one-sided tolerance limit).

    Args:
        probability: (n,) of the class, for held-out instances of it.
        recall: in (0, 1).
        confidence: in (0, 1).

    Raises:
        InputError: too few instances: even the smallest probability does not guarantee the recall.

    References:
        Wilks 1941, Determination of sample sizes for setting tolerance limits.

    Example:
        >>> recall_threshold(np.linspace(0.01, 1, 100), 0.9)  # 4 of 100 lie below, not 10
        0.05
    """
    from scipy.stats import binom

    if not (0 < recall < 1 and 0 < confidence < 1):
        raise InputError(
            f"a recall of {recall:g} with confidence {confidence:g} is impossible.",
            hint=share_hint(recall)
            if recall > 1
            else share_hint(confidence)
            if confidence > 1
            else "Both are between 0 and 1.",
        )
    values, n = np.sort(np.asarray(probability, dtype=np.float64)), len(probability)
    # threshold = values[k - 1]: recall falls short where at most k - 1 of n values lie below the true quantile
    short = binom.cdf(np.arange(n), n, 1 - recall)
    allowed = int((short <= 1 - confidence).sum())
    if allowed == 0:
        needed = int(np.ceil(np.log(1 - confidence) / np.log(recall)))
        raise InputError(
            f"a recall of {recall:g} cannot be guaranteed from {counted(n, 'held-out instance')}.",
            hint=f"{needed} instances of the class are needed at {100 * confidence:g}% confidence.",
        )
    return float(values[allowed - 1])


def constraints_of(texts: Sequence[str], *, ends: bool = False) -> dict[str, float]:
    """Parse constraints of the form CLASS=SHARE; with `ends`, shares of 0 and 1 are allowed.

    Raises:
        InputError: another form.

    Example:
        >>> constraints_of(["fracture=0.95"])
        {'fracture': 0.95}
    """
    found = {}
    for text in texts:
        name, _, share = text.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            value = float("nan")
        if not name or not (0 < value < 1 or (ends and value in (0, 1))):
            hint = share_hint(value) if name and value > 1 else "For example: --min-recall fracture=0.95"
            raise InputError(f"--min-recall {text!r} is not CLASS=SHARE.", hint=hint)
        found[name] = value
    return found


def _text(path: Path, what: str) -> str:
    if not path.is_file():
        raise MissingError(f"there is no {path} with {what}.", hint=f"{nearby(path)}Check the path.")
    return path.read_text(encoding="utf-8")


def _csv(path: Path, what: str, columns: tuple[str, ...]) -> Any:
    if not path.is_file():
        _text(path, what)  # raises
    try:
        text = _text(path, what)
        spaced = bool(columns) and ", " in text.partition("\n")[0]  # `class, share`, as one writes by hand
        frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, skipinitialspace=spaced)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV file.", hint="Give UTF-8 text with rows of one length.") from error
    lacking = [name for name in columns if name not in frame]
    if lacking:
        raise MissingError(f"{path} has no column {lacking[0]!r}.", hint=f"Needed: {', '.join(columns)}.")
    if frame.empty:
        raise InputError(f"{path} holds no row.", hint="Give one for every class.")
    return frame


def _numbers(column: Any, path: Path) -> list[float]:
    found = []
    for value in column:
        try:
            found.append(float(value))
        except ValueError as error:
            raise InputError(
                f"{path} holds {value!r} in the column {column.name!r}.", hint="Give numbers there."
            ) from error
    return found
