"""One split of a run: features, labels, logits and what is known of each instance, in one part or many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imblens.errors import MissingError, ShapeError
from imblens.run._engine import computed
from imblens.run.statistics import Batch, Statistic

if TYPE_CHECKING:
    import pandas as pd

    from imblens.run._run import Head

Floats = NDArray[np.float32]
Result = TypeVar("Result")
UNKNOWN = "label_unknown"  # column of (N, C) 0 and 1: labels that nobody could tell, which stand as 0 in `labels`
BATCH_BYTES = 32 * 2**20  # features of one batch of a statistic


@dataclass(frozen=True)
class Part:
    """A stretch of instances that was captured together.

    Attributes:
        features: (n, D) float32, in memory or memory-mapped.
        labels: (n,) int64 or (n, C) uint8.
        logits: (n, C) float32 or None.
        table: further columns of the instances in memory (`id`, `thumbnail`, colour bands, ...), n rows; or None.
        table_path: the Parquet file of those columns, read when asked for; or None.
    """

    features: Floats
    labels: NDArray[Any]
    logits: Floats | None = None
    table: pd.DataFrame | None = None
    table_path: Path | None = None

    def __post_init__(self) -> None:
        """Refuse lengths that disagree."""
        n = len(self.features)
        lengths = {"labels": len(self.labels)}
        if self.logits is not None:
            lengths["logits"] = len(self.logits)
        if self.table is not None:
            lengths["table"] = len(self.table)
        for name, length in lengths.items():
            if length != n:
                raise ShapeError(f"{name} has {length} rows, the features {n}.", hint="Give one row per instance.")

    def __len__(self) -> int:
        """Return n."""
        return len(self.features)

    def columns(self) -> tuple[str, ...]:
        """Names of the columns that `read` can give."""
        if self.table is not None:
            return tuple(self.table.columns)
        if self.table_path is None:
            return ()
        import pyarrow.parquet as pq

        return tuple(name for name in pq.read_schema(self.table_path).names if name != "label")

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Read those columns of the instances, n rows."""
        if self.table is not None:
            return self.table[list(columns)]
        import pyarrow.parquet as pq

        assert self.table_path is not None
        table = pq.read_table(self.table_path, columns=list(columns), page_checksum_verification=True)
        return table.to_pandas()

    def matrix(self, column: str) -> NDArray[Any]:
        """Read a column of lists of one length, (n, length), without making a Python object of every list."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.table is not None:
            values = pa.array(self.table[column])
        else:
            values = pq.read_table(self.table_path, columns=[column], page_checksum_verification=True)[column]
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        return np.asarray(values.flatten().to_numpy(zero_copy_only=False)).reshape(len(self), -1)


@dataclass(frozen=True)
class Split:
    """One split: N instances as stored parts.

    Statistics read it batch by batch (`reduce`); what needs every instance at once (the neighbour graph) takes
    `features`, which is a memory map where there is one part.
    """

    parts: tuple[Part, ...]
    classes: tuple[str, ...]
    name: str = "train"
    head: Head | None = None
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """Return N."""
        return sum(len(part) for part in self.parts)

    @property
    def dim(self) -> int:
        """D, the number of features."""
        return int(self.parts[0].features.shape[1])

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return len(self.classes)

    @property
    def multilabel(self) -> bool:
        """Whether labels are multi-hot."""
        return self.parts[0].labels.ndim == 2

    @property
    def has_logits(self) -> bool:
        """Whether the network's answers are known: stored logits, or a head to compute them."""
        return self.head is not None or all(part.logits is not None for part in self.parts)

    @cached_property
    def labels(self) -> NDArray[Any]:
        """(N,) int64, or (N, C) uint8 multi-hot."""
        return np.concatenate([part.labels for part in self.parts])

    @cached_property
    def membership(self) -> NDArray[np.bool_]:
        """(N, C) whether an instance belongs to a class; in a multi-label split a row may have any number."""
        if self.multilabel:
            return self.labels.astype(bool)
        return self.labels[:, None] == np.arange(self.n_classes)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(N, C) whether it is known that an instance has a label, or has it not; all true but for uncertain labels."""
        if not self.multilabel or UNKNOWN not in self.columns:
            return np.ones((len(self), self.n_classes), dtype=bool)
        return self.matrix(UNKNOWN) == 0

    @cached_property
    def features(self) -> Floats:
        """(N, D) float32; a memory map where the split is one stored part."""
        if len(self.parts) == 1:
            return self.parts[0].features
        return np.concatenate([part.features for part in self.parts])

    @cached_property
    def logits(self) -> Floats:
        """(N, C) float32; computed from the head where none are stored."""
        if len(self.parts) == 1 and self.parts[0].logits is not None:
            return self.parts[0].logits
        blocks = [batch.logits for batch in self.batches(logits=True)]
        return np.concatenate([block for block in blocks if block is not None]).astype(np.float32)

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """(N,) class of the largest logit; the first of equal ones."""
        return np.asarray(self.logits).argmax(axis=1).astype(np.int64)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the largest logit is the label's; in a multi-label split (N, C), sign of logit against label."""
        if self.multilabel:
            return (np.asarray(self.logits) > 0) == self.labels.astype(bool)
        right: NDArray[np.bool_] = self.predictions == self.labels
        return right

    @cached_property
    def class_counts(self) -> NDArray[np.int64]:
        """(C,) instances of each class (positives, in a multi-label split)."""
        if self.multilabel:
            return self.labels.sum(axis=0, dtype=np.int64)
        return np.bincount(self.labels, minlength=self.n_classes).astype(np.int64)

    @cached_property
    def ids(self) -> NDArray[Any]:
        """(N,) text: the stored id of each instance, or its position."""
        if "id" in self.columns:
            return self.instances(["id"])["id"].to_numpy(dtype=object)
        return np.array([str(i) for i in range(len(self))], dtype=object)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the per-instance columns that every part has."""
        shared = set(self.parts[0].columns()).intersection(*(part.columns() for part in self.parts))
        return tuple(name for name in self.parts[0].columns() if name in shared)

    def instances(self, columns: Sequence[str]) -> pd.DataFrame:
        """Per-instance columns, N rows.

        Raises:
            MissingError: a column was not captured.
        """
        import pandas as pd

        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise MissingError(
                f"the {self.name} split has no column {missing[0]!r}.",
                hint=f"It has: {', '.join(self.columns)}.",
            )
        return pd.concat([part.read(columns) for part in self.parts], ignore_index=True)

    def matrix(self, column: str) -> NDArray[Any]:
        """Per-instance lists of one length as an array, (N, length).

        Raises:
            MissingError: the column was not captured.
        """
        if column not in self.columns:
            raise MissingError(
                f"the {self.name} split has no column {column!r}.", hint=f"It has: {', '.join(self.columns)}."
            )
        return np.concatenate([part.matrix(column) for part in self.parts])

    def batches(self, *, logits: bool = False) -> Iterator[Batch]:
        """Walk through all instances in order, in pieces of bounded memory."""
        start = 0
        for part in self.parts:
            yield from self.part_batches(part, start, logits=logits)
            start += len(part)

    def reduce(self, make: Callable[[], Statistic[Result]]) -> Result:
        """Compute a statistic: one instance of it per part, merged; where, `engine` says."""
        whole = make()  # what a worker sends back cannot be written to
        for piece in computed(self, make):
            whole = whole.merge(piece)
        return whole.finish()

    def cached(self, key: str, compute: Callable[[], Result]) -> Result:
        """Return what was computed under `key` before, or compute it: lenses share statistics through this."""
        if key not in self._cache:
            self._cache[key] = compute()
        found: Result = self._cache[key]
        return found

    def part_batches(self, part: Part, start: int, *, logits: bool) -> Iterator[Batch]:
        """Walk through the instances of one part, whose first is the split's instance `start`."""
        step = max(256, BATCH_BYTES // (4 * part.features.shape[1]))
        for low in range(0, len(part), step):
            rows = slice(low, low + step)
            features = part.features[rows]
            answers: NDArray[Any] | None = None
            if logits and part.logits is not None:
                answers = part.logits[rows]
            elif logits and self.head is not None:
                answers = self.head(features)
            yield Batch(start + low, features, part.labels[rows], answers, self.n_classes)
