"""Reading a checkpoint of any framework as named tensors; the content decides, not the suffix."""

from __future__ import annotations

import pickle
import struct
import sys
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from imblens.base.wording import listed
from imblens.errors import InputError, MissingError
from imblens.models._load_factory import USER_MODULE, folder_importable

_DEPTH = 8  # levels of nested mappings that are searched
_WRAPPERS = frozenset(["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"])
_STATE_DICT = "Save model.state_dict() with safetensors or torch.save."


def read_checkpoint(path: Path, model: nn.Module, *, unsafe_pickle: bool = False) -> dict[str, Tensor]:
    """Return every tensor of a checkpoint under its full name: keys of nested mappings joined by dots.

    Reads safetensors and files of `torch.save`, whatever their suffix, and a folder that holds one such file or the
    shards of one. Optimizer state, metrics and other values that are not named tensors are left out.

    Args:
        path: file or folder.
        model: its own source files are importable while a pickle is read with `unsafe_pickle`.
        unsafe_pickle: also read pickles that hold more than tensors. They can run any code.

    Raises:
        MissingError: there is no such file.
        InputError: no weights, another kind of file, damaged, or a pickle that would need `unsafe_pickle`.
    """
    if not path.exists():
        raise MissingError(f"there is no weights file {path}.", hint="Check the path given with --weights.")
    tensors: dict[str, Tensor] = {}
    for file in _files(path):
        content = _read_safetensors(file) if _is_safetensors(file) else _read_pickle(file, model, unsafe_pickle)
        own = dict(_named_tensors(content))
        if not own:
            what = (
                f"keys {sorted(map(str, content))[:5]}"
                if isinstance(content, Mapping)
                else f"a {type(content).__name__}"
            )
            raise InputError(f"{file} holds {what}, and no named tensors.", hint=_STATE_DICT)
        tensors |= own
    return tensors


def without_wrappers(name: str) -> str:
    """Return a parameter's name without the parts that wrappers of modules (compile, FSDP) insert.

    >>> without_wrappers("backbone._orig_mod.conv.weight")
    'backbone.conv.weight'
    """
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _files(path: Path) -> list[Path]:
    """Return the file, or the files of weights of a folder; those of safetensors where there are both kinds."""
    if path.is_file():
        return [path]
    kinds = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt")
    found = next((some for kind in kinds if (some := sorted(p for p in path.glob(kind) if p.is_file()))), [])
    if len(found) > 1 and not list(path.glob("*.index.json")):
        names = listed([file.name for file in found], 5)
        raise InputError(f"{path} is a folder with several files of weights: {names}.", hint="Give one of them.")
    if not found:
        raise InputError(f"{path} is a folder without a file of weights.", hint="Give the file of weights itself.")
    return found


def _is_safetensors(file: Path) -> bool:
    if file.suffix.lower() == ".safetensors":
        return True
    with file.open("rb") as stream:
        head = stream.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < file.stat().st_size


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(file)
        return tensors
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} cannot be read as safetensors: {error}.", hint="Save it again.") from error


def _read_pickle(file: Path, model: nn.Module, unsafe_pickle: bool) -> Any:
    _refuse_other_kinds(file)
    try:
        importable = _own_files_importable(model) if unsafe_pickle else nullcontext()
        with importable, torch.serialization.safe_globals(_plain_values()):
            return torch.load(file, map_location="cpu", weights_only=not unsafe_pickle)
    except pickle.UnpicklingError as error:
        if unsafe_pickle:
            raise InputError(f"{file} is not a pickle of weights: {error}.", hint="Save it again.") from error
        raise InputError(
            f"{file} holds more than tensors: reading it could run any code.",
            hint=f"{_STATE_DICT} Or, only if you trust its source, add --unsafe-pickle (in Python, unsafe_pickle=True).",
        ) from error
    except Exception as error:  # unpickling unsafe files may raise anything
        if unsafe_pickle and isinstance(error, (ImportError, AttributeError)):  # looked up by module and name
            raise InputError(
                f"{file} holds a whole network, and its class cannot be found: {error}.",
                hint="Give the file that defines the class under its original name: --model FILE.py:FACTORY. Or save "
                "model.state_dict() instead of the model, where the class is known.",
            ) from error
        raise InputError(
            f"{file} cannot be read: {type(error).__name__}: {error}.", hint="The file may be damaged; save it again."
        ) from error


def _plain_values() -> list[Any]:
    """Return types of values that training scripts save beside weights: NumPy scalars and arrays, command-line arguments."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"}
    old = "numpy.core.multiarray."  # the module of both functions before NumPy 2
    return [
        Namespace,
        np.dtype,
        np.ndarray,
        *kinds,
        scalar,
        array,
        (scalar, f"{old}scalar"),
        (array, f"{old}_reconstruct"),
    ]


def _refuse_other_kinds(file: Path) -> None:
    """Refuse files that are known to be something else, by their first bytes or the members of the archive."""
    with file.open("rb") as stream:
        head = stream.read(64)
    kinds = {b"\x89HDF": "an HDF5 file (Keras)", b"version https://git-lfs": "a Git LFS pointer, not the file itself"}
    what = next((kind for start, kind in kinds.items() if head.startswith(start)), None)
    if not head:
        what = "empty"
    elif head.lstrip()[:1] in (b"{", b"["):
        what = "a text in JSON (of weights in several files: give their folder)"
    elif head.lstrip()[:1] == b"<":
        what = "an HTML or XML page, as a failed download leaves it"
    elif file.suffix.lower() == ".onnx" or (head[:1] == b"\x08" and b"pytorch" in head):
        what = "an ONNX model"
    elif head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")):
        what = "compressed (decompress it first)"
    elif what is None and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        what = "a text"
    elif head.startswith(b"PK\x03\x04") and not _is_archive(file):
        what = "cut off: the end of the archive is missing"
    elif _is_archive(file):
        members = _members(file)
        if members is None:
            what = "a damaged archive"
        elif any(name.endswith("constants.pkl") for name in members):
            what = "a TorchScript program"
        elif any(name.endswith(("models/model.json", "serialized_exported_program.json")) for name in members):
            what = "an exported program (torch.export)"
        elif members and all(name.endswith(".npy") for name in members):
            what = "an archive of NumPy arrays"
        elif not any(name.endswith("data.pkl") for name in members):
            what = f"an archive of {', '.join(members[:3]) or 'nothing'} (extract it first)"
    if what is not None:
        raise InputError(f"{file} is {what}, not a file of PyTorch weights.", hint=_STATE_DICT)


def _is_archive(file: Path) -> bool:
    """Whether a file has the directory of an archive, damaged or not."""
    try:
        return zipfile.is_zipfile(file)
    except zipfile.BadZipFile:
        return True


def _members(file: Path) -> list[str] | None:
    """Names in an archive; None where its directory is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error):
        return None


@contextmanager
def _own_files_importable(model: nn.Module) -> Iterator[None]:
    """Make the user's source files of `model` importable under their own names, as a pickle refers to them."""
    folders = {
        Path(code.co_filename).resolve().parent
        for kind in {type(module) for module in model.modules()}
        if kind.__module__ not in sys.modules or kind.__module__.startswith(USER_MODULE)
        if (code := getattr(kind.forward, "__code__", None)) is not None
    }
    with ExitStack() as stack:
        for folder in sorted(folders):
            stack.enter_context(folder_importable(folder))
        yield


def _named_tensors(content: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    if isinstance(content, torch.Tensor):
        if prefix:
            yield prefix, content
    elif isinstance(content, Mapping) and depth < _DEPTH:
        for key, value in content.items():
            yield from _named_tensors(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)
