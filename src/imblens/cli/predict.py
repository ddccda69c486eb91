"""imblens predict: decisions about new instances."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.cli._shared import Json, emit, examples, progress, shown, step

EXAMPLES = examples(
    "imblens predict RUN ARRAYS.npz --out predictions.parquet",
    "imblens predict RUN RUN2 --sets class --coverage 0.95 --abstain 0.1 --out predictions.csv",
)


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
    coverage: float = typer.Option(0.9, "--coverage", metavar="SHARE", help="Chance that a set has the true class."),
    abstain: float | None = typer.Option(
        None,
        "--abstain",
        metavar="SHARE",
        help="Share of instances to send to a person; by default those whose set has not exactly one class.",
    ),
    choose_on: str = typer.Option(
        "val", "--choose-on", metavar="val|test", help="Split on which the rules are chosen; its accuracy is used up."
    ),
    save: Path | None = typer.Option(None, "--save", metavar="RULES.safetensors", help="Also write the rules."),
    force: bool = typer.Option(False, "--force", help="Overwrite the files."),
    as_json: bool = Json,
) -> None:
    """Predict new instances: calibrated probability, prediction set, whether a person should look, distance to training."""
    from imblens.base.files import claim_file
    from imblens.decisions import Decision, read_unlabelled, write_decisions
    from imblens.workflows import images_of_run

    chosen = {"sets": sets, "coverage": coverage, "abstain": abstain, "choose_on": choose_on}
    usual = {"sets": "class", "coverage": 0.9, "abstain": None, "choose_on": "val"}
    stored = source.suffix == ".safetensors"
    rules = Decision.load(source, **({key: v for key, v in chosen.items() if v != usual[key]} if stored else chosen))
    if save is not None:
        claim_file(save, force=force)
    arrays = data.suffix in (".npz", ".npy") or (data / "run.json").exists() or not data.exists()
    found = read_unlabelled(data) if arrays else images_of_run(source, data, progress=progress)
    with step(f"predicted {len(found.ids):,} instances"):
        write_decisions(rules, found, out, force=force)
    if save is not None:
        rules.save(save, force=True)
    again = save if save is not None else source
    emit(
        {"predictions": out, "instances": len(found.ids), "notes": list(rules.notes)},
        [
            *rules.notes,
            f"calibration: temperature {rules.calibration.temperature:.2f}, and a bias for each class.",
            *([f"rules: {save}"] if save is not None else []),
            f"predictions: {out}",
            f"next: {shown('imblens', 'predict', again, 'MORE.npz', '--out', 'more.parquet')}",
        ],
        as_json=as_json,
    )
