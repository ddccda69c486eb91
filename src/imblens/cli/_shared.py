"""Parts that commands share: common options, printing of results and progress, parsing of numbers, interruption."""

from __future__ import annotations

import json
import shlex
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imblens.base.files import claim
from imblens.base.plain import plain
from imblens.base.progress import tracked
from imblens.base.remote import COPIES, address_of, prepared
from imblens.cli._groups import grouped
from imblens.cli._live import LINE
from imblens.cli._names import unused
from imblens.cli._text import one_line
from imblens.errors import ImblensError, InputError, MissingError, NotApplicable, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from imblens.run import Run

LARGEST_SIDE = 8192  # pixels to which images can be resized

Out = typer.Option(
    ..., "--out", metavar="DIR", help="Folder to write to; must be empty or new unless --force is given."
)
Force = typer.Option(False, "--force", help="Overwrite the content of --out.")
Json = typer.Option(False, "--json", help="Print the result as JSON on stdout; progress stays on stderr.")
Address = typer.Option(
    None, "--address", metavar="HOST:PORT", help="A running Ray cluster; by default one is started on this machine."
)
Open = typer.Option(False, "--open", help="Open the report in the browser.")
Papers = typer.Option(
    False, "--for-papers", help="Also write papers/: figures 84 mm wide (SVG, PDF, PNG) and tables for LaTeX."
)
Seed = typer.Option(0, "--seed", metavar="N", help="Seed of every random choice.")
DryRun = typer.Option(False, "--dry-run", help="Check everything, report what would be done, and exit.")


@dataclass(frozen=True)
class ImageOptions:
    """Options of a command about an image set."""

    root: Path | None = grouped(
        None, "--root", metavar="DIR", help="For a public data set by name: the folder of its published files."
    )
    hub: bool = grouped(
        False, "--hub", help="For a public data set by name: download it through Hugging Face datasets."
    )
    boxes: Path | None = grouped(
        None,
        "--boxes",
        metavar="FILE",
        help="Boxes: .csv (NIH's too), .json (COCO), .xml or a folder of them (VOC), .parquet.",
    )
    uncertain: str = grouped(
        "ignore", "--uncertain", metavar="ignore|positive|negative", help="What labels marked as uncertain (-1) become."
    )
    any_label: bool = grouped(
        False, "--any-label", help="Collapse multi-label data to two classes: finding or no finding."
    )
    task: str | None = grouped(
        None,
        "--task",
        metavar="multiclass|multilabel",
        help="Single-label or multi-label; by default inferred from the labels, and stated.",
    )
    pixel_range: str | None = grouped(
        None,
        "--pixel-range",
        metavar="BLACK,WHITE",
        help="Pixel values of black and white in images of more than 8 bits; by default inferred from training images.",
    )
    label_column: str | None = grouped(
        None, "--label-column", metavar="COL", help="Column of a table or Parquet file with the label."
    )
    split_column: str | None = grouped(
        None, "--split-column", metavar="COL|COL=VALUE", help="Column of the split; with VALUE, its rows are test."
    )
    image_column: str | None = grouped(
        None, "--image-column", metavar="COL", help="Column with the images or their paths."
    )
    group: str | None = grouped(
        None,
        "--group",
        metavar="COL",
        help="Column of the patient, source image or site; intervals are then by group. patient_id is found automatically.",
    )

    def reading(self) -> dict[str, Any]:
        """The options as arguments of `imblens.data.load_images`."""
        return {**asdict(self), "pixel_range": black_and_white(self.pixel_range)}


def anywhere(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose paths may lie in object storage: it works on local copies, and what it wrote is copied back."""

    @wraps(command)
    def run(**given: Any) -> None:
        def local(name: str, value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return [local(name, item) for item in value]
            if is_dataclass(value) and not isinstance(value, type):
                return replace(value, **{one.name: local(one.name, getattr(value, one.name)) for one in fields(value)})
            address = address_of(value) if isinstance(value, Path) or name == "data" else None
            if address is None:
                return value
            if name == "out" and "force" in given:
                found = prepared(address, force=given["force"] or bool(given.get("resume")))
            else:
                found = COPIES.fetch(address)
            return found if isinstance(value, Path) else str(found)

        COPIES.forget()
        used = {name: local(name, value) for name, value in given.items()}
        try:
            command(**used)
        except (typer.Exit, Stopped):  # a failed gate, an interrupted training: what they wrote is kept
            COPIES.push()
            raise
        for address in COPIES.push():
            if address.endswith(("run.json", "report.html")):
                progress(f"copied to {address.rpartition('/')[0]}")

    return run


class Stopped(ImblensError):  # noqa: N818  (requested by the user, not a fault)
    """The user interrupted long work; the hint gives the command that resumes it. Exit code 130."""


def examples(*lines: str) -> str:
    """Return the last lines of a command's help, one example per line, so that they can be copied."""
    return "\n\n".join(["Examples:", *(f"$ {line}" for line in lines)])


CLAIMED: list[Path] = []  # output folders of the running command


def begin(out: Path, *, force: bool) -> None:
    """Claim the output folder of a command, and record it in case the user interrupts the command."""
    CLAIMED.append(claim(out, force=force))


def again(option: str = "") -> str:
    """Return the running command line, ready to be typed again; `option` replaces --force and --resume."""
    words = [word for word in sys.argv[1:] if not option or word not in ("--force", "--resume")]
    return shown("imblens", *words, *([option] if option else []))


def interrupted() -> tuple[str, str]:
    """Return the state after Ctrl-C, once empty output folders are removed, and the command to type next."""
    left = next((out for out in CLAIMED if out.is_dir() and any(out.iterdir())), None)
    if left is None:
        return "interrupted; nothing was written.", f"run it again with: {again()}"
    if (left / "checkpoints").is_dir():
        return f"interrupted; the training in {left} is kept.", f"resume with: {again('--resume')}"
    return f"interrupted; the files in {left} may be incomplete.", f"run it again with: {again('--force')}"


def progress(text: str) -> None:
    """Print one line of progress on stderr."""
    LINE.draw("")
    print(one_line(text), file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Report how long a step took."""
    start = time.perf_counter()
    for _ in tracked([None], text):
        yield
    progress(f"{text}: {time.perf_counter() - start:.1f} s")


def emit(result: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    """Print the result on stdout: JSON for scripts, lines for people."""
    LINE.draw("")
    if as_json:
        print(json.dumps(plain(result), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        for line in lines:
            print(one_line(line))


def emit_run(run: Run, out: Path, done: str, *, as_json: bool, part: tuple[int, int] | None = None) -> None:
    """Print what a run holds that a command wrote, after what it did; its accuracy on test unless it is part i of n."""
    counts = {name: len(split) for name, split in run.splits.items()}
    counted = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    accuracy = None if part else _test_accuracy(run)
    emit(
        {"run": out, "instances": counts, "features": run.dim, "classes": list(run.classes), "test": accuracy},
        [
            f"{done} {counted} instances x {run.dim} features",
            *_accuracy_lines(accuracy),
            f"run: {out}",
            *([f"next: {_to_join(out, *part)}"] if part else _following(run, out)),
        ],
        as_json=as_json,
    )


def _following(run: Run, out: Path) -> list[str]:
    """What to type after a run was written: what completes it, where it was merged, and its audit."""
    from imblens.run import TO_COMPLETE, lacks

    audit = shown("imblens", "audit", out)
    if not (lacking := lacks(run)):
        return [f"next: {audit}"]
    words = run.meta[TO_COMPLETE].get("command") or ["imblens", "capture", "DATA", "--model", "..."]
    return [f"next: {shown(*words, '--complete', out)}", f"or without {', '.join(lacking)}: {audit}"]


def _to_join(out: Path, index: int, of: int) -> str:
    """How a shard becomes part of a run: by merge where all lie beside it under such names, else after the others."""
    named = out.name.removesuffix(str(index))
    parts = [out.with_name(f"{named}{each}") for each in range(of)]
    if named != out.name and all((part / "run.json").is_file() for part in parts):
        return shown("imblens", "merge", *parts, "--out", unused(out.with_name("run")))
    return f"capture the other shards of {of} (--shard I/{of}), then join all with: imblens merge PART ... --out RUN"


def _test_accuracy(run: Run) -> dict[str, float | None] | None:
    """Return accuracy and balanced accuracy on the test split, as in the report; None where they are not known."""
    from imblens.lenses import class_accuracy

    try:
        summary = class_accuracy(run).summary
    except NotApplicable:
        return None
    return {name: summary[name] for name in ("accuracy", "balanced_accuracy")}


def _accuracy_lines(found: dict[str, float | None] | None) -> list[str]:
    if found is None or found["accuracy"] is None or found["balanced_accuracy"] is None:
        return []
    return [
        f"test: accuracy {found['accuracy']:.1%}, balanced accuracy {found['balanced_accuracy']:.1%}; "
        "if you know other values, check the preprocessing and the order of classes"
    ]


def address(report: Path) -> list[str]:
    """Return the address of a report, which terminals make clickable; nothing where stdout is not a terminal."""
    return [f"open: {report.resolve().as_uri()}"] if sys.stdout.isatty() else []


def show(report: Path) -> None:
    """Open a report in the browser; one line on stderr where there is none."""
    if not webbrowser.open(report.resolve().as_uri()):
        progress(f"no browser was found; open {report.resolve()}")


def rows(table: pd.DataFrame) -> list[str]:
    """Format a table as lines, header first (pandas shows a line break in a name as an escape)."""
    return table.to_string(index=False, float_format=lambda value: f"{value:.3f}").split("\n")


def shown(*words: str | Path) -> str:
    """Quote a command line so that it can be copied, whatever the file names contain."""
    return shlex.join(str(word) for word in words)


def check_engine(engine: str, address: str | None) -> None:
    """Refuse an unknown --engine, and an --address without Ray."""
    from imblens.run import ENGINES

    if engine not in ENGINES:
        raise MissingError(f"there is no engine {engine!r}.", hint=did_you_mean(engine, ENGINES))
    if address is not None and engine != "ray":
        raise InputError(f"--address {address} is that of a Ray cluster.", hint="Add --engine ray, or leave it out.")


def numbers(text: str | None, option: str, count: tuple[int, ...], example: str = "0.5,0.5,0.5") -> list[float] | None:
    """Parse "0.5,0.5,0.5" for an option that takes as many numbers as `count` allows."""
    if text is None:
        return None
    try:
        values = [float(piece) for piece in text.replace("x", ",").split(",")]
    except ValueError:
        values = []
    if len(values) not in count:
        wanted = " or ".join(str(n) for n in count)
        raise InputError(f"{option} {text!r} is not {wanted} numbers.", hint=f"For example: {option} {example}")
    return values


def black_and_white(text: str | None) -> tuple[float, float] | None:
    """Parse --pixel-range; None where it was not given."""
    values = numbers(text, "--pixel-range", (2,), "0,4095")
    return None if values is None else (values[0], values[1])


def preprocessing(mean: str | None, std: str | None, size: str | None) -> dict[str, list[float]] | None:
    """Parse --mean, --std and --size into the `preprocessing` of capture; None where none was given."""
    found: dict[str, list[float]] = {}
    for key, option, text in (("mean", "--mean", mean), ("std", "--std", std)):
        values = numbers(text, option, (1, 3))
        if values is not None:
            found[key] = values
    if any(value <= 0 for value in found.get("std", [])):
        raise InputError(
            f"--std {std} must be positive.", hint="Give the standard deviation of each channel, in [0, 1]."
        )
    sides = side_lengths(size)
    if sides is not None:
        found["size"] = list(sides)
    return found or None


def side_lengths(size: str | None) -> tuple[int, int] | None:
    """Parse --size into (height, width); None where it was not given."""
    sides = numbers(size, "--size", (1, 2), "32 or --size 32x48")
    if sides is None:
        return None
    if not all(1 <= side <= LARGEST_SIDE and side == int(side) for side in sides):
        raise InputError(
            f"--size {size} is not a number of pixels from 1 to {LARGEST_SIDE:,}.",
            hint="For example: --size 224 or --size 224x224",
        )
    height, width = (sides * 2)[:2]
    return int(height), int(width)
