"""Network and data in, run out: the one place where the network is touched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from imblens.base.files import claim
from imblens.base.versions import versions
from imblens.errors import InputError, NotApplicable, ShapeError
from imblens.extraction._alignment import Alignment
from imblens.extraction._colours import Colours
from imblens.extraction._concepts import Concepts
from imblens.extraction._forward import ForwardPass
from imblens.extraction._network import as_found, exact_float32, unwrap
from imblens.extraction._part_writer import PartWriter
from imblens.extraction._probes import Probe
from imblens.extraction._readers import ImageReader, Preprocessing, SplitReader, make_reader
from imblens.models import find_head, find_maps, rectified_before_pooling
from imblens.run import Head, Run, Split, class_names, labels_vector, seal, staged

if TYPE_CHECKING:
    import torch

PROGRESS_SECONDS = 5.0  # between two lines of progress


def capture(
    model: torch.nn.Module,
    *,
    train: Any,
    test: Any | None = None,
    val: Any | None = None,
    classes: Sequence[str] | None = None,
    layer: str | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    batch_size: int = 256,
    colours: bool = True,
    thumbnails: bool = True,
    maps: str | None = None,
    alignment: bool = True,
    concepts: float | None = 0.01,
    probes: Sequence[Probe] = (),
    precision: Literal["float32", "bf16"] = "float32",
    out: str | Path | None = None,
    force: bool = False,
    device: str | torch.device | None = None,
    progress: Callable[[str], object] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Run:
    """Run a data set through a network once and keep what every lens and treatment reads.

    Features are what enters the network's last linear layer, logits what leaves it; both are read by hooks. The
    network, the data and every random state are left as they were found, also after an error.

    Args:
        model: any network whose decision is a last `torch.nn.Linear`; it may return logits, a tuple, a dict.
        train: `Images`; a torch Dataset of (tensor, label); or (inputs, labels). Inputs that are uint8 of shape
            (N, H, W) or (N, H, W, 3) are images; anything else is fed to the network as it is. No augmentation:
            pass the data set with the transform that the network is tested with.
        test: the same for held-out instances.
        val: the same for instances to choose on (thresholds, options of treatments): features and logits only.
        classes: C names; numbers by default.
        layer: name of the last linear layer, where it is not found by itself.
        preprocessing: `{"mean": [...], "std": [...], "size": [H, W]}` for images: resized, divided by 255, mean
            subtracted, divided by std. Default: mean 0, std 1, the images' own size. For tensors it is not applied,
            but says how the images come back from them, for colours and thumbnails.
        batch_size: instances at a time. With `colours` at most 128, fewer where the graph would exceed 2 GiB.
        colours: count the colours that the answer hangs on (about the cost of one more forward pass).
        thumbnails: store each image as PNG of at most 64 pixels on the longer side.
        maps: name of the module that gives the last convolutional maps, where it is not found by itself.
        alignment: where images have boxes, measure how the class activation maps lie to them: on the test split, or
            on the training split where only that has boxes.
        concepts: where test images have boxes, count the regions of strong activation that overlap them; the share
            of a channel's activations over the training split that are strong (LOOKING: 0.01 for maps of 28 x 28,
            0.04 for 7 x 7). None counts none.
        probes: further things to look at.
        precision: "bf16" computes features and logits under bfloat16 autocast, up to twice as fast and with 8 bits;
            colours always run in float32, since rounding changes which pixels win.
        out: folder to write to, part by part, `run.json` last; without it the run stays in memory.
        force: write into a folder that holds something.
        device: where to run; by default where the network is. The network goes back afterwards.
        progress: called with a line of text every few seconds.
        meta: what made network and data (`data`, `model`, `loss`, `seed`): plain JSON values for reports.

    Returns:
        The run; read from `out` where given.

    Raises:
        InputError: data or network cannot be used; the message says which and what to do.
        ShapeError: labels, classes and last layer disagree.
        ExistsError: `out` holds something and `force` is false.

    Example:
        >>> import numpy as np, torch
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 5), torch.nn.Linear(5, 2))
        >>> images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
        >>> run = capture(network, train=(images, [0, 0, 0, 0, 1, 1]), classes=["cat", "dog"])
        >>> run.train.features.shape, run.train.columns
        ((6, 5), ('id', 'thumbnail', 'band_count', 'band_rgb', 'band_present'))
    """
    import torch

    network = unwrap(model)
    _check_options(batch_size, precision, meta, concepts)
    rules = Preprocessing.checked(preprocessing)
    readers = {
        name: make_reader(split, name, rules, originals=thumbnails and name != "val", classes=classes)
        for name, split in (("train", train), ("val", val), ("test", test))
        if split is not None or name == "train"
    }
    where, dtype = _place(network, device)
    folder = None if out is None else claim(Path(out), force=force)
    wanted: list[Probe] = [Colours(), *probes] if colours else list(probes)
    with torch.inference_mode(False), as_found(network, where), exact_float32(where):
        first = readers["train"].sample()
        sample = first.inputs.to(dtype) if first.inputs.is_floating_point() else first.inputs
        known = None if classes is None else len(class_names(classes, None))
        found, head = find_head(network, layer, sample=sample, n_classes=known)
        names = class_names(range(len(head.weight)) if classes is None else classes, len(head.weight))  # type: ignore[arg-type]
        for reader in readers.values():
            if reader.labels is not None:
                _two_classes(_check_labels(reader.labels, reader.name, names, len(reader)), reader.name)
        on_maps, skipped = _map_probes(network, maps, found, readers, sample, len(names), alignment, concepts)
        look = ForwardPass(network, found, [*wanted, *on_maps], device=where, dtype=dtype, bf16=precision == "bf16")
        for reader in readers.values():
            skipped |= look.settle(reader.sample())
        size = look.batch_size(first, batch_size)
        with nullcontext() if folder is None else staged(folder) as stage:
            collected = {
                reader.name: _walk(
                    reader, look, names, size, None if stage is None else stage / reader.name, thumbnails, progress
                )
                for reader in readers.values()
            }
        if folder is not None and stage is not None:
            for parts in collected.values():
                parts.moved(stage, folder)
    last = Head(look.weight, look.bias)
    _two_classes(np.concatenate([part.labels for part in collected["train"].parts]), "train")
    splits = {key: Split(tuple(parts.parts), names, key, last) for key, parts in collected.items()}
    if len({split.multilabel for split in splits.values()}) > 1:
        raise ShapeError("the splits' labels differ in kind.", hint="Give all as (N,) or all as (N, C).")
    run = Run(
        train=splits["train"],
        test=splits.get("test"),
        val=splits.get("val"),
        head=last,
        classes=names,
        task="multilabel" if splits["train"].multilabel else "multiclass",
        meta={
            **_merged(meta or {}, network, readers["train"]),
            "layer": found,
            "preprocessing": rules.describe() if isinstance(readers["train"], ImageReader) or rules.given else None,
            "capture": {
                "batch_size": size,
                "precision": precision,
                "device": where.type,
                "threads": torch.get_num_threads(),
            },
            **{probe.name: probe.describe() for probe in look.probes},
            **{probe: {"skipped": reason} for probe, reason in skipped.items()},
        },
    )
    if folder is None:
        return run
    seal(folder, run, [file for parts in collected.values() for file in parts.files])
    return replace(run, path=folder)


def _map_probes(
    network: torch.nn.Module,
    maps: str | None,
    head: str,
    readers: Mapping[str, SplitReader],
    sample: torch.Tensor,
    n_classes: int,
    alignment: bool,
    concepts: float | None,
) -> tuple[list[Probe], dict[str, str]]:
    """The probes that hold maps against boxes, and the reasons for those that cannot."""
    asked = [name for name, wanted in (("alignment", alignment), ("concepts", concepts is not None)) if wanted]
    boxed = next((name for name in ("test", "train") if name in readers and readers[name].boxed), None)
    layer = None if maps is None else find_maps(network, maps, sample=sample)
    if boxed is None:
        return [], dict.fromkeys(asked, "the images have no boxes.")
    if not asked:
        return [], {}
    try:
        layer = layer or find_maps(network, sample=sample)
    except NotApplicable as reason:
        return [], dict.fromkeys(asked, str(reason))
    rectified = rectified_before_pooling(network, layer, head, sample=sample)
    weight: Any = network.get_submodule(head).weight if rectified else None
    found: list[Probe] = [Alignment(layer, n_classes, boxed, pooled_by=weight)] if alignment else []
    if concepts is not None and boxed == "test":
        found.append(Concepts(layer, n_classes, boxed, float(concepts), rectified=rectified))
    elif concepts is not None:
        return found, {"concepts": "regions are counted on test images, and only training images have boxes."}
    return found, {}


def _walk(
    reader: SplitReader,
    look: ForwardPass,
    classes: tuple[str, ...],
    size: int,
    folder: Path | None,
    thumbnails: bool,
    progress: Callable[[str], object] | None,
) -> PartWriter:
    parts = PartWriter(folder, len(classes))
    probes = [probe for probe in look.probes if probe.begin(reader.name)]
    done = 0
    start = said = time.monotonic()
    for given in reader.batches(size):
        labels = _check_labels(given.labels, reader.name, classes, len(given.inputs))
        parts.add(
            look(given, probes),
            labels,
            given if thumbnails and reader.name != "val" else replace(given, originals=None),
        )
        done += len(labels)
        now = time.monotonic()
        if progress is not None and now - said >= PROGRESS_SECONDS:
            said = now
            left = (now - start) / done * (len(reader) - done)
            progress(f"captured {done:,} of {len(reader):,} {reader.name} instances, about {left:.0f} s left")
    parts.flush()
    return parts


def _check_labels(labels: NDArray[Any], name: str, classes: tuple[str, ...], n: int) -> NDArray[Any]:
    return labels_vector(labels, f"{name} labels", classes, n)


def _two_classes(labels: NDArray[Any], name: str) -> None:
    if name == "train" and labels.ndim == 1 and labels.min() == labels.max():
        raise ShapeError(
            f"{name} labels hold one class only, {labels[0]}.", hint="Comparing classes needs instances of two or more."
        )


def _check_options(batch_size: int, precision: str, meta: Mapping[str, Any] | None, concepts: float | None) -> None:
    if concepts is not None and not (isinstance(concepts, (int, float)) and 0 < concepts < 1):
        raise InputError(f"concepts is {concepts!r}.", hint="Give the share of strong activations, such as 0.01.")
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise InputError(f"batch_size is {batch_size!r}.", hint="It must be a whole number, at least 1.")
    if precision not in ("float32", "bf16"):
        raise InputError(f"precision is {precision!r}.", hint="Known: float32, bf16.")
    try:
        json.dumps(dict(meta or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"meta is not plain JSON: {error}.", hint="Pass text, numbers, lists and dicts.") from error


def _place(network: torch.nn.Module, device: str | torch.device | None) -> tuple[torch.device, torch.dtype]:
    """Return where to run and the type of inputs: those of the network's first floating-point parameter."""
    import torch

    first = next((p for p in network.parameters() if p.is_floating_point()), None)
    if first is None:
        raise InputError(f"{type(network).__name__} has no parameters.", hint="Pass a trained network.")
    try:
        where = first.device if device is None else torch.device(device)
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used: {error}.", hint="Known here: cpu.") from error
    return where, first.dtype


def _merged(meta: Mapping[str, Any], network: torch.nn.Module, reader: SplitReader) -> dict[str, Any]:
    """Put what we know ourselves under what the caller says."""
    ours: dict[str, dict[str, Any]] = {
        "data": {"layout": "images" if isinstance(reader, ImageReader) else "tensors"},
        "model": {"class": type(network).__name__},
        "versions": versions(),
    }
    merged = {**ours, **meta}
    for key, known in ours.items():
        if isinstance(meta.get(key), Mapping):
            merged[key] = {**known, **meta[key]}
    return merged
