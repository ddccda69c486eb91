"""imblens predict: decisions about new instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imblens.base.files import claim_file
from imblens.cli._names import unused
from imblens.cli._shared import Json, emit, examples, progress, rows, shown, step
from imblens.errors import InputError

if TYPE_CHECKING:
    from imblens.decisions import Decision
    from imblens.run import Run

EXAMPLES = examples(
    "imblens predict RUN ARRAYS.npz --out predictions.parquet",
    "imblens predict RUN RUN2 --sets class --coverage 0.95 --abstain 0.1 --out predictions.csv",
    "imblens predict RUN NEW.npz --thresholds f1 --save rules.safetensors --out predictions.parquet",
)
SHOWN = [
    "class",
    "share",
    "count",
    "recall",
    "recall_low",
    "recall_high",
    "specificity",
    "specificity_low",
    "specificity_high",
    "precision",
    "precision_low",
    "precision_high",
    "abstain",
]

USUAL = {"sets": "class", "coverage": 0.9, "abstain": None, "choose_on": "val"}


def command(
    source: Path = typer.Argument(
        ..., metavar="RUN|RULES.safetensors", help="A run with a validation split, or rules that --save wrote."
    ),
    data: Path = typer.Argument(
        ...,
        metavar="DATA|ARRAYS.npz",
        help="features (n, D) or logits (n, C), and ids, in an .npz; features in an .npy; the test split of another run; "
        "or images, where imblens trained the network.",
    ),
    out: Path = typer.Option(..., "--out", metavar="FILE.parquet|FILE.csv", help="File to write."),
    sets: str = typer.Option(
        "class", "--sets", metavar="class|marginal|prevalence|interpolated", help="Kind of prediction set."
    ),
    coverage: float = typer.Option(
        0.9, "--coverage", metavar="SHARE", help="Probability that a set has the true class."
    ),
    abstain: float | None = typer.Option(
        None,
        "--abstain",
        metavar="SHARE",
        help="Share of instances to send to a person; by default those whose set is not the predicted class alone.",
    ),
    prior: str | None = typer.Option(
        None,
        "--prior",
        metavar="equal|training|estimated|FILE",
        help="Class shares at deployment: a CSV with columns class, share; or `estimated`, from DATA by EM.",
    ),
    costs: Path | None = typer.Option(
        None,
        "--costs",
        metavar="FILE.csv",
        help="Cost of each error: a row per true class, a column per predicted class.",
    ),
    min_recall: list[str] = typer.Option(
        [],
        "--min-recall",
        metavar="CLASS=SHARE",
        help="Recall of a class to guarantee with 95% confidence; may be repeated.",
    ),
    thresholds: str | None = typer.Option(
        None,
        "--thresholds",
        metavar="f1|balanced",
        help="Multi-label: a threshold for each label in place of 0.5, of the largest F1, or mean of sensitivity and "
        "specificity, on the validation split.",
    ),
    choose_on: str = typer.Option(
        "val",
        "--choose-on",
        metavar="val|test",
        help="Split on which the rules are chosen; accuracy on it is then optimistic.",
    ),
    model: Path | None = typer.Option(
        None, "--model", metavar="FILE.safetensors", help="The network of a treated run, as `treat --model` wrote it."
    ),
    save: Path | None = typer.Option(None, "--save", metavar="RULES.safetensors", help="Also write the rules."),
    force: bool = typer.Option(False, "--force", help="Overwrite the files."),
    as_json: bool = Json,
) -> None:
    """Predict new instances: calibrated probability, prediction set, whether a person should look, distance to training."""
    from imblens.decisions import (
        SUFFIXES,
        Decision,
        estimated_shares,
        parts_folder,
        write_decisions,
    )
    from imblens.run import Run
    from imblens.workflows import new_instances

    chosen: dict[str, Any] = {"sets": sets, "coverage": coverage, "abstain": abstain, "choose_on": choose_on}
    stated = prior is not None or costs is not None or bool(min_recall) or thresholds is not None
    if source.suffix != ".safetensors":
        run = Run.load(source)
        rules = _fitted(run, chosen, prior, costs, min_recall, thresholds)
    elif stated:
        raise InputError(
            f"{source} contains rules that are already chosen.", hint="Leave out the options, or give the run."
        )
    else:
        run = None
        rules = Decision.load(source, **{key: value for key, value in chosen.items() if value != USUAL[key]})
    if out.suffix not in SUFFIXES:
        raise InputError(f"{out} is neither .parquet nor .csv.", hint="For example: --out predictions.parquet")
    claim_file(out, force=force)
    if save is not None:
        if save.suffix != ".safetensors":
            raise InputError(
                f"--save {save} is not a valid name for a decision.", hint="Give a name that ends in .safetensors."
            )
        claim_file(save, force=force)
    found = new_instances(source, data, model=model, progress=progress, kept=parts_folder(out))
    if prior == "estimated" and run is not None:
        shares, notes = estimated_shares(run, found, choose_on=choose_on)
        rules = rules.with_shares(shares)
        rules = replace(rules, notes=(*rules.notes, *notes))
    expected = rules.expected(run, choose_on=choose_on) if run is not None and stated else None
    with step(f"predicted {len(found.ids):,} instances"):
        write_decisions(rules, found, out, force=force)
    if save is not None:
        rules.save(save, force=True)
    emit(
        {
            "predictions": out,
            "instances": len(found.ids),
            "notes": list(rules.notes),
            "expected": None if expected is None else expected.to_dict("records"),
        },
        [
            *(
                []
                if expected is None
                else [
                    *rows(expected[[name for name in SHOWN if name in expected]]),
                    "expected with these rules, measured on the same split.",
                ]
            ),
            *rules.notes,
            f"calibration: temperature {rules.calibration.temperature:.2f}, and a bias for each class.",
            *([f"rules: {save}"] if save is not None else []),
            f"predictions: {out}",
            f"next: {_next(source, save, thresholds)}",
        ],
        as_json=as_json,
    )


def _next(source: Path, save: Path | None, thresholds: str | None) -> str:
    """Measure chosen thresholds on the test split, or predict more."""
    if thresholds is not None and save is not None:
        return shown("imblens", "audit", source, "--deploy", save, "--out", unused("audit"))
    return shown("imblens", "predict", save or source, "MORE.npz", "--out", unused("more.parquet"))


def _fitted(
    run: Run,
    chosen: Mapping[str, Any],
    prior: str | None,
    costs: Path | None,
    min_recall: list[str],
    thresholds: str | None,
) -> Decision:
    """Rules that are chosen on a run; shares of the new data are estimated later."""
    from imblens.decisions import Decision, constraints_of, read_costs, read_prior

    if prior == "estimated" and (min_recall or thresholds):
        option = "--min-recall" if min_recall else "--thresholds"
        raise InputError(f"--prior estimated and {option} exclude each other.", hint="Give the shares as a file.")
    return Decision.fit(
        run,
        **chosen,
        prior=None if prior in (None, "estimated") else dict(zip(run.classes, read_prior(run, prior), strict=True)),
        costs=None if costs is None else read_costs(run, costs),
        min_recall=constraints_of(min_recall),
        thresholds=thresholds,
    )
