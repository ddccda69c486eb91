"""One split through the network, batch by batch, and the checks of its labels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError, ShapeError
from imblens.extraction._classes import ClassOrder
from imblens.extraction._forward import ForwardPass
from imblens.extraction._part_writer import PartWriter
from imblens.extraction._readers import SplitReader
from imblens.extraction._rules import as_group
from imblens.models import HeadReading
from imblens.run import GROUP, labels_vector

PROGRESS_SECONDS = 5.0  # between two lines of progress


class Walk:
    """One split through the network, batch by batch."""

    def __init__(
        self,
        reader: SplitReader,
        forward_pass: ForwardPass,
        classes: tuple[str, ...],
        single: bool,
        order: ClassOrder | None,
        thumbnails: bool,
        progress: Callable[[str], object] | None,
    ) -> None:
        self._reader, self._forward_pass, self._classes = reader, forward_pass, classes
        self._single, self._order, self._progress = single, order, progress
        self._images = thumbnails and reader.name != "val"
        self._n_unlabelled = self._n_differing = self._n_outputs = self._n = 0

    def run(self, size: int, folder: Path | None) -> PartWriter:
        """Capture all batches."""
        reader, forward_pass = self._reader, self._forward_pass
        parts = PartWriter(folder, len(self._classes), forward_pass.head)
        probes = [probe for probe in forward_pass.probes if probe.begin(reader.name)]
        done = 0
        start = reported = time.monotonic()
        for batch in reader.batches(size):
            if reader.groups is not None:
                batch = replace(batch, previews={**batch.previews, GROUP: self._groups(done, len(batch.labels))})
            labels = batch.labels.argmax(axis=1) if self._single and batch.labels.ndim == 2 else batch.labels
            if self._order is not None:
                labels = self._order.apply(labels)
                batch = replace(batch, boxes=self._order.apply_boxes(batch.boxes))
            output = forward_pass(replace(batch, labels=np.where(labels == -1, 0, labels)), probes)
            done += len(labels)
            self._n += len(labels)
            self._n_differing += output.n_differing[0]
            self._n_outputs += output.n_differing[1]
            if reader.name != "train" and labels.ndim == 1 and (labels == -1).any():
                labelled = labels != -1
                self._n_unlabelled += int((~labelled).sum())
                batch, output, labels = batch.rows(labelled), output.rows(labelled), labels[labelled]
                if not len(labels):
                    continue
            try:
                labels = check_labels(labels, reader.name, self._classes)
            except (InputError, ShapeError) as error:
                if reader.n_entries < 3:
                    raise
                entries = (
                    f"Batches have {reader.n_entries} entries, the last of which is taken as the label; label=POSITION"
                )
                raise type(error)(error.message, hint=f"{entries} names another. {error.hint or ''}".strip()) from error
            parts.add(output, labels, batch if self._images else replace(batch, originals=None))
            now = time.monotonic()
            if self._progress is not None and now - reported >= PROGRESS_SECONDS:
                reported = now
                n = len(reader)
                left = f" of {n:,}" if n else ""
                rest = f", about {(now - start) / done * (n - done):.0f} s left" if n else ""
                self._progress(f"captured {done:,}{left} {reader.name} instances{rest}")
        parts.flush()
        if not parts.parts:
            raise InputError(
                f"{reader.name} has no labelled instance.", hint="Give labels from 0 on; -1 is unlabelled."
            )
        return parts

    def _groups(self, start: int, n: int) -> list[str | None]:
        """The groups of the next instances."""
        groups = self._reader.groups
        assert groups is not None
        if start + n > len(groups):
            raise ShapeError(
                f"groups has {len(groups)} entries for {self._reader.name}, which has more instances.",
                hint="Give one per instance.",
            )
        return [as_group(groups[i]) for i in range(start, start + n)]

    def notes(self, reading: HeadReading) -> list[str]:
        """Sentences on what was left out and on predictions that differ; they are reported as well."""
        found = []
        name = self._reader.name
        if self._n_unlabelled:
            found.append(f"{self._n_unlabelled:,} {name} instances have the label -1 (unlabelled) and are left out.")
        if self._n_differing and self._forward_pass.weight is not None:
            found.append(
                f"{self._n_differing:,} of {self._n:,} {name} predictions of layer {reading.layer!r} differ from the "
                "network's own: something follows the layer."
            )
        elif self._n_outputs and self._forward_pass.weight is not None:
            found.append(
                f"{self._n_outputs:,} of {self._n:,} {name} outputs of the network differ from what layer {reading.layer!r} "
                "gives, though the predictions do not: something follows the layer, such as a limit of logits."
            )
        for note in found:
            (self._progress or str)(note)
        return found


def check_labels(labels: NDArray[Any], name: str, classes: tuple[str, ...]) -> NDArray[Any]:
    if name != "train" and labels.ndim == 1 and labels.dtype.kind in "iu" and (labels == -1).any():
        return labels_vector(labels[labels != -1], f"{name} labels", classes, int((labels != -1).sum()))
    return labels_vector(labels, f"{name} labels", classes, len(labels))


def two_classes(labels: NDArray[Any], name: str) -> None:
    if name == "train" and labels.ndim == 1 and len(labels) and labels.min() == labels.max():
        raise ShapeError(
            f"{name} labels hold one class only, {labels[0]}.", hint="Comparing classes needs instances of two or more."
        )
