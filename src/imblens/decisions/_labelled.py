"""Instances that a user passes beside a run: features or logits, and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.decisions._deployment import class_number
from imblens.decisions._held_out import centred
from imblens.decisions._predict import Unlabelled
from imblens.errors import InputError, MissingError, ShapeError, nearby
from imblens.run import LogitRows, Run, as_array, features_matrix, labels_vector, logits_of_head, refuse_mixed_labels


class Instances(NamedTuple):
    """Instances as the network sees them.

    Attributes:
        features: (n, D) or None.
        logits: (n, C), to be indexed by rows.
        groups: (n,) of each instance, or None.
    """

    features: NDArray[Any] | None
    logits: NDArray[Any] | LogitRows
    groups: NDArray[Any] | None = None


def as_instances(run: Run, values: Any, name: str) -> Instances:
    """Check features (n, D), or an `Unlabelled`, against the run; logits come from the head where there are none.

    Raises:
        ShapeError: other columns than the run has.
        InputError: NaN, or features without a head.
    """
    data = values if isinstance(values, Unlabelled) else Unlabelled(as_array(values, name))
    given = centred(data.features, run.meta.get("centre"))
    features = None if given is None else features_matrix(given, f"{name} features")
    lazy = data.logits is None or isinstance(data.logits, LogitRows)
    logits = data.logits if lazy else features_matrix(data.logits, f"{name} logits")
    for matrix, what, wanted in ((features, "features", run.dim), (logits, "logits", run.n_classes)):
        if matrix is not None and matrix.shape[1] != wanted:
            raise ShapeError(
                f"the {name} {what} have {matrix.shape[1]} columns; the run has {wanted}.",
                hint="Take them from the network of the run.",
            )
    if logits is None:
        if run.head is None:
            raise InputError("the run has no head, so features alone give no prediction.", hint="Pass logits too.")
        assert features is not None
        logits = logits_of_head(run.head, features)
    return Instances(features, logits, data.groups)


def labelled_instances(run: Run, labels: Any) -> tuple[Instances, NDArray[Any]]:
    """Check (features, labels) of labelled instances: class names or numbers, multi-hot in multi-label runs.

    Raises:
        InputError, ShapeError: they do not fit the run.
    """
    if not isinstance(labels, (tuple, list)) or len(labels) != 2:
        raise ShapeError("labels must be (features, labels).", hint="Pass the features of the labelled instances too.")
    instances = as_instances(run, labels[0], "labelled")
    values = as_array(labels[1], "labels")
    if values.dtype.kind == "O":
        refuse_mixed_labels(values.ravel().tolist(), "labels")
    if values.dtype.kind in "OU":
        values = np.array([class_number(run, str(name)) for name in values.ravel().tolist()], dtype=np.int64)
    checked = labels_vector(values, "labels", run.classes, len(instances.logits))
    if checked.ndim == 2 and run.task != "multilabel" and (checked.sum(axis=1) == 1).all():
        checked = checked.argmax(axis=1)  # one-hot
    if (checked.ndim == 2) != (run.task == "multilabel"):
        raise ShapeError(f"labels of shape {checked.shape} for a {run.task} run.", hint="Give the kind of the run.")
    return instances, checked


def read_labels(run: Run, path: Path, data: Unlabelled) -> tuple[Unlabelled, NDArray[Any]]:
    """Read a CSV with columns id and label; return the labelled instances of `data` and their labels.

    In multi-label runs there is a column of 0 and 1 for every label instead of `label`.

    Raises:
        MissingError: no such file, column, id or class.
        InputError: it is not a CSV file, is empty, or an id appears twice, there or in the data.
    """
    if not path.is_file():
        raise MissingError(f"there is no {path}.", hint=f"{nearby(path)}Give a CSV with the columns id, label.")
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path} is not a CSV file.", hint="Give UTF-8 text with the columns id, label and rows of one length."
        ) from error
    multilabel = run.task == "multilabel"
    wanted = ["id", *(run.classes if multilabel else ("label",))]
    lacking = [name for name in wanted if name not in frame]
    if lacking:
        raise MissingError(f"{path} has no column {lacking[0]!r}.", hint=f"It has: {', '.join(map(str, frame))}.")
    if frame.empty:
        raise InputError(f"{path} holds no label.", hint="Leave out --labels, or label some instances.")
    position = {name: place for place, name in enumerate(data.ids.tolist())}
    unknown = next((name for name in frame["id"] if name not in position), None)
    if unknown is not None:
        raise MissingError(f"{path} names the id {unknown!r}, which the unlabelled data lack.", hint="Use their ids.")
    twice = frame["id"][frame["id"].duplicated()]
    if len(twice):
        raise InputError(f"{path} names the id {twice.iloc[0]!r} twice.", hint="Give one label for each instance.")
    if len(position) < len(data.ids):
        ambiguous = set(pd.Index(data.ids)[pd.Index(data.ids).duplicated()]) & set(frame["id"])
        if ambiguous:
            raise InputError(
                f"several unlabelled instances have the id {min(ambiguous)!r}, which {path} names.",
                hint="Give every instance an id of its own.",
            )
    rows = np.array([position[name] for name in frame["id"]])
    features, logits, groups = (
        None if array is None else np.asarray(array[rows]) for array in (data.features, data.logits, data.groups)
    )
    chosen = Unlabelled(features, logits, groups=groups)
    if not multilabel:
        return chosen, np.array([class_number(run, name) for name in frame["label"]], dtype=np.int64)
    try:
        return chosen, frame[list(run.classes)].astype(int).to_numpy()
    except ValueError as error:
        raise InputError(f"{path} holds labels other than 0 and 1.", hint="Give 0 or 1 for every label.") from error
