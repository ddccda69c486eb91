"""Which layout a folder or a file has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote

from imblens.base.wording import listed
from imblens.data._images import ImageSet
from imblens.data.layouts._coco import json_files, read_coco
from imblens.data.layouts._columns import ColumnNames, ReadOptions
from imblens.data.layouts._find_splits import folders
from imblens.data.layouts._folder import read_folder
from imblens.data.layouts._lists import list_files, read_lists
from imblens.data.layouts._npz import read_npz
from imblens.data.layouts._parquet import has_splits, holds_images, read_parquet, split_files
from imblens.data.layouts._tables import names_images, other_tables, read_tables, table_files
from imblens.data.layouts._voc import read_voc, voc_root
from imblens.errors import InputError, MissingError

_TABLES = (".csv", ".tsv", ".jsonl")


def read_directory(path: Path, options: ReadOptions) -> ImageSet:
    """Read a folder by what it holds.

    Raises:
        InputError: it holds no data, or is something else that imblens writes.
    """
    columns = options.columns
    if (path / "run.json").exists():
        raise InputError(
            f"{path} is a captured run, not images.", hint=f"Look at it with: imblens audit {quote(str(path))}"
        )
    files = {split: shards for split, shards in split_files(path).items() if holds_images(shards[0], columns)}
    files = files or split_files(path)
    if files and not _class_folders_only(path, [shard for shards in files.values() for shard in shards], columns):
        return read_parquet(path, files, options)
    tables = table_files(path, columns)
    inner = [] if tables else [p for p in folders(path) if any(p.glob("*.parquet")) or table_files(p)]
    if inner and _as_folder(path, options) is None:
        raise InputError(
            f"{path} contains several image sets: {listed([p.name for p in inner], 5)}.",
            hint=f"Give one of them, such as {inner[0]}.",
        )
    loose = sorted(p for p in path.glob("*.parquet") if p.is_file())
    if loose and not _class_folders_only(path, loose, columns):
        if len(loose) == 1 or has_splits(loose[0], columns):
            return read_parquet(path, {"train": loose}, options)
        raise MissingError(
            f"{path} holds {listed([p.name for p in loose], 5)}, none of which is named after a split.",
            hint="Name them train.parquet, test.parquet, val.parquet, or give them a column `split`.",
        )
    if any(
        (place / "state.json").is_file() or (place / "dataset_dict.json").is_file() for place in (path, *folders(path))
    ):
        raise InputError(
            f"{path} is a folder of datasets.save_to_disk, which is not read.",
            hint="Write it as Parquet: for each split, dataset[split].to_parquet('DIR/' + split + '.parquet').",
        )
    described = voc_root(path)
    if described is not None:
        options.refuse_columns(path)
        return read_voc(described, seed=options.seed)
    if tables and (columns.stated or not _only_beside(path, tables, options)):
        return read_tables(path, tables, options)
    others = other_tables(path, columns)
    if columns.stated and len(others) == 1:
        return read_tables(path, {"": others[0]}, options)
    lists = list_files(path)
    if lists:
        options.refuse_columns(path)
        return read_lists(path, lists, seed=options.seed)
    return _annotations_or_folder(path, others, options)


def read_file(path: Path, options: ReadOptions) -> ImageSet:
    """Read an archive, a Parquet file or a table; images of a table lie in its folder or below."""
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        return read_tables(path.parent, {"": path}, options)
    if suffix == ".parquet":
        return read_parquet(path.parent, {"train": [path]}, options)
    options.refuse_columns(path)
    if suffix == ".npz":
        return read_npz(path, seed=options.seed, pixel_range=options.pixel_range)
    advice = {
        ".zip": "Unpack it and give the folder.",
        ".tar": "Unpack it and give the folder.",
        ".gz": "Unpack it and give the folder.",
    }
    raise InputError(
        f"{path} is a file of a kind that is not read.", hint=advice.get(suffix, "Give a folder, or an .npz file.")
    )


def _annotations_or_folder(path: Path, others: list[Path], options: ReadOptions) -> ImageSet:
    """Read JSON annotations; or class folders; or the only table of a folder that has neither."""
    annotations = json_files(path)
    refused = None
    if annotations:
        options.refuse_columns(path)
        try:
            return read_coco(path, annotations, seed=options.seed)
        except InputError as error:
            if any(file.parent != path for file in annotations):
                raise
            refused = error
    images = _as_folder(path, options)
    if images is not None:
        options.refuse_columns(path)
        return images
    if len(others) == 1:
        return read_tables(path, {"": others[0]}, options)
    if others:
        raise InputError(
            f"{path} holds {listed([table.name for table in others], 5)}, all of which name images.",
            hint=f"Give one of them: {others[0]}",
        )
    if refused is not None:
        raise refused
    return read_folder(path, seed=options.seed)


def _as_folder(path: Path, options: ReadOptions) -> ImageSet | None:
    try:
        return read_folder(path, seed=options.seed)
    except InputError:
        return None


def _class_folders_only(path: Path, files: list[Path], columns: ColumnNames) -> bool:
    """Return whether Parquet files are not image sets, but lie beside class folders."""
    if columns.stated or any(holds_images(file, columns) for file in files):
        return False
    return _as_folder(path, ReadOptions(None)) is not None


def _only_beside(path: Path, tables: dict[str, Path], options: ReadOptions) -> bool:
    """Return whether tables are not labels of images, but lie beside class folders."""
    if any(names_images(table, options.columns) for table in tables.values()):
        return False
    return _as_folder(path, replace(options, seed=None)) is not None
