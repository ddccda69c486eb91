"""imblens demo: the full workflow on synthetic images with known faults."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.base.extras import require
from imblens.cli._names import unused
from imblens.cli._shared import Force, Json, begin, emit, examples, progress, shown
from imblens.cli.treat import treat_and_save

EXAMPLES = examples("imblens demo", "imblens demo --out DIR --force")


def command(
    out: Path = typer.Option(Path("imblens-demo"), "--out", metavar="DIR", help="Folder to write to."),
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Run the full workflow on synthetic images with planted faults; under two minutes on two cores."""
    require("train", "imblens demo")
    from imblens.data import load_images
    from imblens.report import compare
    from imblens.run import Run
    from imblens.training import TrainingPlan
    from imblens.workflows import train_capture_audit

    begin(out, force=force)
    run_folder, treated_folder, comparison_folder = out / "run", out / "treated", out / "comparison"
    progress("shapes: synthetic images, imbalance 50:1, with planted faults")
    found, report = train_capture_audit(load_images("shapes"), run_folder, TrainingPlan(), progress=progress)
    run = Run.load(run_folder)
    better, table, _ = treat_and_save(run, "eos", {"random_state": 0}, treated_folder)
    compared = compare([run, better], names=["trained", "eos"], draw_map=True)
    comparison = compared.save(comparison_folder, force=True)
    commands = [
        shown("imblens", "train", "shapes", "--out", run_folder),
        shown("imblens", "audit", run_folder, "--out", run_folder / "audit"),
        shown("imblens", "treat", run_folder, "--with", "eos", "--out", treated_folder),
        shown("imblens", "compare", run_folder, treated_folder, "--out", comparison_folder),
        shown("imblens", "list", "lenses"),
    ]
    emit(
        {
            "report": report,
            "comparison": comparison,
            "verdict": [*found.verdict(), *compared.verdict()],
            "treatment": table.to_dict("records"),
            "commands": commands,
        },
        [
            *found.verdict(),
            *compared.verdict(),
            "the same workflow, command by command:",
            *(f"  {line}" for line in commands),
            f"comparison: {comparison}",
            f"report: {report}",
            f"next: {shown('imblens', 'treat', run_folder, '--with', 'best', '--out', unused(out / 'best'))}",
        ],
        as_json=as_json,
    )
