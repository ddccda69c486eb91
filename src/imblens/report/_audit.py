"""Every lens on one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.errors import MissingError, did_you_mean
from imblens.lenses import Finding, all_lenses, run_lenses
from imblens.run import Run, as_run

if TYPE_CHECKING:
    import pandas as pd

QUICK_MAP = 5_000  # instances up to which the command line draws the map without being asked for


@dataclass(frozen=True)
class Audit:
    """What the lenses found on a run, and why some could not say anything.

    Attributes:
        run: the run that was audited.
        findings: finding of each lens, in report order.
        skipped: lens -> the reason why it has nothing to say.
        of: the class of interest, or None.
        options: what was passed to lenses, by name.
        left_out: lenses that were not to run, though all others were; they are among `skipped`.
        approximate: whether the neighbours had been searched approximately before; None: they had not been searched.
    """

    run: Run = field(repr=False)
    findings: Mapping[str, Finding] = field(repr=False)
    skipped: Mapping[str, str]
    of: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    approximate: bool | None = None
    _cache: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of a lens.

        Raises:
            MissingError: no such lens, or it was skipped; the message says why.
        """
        if name in self.findings:
            return self.findings[name]
        if name in self.skipped:
            reason = self.skipped[name].removeprefix(f"{name}: ")
            raise MissingError(f"the lens {name!r} has nothing to say: {reason}")
        known = list(all_lenses())
        if name in known:
            raise MissingError(
                f"the audit did not run the lens {name!r}.", hint=f"Call audit(run, lenses=[..., {name!r}])."
            )
        raise MissingError(f"there is no lens {name!r}.", hint=did_you_mean(name, known))

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the lenses that have a finding."""
        return iter(self.findings)

    def verdict(self) -> list[str]:
        """Return the answer in a few lines: the worst class, how many need help, the next worst."""
        from imblens.report._verdict import verdict

        return verdict(self.run, self.findings, self.of)

    def instances(self) -> pd.DataFrame:
        """Return one row for each instance: its class, the answer, archetype, likeliest other class and suspicion.

        Columns id, split, class, predicted, correct, confidence, adversary, archetype, suspect_score; unknown is null.
        `save` writes them as instances.parquet.
        """
        from imblens.report._instances import instances

        return instances(self)

    def save(self, out: str | Path, *, force: bool = False, figures: bool = True, papers: bool = False) -> Path:
        """Write report.html, findings.json, instances.parquet, tables/ and figures/ into `out`; return the report's path.

        The same run gives the same bytes (PDF aside): no clock and no random name goes in. Every file is written whole
        or not at all, the report last.

        Args:
            out: folder; made when missing.
            force: overwrite what an earlier audit left there.
            figures: whether to write figures/ (the report holds its drawings either way).
            papers: whether to write papers/: figures 84 mm wide as SVG, PDF and PNG, tables for LaTeX.

        Raises:
            ExistsError: `out` holds something and `force` is false.
            StorageError: the disk is full or read-only.
        """
        from imblens.report._save import save_audit

        return save_audit(self, Path(out), force=force, figures=figures, papers=papers)

    def _repr_html_(self) -> str:
        """Show verdict, lines, tables and static charts in a notebook, without a script."""
        from imblens.report._notebook import notebook_html

        return notebook_html(self)


def audit(
    run: Run,
    *,
    lenses: str | Sequence[str] | None = None,
    of: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    on_step: Callable[[str], None] | None = None,
    skip: str | Sequence[str] | Mapping[str, str] = (),
    engine: str = "local",
) -> Audit:
    """Run the lenses on a run, and keep the reason where one cannot say anything.

    Args:
        run: what a network made of a data set.
        lenses: names, or one name; all that are installed when None.
        of: name of a class of interest, which the report then leads with.
        options: keyword arguments by lens, for example {"archetypes": {"k": 10}}.
        on_step: called with the name of each lens before it runs.
        skip: names to leave out, or names with the reason; they are listed as skipped.
        engine: "local", or "ray" to compute statistics over the parts of a run as tasks of a Ray cluster.

    Returns:
        The findings in report order. A lens that does not apply to this run is in `skipped` with its reason. A lens of
        another package that fails is there too, with its error; a failure of a built-in lens is raised.

    Raises:
        MissingError: no such lens or class; the hint names the nearest.
        InputError: `run` is no run, or an option that a lens does not have.
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
    findings, skipped = run_lenses(run, lenses, options, skip, on_step, engine)
    given = {name: dict(values) for name, values in (options or {}).items()}
    left_out = (skip,) if isinstance(skip, str) else tuple(skip)
    return Audit(run, findings, skipped, of, given, left_out, approximate)
