"""Weights from a file into a network, without running code from the file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.errors import InputError, MissingError, ShapeError
from imblens.models._load_factory import _folder_importable as folder_importable

if TYPE_CHECKING:
    from torch import Tensor, nn

_NESTED = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_PUBLISHED_FIRST = ("conv1.weight", "features.conv0.weight")  # no prefix is stripped beyond these
USER_MODULE = "imblens_user_"  # how the names of modules begin that `load_factory` made of files
_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")


def load_weights(model: nn.Module, path: str | Path, *, unsafe_pickle: bool = False) -> nn.Module:
    """Copy the weights of a file into `model`, in place, and return it.

    Reads .safetensors, and .pt, .pth or .ckpt files of tensors, also where the weights lie under `state_dict`, `model`,
    `model_state_dict` or `net`, and where every name carries a prefix that a wrapper added (`module.`, `_orig_mod.`,
    `model.`, `net.`).

    Args:
        model: the network that the weights belong to; unchanged when anything does not fit.
        path: the file.
        unsafe_pickle: also read a pickle that holds more than tensors. It can run any code: only for files you trust.

    Raises:
        MissingError: there is no such file.
        ShapeError: names or shapes do not fit the network.
        InputError: not a file of weights, damaged, or a pickle that would need `unsafe_pickle`.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingError(f"there is no weights file {file}.", hint="Check the path given with --weights.")
    given = _strip(_state_dict(_read(file, model, unsafe_pickle), file), set(model.state_dict()))
    own = model.state_dict()
    _refuse_misfits(given, own, file, type(model).__name__)
    model.load_state_dict(given, strict=False)
    return model


def load_pretrained(model: nn.Module, path: str | Path, *, unsafe_pickle: bool = False) -> str:
    """Copy pretrained weights into `model`, in place, all but a head of other classes; return a line that says so.

    Networks that have a name take the published weights of the network they are a form of, under torchvision's names; a
    truncated one takes what it has. See `load_weights` for which files are read, and what is raised.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingError(f"there is no weights file {file}.", hint="Check the path given with --weights.")
    own = model.state_dict()
    given = _state_dict(_read(file, model, unsafe_pickle), file)
    rename = getattr(model, "from_published", dict)
    given = rename(_strip(given, {*own, *_PUBLISHED_FIRST}))
    head = [name for name in own if name.startswith("head.")]
    fits = all(name in given and given[name].shape == own[name].shape for name in head)
    if not fits:
        given = {name: weight for name, weight in given.items() if not name.startswith("head.")}
        own = {name: weight for name, weight in own.items() if name not in head}
    _refuse_misfits(given, own, file, type(model).__name__)
    model.load_state_dict(given, strict=False)
    return (
        f"weights: {len(given):,} tensors of {file.name}; the head {'is theirs' if fits and head else 'starts anew'}."
    )


def _read(file: Path, model: nn.Module, unsafe_pickle: bool) -> Any:
    import pickle

    import torch

    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{file} cannot be read as safetensors: {error}.", hint="Save it again.") from error
    if file.suffix not in _SUFFIXES:
        raise InputError(
            f"{file} is not a weights file that imblens knows.", hint="Give .safetensors, .pt, .pth or .ckpt."
        )
    try:
        with _own_files_importable(model) if unsafe_pickle else nullcontext():
            return torch.load(file, map_location="cpu", weights_only=not unsafe_pickle)
    except pickle.UnpicklingError as error:
        if unsafe_pickle:
            raise InputError(f"{file} is not a pickle of weights: {error}.", hint="Save it again.") from error
        raise InputError(
            f"{file} holds more than tensors: reading it could run any code.",
            hint="Save model.state_dict() with safetensors or torch.save. Or, only if you trust where the file comes "
            "from, add --unsafe-pickle (in Python, unsafe_pickle=True).",
        ) from error
    except Exception as error:  # unpickling unsafe files may raise anything
        if unsafe_pickle and isinstance(error, (ImportError, AttributeError)):  # looked up by module and name
            raise InputError(
                f"{file} holds a whole network, and its class cannot be found: {error}.",
                hint="Give the file that defines the class, under the name it had: --model FILE.py:FACTORY. Or save "
                "model.state_dict() instead of the model, where the class is known.",
            ) from error
        raise InputError(
            f"{file} cannot be read: {type(error).__name__}: {error}.", hint="The file may be damaged; save it again."
        ) from error


@contextmanager
def _own_files_importable(model: nn.Module) -> Iterator[None]:
    """Find the files of the user's that `model` is made of under their own names, as a pickle asks for them."""
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


def _state_dict(found: Any, file: Path) -> dict[str, Tensor]:
    import torch

    if isinstance(found, torch.nn.Module):
        found = found.state_dict()
    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), (Mapping, torch.nn.Module)):
            return _state_dict(found[key], file)
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, torch.Tensor) for v in found.values()):
        what = f"keys {sorted(map(str, found))[:5]}" if isinstance(found, Mapping) else f"a {type(found).__name__}"
        raise InputError(
            f"{file} holds {what}, not a mapping of names to tensors.",
            hint="Save model.state_dict(), alone or under 'state_dict'.",
        )
    return {str(name): tensor for name, tensor in found.items()}


def _strip(given: dict[str, Tensor], own: set[str]) -> dict[str, Tensor]:
    """Drop prefixes that all names carry, unless the network's own names carry them too."""
    while not own.intersection(given):
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in given)), None)
        if prefix is None:
            break
        given = {name.removeprefix(prefix): tensor for name, tensor in given.items()}
    return given


def _refuse_misfits(given: Mapping[str, Tensor], own: Mapping[str, Tensor], file: Path, name: str) -> None:
    tied = {tensor.data_ptr() for key, tensor in own.items() if key in given and tensor.numel()}
    missing = [
        key
        for key, tensor in own.items()
        if key not in given and not key.endswith("num_batches_tracked") and tensor.data_ptr() not in tied
    ]
    unexpected = [key for key in given if key not in own]
    shapes = [
        f"{key} {tuple(given[key].shape)} for {tuple(tensor.shape)}"
        for key, tensor in own.items()
        if key in given and given[key].shape != tensor.shape
    ]
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if keys
    ]
    if faults:
        raise ShapeError(
            f"the weights in {file} do not fit {name}: {'; '.join(faults)}.",
            hint="Give the network that they were saved from, with the same number of classes.",
        )
