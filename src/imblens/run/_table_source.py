"""Tables of any origin as record batches: Parquet, Arrow, Feather, Lance, pandas, polars; nothing is read whole."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from imblens.base.extras import require
from imblens.base.remote import fetched
from imblens.base.split_names import split_of
from imblens.base.wording import listed
from imblens.errors import ImblensError, InputError, MissingError, nearby

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".feather": "arrow", ".arrow": "arrow", ".ipc": "arrow"}
_AGAIN = "Write the file again, or give a Parquet or Feather file."


@dataclass(frozen=True)
class Piece:
    """A file, or a table in memory.

    Attributes:
        name: for messages.
        schema: its columns.
        read: (columns, rows) to record batches of those columns, of about that many rows.
        constants: columns that the path gives (`split=train/`), by name.
        split: the split that its name means, or None.
    """

    name: str
    schema: pa.Schema
    read: Callable[[list[str], int], Iterator[pa.RecordBatch]]
    constants: Mapping[str, str]
    split: str | None = None

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Read columns in batches of at most `rows` rows.

        Raises:
            InputError: the file is damaged.
        """
        stored = [name for name in columns if name not in self.constants]
        try:
            for batch in self.read(stored, rows):
                batch.validate(full=True)  # text that is not UTF-8
                for start in range(0, batch.num_rows, rows):
                    piece = batch.slice(start, rows)
                    arrays = [
                        pa.array([self.constants[name]] * piece.num_rows)
                        if name in self.constants
                        else piece.column(piece.schema.get_field_index(name))
                        for name in columns
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
        except ImblensError:
            raise
        except (pa.ArrowException, OSError, ValueError, TypeError, RuntimeError) as error:
            raise _unreadable(self.name, error) from error


@dataclass(frozen=True)
class Table:
    """Pieces with the same columns."""

    name: str
    pieces: tuple[Piece, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [*self.pieces[0].schema.names, *self.pieces[0].constants]

    def check(self, columns: Sequence[str]) -> None:
        """Refuse pieces without one of the columns.

        Raises:
            MissingError: names the piece and its columns.
        """
        for piece in self.pieces:
            known = [*piece.schema.names, *piece.constants]
            for name in columns:
                if name not in known:
                    raise MissingError(f"{piece.name} has no column {name!r}.", hint=found_columns(known, name))
                if known.count(name) > 1:
                    raise InputError(f"{piece.name} has two columns {name!r}.", hint="Rename one of them.")


def found_columns(columns: Sequence[str], asked: str = "") -> str:
    """Return a hint that lists columns, the nearest to what was asked first."""
    near = difflib.get_close_matches(asked, columns, n=1, cutoff=0.6)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    return f"{meant}Its columns: {listed(columns, 30) or 'none'}."


def is_table(path: Path) -> bool:
    """Whether a path looks like a table: by its suffix, its first bytes, or the files in the folder.

    >>> is_table(Path("embeddings.parquet")), is_table(Path("arrays.npz"))
    (True, False)
    """
    if path.is_dir():
        report = (path / "findings.json").exists()
        unlike = report or (path / "run.json").exists() or any(path.rglob("features.npy"))  # an interrupted capture
        return path.suffix == ".lance" or (not unlike and bool(_files_in(path)))
    return path.suffix.lower() in {*SUFFIXES, ".lance"} or _kind(path) is not None


def open_table(source: Any) -> Table:
    """Open a table without reading its rows.

    Args:
        source: path of a Parquet, Feather or Arrow file, of a folder of them or of a Lance data set; an Arrow table,
            record batch or data set; a pandas or polars frame; a `datasets.Dataset`; any object with the Arrow
            interface; or a mapping of split names to these.

    Raises:
        MissingError: the path does not exist, or the folder holds no table.
        InputError: no table, or a damaged file.
        DependencyError: a Lance data set without `imblens[lance]`.
    """
    if isinstance(source, Mapping):
        odd = next(
            (value for value in source.values() if isinstance(value, (list, tuple)) or hasattr(value, "dtype")), None
        )
        if odd is not None:
            raise InputError(
                "the mapping holds columns, not tables.",
                hint="Pass pandas.DataFrame(mapping), or pyarrow.table(mapping).",
            )
        named = [(str(name), open_table(value)) for name, value in source.items()]
        pieces = [
            Piece(f"{name}: {piece.name}", piece.schema, piece.read, piece.constants, name)
            for name, table in named
            for piece in table.pieces
        ]
        if not pieces:
            raise InputError("the mapping of tables is empty.", hint="Give {'train': table, 'test': table}.")
        return Table("the tables", tuple(pieces))
    if isinstance(source, (str, Path)):
        return _open_path(fetched(source))
    return Table("the table", (_open_object(source),))


def _open_path(path: Path) -> Table:
    if not path.exists():
        raise MissingError(f"no table at {path}.", hint=f"{nearby(path)}Give a Parquet or Feather file, or a folder.")
    if path.suffix == ".lance":
        return Table(str(path), (_lance(path),))
    if not path.is_dir():
        return Table(str(path), (_open_file(path, path.parent),))
    files = _files_in(path)
    if not files:
        raise MissingError(f"{path} holds no Parquet, Feather or Arrow file.", hint="Give the folder of the table.")
    return Table(str(path), tuple(_open_file(file, path) for file in files))


def _files_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith((".", "_"))
    )


def _kind(path: Path) -> str | None:
    """The format by content; None where it is neither."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:
        return None
    if start[:4] == b"PAR1":
        return "parquet"
    return "arrow" if start[:6] == b"ARROW1" or start[:4] == b"\xff\xff\xff\xff" else None


def _open_file(path: Path, root: Path) -> Piece:
    kind = _kind(path)
    if kind is None and path.suffix.lower() in (".csv", ".tsv", ".txt", ".jsonl", ".xlsx"):
        raise InputError(
            f"{path} is text, not a Parquet or Arrow file.",
            hint="Read it first: Run.from_table(pandas.read_csv(path), ...).",
        )
    if kind is None:
        raise InputError(f"{path} is neither a Parquet nor an Arrow file, or it is damaged.", hint=_AGAIN)
    inside = path.relative_to(root)
    folders = [part.partition("=") for part in inside.parts[:-1]]
    constants = {key: value for key, sign, value in folders if sign}
    split = next((found for part in reversed(inside.parts) if (found := split_of(part.replace("-", " ")))), None)
    try:
        if kind == "parquet":
            schema, read = pq.read_schema(path), _parquet_batches(path)
        else:
            with pa.memory_map(str(path)) as file:
                schema = _arrow_reader(file).schema
            read = _arrow_batches(path)
        _ = schema.names  # UnicodeDecodeError, a ValueError, where one is not text
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(str(path), error) from error
    return Piece(str(path), schema, read, {k: v for k, v in constants.items() if k not in schema.names}, split)


def _parquet_batches(path: Path) -> Callable[[list[str], int], Iterator[Any]]:
    def read(columns: list[str], rows: int) -> Iterator[Any]:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20, page_checksum_verification=True) as file:
            yield from file.iter_batches(batch_size=rows, columns=columns, use_threads=False)

    return read


def _arrow_reader(file: Any) -> Any:
    if file.read(6) == b"ARROW1":
        file.seek(0)
        return pa.ipc.open_file(file)
    file.seek(0)
    return pa.ipc.open_stream(file)


def _arrow_batches(path: Path) -> Callable[[list[str], int], Iterator[Any]]:
    def read(columns: list[str], rows: int) -> Iterator[Any]:
        with pa.memory_map(str(path)) as file:
            reader = _arrow_reader(file)
            if hasattr(reader, "num_record_batches"):
                for k in range(reader.num_record_batches):
                    yield reader.get_batch(k).select(columns)
            else:
                for batch in reader:
                    yield batch.select(columns)

    return read


def _lance(path: Path) -> Piece:
    require("lance", f"the Lance data set {path}")
    import lance

    try:
        dataset = lance.dataset(str(path))
        schema = dataset.schema
    except (ValueError, OSError) as error:
        raise _unreadable(str(path), error) from error

    def read(columns: list[str], rows: int) -> Iterator[Any]:
        yield from dataset.to_batches(columns=columns, batch_size=rows, batch_readahead=1)

    return Piece(str(path), schema, read, {})


def _open_object(source: Any) -> Piece:
    """A table in memory, or an object that gives record batches."""
    module = type(source).__module__.split(".")[0]
    try:
        if module == "pandas":
            return _pandas(source)
        if module == "datasets" and hasattr(source, "with_format"):
            source = source.with_format("arrow")[:]
        elif module == "polars" and hasattr(source, "collect"):
            source = source.collect().to_arrow()
        elif module == "polars" and hasattr(source, "to_arrow"):
            source = source.to_arrow()
        elif isinstance(source, pa.RecordBatchReader):
            source = source.read_all()
        elif isinstance(source, pa.RecordBatch):
            source = pa.table(source)
        elif hasattr(source, "to_batches") and hasattr(source, "schema") and not isinstance(source, pa.Table):
            return _dataset(source)
        elif not isinstance(source, pa.Table) and hasattr(source, "__arrow_c_stream__"):
            source = pa.table(source)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise _unreadable("the table", error) from error
    if not isinstance(source, pa.Table):
        raise InputError(
            f"from_table needs a table, found a value of type {type(source).__name__}.",
            hint="Give the path of a Parquet or Feather file, an Arrow table, or a pandas or polars frame. "
            "Arrays go to Run.from_arrays.",
        )
    table = source

    def read(columns: list[str], rows: int) -> Iterator[Any]:
        yield from table.select(columns).to_batches(max_chunksize=rows)

    return Piece("the table", table.schema, read, {})


def _dataset(source: Any) -> Piece:
    def read(columns: list[str], rows: int) -> Iterator[Any]:
        yield from source.to_batches(columns=columns, batch_size=rows, batch_readahead=1, fragment_readahead=1)

    return Piece("the data set", source.schema, read, {})


def _pandas(frame: Any) -> Piece:
    if not hasattr(frame, "columns"):
        raise InputError("from_table needs a frame, found a pandas Series.", hint="Pass a DataFrame.")
    frame = frame.rename(columns=str)

    def read(columns: list[str], rows: int) -> Iterator[Any]:
        for start in range(0, len(frame), rows):
            yield pa.RecordBatch.from_pandas(frame[columns].iloc[start : start + rows], preserve_index=False)

    names = pa.schema([(name, pa.null()) for name in frame.columns])  # types may differ from batch to batch
    return Piece("the frame", names, read, {})


def _unreadable(name: str, error: Exception) -> InputError:
    text = " ".join(str(error).split())
    return InputError(f"{name} cannot be read: {text[:300].rstrip('.')}.", hint=_AGAIN)
