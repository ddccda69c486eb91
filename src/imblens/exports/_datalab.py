"""cleanlab's Datalab: labels, probabilities out of sample and features of the training instances."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imblens.errors import InputError, NotApplicable
from imblens.exports._job import Job
from imblens.exports._parquet import write_blocks
from imblens.lenses.label_suspects import class_evidence


def write_datalab(job: Job, out: Path) -> Path:
    """Write instances.parquet: id, label (name), pred_probs, features, and suspect_score of the training instances.

    `pred_probs` are the probabilities out of sample of `label_suspects` (from a cross-validated head and the
    neighbours), since the network has seen the training labels. Their columns are the classes that occur, in the order in
    which Datalab sorts names; the file's metadata holds them under `classes`. Datalab needs two instances of a class: the
    only instance of a class is left out with its column.

    Raises:
        NotApplicable: labels cannot be judged out of sample.

    References:
        cleanlab, Datalab: `find_issues(pred_probs=, features=)`.
    """
    columns = [job.run.classes[c] for c in _present(job)]
    blocks = _blocks(job, np.array(_present(job)))
    return write_blocks(out / "instances.parquet", blocks, {"classes": json.dumps(columns, ensure_ascii=False)})


def check_datalab(job: Job) -> None:
    """Refuse runs and choices that Datalab cannot take.

    Raises:
        InputError: another choice than all instances.
        NotApplicable: a multi-label run, or fewer than two classes of two instances.
    """
    run = job.run
    if run.train.multilabel:
        raise NotApplicable("datalab: out-of-sample probabilities are computed for single-label runs only.")
    if len(job.table) != sum(len(split) for split in run.splits.values() if split.name != "synthetic"):
        raise InputError(
            "datalab takes all training instances, so they cannot be chosen.",
            hint="Leave out --what, --class, --ids and --limit.",
        )
    if len(_present(job)) < 2:
        raise NotApplicable("datalab: fewer than two classes have two training instances.")


def _present(job: Job) -> list[int]:
    """Classes of two training instances or more, in the order of their names."""
    counts = job.run.train.class_counts
    return [c for c in np.argsort(np.array(job.run.classes, dtype=object)).tolist() if counts[c] > 1]


def _blocks(job: Job, present: Any) -> Iterator[dict[str, Any]]:
    run = job.run
    ids, labels, names = run.train.ids, run.train.labels, np.array(run.classes, dtype=object)
    score = job.table.loc[job.table["split"] == "train", "suspect_score"].to_numpy(np.float64)
    for rows, probability in class_evidence(run):
        kept = np.isin(labels[rows], present)
        if kept.any():
            at = np.arange(rows.start, rows.stop)[kept]
            share = probability[kept][:, present]
            yield {
                "id": [str(name) for name in ids[at]],
                "label": names[labels[at]].tolist(),
                "pred_probs": share / share.sum(axis=1, keepdims=True),
                "features": np.asarray(run.train.features[at]),
                "suspect_score": score[at],
            }
