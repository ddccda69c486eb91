"""What commands share: where results and progress go, and how numbers are typed."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from imblens.errors import ImblensError, InputError

QUICK_MAP = 5_000  # instances up to which the map is drawn without being asked for

Out = typer.Option(..., "--out", metavar="DIR", help="Folder to write; refuses one that holds something.")
Force = typer.Option(False, "--force", help="Overwrite --out.")
Json = typer.Option(False, "--json", help="Print the result as JSON on stdout; progress stays on stderr.")
Boxes = typer.Option(
    None,
    "--boxes",
    metavar="FILE",
    help="Boxes: .csv (NIH's too), .json (COCO), .xml or a folder of them (VOC), .parquet.",
)
Uncertain = typer.Option(
    "ignore", "--uncertain", metavar="ignore|positive|negative", help="What labels marked as uncertain (-1) become."
)
AnyLabel = typer.Option(
    False, "--any-label", help="Of several labels make one question: any of them (a finding), or none."
)
Root = typer.Option(None, "--root", metavar="DIR", help="For a public set by name: the folder of its published files.")
Hub = typer.Option(False, "--hub", help="For a public set by name: download it through Hugging Face datasets.")
Papers = typer.Option(
    False, "--for-papers", help="Also write papers/: figures 84 mm wide (SVG, PDF, PNG) and tables for LaTeX."
)
Seed = typer.Option(0, "--seed", metavar="N", help="Seed of every random choice.")
DryRun = typer.Option(False, "--dry-run", help="Check everything, say what would be done, and stop.")


class Stopped(ImblensError):  # noqa: N818  (the user's wish, not a fault)
    """The user stopped long work; the hint says how to go on. The command line ends with exit code 130."""


def examples(*lines: str) -> str:
    """The last lines of a command's help, one to a line, so that they can be copied."""
    return "\n\n".join(["Examples:", *(f"$ {line}" for line in lines)])


def explain(*lists: str) -> Any:
    """An option that explains a name of those lists of `imblens list`, and stops."""

    def show(name: str | None) -> None:
        if name is None:
            return
        from imblens.cli.listing import LISTS, explained

        explained(name, {key: text for what in lists for key, text in LISTS[what]().items()}, "--json" in sys.argv)
        raise typer.Exit

    return typer.Option(
        None,
        "--explain",
        metavar="NAME",
        is_eager=True,
        expose_value=False,
        callback=show,
        autocompletion=named(*lists),
        help=f"Explain one of `imblens list {'`, `'.join(lists)}`, and stop.",
    )


def named(*lists: str) -> Callable[[str], list[str]]:
    """Complete an option in the shell with the names of lists of `imblens list`."""

    def complete(incomplete: str) -> list[str]:
        from imblens.cli.listing import LISTS

        return [name for what in lists for name in LISTS[what]() if name.startswith(incomplete)]

    return complete


def progress(text: str) -> None:
    """One line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what starts, and how long it took."""
    start = time.perf_counter()
    yield
    progress(f"{text}: {time.perf_counter() - start:.1f} s")


def emit(result: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    """Print the result on stdout: JSON for scripts, lines for people."""
    if as_json:
        print(json.dumps(plain(result), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        for line in lines:
            print(printable(line))


def printable(text: str) -> str:
    """Show control and direction characters as escapes: a class name may not move the cursor or turn a line round."""
    from unicodedata import category

    return "".join(c if c == "\n" or category(c) not in ("Cc", "Cf") else ascii(c)[1:-1] for c in text)


def plain(value: Any) -> Any:
    """Turn NumPy numbers, paths and NaN into JSON values (NaN becomes null)."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist") and not isinstance(value, (str, bytes)):
        return plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def shown(*words: str | Path) -> str:
    """A command line that can be copied, whatever is in the file names."""
    return shlex.join(str(word) for word in words)


def numbers(text: str | None, option: str, count: tuple[int, ...]) -> list[float] | None:
    """Parse "0.5,0.5,0.5" for an option that takes one of `count` numbers."""
    if text is None:
        return None
    try:
        values = [float(piece) for piece in text.replace("x", ",").split(",")]
    except ValueError:
        values = []
    if len(values) not in count:
        wanted = " or ".join(str(n) for n in count)
        raise InputError(f"{option} {text!r} is not {wanted} numbers.", hint=f"For example: {option} 0.5,0.5,0.5")
    return values


def preprocessing(mean: str | None, std: str | None, size: str | None) -> dict[str, list[float]] | None:
    """Parse --mean, --std and --size as capture wants them; None where none was given."""
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
    """Parse --size as (height, width); None where it was not given."""
    sides = numbers(size, "--size", (1, 2))
    if sides is None:
        return None
    if any(side < 1 or side != int(side) for side in sides):
        raise InputError(f"--size {size} is not a number of pixels.", hint="For example: --size 224 or --size 224x224")
    height, width = (sides * 2)[:2]
    return int(height), int(width)
