"""Decisions about many instances, block by block, written to one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imblens.base.archives import open_arrays
from imblens.base.csv_text import csv_text
from imblens.base.files import claim_file, write_atomic
from imblens.base.progress import tracked
from imblens.decisions._blocks import digest_of, forget, kept_table, parts_folder
from imblens.decisions._decision import Decision
from imblens.decisions._stored import decision_bytes
from imblens.decisions._table import columns_of
from imblens.errors import ImblensError, InputError, MissingError, ShapeError, nearby
from imblens.run import Run, Spool, numbers

SUFFIXES = (".parquet", ".csv")
BLOCK = 65_536  # instances at a time, at most
ROWS = 4_096  # of a Parquet file at a time
NUMBERS = 2**23  # in one (n, C) array of a block, at most: 64 MiB of float64


class Unlabelled:
    """Features or logits of instances without labels, with their ids.

    Attributes:
        features: (n, D) or None.
        logits: (n, C) or None.
        ids: (n,) text.
        groups: (n,) group of each instance (patient, site), or None.

    Example:
        >>> data = Unlabelled(features=np.zeros((2, 3)), logits=None, ids=["a", "b"])
        >>> data.ids.tolist()
        ['a', 'b']
    """

    def __init__(self, features: Any = None, logits: Any = None, ids: Any = None, groups: Any = None) -> None:
        """Keep what was read; ids are positions where there are none."""
        self.features, self.logits = features, logits
        known = features if features is not None else logits
        if getattr(known, "ndim", 1) == 0 or not hasattr(known, "__len__"):
            raise ShapeError(
                f"features and logits need a row per instance; {known!r:.40} is none.",
                hint="Give features (n, D) or logits (n, C).",
            )
        self.ids = np.arange(len(known)).astype(str) if ids is None else np.asarray(ids).astype(str)
        if self.ids.shape != (len(known),):
            raise ShapeError(f"there are {self.ids.size} ids for {len(known)} instances.", hint="Give one id for each.")
        self.groups = None if groups is None else np.asarray(groups)
        if self.groups is not None and self.groups.shape != (len(known),):
            raise ShapeError(
                f"there are {self.groups.size} groups for {len(known)} instances.", hint="Give the group of each."
            )


def read_unlabelled(path: Path) -> Unlabelled:
    """Read instances without labels: .npz or Parquet with features or logits (and ids), features as .npy, a run's test split.

    Arrays above 64 MiB, of an .npz above 1 GiB or of Parquet, are streamed to temporary files and mapped.

    Raises:
        MissingError: there is nothing, or the archive has neither array.
        InputError: damaged.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "new.npz"
        >>> np.savez(file, features=np.zeros((2, 3), np.float32), ids=["a", "b"])
        >>> read_unlabelled(file).features.shape
        (2, 3)
    """
    if not path.exists():
        raise MissingError(f"there is no {path}.", hint=f"{nearby(path)}Give an .npz with features or logits.")
    if path.is_dir() and (path / "run.json").exists():
        return _test_split(path)
    if path.suffix == ".npy":
        try:
            return Unlabelled(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:
            raise InputError(f"{path} cannot be read: {error}.", hint="Write it with numpy.save.") from error
    if path.suffix == ".parquet":
        return _unlabelled_table(path)
    with open_arrays(path, hint="Write it with numpy.savez.", mapped=True) as archive:
        keys = set(archive.keys)
        if not keys & {"features", "logits"} and "test_features" in keys:
            return _test_split(path)
        if not keys & {"features", "logits"}:
            raise MissingError(
                f"{path} has neither 'features' nor 'logits'.",
                hint=f"It holds: {', '.join(sorted(keys)) or 'nothing'}. Needed: features (n, D) or logits (n, C); ids.",
            )
        return Unlabelled(
            *(archive.loaded(key) if key in keys else None for key in ("features", "logits", "ids", "groups"))
        )


def _test_split(run: Path) -> Unlabelled:
    """The held-out instances of a run, a folder or an archive."""
    split = Run.load(run).test
    if split is None:
        raise InputError(f"{run} has no test split.", hint="Capture the new instances as a test split.")
    return Unlabelled(split.features, split.logit_rows if split.has_logits else None, split.ids, split.groups)


def _unlabelled_table(path: Path) -> Unlabelled:
    """Lists of numbers in the columns features or logits of a Parquet file, and id or ids."""
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
            names = file.schema_arrow.names
            if not {"features", "logits"} & set(names):
                raise MissingError(
                    f"{path} has neither a column 'features' nor 'logits'.",
                    hint=f"It has: {', '.join(names)}. Needed: lists of numbers in features or logits; id.",
                )
            features, logits = (_matrix(file, name) if name in names else None for name in ("features", "logits"))
            column = next((name for name in ("id", "ids") if name in names), None)
            ids = None if column is None else file.read(columns=[column])[column].to_numpy()
    except ImblensError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: it is damaged.", hint="Write the file again.") from error
    return Unlabelled(features, logits, ids)


def _matrix(file: pq.ParquetFile, name: str) -> NDArray[Any]:
    """(n, width) numbers of a column of lists, read in batches; mapped where they are large."""
    found: Spool | None = None
    width = start = 0
    for batch in file.iter_batches(ROWS, columns=[name], use_threads=False):
        block = numbers(batch.column(0), name, start)
        if found is None:
            width = block.shape[1]
            found = Spool(file.metadata.num_rows, width, f"the column {name!r} needs", dtype=block.dtype)
        if block.shape[1] != width:
            raise ShapeError(
                f"{name}: {block.shape[1]} values in row {start}, {width} in row 0.",
                hint="Every row needs the same number of values.",
            )
        found.append(block)
        start += len(block)
    if found is None:
        raise InputError(f"the column {name!r} has no rows.", hint="Give at least one instance.")
    matrix = found.matrix()
    found.close()
    return matrix


def write_decisions(decision: Decision, data: Unlabelled, out: str | Path, *, force: bool = False) -> Path:
    """Decide about all instances in blocks of bounded memory, and write one Parquet or CSV file, atomically.

    Of more than one block (65,536 instances, fewer above 128 classes), finished ones are kept in a hidden folder beside
    the file until it is complete.
    After a kill, the same call continues there and writes the same file; with other rules or instances it starts again.

    Args:
        decision: the rules.
        data: the instances.
        out: FILE.parquet or FILE.csv; columns id and those of `Decision.predict` (lists as JSON in CSV).
        force: overwrite it.

    Raises:
        InputError: another kind of file; arrays that do not fit the run.
        ExistsError: the file exists and `force` is false.

    Example:
        >>> import tempfile, pandas as pd
        >>> y = np.repeat([0, 1], 20)
        >>> x = np.eye(2)[y]
        >>> run = Run.from_arrays(train=(x, y), val=(x, y), head=(np.eye(2), [0, 0]), classes=["cat", "dog"])
        >>> file = Path(tempfile.mkdtemp()) / "new.parquet"
        >>> _ = write_decisions(Decision.fit(run), Unlabelled(np.array([[0.0, 1.0]]), ids=["a.png"]), file)
        >>> pd.read_parquet(file)[["id", "prediction"]].to_dict("records")
        [{'id': 'a.png', 'prediction': 'dog'}]
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise InputError(f"{out} is neither .parquet nor .csv.", hint="For example: --out predictions.parquet")
    features, logits = decision.checked(data.features, data.logits)
    claim_file(out, force=force)
    blocks = _blocks(decision, features, logits, data.ids, parts_folder(out))
    write = _parquet if out.suffix == ".parquet" else _csv
    write_atomic(out, lambda file: write(file, blocks))
    forget(out)
    return out


def _blocks(
    decision: Decision,
    features: NDArray[Any] | None,
    logits: NDArray[Any] | None,
    ids: NDArray[Any],
    kept: Path,
) -> Iterator[pa.Table]:
    def table(of: NDArray[Any], *arrays: NDArray[Any] | None) -> pa.Table:
        found = decision.decide(*arrays)
        return pa.table({"id": pa.array(of.tolist(), pa.string()), **columns_of(found, decision.classes)})

    size = max(1, min(BLOCK, NUMBERS // len(decision.classes)))
    rules = decision_bytes(vars(decision)) if len(ids) > size else b""
    for place, low in enumerate(tracked(range(0, max(1, len(ids)), size), "deciding")):
        rows = slice(low, low + size)
        arrays = [None if array is None else np.asarray(array[rows]) for array in (features, logits)]
        if len(ids) <= size:
            yield table(ids[rows], *arrays)
        else:
            digest = digest_of(rules, ids[rows], *arrays)
            yield kept_table(kept, place, digest, partial(table, ids[rows], *arrays))


def _parquet(file: BinaryIO, blocks: Iterator[pa.Table]) -> None:
    writer = None
    for table in blocks:
        writer = writer or pq.ParquetWriter(file, table.schema, write_page_checksum=True)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _csv(file: BinaryIO, blocks: Iterator[pa.Table]) -> None:
    header = True
    for table in blocks:
        frame = table.to_pandas()
        for name in ("prediction", "probability", "set"):
            if len(frame) and isinstance(frame[name].iloc[0], np.ndarray):
                frame[name] = [json.dumps(value.tolist(), ensure_ascii=False) for value in frame[name]]
        file.write(csv_text(frame, header=header).encode("utf-8"))
        header = False
