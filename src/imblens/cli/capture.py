"""imblens capture: any network and any image set, as a run that every lens can read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from imblens.base.extras import require
from imblens.cli._completing import SHARE
from imblens.cli._groups import grouped
from imblens.cli._shared import (
    Address,
    Force,
    ImageOptions,
    Json,
    Seed,
    begin,
    check_engine,
    emit_run,
    examples,
    preprocessing,
    progress,
)
from imblens.errors import InputError

EXAMPLES = examples(
    "imblens capture DATA --model net.py:build --weights net.safetensors --out RUN",
    "imblens capture DATA --model timm:resnet18 --weights W.pt --out RUN",
)


@dataclass(frozen=True)
class HeadOptions:
    """How the head of the network is found, and what its outputs are."""

    layer: str | None = grouped(
        None, "--layer", metavar="NAME", help="The last linear layer, if it is not found automatically."
    )
    features: str | None = grouped(
        None, "--features", metavar="NAME", help="Module whose output is used as features, if there is no linear head."
    )
    classes: str | None = grouped(
        None, "--classes", metavar="A,B,C|FILE", help="Class names in the order of the network's outputs."
    )

    def chosen(self) -> dict[str, Any]:
        """The options as arguments of `imblens.capture`."""
        outputs = None if self.classes is None else class_list(self.classes)
        return {"outputs": outputs, "layer": self.layer, "features": self.features}


@dataclass(frozen=True)
class PixelOptions:
    """How pixels become inputs of the network."""

    mean: str | None = grouped(
        None,
        "--mean",
        metavar="R,G,B",
        help="Subtracted after pixels are scaled to [0, 1]; default 0. A single number means one grey channel.",
    )
    std: str | None = grouped(None, "--std", metavar="R,G,B", help="Pixels are then divided by this; default 1.")
    size: str | None = grouped(None, "--size", metavar="N|HxW", help="Resize images; default: unchanged.")


@dataclass(frozen=True)
class ProbeOptions:
    """What is measured beside features and logits; arguments of `imblens.capture`."""

    colours: bool = grouped(True, "--colours/--no-colours", help="Measure which colours drive predictions.")
    shortcuts: bool = grouped(
        True,
        "--shortcuts/--no-shortcuts",
        help="Test shortcuts: run a sample again without borders, colour, tint, surroundings.",
    )
    maps: str | None = grouped(
        None,
        "--maps",
        metavar="NAME",
        help="Module with the last convolutional maps, to compare with boxes; by default found automatically.",
    )
    concepts: float = grouped(
        SHARE,
        "--concepts",
        metavar="SHARE",
        help="Share of each channel's activations that count as strong (lens concepts).",
    )


def command(
    data: str = typer.Argument(..., metavar="DATA", help="Folder, .npz, or a name from `imblens list data`."),
    model: str = typer.Option(
        ...,
        "--model",
        metavar="NAME|LIBRARY:NAME|FILE.py:FACTORY",
        help="Network: a name of `imblens list models`, or a function that builds it.",
    ),
    weights: Path | None = typer.Option(
        None,
        "--weights",
        metavar="FILE[:KEY]",
        help="Weights of the network; KEY chooses one of several sets, such as an average (EMA).",
    ),
    out: Path | None = typer.Option(
        None, "--out", metavar="DIR", help="Folder to write to; must be empty or new unless --force is given."
    ),
    reading: ImageOptions = ImageOptions(),
    hold_out: bool = typer.Option(
        False, "--hold-out", help="Without a test split, hold out a fifth as `imblens train` does with this --seed."
    ),
    head: HeadOptions = HeadOptions(),
    pixels: PixelOptions = PixelOptions(),
    profile: str = typer.Option(
        "natural", "--profile", metavar="exp:R|step:R|natural", help="Subsample the training split."
    ),
    batch_size: int = typer.Option(128, "--batch-size", min=1, help="Images per batch."),
    probes: ProbeOptions = ProbeOptions(),
    shard: str | None = typer.Option(
        None,
        "--shard",
        metavar="I/N",
        help="Capture only part I of N (I from 0), to join with `imblens merge`; on any machine, in any order.",
    ),
    complete: Path | None = typer.Option(
        None,
        "--complete",
        metavar="RUN",
        help="Add to a run of `imblens merge` what needs all images: shortcuts and concepts. Instead of --out.",
    ),
    engine: str = typer.Option(
        "local",
        "--engine",
        metavar="local|ray",
        help="Capture in this process, or in Ray tasks (one per shard) whose shards are merged.",
    ),
    address: str | None = Address,
    unsafe_pickle: bool = typer.Option(
        False, "--unsafe-pickle", help="Read .pt files that can run code. Use it only for files that you trust."
    ),
    seed: int = Seed,
    force: bool = Force,
    as_json: bool = Json,
    context: typer.Context = None,  # type: ignore[assignment]  # given by Typer
) -> None:
    """Read features, predictions and colours of a trained network, without changing it."""
    require("torch", "imblens capture")
    from imblens.cli._captured import Asked, by_ray
    from imblens.cli._completing import completed, place_of, typed
    from imblens.models import find_model

    place = place_of(out, complete, shard)
    find_model(model)
    prepared = preprocessing(pixels.mean, pixels.std, pixels.size)
    part = None if shard is None else shard_of(shard)
    check_engine(engine, address)
    if part is not None and engine != "local":
        raise InputError("--shard and --engine ray both divide the work.", hint="Leave one out.")
    asked = Asked(
        data,
        {"seed": seed, "profile": profile, "hold_out": hold_out, **reading.reading()},
        model, weights, unsafe_pickle, seed,
        {**head.chosen(), "preprocessing": prepared, "batch_size": batch_size, **asdict(probes)},
        typed(context),
    )  # fmt: skip
    if complete is not None:
        run = completed(asked, complete, engine, address, progress)
        return emit_run(run, complete, "completed:", as_json=as_json)
    begin(place, force=force)
    images = asked.images()
    for note in images.notes:
        progress(note)
    if images.source.get("split") == "80:20":
        progress(
            "--hold-out: if the network was trained on images that are now called test, their accuracy is too high. "
            "A network of `imblens train` was not, with the same data, --profile and --seed."
        )
    elif images.test is None:
        progress(
            "The network may have been trained on all of them, so none is called test, and the report has no accuracy. "
            "Give a data set with a test split; or --hold-out, if the network was trained without a fifth of them."
        )
    if engine == "ray":
        run = by_ray(asked, images, place, progress, address)
    else:
        run = asked.run(images, place, progress, part)
    emit_run(run, place, "captured", as_json=as_json, part=part)


def shard_of(text: str) -> tuple[int, int]:
    """Read --shard: the number of the part, from 0, and how many there are.

    >>> shard_of("0/4")
    (0, 4)
    """
    words = text.split("/")
    if len(words) != 2 or not all(word.strip().isdigit() for word in words) or int(words[0]) >= int(words[1]):
        raise InputError(f"--shard {text} is not a part of N.", hint="Parts are numbered from 0: --shard 0/4 to 3/4.")
    return int(words[0]), int(words[1])


def class_list(text: str) -> list[str] | dict[str, Any]:
    """Read --classes: names between commas; a file with one name a line; JSON: a list, or a mapping such as id2label.

    >>> class_list("cat, dog"), class_list('{"0": "cat", "1": "dog"}')
    (['cat', 'dog'], {'0': 'cat', '1': 'dog'})
    """
    file = Path(text)
    try:
        content = file.read_text(encoding="utf-8") if len(text) < 1000 and file.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--classes: {file} cannot be read: {error}.", hint="Give a text file, one name a line."
        ) from error
    listed = text if content is None else content
    if listed.lstrip().startswith(("{", "[")):
        try:
            found = json.loads(listed)
        except ValueError as error:
            raise InputError(
                f"--classes is not valid JSON: {error}.", hint='Such as {"0": "cat", "1": "dog"}.'
            ) from error
        found = found.get("id2label", found) if isinstance(found, dict) else found
        return {str(k): v for k, v in found.items()} if isinstance(found, dict) else [str(name) for name in found]
    names = content.splitlines() if content is not None else text.split(",")
    return [name.strip() for name in names if name.strip()]
