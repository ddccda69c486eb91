"""From images to a captured run: balance, train, capture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.data import ImageSet
from imblens.run import Run

if TYPE_CHECKING:
    from imblens.training import Trained

OVERSAMPLED = "oversampled"  # folder of the synthetic images that a network is trained on


def train_and_capture(
    images: ImageSet,
    folder: Path,
    options: Mapping[str, Any],
    *,
    oversample: str | None = None,
    balancing: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
    **capture_options: Any,
) -> tuple[Run, Trained]:
    """Train a network in `folder`, and capture it.

    Synthetic images train the network; what is captured are the real ones.

    Args:
        images: the set.
        folder: where network, log, checkpoints and synthetic images go. What an earlier, stopped start made there of
            the same images is read again.
        options: of `imblens.training.train`, `out` left out.
        oversample: a name of `imblens.synthesis.oversampler_descriptions()`, or None.
        balancing: its options.
        say: called with lines of progress; without, nothing is shown.
        **capture_options: of `imblens.capture`.

    Returns:
        The run, and what `train` returned.
    """
    from imblens.extraction import capture
    from imblens.training import check_training, train

    tell = say or (lambda line: None)
    shown = images
    if not options.get("resume"):
        check_training(images, out=folder, **options)  # before what takes long
    if oversample is not None:
        from imblens.synthesis import oversample_pixels

        shown = oversample_pixels(
            images,
            oversample,
            random_state=options.get("seed", 0),
            out=folder / OVERSAMPLED,
            say=tell,
            **(balancing or {}),
        )
        for note in shown.notes[len(images.notes) :]:
            tell(note)
    start = time.perf_counter()
    trained = train(shown, out=folder, progress=say is not None, **options)
    tell(f"trained: {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    run = capture(
        trained.model,
        train=images.train,
        test=images.held_out,
        classes=images.classes,
        preprocessing=trained.meta["preprocessing"],
        meta={"data": shown.source, **trained.meta},
        progress=say,
        **capture_options,
    )
    tell(f"captured: {time.perf_counter() - start:.1f} s")
    return run, trained
