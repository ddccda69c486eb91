"""Every lens on one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.base.arguments import a_function, a_path, a_text, checked, either, flag, mapping, mappings, some_texts
from imblens.base.remote import written
from imblens.errors import MissingError, did_you_mean
from imblens.lenses import Finding, run_lenses
from imblens.report._data import AuditFields
from imblens.run import Run, as_run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Audit(AuditFields):
    """An audit that can be read, shown and saved.

    Attributes:
        run: the run that was audited.
        findings: finding of each lens, in report order.
        skipped: lens -> the reason why it has no finding.
        of: the class of interest, or None.
        options: options passed to lenses, by name of the lens.
        left_out: lenses that were left out on request; they are among `skipped`.
        approximate: whether the neighbours had been searched approximately before the audit; None: not searched.
        deployment: results of `imblens.decisions` to be shown before deployment, as `read_section` returns them.

    Example:
        >>> import numpy as np
        >>> from imblens.run import Run
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1, 2], [40, 20, 10])
        >>> features = rng.normal(size=(70, 4)) + 2 * np.eye(4)[labels]
        >>> run = Run.from_arrays(train=(features, labels), test=(features + 0.1, labels, features[:, :3]))
        >>> found = audit(run, lenses=["class_accuracy", "archetypes"])
        >>> list(found.findings), found["class_accuracy"].tables["class_accuracy"]["train_count"].tolist()
        (['class_accuracy', 'archetypes'], [40, 20, 10])
        >>> print(found)
        0 is classified correctly 88% [74, 95] of the time...
    """

    def __str__(self) -> str:
        """Return the verdict and why lenses were skipped, as the command line prints them."""
        return "\n".join([*self.verdict(), *(f"skipped {reason}" for reason in self.skipped.values())])

    def verdict(self) -> list[str]:
        """Return the main results in a few lines: the worst class, its cause, how many classes need help, the next worst."""
        from imblens.report._summary import verdict

        return verdict(self)

    def instances(self) -> pd.DataFrame:
        """Return one row per instance: class, prediction, confidence, most likely other class, archetype, suspicion.

        Columns id, split, class, predicted, correct, confidence, adversary, archetype, suspect_score; unknown is null.
        `save` writes them as instances.parquet.
        """
        from imblens.report._instances import instances

        return instances(self)

    @checked(out=a_path(), force=flag(), figures=flag(), papers=flag(), gallery=either(flag(), a_function()))
    def save(
        self,
        out: str | Path,
        *,
        force: bool = False,
        figures: bool = True,
        papers: bool = False,
        gallery: bool | Callable[[str, str], Any] = False,
    ) -> Path:
        """Write report.html, findings.json, instances.parquet, tables/ and figures/ into `out`; return the report's path.

        With a class of interest (`of`), class.html is a short page about that class alone: its sentence, its errors beside
        their nearest training instances, and its numbers.

        The same run gives the same bytes (PDF files excepted): no clock time and no random name is written. Every file is
        written completely or not at all, the report last.

        Args:
            out: folder; created when missing.
            force: overwrite an earlier audit in this folder.
            figures: whether to write figures/ (the report holds its drawings either way).
            papers: whether to write papers/: figures 84 mm wide as SVG, PDF and PNG, tables for LaTeX.
            gallery: whether to write gallery/: the listed errors, a page for each class, beside their nearest training
                instances. True shows the stored thumbnails; a function (split, id) that returns an image, uint8
                (H, W, 3) or (H, W), or None, shows those at their native size.

        Raises:
            ExistsError: `out` holds files and `force` is false.
            StorageError: the disk is full or read-only.
        """
        from imblens.report._save import save_audit

        with written(out, force=force) as place:
            report = save_audit(self, place, force=force, figures=figures, papers=papers, gallery=gallery)
        return Path(out) / report.name

    def _repr_html_(self) -> str:
        """Show verdict, lines, tables and static charts in a notebook, without a script."""
        from imblens.report._notebook import notebook_html

        return notebook_html(self)


@checked(
    lenses=some_texts("names of lenses", optional=True),
    of=a_text(optional=True),
    options=mapping("options by lens", optional=True),
    on_step=a_function(optional=True),
    on_finding=a_function(optional=True),
    skip=either(some_texts("names of lenses"), mapping("names to reasons")),
    deployment=mappings("a list of sections, as `.section()` returns them"),
    engine=a_text(),
    address=a_text(optional=True),
)
def audit(
    run: Run,
    *,
    lenses: str | Sequence[str] | None = None,
    of: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    on_step: Callable[[str], None] | None = None,
    on_finding: Callable[[str, Finding], None] | None = None,
    skip: str | Sequence[str] | Mapping[str, str] = (),
    engine: str = "local",
    address: str | None = None,
    deployment: Sequence[Mapping[str, Any]] = (),
) -> Audit:
    """Run the lenses on a run, and keep the reason where one is skipped.

    Args:
        run: a captured run.
        lenses: names, or one name; all installed lenses when None.
        of: a class of interest; the report states its results first.
        options: keyword arguments by lens, for example {"archetypes": {"k": 10}}.
        on_step: called with the name of each lens before it runs.
        on_finding: called with the name of each lens that ran and its finding.
        skip: names to leave out, or name -> reason; they are listed as skipped.
        engine: "local", or "ray" to compute the statistics of the parts of a run as tasks on a Ray cluster.
        address: of that cluster; None: that of RAY_ADDRESS, or one that is started here.
        deployment: results for the section "Before you deploy": `.section()` of what `imblens.estimate`, `collect` and
            `gate` return, or `imblens.decisions.read_section(run, path)`.

    Returns:
        The findings in report order. A lens that does not apply to this run is in `skipped` with its reason, and so is a
        failing lens of another package with its error; an error of a built-in lens is raised.

    Raises:
        MissingError: no such lens or class; the hint names the most similar.
        InputError: `run` is not a Run, or a lens does not have an option.
        DependencyError: the engine is not installed.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> features = rng.normal(size=(60, 4))
        >>> labels = np.repeat([0, 1], [50, 10])
        >>> found = audit(Run.from_arrays(train=(features, labels)), lenses=["class_accuracy"])
        >>> found.skipped["class_accuracy"]
        'class_accuracy: the run has no test split.'
    """
    run = as_run(run, "audit")
    if of is not None and of not in run.classes:
        raise MissingError(f"no class {of!r} in this run.", hint=did_you_mean(of, run.classes))
    searched = run.searched
    approximate = None if searched is None else not searched.exact
    findings, skipped = run_lenses(run, lenses, options, skip, on_step, engine, address, on_finding)
    given = {name: dict(values) for name, values in (options or {}).items()}
    left_out = (skip,) if isinstance(skip, str) else tuple(skip)
    return Audit(run, findings, skipped, of, given, left_out, approximate, tuple(deployment))
