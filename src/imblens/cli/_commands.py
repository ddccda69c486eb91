"""The commands by name, and what each does in one line. A command's module is imported when the command is used."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
import typer.core

from imblens.cli._groups import spread
from imblens.cli._live import live
from imblens.cli._project import FILE, given
from imblens.cli._shared import anywhere, progress

DONE_BY = {
    "demo": "Run the full workflow on synthetic images with planted faults; under two minutes on two cores.",
    "train": "Train a network; then capture features and colours, and write the report to RUN/audit.",
    "capture": "Read features, predictions and colours of a trained network, without changing it.",
    "merge": "Join the shards of one capture into one run; the command that it prints adds concepts and shortcuts.",
    "audit": "Report per class how accurate it is, why it fails, with what certainty, and what to try.",
    "treat": "Change the head of a run, and report accuracy per class before and after.",
    "compare": "Report what changed from the first run to the others, per class, with intervals.",
    "predict": "Predict new instances: calibrated probability, prediction set, whether a person should look, "
    "distance to training.",
    "estimate": "Estimate recall, precision, confusion and share of each class on data without labels, or refuse to.",
    "collect": "State what more instances of each class would gain, and list the instances of a pool to label next.",
    "gate": "Compare a run with a reference; exit with code 3 where a class got worse beyond chance or a constraint is "
    "broken.",
    "export": "Write label suspects, errors or predictions for Label Studio, CVAT, COCO readers, FiftyOne, Spotlight or "
    "Datalab.",
    "study": "Run or resume a study, and print its table: mean and standard deviation over seeds, with the paper's "
    "values.",
    "list": "List the names that can be used, and explain them.",
    "doctor": "List installed versions and what each extra adds, for example for a bug report.",
}


class Command(typer.core.TyperCommand):
    """A command with plain help; states options of imblens.toml, and shows the time left."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        usual = given(ctx)
        if usual:
            progress(f"from {FILE}: {' '.join(usual)}")
        with live():
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as plain text."""
        _write_help(self, ctx, formatter)


class Commands(typer.core.TyperGroup):
    """All commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _OnUse()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as plain text, from the table above: no command is imported."""
        _write_help(self, ctx, formatter, DONE_BY)


class _OnUse(MutableMapping[str, Any]):
    """The commands by name, each imported when it is asked for."""

    def __init__(self) -> None:
        self._imported: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._imported:
            if name not in DONE_BY:
                raise KeyError(name)
            self._imported[name] = _imported(name)
        return self._imported[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name} cannot be removed.")

    def __iter__(self) -> Iterator[str]:
        return iter({**DONE_BY, **self._imported})

    def __len__(self) -> int:
        return len({**DONE_BY, **self._imported})


def _imported(name: str) -> Any:
    module = import_module(f"imblens.cli.{'listing' if name == 'list' else name}")
    function = module.command if name in ("list", "doctor") else spread(anywhere(module.command))
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    one.command(name=name, cls=Command, epilog=module.EXAMPLES)(function)
    return typer.main.get_command(one)


def _write_help(command: Any, context: Any, formatter: Any, commands: dict[str, str] | None = None) -> None:
    """Usage, what it does, arguments, options, commands and examples, without Rich: it takes a third of the start-up time."""
    command.format_usage(context, formatter)
    command.format_help_text(context, formatter)
    params = command.get_params(context)
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""  # otherwise Typer prints <bool>, as if a value had to follow
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        records = [param.get_help_record(context) for param in params if param.param_type_name == kind]
        rows = [(name.partition(" <")[0], text) for name, text in filter(None, records)]  # no <path> after the metavar
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)
    if commands:
        with formatter.section("Commands"):
            formatter.write_dl(list(commands.items()))
    examples = [line for line in (command.epilog or "").splitlines() if line.startswith("$ ")]
    if examples:
        formatter.write("\nExamples:\n" + "".join(f"  {line}\n" for line in examples))
