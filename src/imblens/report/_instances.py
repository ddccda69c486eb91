"""One row for each instance, for tools that show instances: FiftyOne, Spotlight, a data frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imblens.base.files import write_atomic
from imblens.lenses.archetypes import ARCHETYPES, instance_archetypes
from imblens.lenses.label_suspects import suspect_scores

if TYPE_CHECKING:
    import pandas as pd

    from imblens.report._data import AuditFields
    from imblens.run import Run, Split


ROW_GROUP = 100_000  # instances in one row group of instances.parquet


def instances(audit: AuditFields) -> pd.DataFrame:
    """Return what an audit states on each instance.

    Returns:
        Columns id, split, class (a list of names in a multi-label run), predicted (the same), correct (for every class, in
        a multi-label run), confidence (the largest softmax probability), adversary (the likeliest other class),
        archetype (training instances) and suspect_score (training instances). Unknown is null.
    """
    import pandas as pd

    tables = [_rows(audit.run, split) for split in audit.run.splits.values() if split.name != "synthetic"]
    table = pd.concat(tables, ignore_index=True)
    n_train = len(audit.run.train)
    archetype = np.full(len(table), None, dtype=object)
    score = np.full(len(table), np.nan)
    if "archetypes" in audit.findings and not audit.run.train.multilabel:  # else one for each label
        k = int(audit.findings["archetypes"].summary["k"])
        archetype[:n_train] = np.array(ARCHETYPES, dtype=object)[instance_archetypes(audit.run, k)]
    if "label_suspects" in audit.findings:
        score[:n_train] = suspect_scores(audit.run)
    return table.assign(archetype=archetype, suspect_score=score)


def write_instances(table: pd.DataFrame, path: Path) -> None:
    """Write the rows as Parquet, with checksums."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def put(file: BinaryIO) -> None:
        made = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(made, file, row_group_size=ROW_GROUP, write_page_checksum=True)

    write_atomic(path, put)


def _rows(run: Run, split: Split) -> pd.DataFrame:
    import pandas as pd

    names = np.array(run.classes, dtype=object)
    columns: dict[str, Any] = {"id": split.ids.astype(str), "split": split.name, "class": _named(names, split.labels)}
    if not split.has_logits:
        nothing = np.full(len(split), None, dtype=object)
        return pd.DataFrame(
            {**columns, "predicted": nothing, "correct": nothing, "confidence": np.nan, "adversary": None}
        )
    if split.multilabel:
        predicted, correct = np.asarray(split.logits) > 0, split.correct.all(axis=1)
        return pd.DataFrame(
            {
                **columns,
                "predicted": _named(names, predicted),
                "correct": correct,
                "confidence": np.nan,
                "adversary": None,
            }
        )
    confidence, adversary = np.empty(len(split)), np.empty(len(split), np.int64)
    for batch in split.batches(logits=True):
        rows = slice(batch.start, batch.start + len(batch))
        logits = np.array(batch.logits)
        confidence[rows] = 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1, dtype=np.float64)
        logits[np.arange(len(batch)), batch.labels] = -np.inf
        adversary[rows] = logits.argmax(axis=1)
    columns |= {"predicted": names[split.predictions], "correct": split.correct, "confidence": confidence.round(6)}
    return pd.DataFrame({**columns, "adversary": names[adversary]})


def _named(names: NDArray[Any], labels: NDArray[Any]) -> Any:
    if labels.ndim == 1:
        return names[labels]
    return [names[row.astype(bool)].tolist() for row in labels]
