"""Networks of torchvision, timm and transformers, as LIBRARY:NAME, where the user has them installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.errors import DependencyError, InputError, MissingError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = {
    "timm": "timm:NAME, a network of timm (resnet18, vit_tiny_patch16_224, ...)",
    "torchvision": "torchvision:NAME, a classification network of torchvision (resnet18, vit_b_16, ...)",
    "transformers": "transformers:KIND (vit, resnet, swin, ...) with fresh weights, or transformers:FOLDER as "
    "save_pretrained wrote it",
}  # their lines in `imblens list models`


def library_of(name: str) -> str | None:
    """Return the library that LIBRARY:NAME names, or None where the name is another kind.

    >>> library_of("timm:resnet18"), library_of("resnet32"), library_of("net.py:build")
    ('timm', None, None)
    """
    library, colon, _ = name.partition(":")
    return library if colon and library in LIBRARIES else None


def find_library_model(name: str) -> str:
    """Return `name` when its library is installed and has such a network for classification; builds nothing.

    Raises:
        DependencyError: the library is not installed, or cannot be imported.
        MissingError: it has no such network.
    """
    library, _, kind = name.partition(":")
    package = _imported(library)
    if library == "transformers" and Path(kind).is_dir():
        if not (Path(kind) / "config.json").is_file():
            raise MissingError(f"there is no config.json in {kind}.", hint="Give a folder that save_pretrained wrote.")
        return name
    known = _names(library, package)
    if kind not in known and not (library == "timm" and package.is_model(kind)):
        extra = " Or the folder of a saved network." if library == "transformers" else ""
        raise MissingError(f"{library} has no network {kind!r}.", hint=did_you_mean(kind, known) + extra)
    return name


def build_library_model(name: str, n_classes: int, size: tuple[int, int] | None = None) -> nn.Module:
    """Build a network of a library with fresh weights, or a folder's network with its weights.

    Its output is the logits (N, C), whatever object its library returns. Networks for a fixed image size, such as vision
    transformers, are built for `size`; a folder's network stays as it was saved. Nothing is downloaded, and no pickle or
    code of a folder is read.

    Args:
        name: LIBRARY:NAME.
        n_classes: C.
        size: (H, W) of the images. With it, the network is run on two such images, so that misfits are reported early.

    Raises:
        DependencyError, MissingError: as `find_library_model`.
        InputError: it cannot be built, cannot take such images, or does not end in a linear layer of C outputs.
    """
    import torch

    from imblens.models._find_head import find_head

    find_library_model(name)
    library, _, kind = name.partition(":")
    build = {"timm": _timm, "torchvision": _torchvision, "transformers": _transformers}[library]
    try:
        model = build(kind, n_classes, size)
    except Exception as error:  # libraries raise errors of any kind
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        images = "" if size is None else f" and images of {size[0]} x {size[1]}"
        raise InputError(
            f"{name} cannot be built for {n_classes} classes{images}: {first}",
            hint="Resize the images with --size, or choose another network.",
        ) from error
    model.register_forward_hook(_return_logits)
    if size is not None:
        sample = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
        try:
            find_head(model, sample=sample, n_classes=n_classes)
        except InputError:
            if not _gives_logits(model, sample, n_classes):  # another head, such as a 1 x 1 convolution, is not a fault
                raise
    return model


def _gives_logits(model: nn.Module, sample: Any, n_classes: int) -> bool:
    from imblens.models._find_head import evaluating, logits_of

    try:
        with evaluating(model):
            logits = logits_of(model(sample))
    except Exception:  # a network may raise anything; `find_head` has reported it
        return False
    return logits is not None and tuple(logits.shape) == (len(sample), n_classes)


def _imported(library: str) -> Any:
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise _unusable(library, error) from error
        raise DependencyError(f"{library} is not installed.", hint=f"pip install {library}") from error
    except Exception as error:  # torchvision raises RuntimeError beside a torch that it was not built for
        raise _unusable(library, error) from error


def _unusable(library: str, error: Exception) -> DependencyError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DependencyError(
        f"{library} is installed, but cannot be imported: {first}.",
        hint="torch and torchvision must be of one release and one kind (both for the CPU, or both for one CUDA).",
    )


def _names(library: str, package: Any) -> list[str]:
    if library == "timm":
        return list(package.list_models())
    if library == "torchvision":
        models = import_module("torchvision.models")
        return list(models.list_models(module=models))
    auto = import_module("transformers.models.auto.modeling_auto")
    return sorted(auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)


def _timm(kind: str, n_classes: int, size: tuple[int, int] | None) -> nn.Module:
    import timm

    model: nn.Module = timm.create_model(kind, pretrained=False, num_classes=n_classes)
    rules: Any = model.pretrained_cfg
    if size is not None and rules.get("fixed_input_size") and tuple(rules["input_size"][1:]) != size:
        model = timm.create_model(kind, pretrained=False, num_classes=n_classes, img_size=size)
    return model


def _torchvision(kind: str, n_classes: int, size: tuple[int, int] | None) -> nn.Module:
    models = import_module("torchvision.models")
    options: dict[str, Any] = {}
    if kind.startswith("vit_") and size is not None:
        if size[0] != size[1]:
            raise InputError("its images must be square")
        options["image_size"] = size[0]
    if kind in ("googlenet", "inception_v3"):
        options.update(aux_logits=False, init_weights=True)
    model: nn.Module = models.get_model(kind, weights=None, num_classes=n_classes, **options)
    return model


def _transformers(kind: str, n_classes: int, size: tuple[int, int] | None) -> nn.Module:
    transformers = import_module("transformers")
    if Path(kind).is_dir():
        saved: nn.Module = transformers.AutoModelForImageClassification.from_pretrained(
            Path(kind), local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
        return saved
    config = transformers.AutoConfig.for_model(kind, num_labels=n_classes)
    if size is not None and hasattr(config, "image_size"):
        config.image_size = size[0] if size[0] == size[1] else list(size)
    model: nn.Module = transformers.AutoModelForImageClassification.from_config(config)
    return model


def _return_logits(module: nn.Module, inputs: Any, output: Any) -> Any:
    """Forward hook: its return value replaces the output."""
    from imblens.models._find_head import logits_of

    found = logits_of(output)
    return output if found is None else found
