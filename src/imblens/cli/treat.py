"""imblens treat: try a treatment on the stored features, in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imblens.base.extras import require
from imblens.base.files import claim_file
from imblens.cli import _tables as tables
from imblens.cli._explain import explain, named
from imblens.cli._names import following, unused
from imblens.cli._shared import Force, Json, Out, begin, emit, examples, progress, rows, shown, step
from imblens.errors import ExistsError, ImblensWarning, InputError

if TYPE_CHECKING:
    import pandas as pd

    from imblens.run import Run

EXAMPLES = examples(
    "imblens treat RUN --with best --out RUN2",
    "imblens treat RUN --with eos --set k_neighbors=200 --out RUN2",
    "imblens treat --explain eos",
)


def command(
    source: Path = typer.Argument(..., metavar=tables.SOURCE, help="A captured run, an archive of arrays, or a table."),
    name: str = typer.Option(
        ...,
        "--with",
        metavar="NAME",
        help="Treatment; see `imblens list treatments`.",
        autocompletion=named("treatments"),
    ),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="An option of the treatment; may be repeated."
    ),
    columns: tables.TableOptions = tables.TableOptions(),
    out: Path = Out,
    model: Path | None = typer.Option(
        None, "--model", metavar="OUT.safetensors", help="Also write the whole network, with the new head."
    ),
    explain_treatment: str | None = explain("treatments"),
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Change the head of a run, and report accuracy per class before and after."""
    from imblens.treatments import parse_options

    options = parse_options(name, settings)
    run = tables.load(source, columns)
    if out.resolve() == source.resolve():
        raise ExistsError(
            f"--out {out} is the run to be treated.", hint="Choose another --out, so that the run is kept."
        )
    if model is not None:
        _check_model(model, source, force=force)
    begin(out, force=force)
    better, table, measures = treat_and_save(run, name, options, out)
    if model is not None:
        from imblens.workflows import save_treated

        save_treated(better, source, model)
    emit(
        {
            "run": out,
            **({} if model is None else {"model": model}),
            "treatment": dict(better.meta["treatment"]),
            "summary": measures.to_dict("records"),
            "classes": table.to_dict("records"),
        },
        [
            *_lines(run, better, table, measures, out),
            f"run: {out}",
            *([] if model is None else [f"network: {model}"]),
            f"next: {shown(*_next(source, out, columns.words(source), comparable=len(table) > 0))}",
        ],
        as_json=as_json,
    )


def _check_model(model: Path, source: Path, *, force: bool) -> None:
    """Refuse, before the treatment, what cannot be written."""
    require("torch", "imblens treat --model")
    if model.suffix != ".safetensors":
        raise InputError(
            f"--model {model} is not a valid name for a network.", hint="Give a name that ends in .safetensors."
        )
    if not (source / "model.safetensors").is_file():
        raise InputError(
            f"{source} holds no network that imblens trained, so --model has nothing to write.",
            hint="Put the head into your own network: imblens.Run.load(OUT).install(model).",
        )
    claim_file(model, force=force)


def treat_and_save(run: Run, name: str, options: dict[str, Any], out: Path) -> tuple[Run, pd.DataFrame, pd.DataFrame]:
    """Treat `run` and save it to `out`; return it and the tables of classes and measures before and after."""
    from imblens.treatments import treat, treatment_lines, treatment_summary, treatment_table

    with step(f"treated with {name}"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ImblensWarning)  # reported below, as lines
        better = treat(run, name, **options)
    better.save(out, force=True)
    for line in treatment_lines(better):
        progress(line)
    if run.test is not None and run.test.has_logits:
        return better, treatment_table(run, better), treatment_summary(run, better)
    import pandas as pd

    return better, pd.DataFrame(), pd.DataFrame()


def _next(source: Path, out: Path, columns: Sequence[str], *, comparable: bool) -> list[str | Path]:
    if comparable:
        return ["imblens", "compare", source, out, *columns, "--out", unused("comparison")]
    return ["imblens", "audit", out, "--out", unused(f"{out}-audit")]


_ENDS = ("_low", "high")  # last letters of interval columns


def _lines(run: Run, better: Run, table: pd.DataFrame, measures: pd.DataFrame, out: Path) -> list[str]:
    if run.test is None:
        return ["no test split: the head was changed, its effect cannot be measured."]
    if not run.test.has_logits:
        return ["the untreated run has no predictions to compare with: audit the treated one to see its accuracy."]
    from imblens.comparison import few_in_means, gains

    shown_columns = [name for name in table if not (name.startswith(("recall", "specificity")) and name[-4:] in _ENDS)]
    lines = [*rows(table[shown_columns]), *rows(measures)]
    worse = measures.set_index("measure")
    lines += [
        line for line in (gains(table, str(better.meta["treatment"]["name"])), few_in_means([run], run.classes)) if line
    ]
    if "ece" in worse.index and worse.loc["ece", "after"] > worse.loc["ece", "before"] + 0.01:
        temperature = shown("imblens", "treat", out, "--with", "temperature", "--out", following(out))
        lines.append(f"calibration worsened; to correct it, keeping predictions: {temperature}")
    return lines
