"""A run on disk: DESIGN's folder of memory-mapped arrays and Parquet tables, and the single ARRAYS.npz.

    RUN/run.json                 what made it, and size and SHA-256 of every file; written last
    RUN/head.safetensors         weight (C, D), bias (C,)
    RUN/train/part-00000/        features.npy, logits.npy, instances.parquet
    RUN/test/part-00000/         and RUN/val, where there is one

Nothing is unpickled. Sizes are checked against run.json when a run is opened, and hashes too while the whole run is
smaller than `VERIFY_BYTES`; beyond that reading everything would cost what memory-mapping saves.
"""

from __future__ import annotations

import difflib
import json
import platform
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.files import claim, sha256, temporary_folder, write_atomic, write_text
from imblens.errors import InputError, MissingError, ShapeError, nearby
from imblens.run._check import class_names
from imblens.run._run import Head, Run
from imblens.run._split import Part, Split

SCHEMA = 1
VERIFY_BYTES = 2**29
MAX_NPZ_BYTES = 64 * 2**30
MAX_NPZ_RATIO = 200  # real features compress by less than 10; a bomb by 1000
MANIFEST = {"schema", "task", "classes", "splits", "files"}  # keys of run.json that are not meta
ASKED = ("data", "model", "loss", "seed")  # always in run.json, null where nobody told
SPLITS = ("train", "val", "test", "synthetic")


# ---------------------------------------------------------------------------------------------------------- writing


def save(run: Run, path: Path, *, force: bool = False) -> Path:
    """Write `run` as a folder. An earlier run in it stays until this one is whole; `run.json` comes last."""
    claim(path, force=force)
    return write_into(run, path)


def write_into(run: Run, path: Path) -> Path:
    """Write `run` into a folder that was claimed before."""
    files: list[Path] = []
    with staged(path) as stage:
        for name, split in run.splits.items():
            for number, part in enumerate(split.parts):
                files += write_part(stage / name / f"part-{number:05d}", part)
    return seal(path, run, [path / file.relative_to(stage) for file in files])


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A folder inside `path` to write parts in; when all are whole they take the place of an earlier run's.

    After an error, or a kill, the earlier run is as it was. In between, `path` holds both.
    """
    stage = temporary_folder(path)
    try:
        yield stage
        (path / "run.json").unlink(missing_ok=True)
        for name in SPLITS:
            for stale in (path / name).glob("part-*"):
                _remove_part(stale)
            for part in (stage / name).glob("part-*"):
                (path / name / part.name).mkdir(parents=True, exist_ok=True)
                for file in part.iterdir():
                    file.replace(path / name / part.name / file.name)
            if (path / name).is_dir() and not any((path / name).iterdir()):
                (path / name).rmdir()
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def seal(path: Path, run: Run, files: list[Path]) -> Path:
    """Make a run of a folder whose parts were written: the head, then `run.json`.

    Args:
        path: the folder.
        run: what was written; its parts are not written again.
        files: the files of its parts.
    """
    head_file = path / "head.safetensors"
    if run.head is None:
        head_file.unlink(missing_ok=True)
    else:
        from safetensors.numpy import save as dump

        blob = dump({"weight": np.ascontiguousarray(run.head.weight), "bias": np.ascontiguousarray(run.head.bias)})
        write_atomic(head_file, lambda file: file.write(blob))
        files = [*files, head_file]
    finish(path, run, files)
    return path


def write_part(folder: Path, part: Part) -> list[Path]:
    """Write one part and return its files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = [folder / "features.npy"]
    write_atomic(files[0], lambda file: np.save(file, np.ascontiguousarray(part.features), allow_pickle=False))
    if part.logits is not None:
        logits = part.logits
        files.append(folder / "logits.npy")
        write_atomic(files[1], lambda file: np.save(file, np.ascontiguousarray(logits), allow_pickle=False))
    else:
        (folder / "logits.npy").unlink(missing_ok=True)
    columns: dict[str, Any] = {}
    names = part.columns()
    table = part.read(names) if names else None
    if table is None or "id" not in names:
        columns["id"] = pa.array([str(i) for i in range(len(part))], pa.string())
    if part.labels.ndim == 1:
        columns["label"] = pa.array(part.labels)
    else:
        flat = pa.array(part.labels.ravel())
        columns["label"] = pa.FixedSizeListArray.from_arrays(flat, part.labels.shape[1])
    if table is not None:
        for name in names:
            columns[name] = pa.array(table[name])
    files.append(folder / "instances.parquet")
    write_atomic(files[-1], lambda file: pq.write_table(pa.table(columns), file, write_page_checksum=True))
    return files


def finish(path: Path, run: Run, files: list[Path]) -> None:
    """Write `run.json`: the manifest that makes a folder a run."""
    manifest = {
        "schema": SCHEMA,
        "task": run.task,
        "classes": list(run.classes),
        "splits": {
            name: {"instances": len(split), "parts": len(split.parts), "features": split.dim}
            for name, split in run.splits.items()
        },
        **dict.fromkeys(ASKED),
        **{key: value for key, value in run.meta.items() if key not in MANIFEST},
        "versions": {**versions(), **dict(run.meta.get("versions", {}))},
        "files": {
            file.relative_to(path).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(files)
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path / "run.json", text + "\n")


def versions() -> dict[str, str]:
    """Versions of what computed a result."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("imblens", "numpy", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _remove_part(folder: Path) -> None:
    for name in ("features.npy", "logits.npy", "instances.parquet"):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


# ---------------------------------------------------------------------------------------------------------- reading


def load(path: Path) -> Run:
    """Read a run folder or an ARRAYS.npz.

    Raises:
        MissingError: no such file, or a folder without run.json.
        InputError: the file is not what it should be; the message names file and key.
    """
    if path.is_dir():
        return _load_folder(path)
    if not path.exists():
        raise MissingError(
            f"no run at {path}.", hint=f"{nearby(path)}Give the folder that imblens wrote, or an ARRAYS.npz."
        )
    return _load_npz(path)


def _load_folder(path: Path) -> Run:
    manifest_file = path / "run.json"
    if not manifest_file.exists():
        raise MissingError(
            f"{path} is a folder without run.json, so not a finished run.",
            hint="Give what `imblens capture` or `imblens train` wrote; if it was cut short, run that again.",
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
    return Run(
        train=splits["train"],
        test=splits.get("test"),
        synthetic=splits.get("synthetic"),
        val=splits.get("val"),
        head=head,
        classes=classes,
        task=manifest["task"],
        meta={k: v for k, v in manifest.items() if k not in MANIFEST and not (v is None and k in ASKED)},
        path=path,
    )


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
            raise InputError(f"{file} has {size} bytes, run.json says {known['bytes']}.", hint="Copy the run again.")
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
    return Head.checked(weight, bias, dim=weight.shape[1] if weight.ndim == 2 else 0, n_classes=n_classes)


def _load_split(folder: Path, name: str, classes: tuple[str, ...], head: Head | None, n_parts: int) -> Split:
    parts = tuple(read_part(folder / f"part-{number:05d}", len(classes)) for number in range(n_parts))
    if not parts:
        raise InputError(f"{folder} has no part.", hint="Capture the run again.")
    return Split(parts, classes, name, head)


def read_part(folder: Path, n_classes: int) -> Part:
    """Read one part of C classes: features and logits memory-mapped, the table left on disk but for the labels."""
    import pyarrow.parquet as pq

    features = _memory_map(folder / "features.npy", 2)
    logits_file = folder / "logits.npy"
    logits = _memory_map(logits_file, 2) if logits_file.exists() else None
    if logits is not None and logits.shape[1] != n_classes:
        raise ShapeError(f"{logits_file} has {logits.shape[1]} columns for {n_classes} classes.", hint="Capture again.")
    table_file = folder / "instances.parquet"
    try:
        column = pq.read_table(table_file, columns=["label"], page_checksum_verification=True)["label"]
    except Exception as error:  # pyarrow raises its own family; the file is at fault either way
        raise InputError(f"{table_file} cannot be read: {error}.", hint="Capture the run again.") from error
    labels = column.combine_chunks()
    if str(labels.type).startswith("fixed_size_list"):
        values = labels.flatten().to_numpy(zero_copy_only=False).reshape(len(labels), -1).astype(np.uint8)
    else:
        values = labels.to_numpy(zero_copy_only=False).astype(np.int64)
        if len(values) and (values.min() < 0 or values.max() >= n_classes):
            raise InputError(f"{table_file} has labels outside 0 to {n_classes - 1}.", hint="Capture the run again.")
    return Part(features, values, logits, table_path=table_file)


def _memory_map(file: Path, ndim: int) -> NDArray[np.float32]:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}.", hint="Capture the run again.") from error
    if array.ndim != ndim or array.dtype != np.float32:
        raise ShapeError(f"{file} is {array.dtype} of shape {array.shape}.", hint="It must be a float32 matrix.")
    return array


# ------------------------------------------------------------------------------------------------------- ARRAYS.npz

KEYS = ("features", "labels", "logits")


def _load_npz(path: Path) -> Run:
    with open_npz(path) as archive:
        keys = set(archive.files)
        for key in ("train_features", "train_labels"):
            if key not in keys:
                raise MissingError(
                    f"{path} has no {key!r}.",
                    hint=f"It holds: {', '.join(sorted(keys)) or 'nothing'}. Wanted: train_features, train_labels, "
                    "and optionally train_logits, the same with test_, head_weight, head_bias, class_names.",
                )
        for key in sorted(keys - _known_keys()):
            meant = difflib.get_close_matches(key, _known_keys(), n=1, cutoff=0.8)
            if meant:
                raise InputError(f"{path} has an array {key!r}.", hint=f"Did you mean {meant[0]!r}? Rename it.")
        if "head_bias" in keys and "head_weight" not in keys:
            raise MissingError(f"{path} has 'head_bias' but no 'head_weight'.", hint="Give both, or neither.")
        for name in ("test", "val"):
            lone, other = f"{name}_features", f"{name}_labels"
            if (lone in keys) != (other in keys):
                if other in keys:
                    lone, other = other, lone
                raise MissingError(f"{path} has {lone!r} but no {other!r}.", hint="Give both, or neither.")
        arrays = {key: read_member(archive, path, key) for key in sorted(keys) if key in _known_keys()}
    head = None
    if "head_weight" in arrays:
        head = (arrays["head_weight"], arrays.get("head_bias"))
    return Run.from_arrays(
        train=_triple_of(arrays, "train"),
        test=_triple_of(arrays, "test") if "test_features" in keys else None,
        val=_triple_of(arrays, "val") if "val_features" in keys else None,
        head=head,
        classes=arrays["class_names"].ravel().tolist() if "class_names" in arrays else None,
        meta={"data": {"source": path.name, "layout": "arrays"}},
    )


def _triple_of(arrays: Mapping[str, NDArray[Any]], split: str) -> tuple[NDArray[Any], ...]:
    return tuple(arrays[f"{split}_{key}"] for key in KEYS if f"{split}_{key}" in arrays)


def _known_keys() -> set[str]:
    return {f"{split}_{key}" for split in ("train", "test", "val") for key in KEYS} | {
        "head_weight",
        "head_bias",
        "class_names",
    }


def open_npz(path: Path) -> Any:
    """Open an .npz after looking at its directory: no bomb, no twin names, no path names, no pickle.

    Raises:
        InputError: not a zip archive of arrays, or one of the above.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an .npz.", hint="Give the archive itself.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} is not an .npz archive ({error}).", hint="Write it with numpy.savez.") from error
    names = [member.filename for member in members]
    odd = next((name for name in names if "/" in name or "\\" in name or ".." in name), None)
    if odd is not None:
        raise InputError(f"{path} holds a member named {odd!r}.", hint="Keys must be plain names.")
    if len(set(names)) != len(names):
        raise InputError(f"{path} holds two members of one name.", hint="Write it again with numpy.savez.")
    unpacked, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if unpacked > MAX_NPZ_BYTES or (unpacked > 2**26 and unpacked > MAX_NPZ_RATIO * max(packed, 1)):
        raise InputError(
            f"{path} would unpack from {packed / 1e6:.1f} MB to {unpacked / 1e6:.0f} MB.",
            hint="Split it, or write it with numpy.savez (not compressed) if the data really is that regular.",
        )
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not an .npz archive ({error}).", hint="Write it with numpy.savez.") from error


def read_member(archive: Any, path: Path, key: str) -> NDArray[Any]:
    """Read one array of an opened .npz; object arrays and lying headers are refused by name."""
    info = archive.zip.getinfo(f"{key}.npy")
    try:
        with archive.zip.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
        if dtype.hasobject:
            raise InputError(
                f"{path}: {key!r} is an object array, which only a pickle could restore.",
                hint=f"Save {key} with a numeric or text dtype.",
            )
        claimed = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if any(n < 0 for n in shape) or claimed > info.file_size:
            raise InputError(f"{path}: {key!r} claims shape {shape}, more than it holds.", hint="Write it again.")
        array: NDArray[Any] = archive[key]
        return array
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: {key!r} cannot be read ({error}).", hint="Write it again.") from error
