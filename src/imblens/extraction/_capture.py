"""Network and data in, run out: the one place where the network is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from imblens.base.arguments import checked, number, one_of, whole
from imblens.base.extras import require
from imblens.base.files import claim
from imblens.base.locks import exclusive
from imblens.base.remote import COPIES, prepared
from imblens.base.versions import versions
from imblens.errors import InputError, NotApplicable, ShapeError
from imblens.extraction._alignment import Alignment
from imblens.extraction._classes import Names, one_hot_split
from imblens.extraction._colours import Colours
from imblens.extraction._concepts import Concepts
from imblens.extraction._forward import ForwardPass
from imblens.extraction._inputs import Label, Signature
from imblens.extraction._network import as_found, exact_float32, unwrap
from imblens.extraction._part_writer import PartWriter
from imblens.extraction._preprocessing import Preprocessing
from imblens.extraction._previews import Given
from imblens.extraction._probes import Probe
from imblens.extraction._readers import ImageReader, SplitReader, make_reader
from imblens.extraction._reading import head_reading, outputs_notes, refuse_targets
from imblens.extraction._rules import BatchRules, Ids
from imblens.extraction._shortcuts import Shortcuts
from imblens.extraction._trainer import data_sets_classes, is_trainer, trainer_arguments
from imblens.extraction._trial import first_batch, place_of
from imblens.extraction._walk import Walk, check_labels, two_classes
from imblens.models import (
    HeadReading,
    Pool,
    find_maps,
    rectified_before_pooling,
    two_logits,
)
from imblens.run import NO_BOXES, ONLY_TRAINING, Head, Run, Split, permutation_note, seal, staged


@exclusive
@checked(
    task=one_of("multiclass", "multilabel", optional=True),
    batch_size=whole(1),
    precision=one_of("float32", "bf16"),
    concepts=number(0, 1, inside=True, optional=True),
)
def capture(
    model: Any,
    *,
    train: Any | None = None,
    test: Any | None = None,
    val: Any | None = None,
    classes: Sequence[str] | Mapping[Any, Any] | None = None,
    outputs: Sequence[str] | Mapping[Any, Any] | None = None,
    label: Label = None,
    forward: Callable[[Any, Any], Any] | None = None,
    layer: str | None = None,
    features: str | None = None,
    pool: Pool = None,
    task: Literal["multiclass", "multilabel"] | None = None,
    ids: Ids = None,
    groups: Ids = None,
    previews: Given = True,
    tokenizer: Any = None,
    preprocessing: Any = None,
    batch_size: int = 256,
    colours: bool = True,
    shortcuts: bool = True,
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

    Features are the inputs of the last linear layer, logits its outputs; hooks read both. A softmax, log-softmax, sigmoid,
    class-wise scale or shift, mean or choice over tokens or positions after that layer are recognised, and so are a 1 x 1
    convolution and a single logit. The network, the data and every random state are left as they were
    found, also after an error. What is assumed is stated: through `progress` and in `meta["notes"]`.

    Args:
        model: any network that classifies; or a `transformers.Trainer`, whose network, data sets (the evaluation set is
            `test`, or `val` where `test` is given), collator, columns and label names are then taken.
        train: an `ImageSplit`; a Dataset, DataLoader, IterableDataset or `datasets.Dataset`; (inputs, labels); or a
            mapping of arrays. Batches are mappings (labels under labels, label, target, targets or y; the rest goes to
            `forward` by keyword), sequences whose last entry is the label, or objects with `.y`. Inputs that are uint8 of
            shape (N, H, W) or (N, H, W, 3) are images. No augmentation: pass the data set with the transform that the
            network is tested with. A loader keeps its collate function, workers and subset; the order is fixed.
        test: the same for held-out instances. Instances with the label -1 are left out.
        val: the same for the validation split (thresholds, options of treatments): features and logits only.
        classes: C names in the order of the labels, or a mapping between numbers and names; by default those that the
            data set knows (`classes`, ClassLabel), else numbers.
        outputs: the names in the order of the network's outputs, where it differs; `id2label` of transformers by default.
        label: key, position or function of a batch that gives the labels.
        forward: function of (model, inputs) that runs the network and returns its output.
        layer: name of the last linear layer. If its output is not the network's, differing predictions are counted.
        features: name of the module whose output is used as features, where no linear head exists; the run has no head.
        pool: "mean", "first", "last" or a function, where features have several vectors per instance.
        task: "multilabel" keeps labels (N, C) with exactly one 1 in every row; by default they count as (N,), stated.
        ids: key of the ids in each batch, a function of the batch, or `{"train": [...], "test": [...]}`; default: paths
            that the data set knows, entries `id`, `idx`, `path` or `file` of batches, else positions.
        groups: the patient, source image or site of each instance, in the forms of `ids`: instances of one group are not
            independent, and intervals are then by group. By default the patients of an `ImageSplit`.
        previews: how instances that are not images are shown: a function of the batch, or `{"train": [...], "test":
            [...]}`, of texts, images (uint8) or 1-D signals; `{"names": [...]}` names the values of rows of a table. By
            default text of the batch, decoded tokens, signals and rows of numbers are found. False stores none.
        tokenizer: decodes `input_ids` to text previews: an object with `batch_decode` or `decode`, a function, or the words
            by number. A `text` entry of the batch needs none.
        preprocessing: `{"mean": [...], "std": [...], "size": [H, W]}` for images: resized, divided by 255, mean
            subtracted, divided by std. Also `transforms()` of torchvision's weights or timm's data configuration. Default:
            the network's own configuration (transformers, timm), else mean 0, std 1, the images' own size, which is
            stated. For tensors it is not applied, but reverts them to images, for colours and thumbnails; the default is
            then that of the `Normalize` among the data set's transforms.
        batch_size: instances at a time. With `colours` at most 128, fewer where the graph would exceed 2 GiB.
        colours: count the colours that drive predictions (about the cost of one more forward pass).
        shortcuts: run a sample of each class again without its borders, colour, tint and surroundings (of boxes), for the
            lens `shortcuts`: at most 50 images of a class and 5,000 in all (10 of each class where there are more than
            500), once for each of the four.
        thumbnails: store each image as PNG of at most 64 pixels on the longer side.
        maps: name of the module that gives the last convolutional maps, where it is not found automatically.
        alignment: where images have boxes, compare the class activation maps with them: on the test split, or
            on the training split where only that has boxes.
        concepts: where test images have boxes, count the regions of strong activation that overlap them; the share
            of a channel's activations over the training split that are strong (LOOKING: 0.01 for maps of 28 x 28,
            0.04 for 7 x 7). None counts none.
        probes: further probes.
        precision: "bf16" computes features and logits under bfloat16 autocast, up to twice as fast and with 8 bits;
            colours always run in float32, since rounding changes which pixels are most salient.
        out: folder to write to, part by part, `run.json` last; without it the run stays in memory.
        force: write into a folder that holds something.
        device: where to run; by default where the network is. The network goes back afterwards.
        progress: called with a line of text every few seconds.
        meta: what made network and data (`data`, `model`, `loss`, `seed`): plain JSON values for reports.

    Returns:
        The run; read from `out` where given.

    Raises:
        InputError: data or network cannot be used; the message states which and what to do.
        ShapeError: labels, classes and last layer disagree.
        ExistsError: `out` holds something and `force` is false.
        DependencyError: torch or numba is not installed.

    Example:
        >>> import numpy as np, torch
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 5), torch.nn.Linear(5, 2))
        >>> images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
        >>> run = capture(network, train=(images, [0, 0, 0, 0, 1, 1]), classes=["cat", "dog"])
        >>> run.train.features.shape, run.train.columns
        ((6, 5), ('id', 'thumbnail', 'band_count', 'band_rgb', 'band_present'))
    """
    require("torch", "imblens.capture")
    if is_trainer(model):
        taken = trainer_arguments(model, train, val, test, label)
        model, train, val, test, label = (taken[key] for key in ("model", "train", "val", "test", "label"))
        tokenizer = tokenizer if tokenizer is not None else taken["tokenizer"]
    network = unwrap(model)
    _refuse_odd(meta)
    names = Names.found(network, classes, outputs, data_sets_classes(train, label) if classes is None else None)
    rules = Preprocessing.checked(preprocessing, network, train)
    signature = Signature(network, custom=forward is not None)
    batch_rules = BatchRules(rules, signature, label, names.of_labels, tokenizer, ids, previews, groups)
    readers = _readers({"train": train, "val": val, "test": test}, batch_rules, groups, thumbnails=thumbnails)
    notes = rules.notes() if isinstance(readers["train"], ImageReader) else []
    where, dtype = place_of(network, device)
    folder = None if out is None else claim(prepared(out, force=force), force=force)
    colouring = Colours()
    wanted: list[Probe] = [colouring, *probes] if colours else list(probes)
    with (
        nullcontext() if folder is None else staged(folder) as stage,
        torch.inference_mode(False),
        as_found(network, where),
        exact_float32(where),
    ):
        trial = ForwardPass(
            network, HeadReading("", "features"), (), device=where, dtype=dtype, bf16=False, forward=forward
        )
        first, random_note = first_batch(readers["train"], signature, trial)
        notes += random_note
        single = task != "multilabel" and one_hot_split(readers)
        notes += ["labels are one-hot (exactly one 1 in every row): single-label."] if single else []
        placed = trial.placed(first)
        where_read = {"layer": layer, "features": features, "pool": pool, "key": label}
        reading = head_reading(network, lambda: trial.call(placed), names, readers["train"], first, placed, where_read)
        notes += outputs_notes(reading)
        forward_pass = ForwardPass(
            network, reading, wanted, device=where, dtype=dtype, bf16=precision == "bf16", forward=forward
        )
        n_outputs = forward_pass.n_outputs(first)
        refuse_targets(network, reading, first.labels)
        names = names.fitting(n_outputs)
        _check_known_labels(readers, names)
        on_maps, skipped = map_probes(
            network, maps, reading, readers, placed.image, n_outputs, alignment=alignment, concepts=concepts
        )
        forward_pass.probes += on_maps
        if shortcuts:
            judged = "test" if "test" in readers else "train"
            forward_pass.probes.append(Shortcuts(n_outputs, judged, colouring if colours else None))
        for reader in readers.values():
            skipped |= forward_pass.settle(reader.sample())
        size = forward_pass.batch_size(first, batch_size)
        notes = [*names.notes, *notes, *(note for reader in readers.values() for note in reader.notes)]
        for note in notes:
            (progress or str)(note)
        walks = {
            name: Walk(reader, forward_pass, names.of_outputs, single, names.order, thumbnails, progress)
            for name, reader in readers.items()
        }
        collected, seen_in_walks = _walked(walks, reading, size, stage)
        splits, head = _splits(collected, names.of_outputs, forward_pass, task)
        shown = splits.get("test") or splits["train"]
        late = (names.unlabelled(splits["train"].class_counts), permutation_note(shown))
        notes += seen_in_walks
        for seen in filter(None, late):
            notes.append(seen)
            (progress or str)(seen)
        settings = {
            "batch_size": size,
            "precision": precision,
            "device": where.type,
            "threads": torch.get_num_threads(),
        }
        facts = {
            **_described(meta or {}, network, readers["train"], reading, rules),
            **({"notes": [*(meta or {}).get("notes", ()), *notes]} if notes else {}),
            "capture": settings,
            **{probe.name: probe.describe() for probe in forward_pass.probes},
            **{probe: {"skipped": reason} for probe, reason in skipped.items()},
        }
        kind: Any = "multilabel" if splits["train"].multilabel else "multiclass"
        held: Any = {"test": splits.get("test"), "val": splits.get("val")}
        run = Run(train=splits["train"], **held, head=head, classes=names.of_outputs, task=kind, meta=facts)
        if stage is not None:
            seal(stage, run, [file for parts in collected.values() for file in parts.files])
            for parts in collected.values():
                parts.parts = []
            del splits, shown, held, run  # Windows renames no file that is mapped
    if folder is None or stage is None:
        return run
    for parts in collected.values():
        parts.moved(stage, folder)
    COPIES.push(only=folder)
    splits, _ = _splits(collected, names.of_outputs, forward_pass, task)
    held = {"test": splits.get("test"), "val": splits.get("val"), "path": folder}
    return Run(train=splits["train"], **held, head=head, classes=names.of_outputs, task=kind, meta=facts)


def _check_known_labels(readers: Mapping[str, SplitReader], names: Names) -> None:
    """Refuse labels that are known before the walk and do not fit the classes."""
    for reader in readers.values():
        if reader.labels is not None:
            some = names.order.apply(reader.labels) if names.order is not None else reader.labels
            two_classes(check_labels(some, reader.name, names.of_outputs), reader.name)


def _walked(
    walks: Mapping[str, Walk], reading: HeadReading, size: int, stage: Path | None
) -> tuple[dict[str, PartWriter], list[str]]:
    """The parts of every split, in a folder where one is given, and notes."""
    collected: dict[str, PartWriter] = {}
    notes: list[str] = []
    for name, walk in walks.items():
        collected[name] = walk.run(size, None if stage is None else stage / name)
        notes += walk.notes(reading)
    return collected, notes


def _readers(given: Mapping[str, Any], rules: BatchRules, groups: Ids, *, thumbnails: bool) -> dict[str, SplitReader]:
    """The splits that were given, and "train" always, so that its absence is refused."""
    readers = {
        name: make_reader(split, name, rules, originals=thumbnails and name != "val")
        for name, split in given.items()
        if split is not None or name == "train"
    }
    for name, listed in groups.items() if isinstance(groups, Mapping) else ():
        if name in readers:
            readers[name].groups = listed
    return readers


def _splits(
    collected: Mapping[str, PartWriter], names: tuple[str, ...], forward_pass: ForwardPass, task: str | None
) -> tuple[dict[str, Split], Head | None]:
    """What was captured, with the head that was read."""
    head = forward_pass.head
    two_classes(np.concatenate([part.labels for part in collected["train"].parts]), "train")
    splits = {key: Split(tuple(parts.parts), names, key, head) for key, parts in collected.items()}
    if len({split.multilabel for split in splits.values()}) > 1:
        raise ShapeError("the splits' labels differ in kind.", hint="Give all as (N,) or all as (N, C).")
    if task == ("multiclass" if splits["train"].multilabel else "multilabel"):
        kind = "rows of 0 and 1, (N, C)" if splits["train"].multilabel else "single labels, (N,)"
        raise InputError(f"task is {task!r}, and the labels are {kind}.", hint="Leave out task, or give other labels.")
    return splits, head


def map_probes(
    network: torch.nn.Module,
    maps: str | None,
    reading: HeadReading,
    readers: Mapping[str, Any],
    sample: torch.Tensor | None,
    n_classes: int,
    *,
    alignment: bool,
    concepts: float | None,
) -> tuple[list[Probe], dict[str, str]]:
    """The probes that compare maps with boxes, and the reasons for those that cannot."""
    asked = [name for name, wanted in (("alignment", alignment), ("concepts", concepts is not None)) if wanted]
    boxed = next((name for name in ("test", "train") if name in readers and readers[name].boxed), None)
    layer = None if maps is None or sample is None else find_maps(network, maps, sample=sample)
    if boxed is None or sample is None:
        return [], dict.fromkeys(asked, NO_BOXES)
    if not asked:
        return [], {}
    try:
        layer = layer or find_maps(network, sample=sample)
    except NotApplicable as reason:
        return [], dict.fromkeys(asked, str(reason))
    rectified = reading.plain and rectified_before_pooling(network, layer, reading.layer, sample=sample)
    layer_of_head: Any = network.get_submodule(reading.layer)
    weight: Any = layer_of_head.weight.detach() if rectified else None
    if rectified and reading.one_logit:
        weight = two_logits(weight.T).T
    found: list[Probe] = [Alignment(layer, n_classes, boxed, pooled_by=weight)] if alignment else []
    if concepts is not None and boxed == "test":
        found.append(Concepts(layer, n_classes, boxed, float(concepts), rectified=rectified))
    elif concepts is not None:
        return found, {"concepts": ONLY_TRAINING}
    return found, {}


def _refuse_odd(meta: Mapping[str, Any] | None) -> None:
    try:
        json.dumps(dict(meta or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"meta is not plain JSON: {error}.", hint="Pass text, numbers, lists and dicts.") from error


def _described(
    meta: Mapping[str, Any], network: torch.nn.Module, reader: SplitReader, reading: HeadReading, rules: Preprocessing
) -> dict[str, Any]:
    """The caller's meta, completed by what is known here of data, network, head and preprocessing."""
    images = isinstance(reader, ImageReader)
    ours: dict[str, dict[str, Any]] = {
        "data": {"layout": "images" if images else "tensors"},
        "model": {"class": type(network).__name__},
        "versions": versions(),
    }
    merged: dict[str, Any] = {**ours, **meta}
    for key, known in ours.items():
        if isinstance(meta.get(key), Mapping):
            merged[key] = {**known, **meta[key]}
    merged["layer"] = reading.layer
    if not reading.plain or reading.one_logit:
        merged["head"] = reading.describe()
    if reader.value_names is not None:
        merged["value_names"] = reader.value_names
    merged["preprocessing"] = rules.describe() if images or rules.given else None
    return merged
