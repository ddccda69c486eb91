"""What a run that was merged from shards lacks: shortcuts and concepts, which need all training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.base.extras import require
from imblens.base.locks import exclusive
from imblens.base.progress import tracked
from imblens.base.remote import COPIES, fetched
from imblens.base.wording import listed
from imblens.data import ImageSplit
from imblens.errors import InputError
from imblens.extraction._capture import map_probes
from imblens.extraction._classes import Names
from imblens.extraction._concepts import Concepts
from imblens.extraction._forward import ForwardPass
from imblens.extraction._input_batch import InputBatch
from imblens.extraction._inputs import Signature
from imblens.extraction._network import as_found, exact_float32, unwrap
from imblens.extraction._preprocessing import Preprocessing
from imblens.extraction._probes import Probe, ProbeBatch
from imblens.extraction._readers import ImageReader
from imblens.extraction._reading import head_reading
from imblens.extraction._shortcuts import OF_BANDS, Shortcuts
from imblens.extraction._trial import first_batch, place_of
from imblens.models import HeadReading, weights_digest
from imblens.run import INPUT_MEAN, TO_COMPLETE, Additions, Run, add, lacks

Rows = NDArray[np.int64]
SAME = "Give the network, the data and the options with which the shards were captured."
APART = {"float32": 1e-3, "bf16": 5e-2}  # by which features may differ, as a share of the largest


@exclusive
def complete(
    run: str | Path,
    model: Any,
    *,
    train: ImageSplit,
    test: ImageSplit | None = None,
    classes: Sequence[str] | Mapping[Any, Any] | None = None,
    outputs: Sequence[str] | Mapping[Any, Any] | None = None,
    layer: str | None = None,
    features: str | None = None,
    preprocessing: Any = None,
    device: str | torch.device | None = None,
    progress: Callable[[str], object] | None = None,
) -> Run:
    """Add to a run that was merged from shards what needs all training images: shortcuts and concepts.

    It is then the run that one capture would have written. For shortcuts the network runs on the sampled images only (at
    most 5,000 of up to 500 classes); for concepts once on all training images, and on the test images with boxes.

    Args:
        run: the merged run; a folder, or a URL of one.
        model: the network that was captured.
        train, test: all images of these splits, in the order in which they were divided.
        classes, outputs, layer, features, preprocessing: as they were given to capture.
        device: where to run; by default where the network is.
        progress: called with a line of text for each step.

    Returns:
        The run, read from its folder. After an error the folder holds the run as it was.

    Raises:
        InputError: the run is a shard, lacks nothing, or is of another network, other data or other options.
        StorageError: the disk is full, or another process writes the run.

    Example:
        >>> import tempfile, torch
        >>> from imblens.extraction import capture, TrainingMeans
        >>> pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
        >>> train = ImageSplit.from_arrays(pixels, [0, 0, 1, 1, 0, 0, 1, 1])
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
        >>> folder, scaled = Path(tempfile.mkdtemp()), {"mean": 0.5, "std": 0.5}
        >>> for i in (0, 1):  # as `imblens capture --shard i/2` does
        ...     shard = {"index": i, "of": 2, "instances": {"train": 8}}
        ...     _ = capture(network, train=train.subset([*range(i, 8, 2)]), preprocessing=scaled, shortcuts=False,
        ...                 probes=[TrainingMeans()], out=folder / str(i), meta={"shard": shard, "to_complete": {}})
        >>> from imblens.run import merge
        >>> merged = merge([folder / "0", folder / "1"], folder / "run")
        >>> completed = complete(folder / "run", network, train=train, preprocessing=scaled)
        >>> (completed.train.matrix("cut_right").shape, "input_mean" in completed.train.columns)
        ((8, 4), False)
    """
    require("torch", "imblens.extraction.complete")
    folder = fetched(run)
    given = {"classes": classes, "outputs": outputs, "layer": layer, "features": features}
    options = {**given, "preprocessing": preprocessing, "device": device, "progress": progress}
    found = lacking(Run.load(folder), model, {"train": train, "test": test}, **options)
    done = add(folder, found)
    COPIES.push(only=folder)
    return done


def lacking(
    run: Run,
    model: Any,
    images: Mapping[str, ImageSplit | None],
    *,
    classes: Any = None,
    outputs: Any = None,
    layer: str | None = None,
    features: str | None = None,
    preprocessing: Any = None,
    device: str | torch.device | None = None,
    progress: Callable[[str], object] | None = None,
) -> Additions:
    """What `complete` adds; the run is read only."""
    check_incomplete(run)
    splits = {name: split for name, split in images.items() if split is not None}
    network = unwrap(model)
    names = Names.found(network, classes, outputs, None)
    rules = Preprocessing.checked(preprocessing, network, splits["train"])
    left = run.meta[TO_COMPLETE]
    if left.get("network") not in (None, weights_digest(network)):
        raise InputError(f"the network is not that of {run.path}: the weights are not equal.", hint=SAME)
    _check_images(run, splits, names)
    if rules.describe() != run.meta.get("preprocessing"):
        stated = (rules.describe(), run.meta.get("preprocessing"))
        raise InputError(f"the preprocessing is {stated[0]}, that of {run.path} {stated[1]}.", hint=SAME)
    readers = {name: ImageReader(split, name, rules, originals=False) for name, split in splits.items()}
    where, dtype = place_of(network, device)
    with torch.inference_mode(False), as_found(network, where), exact_float32(where):
        settings: dict[str, Any] = {"device": where, "dtype": dtype, "bf16": False}
        signature = Signature(network, custom=False)
        trial = ForwardPass(network, HeadReading("", "features"), (), **settings)
        first, _ = first_batch(readers["train"], signature, trial)
        placed = trial.placed(first)
        asked = {"layer": layer, "features": features, "pool": None, "key": None}
        reading = head_reading(network, lambda: trial.call(placed), names, readers["train"], first, placed, asked)
        forward_pass = ForwardPass(network, reading, (), **settings)
        _check_network(run, reading, forward_pass, first)
        wanted = {"alignment": False, "concepts": left.get("concepts")}
        on_maps, skipped = map_probes(
            network, left.get("maps"), reading, readers, placed.image, run.n_classes, **wanted
        )
        judged = "test" if "test" in readers else "train"
        cuts = Shortcuts(run.n_classes, judged) if "shortcuts" in lacks(run) else None
        forward_pass.probes = [*on_maps, *([cuts] if cuts is not None else [])]
        for reader in readers.values():
            skipped |= forward_pass.settle(reader.sample())
        cuts = cuts if cuts in forward_pass.probes else None
        counted = next((probe for probe in forward_pass.probes if isinstance(probe, Concepts)), None)
        measured = _Measured(run, readers, names, forward_pass, judged, progress or str)
        rows, columns = measured.columns(cuts, counted)
    facts = {probe.name: probe.describe() for probe in (counted, cuts) if probe is not None}
    return Additions(judged, rows, columns, {**facts, **{name: {"skipped": why} for name, why in skipped.items()}})


def check_incomplete(run: Run) -> None:
    """Refuse a run that has everything, and a shard."""
    if isinstance(run.meta.get("shard"), Mapping):
        raise InputError(
            f"{run.path} is one shard.", hint="Join all with `imblens merge`, then complete what it writes."
        )
    if not lacks(run):
        raise InputError(
            f"{run.path} lacks nothing that could be added.", hint="Only runs merged from shards do; audit it as it is."
        )


def _check_images(run: Run, images: Mapping[str, ImageSplit], names: Names) -> None:
    """Refuse other images, labels or classes than those of the run."""
    splits = {name: split for name, split in run.splits.items() if name != "val"}
    if set(splits) != set(images):
        raise InputError(f"the data have {listed(sorted(images))}, {run.path} {listed(sorted(splits))}.", hint=SAME)
    if names.known is not None and tuple(names.known) != run.classes:
        raise InputError(
            f"the classes are {listed(names.known)}, those of {run.path} {listed(run.classes)}.", hint=SAME
        )
    for name, split in splits.items():
        given = images[name]
        if not isinstance(given, ImageSplit):
            raise InputError(
                f"{name} is a {type(given).__name__}.", hint="Give an ImageSplit, such as load_images makes."
            )
        if len(given) != len(split):
            raise InputError(f"{name} has {len(given):,} images, {len(split):,} in {run.path}.", hint=SAME)
        other = np.flatnonzero(given.ids.astype(str) != split.ids.astype(str))
        if len(other):
            i = int(other[0])
            raise InputError(f"{name} image {i} is {given.ids[i]}, in {run.path} {split.ids[i]}.", hint=SAME)
        labels = given.labels.argmax(axis=1) if given.labels.ndim > split.labels.ndim else given.labels
        labels = labels if names.order is None else names.order.apply(labels)
        if not np.array_equal(labels, split.labels):
            raise InputError(f"{name} has other labels than {run.path}.", hint=SAME)


def _check_network(run: Run, reading: HeadReading, forward_pass: ForwardPass, first: InputBatch) -> None:
    """Refuse a network that gives other features for the first images, or has another head."""
    if reading.layer != run.meta.get("layer"):
        raise InputError(
            f"the last layer is {reading.layer!r}, that of {run.path} {run.meta.get('layer')!r}.", hint=SAME
        )
    head = forward_pass.head
    same = (head is None) == (run.head is None)
    if same and head is not None and run.head is not None:
        same = head.weight.shape == run.head.weight.shape and np.allclose(head.weight, run.head.weight, 1e-4, 1e-6)
    found, stored = forward_pass(first, ()).features, np.asarray(run.train.parts[0].features[: len(first.labels)])
    allowed = APART[run.meta.get("capture", {}).get("precision", "float32")] * max(1e-6, float(np.abs(stored).max()))
    found = found[: len(stored)]
    if not same or found.shape != stored.shape or not np.allclose(found, stored, rtol=0, atol=allowed):
        what = "head" if not same else "features of the first images"
        raise InputError(f"the network or the images are not those of {run.path}: the {what} differ.", hint=SAME)


class _AsSampled(Probe):
    """Shortcuts of the images that were sampled before."""

    name = "sampled"

    def __init__(self, cuts: Shortcuts) -> None:
        self._cuts, self.of = cuts, np.empty(0, np.int64)

    def update(self, batch: ProbeBatch) -> dict[str, NDArray[Any]]:
        return self._cuts.cut(batch, self.of)

    def describe(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class _Measured:
    """Passes over the images of a run, as few as the columns need."""

    run: Run
    readers: Mapping[str, ImageReader]
    names: Names
    forward_pass: ForwardPass
    judged: str
    progress: Callable[[str], object]

    def columns(self, cuts: Shortcuts | None, counted: Concepts | None) -> tuple[Rows, dict[str, NDArray[Any]]]:
        """The images that get values, and the columns of these."""
        size = int(self.run.meta.get("capture", {}).get("batch_size", 128))
        labels = self.run.splits[self.judged].labels
        wanted, found = np.zeros(len(labels), bool), []
        of = np.full(len(labels), -1)
        if counted is not None:
            self._learn(counted, size)
            wanted |= np.array([len(one) > 0 for one in self.readers[self.judged].boxes or ()], bool)
        if cuts is not None:
            training = _Training(self.run)
            own = self.judged == "train"  # then means are of the images read so far, as in one capture
            for low in range(0, len(labels), size) if own else (0,):
                rows = np.arange(low, min(low + size, len(labels)) if own else len(labels))
                training.teach(cuts, rows if own else slice(None))
                of[rows] = cuts.sample(labels[rows])
                if own:
                    found += self._measure(rows[of[rows] >= 0], size, of, (cuts,))
            wanted |= of >= 0
        if not found:
            self.progress(f"running {int(wanted.sum()):,} {self.judged} images again")
            found = self._measure(np.flatnonzero(wanted), size, of, (counted, cuts))
        names = found[0] if found else ()
        return np.flatnonzero(wanted), {name: np.concatenate([one[name] for one in found]) for name in names}

    def _learn(self, counted: Concepts, size: int) -> None:
        """Find the thresholds of concepts: the network runs on all training images."""
        self.progress(f"concepts: thresholds from {len(self.run.train):,} training images")
        counted.begin("train")
        blocks = [np.arange(low, min(low + size, len(self.run.train))) for low in range(0, len(self.run.train), size)]
        with closing(self.readers["train"].some(tracked(blocks, "concepts"))) as batches:
            for batch in batches:
                self.forward_pass(batch, (counted,))
        counted.begin(self.judged)

    def _measure(self, rows: Rows, size: int, of: Rows, probes: Sequence[Any]) -> list[dict[str, NDArray[Any]]]:
        """The columns of those images, in batches; `of`: the class for which each image is sampled."""
        reader, order = self.readers[self.judged], self.names.order
        labels, found = self.run.splits[self.judged].labels, []
        chosen = [_AsSampled(probe) if isinstance(probe, Shortcuts) else probe for probe in probes if probe is not None]
        blocks = [rows[low : low + size] for low in range(0, len(rows), size)]
        with closing(reader.some(blocks)) as batches:
            for block, batch in zip(blocks, batches, strict=True):
                for probe in chosen:
                    if isinstance(probe, _AsSampled):
                        probe.of = of[block]
                boxes = batch.boxes if order is None else order.apply_boxes(batch.boxes)
                found.append(self.forward_pass(replace(batch, labels=labels[block], boxes=boxes), chosen).columns)
        return found


class _Training:
    """What a run stores of its training images for `Shortcuts`."""

    def __init__(self, run: Run) -> None:
        train = run.train
        self._means, self._labels = train.matrix(INPUT_MEAN), train.labels
        known = set(OF_BANDS) <= set(train.columns)
        self._bands = [train.matrix(name) for name in OF_BANDS] if known else None

    def teach(self, cuts: Shortcuts, rows: Rows | slice) -> None:
        """Let `cuts` learn from these images."""
        bands = None if self._bands is None else [kind[rows] for kind in self._bands]
        cuts.learn(self._means[rows], self._labels[rows], bands)
