"""The command line, one file per command. Each parses, calls the library, writes, and prints the output path.

Start-up imports Typer only; a command's module is imported when it is used, and torch, Altair and pandas by the commands
that need them.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer

from imblens.base.extras import extra_of, lacking
from imblens.base.locks import folders_kept
from imblens.base.versions import IMBLENS
from imblens.cli._commands import Commands
from imblens.cli._project import usual
from imblens.cli._shared import CLAIMED, Stopped, examples, interrupted, progress
from imblens.cli._text import printable
from imblens.errors import ImblensError, ImblensWarning, did_you_mean

LACKING = ("failed to map segment", "can't allocate memory", "cannot allocate memory", "can't start new thread")
LESS = "Use fewer instances, or imblens audit --approximate."
app = typer.Typer(
    name="imblens",
    cls=Commands,
    help="Find out why a network fails on its rare classes, and fix what can be fixed without retraining it.",
    epilog=examples("imblens demo", "imblens audit ARRAYS.npz", "imblens train DATA --out RUN"),
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and exit.")
) -> None:
    if version:
        typer.echo(f"imblens {IMBLENS}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    if context.invoked_subcommand not in ("list", "doctor") and not {"-h", "--help"} & set(sys.argv):
        context.default_map = usual(context.command.commands, context)  # type: ignore[attr-defined]


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 a fault of imblens, 2 unusable input, 3 a failed gate, 130 interrupted."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait sleep: they leave cores to other processes
    atexit.register(gc.freeze)  # else all modules are searched for garbage once more: 0.3 s after an audit
    with _stoppable(), folders_kept(), _warnings_as_lines(), _few_collections():
        sys.exit(_run())


def _run() -> int:
    code = 2
    CLAIMED.clear()
    try:
        code = app(prog_name="imblens", standalone_mode=False) or 0
        if code == 130:  # Typer returns it after Ctrl-C
            _leave_nothing()
            _report("stopped", *interrupted())
    except Stopped as stop:
        code = 130
        _report("stopped", stop.message, stop.hint)
    except ImblensError as error:
        _leave_nothing()
        _report("error", error.message, error.hint)
    except ModuleNotFoundError as error:
        code, lacking = _lacking(error)
        _leave_nothing()
        _report("error", *lacking)
    except Exception as error:
        if hasattr(error, "format_message"):
            _report("error", *_misuse(error))
            return 2
        code = 2 if isinstance(error, OSError) else 1
        _leave_nothing()
        if os.environ.get("IMBLENS_DEBUG"):
            raise
        if _lacks_memory(error):
            code = 2
            _report("error", f"not enough memory: {error}".rstrip(": ") + ".", LESS)
        else:
            _report("error", *(_refused(error) if isinstance(error, OSError) else _failed(error)))
    return code


def _lacks_memory(error: Exception) -> bool:
    """Whether memory was lacking: Python states it, or another library failed for want of it with an exception of its own."""
    message = str(error).lower()
    return isinstance(error, MemoryError) or any(text in message for text in LACKING)


def _refused(error: OSError) -> tuple[str, str]:
    """Describe what the system refused: a file that vanished, a disk that fails, too many open files."""
    reason = error.strerror or str(error) or type(error).__name__
    return (
        f"{error.filename}: {reason}." if error.filename else f"the system reports: {reason}.",
        "Check the file and its disk, then run the command again. IMBLENS_DEBUG=1 shows where it happened.",
    )


def _failed(error: Exception) -> tuple[str, str]:
    return (
        f"imblens failed: {type(error).__name__}: {error}",
        "This is a bug in imblens. Run the command again with IMBLENS_DEBUG=1 to see the traceback, and report it.",
    )


def _lacking(error: ModuleNotFoundError) -> tuple[int, tuple[str, str]]:
    """Exit code and message for a package that is not installed: one of an extra, or a fault of ours."""
    extra = extra_of(error.name or "")
    if extra is None:
        return 1, _failed(error)
    found = lacking(extra, f"imblens {' '.join(sys.argv[1:2])}", [str(error.name).split(".")[0]])
    return 2, (found.message, found.hint)


@contextmanager
def _stoppable() -> Iterator[None]:
    usual = signal.getsignal(signal.SIGINT)
    ours = usual is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, usual)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print warnings of imblens as lines of progress, without the place in its code."""
    usual = warnings.showwarning

    def show(message: Any, category: Any, *where: Any) -> None:
        if issubclass(category, ImblensWarning):
            progress(f"note: {message}")
        else:
            usual(message, category, *where)

    warnings.showwarning = show  # type: ignore[assignment]  # takes the place in any form
    try:
        yield
    finally:
        warnings.showwarning = usual


@contextmanager
def _few_collections() -> Iterator[None]:
    """Search for garbage after every 5,000 new objects, not 700: imports make many that stay."""
    usual = gc.get_threshold()
    gc.set_threshold(max(5_000, usual[0]) if usual[0] else 0, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; inside the import machinery, do so a moment later.

    An interrupt there is lost, or leaves an import lock held that another thread (audit starts one) then waits for.
    """
    if frame is None or not frame.f_code.co_filename.startswith("<frozen importlib"):
        raise KeyboardInterrupt
    again = getattr(signal, "pthread_kill", None)  # wakes a sleeping main thread; Windows has none
    arguments = (number,) if again is None else (threading.main_thread().ident, number)
    threading.Timer(0.02, again or signal.raise_signal, arguments).start()


def _misuse(error: Any) -> tuple[str, str]:
    """Describe a usage error and what to type instead.

    Some releases of Typer bundle their own Click, so its errors are recognised by their attributes, not by their class.
    """
    message = error.format_message().rstrip(".") + "."
    context = getattr(error, "ctx", None)
    option = getattr(error, "option_name", None)
    if context is None:
        return _misused_option(message, option)
    unknown = re.match(r"No such command '(.*?)'", message, re.DOTALL)
    if unknown:
        return f"there is no command {unknown[1]!r}.", did_you_mean(unknown[1], list(context.command.commands))
    if message.startswith("No such option") and option:
        known = [name for one in context.command.params for name in one.opts if name.startswith("--")]
        return f"{context.command_path} has no option {option}.", did_you_mean(option, sorted(known))
    example = next((line for line in (context.command.epilog or "").splitlines() if line.startswith("$ ")), "")
    shown = f"For example: {example.removeprefix('$ ')}. " if example else ""
    return f"{context.command_path}: {message}", f"{shown}{context.command_path} --help lists all options."


def _misused_option(message: str, option: str | None) -> tuple[str, str]:
    """Describe what an option takes where the error does not name the command: the first word that is a command."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    name = next((word for word in sys.argv[1:] if word in commands), None)
    if name is None:
        return message, "imblens --help lists the commands."
    more = f"imblens {name} --help lists all options."
    param = next((param for param in commands[name].params if option in (*param.opts, *param.secondary_opts)), None)
    if param is None or "requires" not in message:
        return f"imblens {name}: {message}", more
    return f"imblens {name}: {option} needs a value.", f"Write {option} {param.metavar or 'VALUE'}: {param.help} {more}"


def _leave_nothing() -> None:
    """Remove output folders to which nothing was written."""
    if "imblens.base.files" in sys.modules:
        sys.modules["imblens.base.files"].release()


def _report(word: str, text: str, hint: str = "") -> None:
    for label, sentence in ((word, text), ("hint", hint)):
        if sentence:
            print(f"{label}: {printable(' '.join(sentence.split()))}", file=sys.stderr)
