"""The command line: a file per command. Each parses, calls the library, writes, and says where.

Start-up imports Typer only; torch, Altair and pandas are loaded by the commands that use them.
"""

from __future__ import annotations

import os
import sys

import typer

from imblens.cli import audit, capture, compare, demo, doctor, listing, study, train, treat

app = typer.Typer(
    name="imblens",
    help="See why a network fails on its rare classes, and fix what can be fixed without training it again.",
    epilog="Examples:  imblens demo --out demo  |  imblens train DATA --out RUN  |  imblens audit ARRAYS.npz",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for module in (demo, train, capture, audit, treat, compare, study):
    app.command(name=module.__name__.rsplit(".", 1)[1], epilog=module.EXAMPLES)(module.command)
app.command(name="list", epilog=listing.EXAMPLES)(listing.command)
app.command(name="doctor", epilog=doctor.EXAMPLES)(doctor.command)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from imblens import __version__

        typer.echo(f"imblens {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line: exit code 0 done, 1 our failure, 2 the user's input, 130 interrupted."""
    from imblens.errors import ImblensError

    try:
        app()
    except ImblensError as error:
        _leave_nothing()
        _say("error", error.message)
        if error.hint:
            _say("hint", error.hint)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        _say("stopped", str(stop) or "interrupted; what was finished is kept.")
        sys.exit(130)
    except MemoryError as error:
        _say("error", f"not enough memory: {error}")
        _say("hint", "Use fewer instances, or approximate neighbours.")
        sys.exit(2)
    except Exception as error:
        _leave_nothing()
        if os.environ.get("IMBLENS_DEBUG"):
            raise
        _say("error", f"imblens failed: {type(error).__name__}: {error}")
        _say("hint", "This is a fault in imblens. Run again with IMBLENS_DEBUG=1 for the traceback, and report it.")
        sys.exit(1)


def _leave_nothing() -> None:
    if "imblens.run._files" in sys.modules:
        sys.modules["imblens.run._files"].release()


def _say(word: str, text: str) -> None:
    from imblens.cli._shared import printable

    print(f"{word}: {printable(' '.join(text.split()))}", file=sys.stderr)
