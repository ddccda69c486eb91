"""Reading a run folder.

Nothing is unpickled. Sizes are checked against run.json when a run is opened. Hashes are checked only for runs smaller
than `VERIFY_BYTES`: reading every file of a larger one would cost what memory-mapping saves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import fspath
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imblens.base.files import sha256
from imblens.errors import InputError, MissingError, ShapeError
from imblens.run._head import Head
from imblens.run._part import Part
from imblens.run._split import Split
from imblens.run._validation import class_names
from imblens.run._write import EXPECTED_META, MANIFEST, SCHEMA, SPLITS

VERIFY_BYTES = 2**29


def read_run(path: Path) -> dict[str, Any]:
    """Read a run folder and return the arguments of `Run`.

    Raises:
        MissingError: the folder has no run.json, or a file of the run is missing.
        InputError: a file is damaged; the message names it.
    """
    manifest_file = path / "run.json"
    if not manifest_file.exists():
        raise MissingError(
            f"{path} is a folder without run.json, so not a complete run.",
            hint="Give what `imblens capture` or `imblens train` wrote; if that was interrupted, run it again.",
        )
    manifest = _read_manifest(manifest_file)
    _verify(path, manifest["files"])
    classes = class_names(manifest["classes"], None)
    head = _load_head(path / "head.safetensors", len(classes)) if "head.safetensors" in manifest["files"] else None
    splits = {
        name: _load_split(path / name, name, classes, head, int(info["parts"]))
        for name, info in manifest["splits"].items()
        if name in SPLITS
    }
    if "train" not in splits:
        raise InputError(f"{manifest_file} names no train split.", hint="Capture the run again.")
    dims = {split.dim for split in splits.values()}
    if len(dims) > 1 or (head is not None and head.weight.shape[1] not in dims):
        raise ShapeError(f"the splits and head of {path} differ in features.", hint="Capture the run again.")
    meta = {k: v for k, v in manifest.items() if k not in MANIFEST and not (v is None and k in EXPECTED_META)}
    return {
        "test": None,
        **splits,
        "head": head,
        "classes": classes,
        "task": manifest["task"],
        "meta": meta,
        "path": path,
    }


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.", hint="Capture the run again.") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        found = manifest.get("schema") if isinstance(manifest, dict) else type(manifest).__name__
        raise InputError(f"{file} has schema {found!r}; this imblens reads {SCHEMA}.", hint="Capture the run again.")
    wanted = {"task": str, "classes": list, "splits": dict, "files": dict}
    for key, kind in wanted.items():
        if not isinstance(manifest.get(key), kind):
            raise InputError(f"{file} has no valid {key!r}.", hint="Capture the run again.")
    for name, info in manifest["splits"].items():
        if not isinstance(info, dict) or not isinstance(info.get("parts"), int):
            raise InputError(f"{file} has no valid number of parts for {name!r}.", hint="Capture the run again.")
    for name, known in manifest["files"].items():
        if not isinstance(known, dict) or not {"bytes", "sha256"} <= set(known):
            raise InputError(f"{file} has no valid size and SHA-256 for {name!r}.", hint="Capture the run again.")
    if manifest["task"] not in ("multiclass", "multilabel"):
        raise InputError(f"{file} names the task {manifest['task']!r}.", hint="Known: multiclass, multilabel.")
    return manifest


def _verify(path: Path, files: Mapping[str, Any]) -> None:
    total = 0
    for name, known in files.items():
        file = path / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"run.json names {name!r}, outside its folder.", hint="Capture the run again.")
        if not file.exists():
            raise MissingError(f"{file} is missing.", hint="Copy the whole run folder, or capture again.")
        size = file.stat().st_size
        if size != known["bytes"]:
            raise InputError(f"{file} has {size} bytes, run.json records {known['bytes']}.", hint="Copy the run again.")
        total += size
    if total <= VERIFY_BYTES:
        for name, known in files.items():
            if sha256(path / name) != known["sha256"]:
                raise InputError(f"{path / name} is damaged: its SHA-256 differs.", hint="Copy the run again.")


def _load_head(file: Path, n_classes: int) -> Head:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(file)
        weight, bias = tensors["weight"], tensors["bias"]
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{file} cannot be read: {error}.", hint="Capture the run again.") from error
    dim = weight.shape[1] if weight.ndim == 2 else 0
    return Head.checked(weight, bias, dim=dim, n_classes=n_classes, unit="unit" in tensors)


def _load_split(folder: Path, name: str, classes: tuple[str, ...], head: Head | None, n_parts: int) -> Split:
    parts = tuple(read_part(folder / f"part-{number:05d}", len(classes)) for number in range(n_parts))
    if not parts:
        raise InputError(f"{folder} has no part.", hint="Capture the run again.")
    return Split(parts, classes, name, head)


def read_part(folder: Path, n_classes: int) -> Part:
    """Read one part of C classes: features and logits memory-mapped, the table left on disk but for the labels."""
    features = _memory_map(folder / "features.npy")
    logits_file = folder / "logits.npy"
    logits = _memory_map(logits_file) if logits_file.exists() else None
    if logits is not None and logits.shape[1] != n_classes:
        raise ShapeError(f"{logits_file} has {logits.shape[1]} columns for {n_classes} classes.", hint="Capture again.")
    table_file = folder / "instances.parquet"
    try:
        column = pq.read_table(table_file, columns=["label"], page_checksum_verification=True)["label"]
    except Exception as error:  # pyarrow has exceptions of its own; each means a damaged file
        raise InputError(f"{table_file} cannot be read: {error}.", hint="Capture the run again.") from error
    labels = column.combine_chunks()
    if str(labels.type).startswith("fixed_size_list"):
        values = labels.flatten().to_numpy(zero_copy_only=False).reshape(len(labels), -1).astype(np.uint8)
    else:
        values = labels.to_numpy(zero_copy_only=False).astype(np.int64)
        if len(values) and (values.min() < 0 or values.max() >= n_classes):
            raise InputError(f"{table_file} has labels outside 0 to {n_classes - 1}.", hint="Capture the run again.")
    return Part(features, values, logits, table_path=table_file)


def _memory_map(file: Path) -> NDArray[np.float32]:
    try:
        array = np.load(fspath(file), mmap_mode="r", allow_pickle=False)  # of a Path, NumPy would follow links
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:
        raise InputError(f"{file} cannot be read: {error}.", hint="Capture the run again.") from error
    if array.ndim != 2 or array.dtype != np.float32:
        raise ShapeError(f"{file} is {array.dtype} of shape {array.shape}.", hint="It must be a float32 matrix.")
    return array
