"""Weights from a file into a network: the part of a checkpoint that covers the network is found by its names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from imblens.base.files import write_bytes
from imblens.base.wording import listed
from imblens.errors import InputError, MissingError, ShapeError, did_you_mean
from imblens.models._read_checkpoint import read_checkpoint, without_wrappers

_PUBLISHED_FIRST = ("conv1.weight", "features.conv0.weight")  # names of published weights, which are renamed later
_AVERAGED = re.compile(r"(^|[._])(n?ema|averaged?|averaging|swa|shadow|teacher)([._]|$)", re.IGNORECASE)


def load_weights(
    model: nn.Module,
    path: str | Path,
    *,
    key: str | None = None,
    unsafe_pickle: bool = False,
    progress: Callable[[str], object] | None = None,
) -> nn.Module:
    """Copy the weights of a checkpoint into `model`, in place, and return it.

    The file may have any suffix: safetensors, or what `torch.save` writes. The weights may be nested in mappings
    (`state_dict`, `model`, `params`, `model_ema`, ...), carry prefixes of wrappers (`module.`, `model.`, `_orig_mod.`,
    `backbone.`, ...), and be accompanied by other tensors (losses, metrics, counters, optimizer state). The mapping and
    prefix whose names and shapes cover the network are used. Where several do, plain weights precede averaged ones (EMA),
    and outer ones inner ones; `progress` names the others.

    Args:
        model: the network of the weights; unchanged if anything does not fit.
        path: the file, or FILE:KEY.
        key: name of the mapping to read, such as "state_dict_ema"; nested names are joined by dots.
        unsafe_pickle: also read pickles that hold more than tensors. They can run any code: only for files you trust.
        progress: receives a line on what was taken and what was left, where that was not everything.

    Raises:
        MissingError: there is no such file or key.
        ShapeError: no part of the file covers the network.
        InputError: not a file of weights, damaged, or a pickle that would need `unsafe_pickle`.

    Example:
        >>> import tempfile, torch
        >>> file = Path(tempfile.mkdtemp()) / "last.pt"
        >>> trained, mine = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
        >>> torch.save({"epoch": 7, "state_dict": {f"module.{k}": v for k, v in trained.state_dict().items()}}, file)
        >>> bool((load_weights(mine, file).weight == trained.weight).all())
        True
    """
    file, key = _file_and_key(path, key)
    tensors = read_checkpoint(file, model, unsafe_pickle=unsafe_pickle)
    chosen = _best_part(tensors, model, file, key)
    if chosen.faults:
        raise _misfit(chosen, file, model, tensors)
    model.load_state_dict(chosen.weights, strict=False)
    if progress is not None:
        for line in chosen.lines(file):
            progress(line)
    return model


def save_weights(model: nn.Module, file: Path) -> None:
    """Write the weights of a network as safetensors; tied weights are stored once."""
    tensors, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen or not tensor.numel():
            tensors[name] = tensor.contiguous()
        seen.add(tensor.data_ptr())
    write_bytes(file, save(tensors, metadata={"format": "pt"}))


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of the names, types, shapes and values of all weights and buffers.

    Example:
        >>> from torch import nn
        >>> layer = nn.Linear(2, 2)
        >>> before = weights_digest(layer)
        >>> _ = nn.init.zeros_(layer.bias)
        >>> weights_digest(layer) == before
        False
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not isinstance(value, torch.Tensor):  # what a module adds by get_extra_state
            digest.update(f"{name} {value!r}".encode())
            continue
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_pretrained(model: nn.Module, path: str | Path) -> str:
    """Copy pretrained weights into `model`, in place, except a head of other classes; return a line that states it.

    Networks of `model_names` accept the published weights of the network that they are a variant of, under torchvision's
    names; a truncated network takes the layers that it has. See `load_weights` for the files that are read, and errors.
    """
    file, key = _file_and_key(path, None)
    tensors = read_checkpoint(file, model)
    chosen = _best_part(tensors, model, file, key, rename=getattr(model, "from_published", dict), head="head.")
    if chosen.faults:
        raise _misfit(chosen, file, model, tensors)
    model.load_state_dict(chosen.weights, strict=False)
    head = any(name.startswith("head.") for name in chosen.weights)
    state = "is loaded" if head else "is re-initialised"
    return " ".join(
        [f"weights: {len(chosen.weights):,} tensors of {file.name}; the head {state}.", *chosen.lines(file)[1:]]
    )


@dataclass(frozen=True)
class _Part:
    """The tensors of a checkpoint under one prefix, as weights of a network.

    Attributes:
        prefix: what precedes the names of the network, with its dot; "" where nothing does.
        weights: those that have a place in the network, by its names.
        faults: what does not fit; empty where the part covers the network.
        left: names of tensors that were not taken.
        others: prefixes of other parts that cover the network, too.
    """

    prefix: str
    weights: dict[str, Tensor]
    faults: tuple[str, ...]
    left: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def averaged(self) -> bool:
        """Whether the prefix names an average of weights (EMA, SWA)."""
        return bool(_AVERAGED.search(self.prefix))

    def lines(self, file: Path) -> list[str]:
        """State what was taken and what was left; nothing where everything was taken as it is."""
        if not (self.prefix or self.left or self.others):
            return []
        kind = " (averaged weights)" if self.averaged else ""
        source = f" under {self.prefix.rstrip('.')!r}{kind}" if self.prefix else ""
        lines = [f"weights: {len(self.weights):,} tensors of {file.name}{source}."]
        for other in self.others:
            name = other.rstrip(".")
            average = ", averaged weights (EMA)" if _AVERAGED.search(other) else ""
            advice = f"choose them with --weights {file.name}:{name} (in Python, key={name!r})"
            lines.append(f"The file also holds fitting weights under {name!r}{average}; {advice}.")
        groups = Counter(_group(name, self.prefix) for name in self.left if not name.startswith(self.others))
        if groups:
            named = listed([f"{name} ({n:,})" for name, n in groups.most_common()], 5)
            lines.append(f"Tensors of {file.name} that are not part of the network, not loaded: {named}.")
        return lines


def _group(name: str, prefix: str) -> str:
    """Return a name up to the first part in which it differs from the prefix.

    >>> _group("state_dict.criterion.weight", "state_dict.model.")
    'state_dict.criterion'
    """
    shared, rest = prefix.split("."), name.split(".")
    k = next((k for k, part in enumerate(rest) if k >= len(shared) or part != shared[k]), 0)
    return ".".join(rest[: k + 1])


def _file_and_key(path: str | Path, key: str | None) -> tuple[Path, str | None]:
    """Split FILE:KEY where FILE exists and FILE:KEY does not."""
    text, colon, name = str(path).rpartition(":")
    if key is None and colon and name and not Path(path).exists() and Path(text).exists():
        return Path(text), name
    return Path(path), key


def _refuse_meta(tensors: Mapping[str, Tensor], file: Path) -> None:
    empty = next((name for name, tensor in tensors.items() if tensor.is_meta), None)
    if empty is not None:
        raise InputError(
            f"{empty!r} in {file} is on the device meta, without values.",
            hint="Save the network after its weights are loaded.",
        )


def _best_part(
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    file: Path,
    key: str | None,
    *,
    rename: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict,
    head: str | None = None,
) -> _Part:
    """Return the part of a checkpoint that covers the network, or the one that is nearest to that.

    Args:
        tensors: all tensors by full name.
        model: the network.
        file: named in messages.
        key: only tensors below it, or None.
        rename: from published names to those of the network.
        head: prefix of the layer that may differ in shape, and is then left out.
    """
    _refuse_meta(tensors, file)
    own = model.state_dict()
    names = {without_wrappers(name): name for name in own}
    clean = {without_wrappers(name): tensor for name, tensor in tensors.items()}
    wanted = key
    if wanted is not None:
        clean = {name: tensor for name, tensor in clean.items() if name.startswith(f"{wanted}.")}
        if not clean:
            groups = sorted(
                {".".join(name.split(".")[:-1]) for name in tensors} | {name.split(".")[0] for name in tensors}
            )
            raise MissingError(f"{file} holds no weights under {wanted!r}.", hint=did_you_mean(wanted, groups))
    parts = [
        _part(clean, prefix, own, names, rename, head)
        for prefix in _prefixes(clean, {*names, *_PUBLISHED_FIRST, *_bare(names)})
    ]
    if not parts:
        return _part(clean, "", own, names, rename, head)
    covering = [part for part in parts if not part.faults]
    if not covering:
        return max(parts, key=lambda part: (len(part.weights), -len(part.faults), -len(part.prefix)))
    # max keeps the first of equals: the order of the file
    best = min(covering, key=lambda part: (part.averaged, part.prefix.count(".")))
    same = {tensor.data_ptr() for tensor in best.weights.values()}
    others = tuple(
        part.prefix
        for part in covering
        if part is not best and any(tensor.data_ptr() not in same for tensor in part.weights.values())
    )
    return _Part(best.prefix, best.weights, (), best.left, others)


def _bare(names: Iterable[str]) -> set[str]:
    """Return names without the one module that all of them are in: weights of the inside of a wrapper."""
    first = {name.split(".")[0] for name in names}
    return {name.partition(".")[2] for name in names} - {""} if len(first) == 1 and not first.pop().isdigit() else set()


def _prefixes(tensors: Iterable[str], known: set[str]) -> list[str]:
    """Return everything that precedes a known name, in the order of the file."""
    found: dict[str, None] = {}
    for name in tensors:
        parts = name.split(".")
        for k in range(len(parts)):
            if ".".join(parts[k:]) in known:
                found["".join(f"{part}." for part in parts[:k])] = None
    return list(found)


def _part(
    tensors: Mapping[str, Tensor],
    prefix: str,
    own: Mapping[str, Any],
    names: Mapping[str, str],
    rename: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    head: str | None,
) -> _Part:
    inside = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    given = dict(rename(inside))
    bare = _bare(names)
    if bare and len(bare & given.keys()) > len(names.keys() & given.keys()):
        outer = next(iter(names)).split(".")[0]
        given = {f"{outer}.{name}": tensor for name, tensor in given.items()}
    if head is not None and not all(
        name in given and given[name].shape == own[names[name]].shape for name in names if name.startswith(head)
    ):
        given = {name: tensor for name, tensor in given.items() if not name.startswith(head)}
        own = {name: tensor for name, tensor in own.items() if not name.startswith(head)}
        names = {name: full for name, full in names.items() if not name.startswith(head)}
    weights = {names[name]: tensor for name, tensor in given.items() if name in names}
    unknown = [name for name in given if name not in names]
    left = tuple(n for n in tensors if not n.startswith(prefix)) + tuple(
        prefix + name for name in unknown if name in inside
    )
    return _Part(prefix, weights, _faults(weights, own, [n for n in unknown if _belongs(n, names)]), left)


def _belongs(name: str, names: Iterable[str]) -> bool:
    """Whether a name is one of a layer that the network should have: in one of its modules, or next in a sequence.

    >>> _belongs("blocks.4.weight", ["blocks.3.weight"]), _belongs("criterion.weight", ["blocks.3.weight"])
    (True, False)
    """
    parts = name.split(".")
    modules = {known.rpartition(".")[0] for known in names}
    if ".".join(parts[:-1]) in modules and len(parts) > 1:
        return True
    for k, part in enumerate(parts[:-1]):
        if part.isdigit():
            container = "".join(f"{p}." for p in parts[:k])
            return any(n.startswith(container) and n[len(container) :].split(".")[0].isdigit() for n in names)
    return False


def _faults(given: Mapping[str, Tensor], own: Mapping[str, Any], unexpected: list[str]) -> tuple[str, ...]:
    sized = {name: tensor for name, tensor in own.items() if not is_lazy(tensor)}
    tied = {tensor.data_ptr() for name, tensor in sized.items() if name in given and tensor.numel()}
    missing = [
        name
        for name, tensor in own.items()
        if name not in given
        and not name.endswith("num_batches_tracked")
        and (name not in sized or tensor.data_ptr() not in tied)
    ]
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in sized.items()
        if name in given and given[name].shape != tensor.shape
    ]
    whole = [
        name
        for name, tensor in sized.items()
        if name in given and tensor.is_floating_point() and not given[name].is_floating_point()
    ]
    return tuple(
        f"{len(names)} {what} ({listed(names, 3)})"
        for what, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
            ("of whole numbers, as quantised weights have them", whole),
        )
        if names
    )


def _misfit(part: _Part, file: Path, model: nn.Module, tensors: Mapping[str, Tensor]) -> ShapeError:
    groups = list(dict.fromkeys(name.split(".")[0] for name in tensors))
    return ShapeError(
        f"the weights in {file} do not fit {type(model).__name__}: {'; '.join(part.faults)}; the file holds tensors "
        f"under {listed(groups, 8)}.",
        hint="Give the network that they were saved from, with the same number of classes.",
    )
