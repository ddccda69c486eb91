"""New images without labels through the network of a run that imblens trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import safe_open

from imblens.base.files import sha256
from imblens.base.memory import refuse_too_large
from imblens.base.progress import tracked
from imblens.data import decode, is_image, resize
from imblens.decisions import Unlabelled, digest_of, kept_arrays, read_unlabelled
from imblens.errors import InputError, MissingError
from imblens.losses import find_loss
from imblens.run import Run, Spool

MODEL = "model.safetensors"
AT_ONCE = 2048  # images in memory
ARRAYS = (".npz", ".npy", ".parquet")


def new_instances(
    source: Path,
    data: Path,
    *,
    model: Path | None = None,
    progress: Callable[[str], object] | None = None,
    kept: Path | None = None,
) -> Unlabelled:
    """Read instances without labels: arrays, the test split of a run, or images for the network of the run `source`.

    Args:
        source: the folder of a run.
        data: arrays, a run, an image or a folder of images.
        model: as for `images_of_run`.
        progress: called with lines of progress.
        kept: folder in which the results of images are kept, 2,048 at a time; what is there is not computed again.

    Raises:
        MissingError, InputError: as `read_unlabelled` and `images_of_run`; or `model` is given and `data` are not images.
    """
    if data.suffix in ARRAYS or (data / "run.json").exists() or not data.exists():
        if model is not None and data.exists():
            raise InputError(f"--model reads images, and {data} holds arrays.", hint="Leave --model out.")
        return read_unlabelled(data)
    return images_of_run(source, data, model=model, progress=progress, kept=kept)


def network_of_run(run: Run, weights: Path, what: str) -> Any:
    """Build the network of a run that imblens trained, with the weights of a file.

    Raises:
        InputError: there is no such network, or the weights are not its own; `what` names the run in the message.
    """
    from imblens.models import load_weights, make_network

    arch, settings = run.meta.get("arch"), run.meta.get("preprocessing")
    if not weights.is_file() or not arch or not settings:
        raise InputError(
            f"{what} holds no network that imblens trained, so it cannot read images.",
            hint="Pass logits (or features) of the images as ARRAYS.npz: network(images) after Run.load(OUT).install(network).",
        )
    options = run.meta.get("loss_options") or {}
    normalised = find_loss(str(run.meta.get("loss", "ce"))).normalised_head
    scale = float(options.get("s", 30.0)) if normalised else 30.0
    n_outputs = 1 if (run.meta.get("head") or {}).get("one_logit") else run.n_classes
    size = tuple(settings["size"])
    network = make_network(str(arch), n_outputs, size=size, normalised_head=normalised, scale=scale)
    head: Any = getattr(network, "head", None)
    if normalised and head is not None and head.bias is None and _has(weights, "head.bias"):
        import torch

        head.bias = torch.nn.Parameter(torch.zeros(n_outputs))  # a treated head has one
    load_weights(network, weights)
    return network.eval()


def save_treated(run: Run, source: Path, file: Path) -> Path:
    """Write the whole network of `source`, a run that imblens trained, with the head of `run`.

    Args:
        run: the treated run.
        source: folder of the run before treatment, with its `model.safetensors`.
        file: ends in .safetensors.

    Raises:
        InputError: `source` holds no network that imblens trained.
    """
    from imblens.models import save_weights

    save_weights(run.install(network_of_run(run, source / MODEL, str(source))), file)
    return file


def _has(weights: Path, name: str) -> bool:
    with safe_open(weights, framework="pt") as file:
        return name in file.keys()  # noqa: SIM118  (no mapping)


def images_of_run(
    source: Path,
    data: Path,
    *,
    model: Path | None = None,
    progress: Callable[[str], object] | None = None,
    kept: Path | None = None,
) -> Unlabelled:
    """Return features and logits of all images in a file or folder, folders in it included; labels are not needed.

    Args:
        source: the folder of a run that `imblens train` wrote, with its `model.safetensors`.
        data: an image, or a folder of images.
        model: weights of that network with another head (`imblens treat --model`), instead of the run's own.
        progress: called with lines of progress.
        kept: folder in which results are kept, 2,048 images at a time; what is there is not computed again.

    Raises:
        InputError: the run has no network of its own, or a file cannot be decoded.
        MissingError: no image in `data`.
    """
    run = Run.load(source)
    weights = source / MODEL if model is None else model
    loaded = network_of_run(run, weights, str(source))
    files = [data] if data.is_file() else sorted(path for path in data.rglob("*") if path.is_file())
    files = [path for path in files if is_image(path)]
    if not files:
        raise MissingError(f"there is no image in {data}.", hint="Give a folder of images, or ARRAYS.npz.")
    network = sha256(weights) if kept is not None else ""
    found: list[Spool] = []  # features, logits
    for low in tracked(range(0, len(files), AT_ONCE), f"reading {len(files):,} images"):
        some = files[low : low + AT_ONCE]
        make = partial(_of_images, run, loaded, some, progress)
        if kept is None or len(files) <= AT_ONCE:
            arrays: Sequence[Any] = make()
        else:
            stated = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in some]
            arrays = kept_arrays(kept, digest_of(network, stated), make)
        found = found or [
            Spool(len(files), array.shape[1], "features and logits of the images need") for array in arrays
        ]
        for spool, array in zip(found, arrays, strict=True):
            spool.append(array)
    features, logits = (spool.matrix() for spool in found)
    for spool in found:
        spool.close()
    root = data if data.is_dir() else data.parent
    return Unlabelled(features, logits, [path.relative_to(root).as_posix() for path in files])


def _of_images(
    run: Run, network: Any, files: Sequence[Path], progress: Callable[[str], object] | None
) -> tuple[Any, Any]:
    """Features and logits of some images."""
    settings: Any = run.meta["preprocessing"]
    height, width = settings["size"]
    refuse_too_large(len(files) * height * width * 3, f"{len(files):,} images need", hint="Predict them in parts.")
    pixels = np.empty((len(files), height, width, 3), np.uint8)
    for place, path in enumerate(files):
        _refuse_wide(path)
        image = decode(path, str(path))
        pixels[place] = image if image.shape[:2] == (height, width) else resize(image, (height, width))
    return _captured(run, network, settings, pixels, progress)


def _refuse_wide(path: Path) -> None:
    try:
        with Image.open(path) as image:
            wide = image.mode.startswith(("I", "F"))
    except OSError:
        return  # `decode` describes the fault
    if wide:
        raise InputError(
            f"{path} has more than 8 bits per pixel, whose black and white a run does not store.",
            hint="Convert the images to 8 bits as for training, or capture them with --pixel-range.",
        )


def _captured(
    run: Run, network: Any, settings: Any, pixels: Any, progress: Callable[[str], object] | None
) -> tuple[Any, Any]:
    from imblens.extraction import capture

    n = len(pixels)
    if n == 1:  # a run compares classes, so it needs two instances
        pixels = np.concatenate([pixels, pixels])
    labels = np.arange(len(pixels)) % run.n_classes  # placeholders: nothing here reads labels
    if run.task == "multilabel":
        labels = np.eye(run.n_classes, dtype=np.int64)[labels]
    found = capture(
        network,
        train=(pixels, labels),
        classes=run.classes,
        preprocessing=settings,
        colours=False,
        shortcuts=False,
        thumbnails=False,
        progress=progress,
    ).train
    return np.asarray(found.features)[:n], np.asarray(found.logits)[:n]
