"""One split of a run: features, labels, logits and columns of every instance, in one part or many."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.memo import Memo
from imblens.errors import MissingError
from imblens.run._engine import part_statistics
from imblens.run._head import Head
from imblens.run._logit_rows import LogitRows
from imblens.run._neighbours import Approximate, NeighbourGraph, neighbour_graph
from imblens.run._part import GROUP, UNKNOWN, Part
from imblens.run._spool import Spool
from imblens.run.statistics import Batch, Predictions, Statistic

Floats = NDArray[np.float32]
Result = TypeVar("Result")
LOGITS_AT_ONCE = 2**28  # bytes of logits up to which a split keeps them; beyond they are computed where they are needed
PREVIEWS = {"image": "thumbnail", "text": "preview", "waveform": "waveform", "values": "values"}  # column of each kind


@dataclass(frozen=True)
class Split:
    """One split: N instances as stored parts.

    Statistics read it batch by batch (`reduce`, `statistic`). What needs every instance at once (the neighbour graph)
    reads `features`, which is a memory map where there is one part. A copy with other parts, labels or another head
    starts without remembered results.

    An instance is shown by one of the columns `PREVIEWS`, whose name states the kind (`preview_kind`):

    - `thumbnail`: bytes of a PNG of at most 64 pixels on its longer side;
    - `preview`: text of at most 300 characters;
    - `waveform`: 256 numbers, the lowest and the highest sample of 128 equal stretches of a signal, in turn;
    - `values`: the F numbers that the network receives for a row of a table; their names are `run.meta["value_names"]`.

    What is unknown for one instance is null (NaN in a list).

    Example:
        >>> from imblens.run import Run
        >>> split = Run.from_arrays(train=(np.eye(2)[[0, 0, 0, 1]], [0, 0, 0, 1]), classes=["cat", "dog"]).train
        >>> len(split), split.features.shape, split.class_counts.tolist()
        (4, (4, 2), [3, 1])
    """

    parts: tuple[Part, ...]
    classes: tuple[str, ...]
    name: str = "train"
    head: Head | None = None
    _memo: Memo = field(default_factory=Memo, init=False, repr=False, compare=False)
    _memo_of_features: Memo = field(default_factory=Memo, init=False, repr=False, compare=False)  # no head changes it

    def __len__(self) -> int:
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
        """Whether predictions are known: there are stored logits, or a head to compute them."""
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
        """(N, C) whether the label is certain; False only for uncertain labels of a multi-label split."""
        if not self.multilabel or UNKNOWN not in self.columns:
            return np.ones((len(self), self.n_classes), dtype=bool)
        return self.matrix(UNKNOWN) == 0

    @cached_property
    def features(self) -> Floats:
        """(N, D) float32; a memory map where the split is one stored part, or where several are large together.

        Raises:
            StorageError: several large parts, and the folder for temporary files has too little space to join them.
        """
        if len(self.parts) == 1:
            return self.parts[0].features
        joined = Spool(len(self), self.dim, what="the joined parts of a split need")
        for batch in self.batches():
            joined.append(batch.features)
        matrix = joined.matrix()
        joined.close()
        return matrix

    @cached_property
    def logits(self) -> Floats:
        """(N, C) float32; computed from the head where none are stored. Large ones that are not one stored part are mapped.

        Raises:
            StorageError: large logits, and the folder for temporary files has too little space.
        """
        if len(self.parts) == 1 and self.parts[0].logits is not None:
            return self.parts[0].logits
        joined = Spool(len(self), self.n_classes, what="the logits of a split need", mapped=not self._small)
        for batch in self.batches(logits=True):
            assert batch.logits is not None
            joined.append(batch.logits)
        matrix = joined.matrix()
        joined.close()
        return matrix

    @property
    def _small(self) -> bool:
        return 4 * len(self) * self.n_classes <= LOGITS_AT_ONCE

    def logits_of(self, rows: NDArray[np.int64]) -> Floats:
        """(n, C) logits of the instances at those positions; of a large split, without those of all others."""
        if self._small:
            return np.asarray(self.logits[rows])
        found = np.empty((len(rows), self.n_classes), np.float32)
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        of_part = np.searchsorted(starts, rows, side="right") - 1
        for number in np.unique(of_part).tolist():
            at, part = np.flatnonzero(of_part == number), self.parts[number]
            own = rows[at] - starts[number]
            found[at] = self.logits_in(part, own)
        return found

    @property
    def logit_rows(self) -> Floats | LogitRows:
        """(N, C) logits to be indexed by rows: an array or a map, or of a large split without one, computed when asked for."""
        if self._small or (len(self.parts) == 1 and self.parts[0].logits is not None):
            return self.logits
        return LogitRows((len(self), self.n_classes), self.logits_of)

    def logit_columns(self, columns: slice) -> Floats:
        """(N, c) logits of consecutive classes; of a large split, without those of all others."""
        if self._small:
            return np.asarray(self.logits[:, columns])
        found = np.empty((len(self), len(range(*columns.indices(self.n_classes)))), np.float32)
        start = 0
        for part in self.parts:
            for rows in row_blocks(len(part), self.dim + self.n_classes):
                found[start + rows.start : start + rows.stop] = self.logits_in(part, rows, columns)
            start += len(part)
        return found

    def logits_in(self, part: Part, rows: Any, columns: slice = slice(None)) -> Floats:
        """Logits of some rows of one part: those stored, else the head's."""
        if part.logits is not None:
            return part.logits[rows, columns]
        assert self.head is not None
        return Head(self.head.weight[columns], self.head.bias[columns], self.head.unit)(part.features[rows])

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """(N,) class of the largest logit; the first of equal ones."""
        if self._small:
            return np.asarray(self.logits).argmax(axis=1).astype(np.int64)
        return self.reduce(Predictions)

    @cached_property
    def confusion(self) -> Any:
        """(C, C) sparse counts of predictions (columns) for the instances of each class (rows), in a single-label split."""
        from scipy.sparse import coo_array

        pairs, counts = np.unique(self.labels * self.n_classes + self.predictions, return_counts=True)
        shape = (self.n_classes, self.n_classes)
        return coo_array((counts.astype(np.int64), np.divmod(pairs, self.n_classes)), shape=shape).tocsr()

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the prediction is the label; in a multi-label split (N, C), with logit > 0 as the prediction."""
        if self.multilabel:
            return (np.asarray(self.logits) > 0) == self.labels.astype(bool)
        correct: NDArray[np.bool_] = self.predictions == self.labels
        return correct

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

    @cached_property
    def groups(self) -> NDArray[np.int64] | None:
        """(N,) group (patient, source image, site) of every instance, numbered by name; None where none are known.

        They are the column `group`. An instance without one is a group of its own.
        """
        if GROUP not in self.columns:
            return None
        codes, names = pd.factorize(self.instances([GROUP])[GROUP].astype(object), sort=True)
        alone = codes < 0
        codes = codes.astype(np.int64)
        codes[alone] = len(names) + np.arange(int(alone.sum()))
        return codes

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
        self._check_columns(columns)
        return pd.concat([part.read(columns) for part in self.parts], ignore_index=True)

    def matrix(self, column: str) -> NDArray[Any]:
        """Per-instance lists of one length as an array, (N, length).

        Raises:
            MissingError: the column was not captured.
        """
        self._check_columns([column])
        return np.concatenate([part.matrix(column) for part in self.parts])

    @property
    def preview_kind(self) -> str | None:
        """How instances are shown: "image", "text", "waveform" or "values"; None where only ids are known.

        >>> from imblens.run import Part
        >>> import pandas as pd
        >>> table = pd.DataFrame({"preview": ["short", "long"]})
        >>> part = Part(np.eye(2, dtype=np.float32), np.array([0, 1]), table=table)
        >>> Split((part,), ("cat", "dog")).preview_kind
        'text'
        """
        columns = self.columns
        return next((kind for kind, column in PREVIEWS.items() if column in columns), None)

    def _check_columns(self, columns: Sequence[str]) -> None:
        for name in columns:
            if name not in self.columns:
                raise MissingError(
                    f"the {self.name} split has no column {name!r}.", hint=f"It has: {', '.join(self.columns)}."
                )

    def batches(self, *, logits: bool = False) -> Iterator[Batch]:
        """Iterate over all instances in order, in batches of bounded memory."""
        start = 0
        for part in self.parts:
            yield from part.batches(start, self.n_classes, self.head, logits=logits)
            start += len(part)

    def reduce(self, make: Callable[[], Statistic[Result]]) -> Result:
        """Compute a statistic: one per part, merged; `engine` chooses where.

        Args:
            make: returns a new, empty statistic.
        """
        whole = make()  # what a worker returns is read-only
        for statistic in part_statistics(self.parts, self.n_classes, self.head, make):
            whole = whole.merge(statistic)
        return whole.finish()

    def statistic(self, kind: Callable[..., Statistic[Result]], *options: Hashable) -> Result:
        """Compute the statistic `kind(*options)` once; it survives a change of head if it needs no logits.

        Example:
            >>> from imblens.run import Part, TopKCounts
            >>> features = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]], np.float32)
            >>> split = Split((Part(features, np.array([0, 1, 1]), features),), ("cat", "dog"))
            >>> split.statistic(TopKCounts, 2, 2, 1).tolist()
            [[1, 0], [1, 1]]
        """
        memo = self._memo if kind(*options).needs_logits else self._memo_of_features
        return memo.get((kind, *options), lambda: self.reduce(lambda: kind(*options)))

    def remember(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """Return the result kept under `key`, or compute and keep it; lenses share results through this."""
        return self._memo.get(key, compute)

    @property
    def searched(self) -> NeighbourGraph | None:
        """The neighbour graph that was searched before, or None; starts no search."""
        graph: NeighbourGraph | None = self._memo_of_features.known("neighbours")
        return graph

    def neighbours(
        self, k: int, *, approximate: Approximate = None, progress: Callable[[str], object] | None = None
    ) -> NeighbourGraph:
        """The k nearest other instances of every instance, nearest first; see `Run.neighbours`."""
        graph = self.searched
        unlike = graph is not None and approximate is not None and graph.exact is bool(approximate)
        if graph is None or unlike or graph.k < min(k, len(self) - 1):
            graph = neighbour_graph(self.features, k, approximate=approximate, progress=progress)
            self.use_neighbours(graph)
        return graph.first(k)

    def use_neighbours(self, graph: NeighbourGraph) -> None:
        """Use a neighbour graph of these features that was computed elsewhere."""
        self._memo_of_features.put("neighbours", graph)

    def with_head(self, head: Head) -> Split:
        """Return the same features and labels with logits computed by `head`; what needs no logits stays remembered."""
        split = Split(tuple(replace(part, logits=None) for part in self.parts), self.classes, self.name, head)
        object.__setattr__(split, "_memo_of_features", self._memo_of_features)
        return split
