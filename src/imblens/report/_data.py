"""What an audit holds: the run, the findings of its lenses, and why others were skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imblens.errors import MissingError, did_you_mean
from imblens.lenses import Finding, all_lenses
from imblens.run import Run

QUICK_MAP = 5_000  # instances up to which the command line computes the embedding map by default


@dataclass(frozen=True)
class AuditFields:
    """The fields of an `Audit`, which describes them: a base of its own, for the modules that `Audit` imports."""

    run: Run = field(repr=False)
    findings: Mapping[str, Finding] = field(repr=False)
    skipped: Mapping[str, str]
    of: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    approximate: bool | None = None
    deployment: tuple[Mapping[str, Any], ...] = ()

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of a lens.

        Raises:
            MissingError: no such lens, or it was skipped; the message gives the reason.
        """
        if name in self.findings:
            return self.findings[name]
        if name in self.skipped:
            reason = self.skipped[name].removeprefix(f"{name}: ")
            raise MissingError(f"the lens {name!r} was skipped: {reason}")
        known = list(all_lenses())
        if name in known:
            raise MissingError(
                f"the audit did not run the lens {name!r}.", hint=f"Call audit(run, lenses=[..., {name!r}])."
            )
        raise MissingError(f"there is no lens {name!r}.", hint=did_you_mean(name, known))

    def __iter__(self) -> Iterator[str]:
        return iter(self.findings)


class Lines:
    """The lines of findings, each lens's written once."""

    def __init__(self, findings: Mapping[str, Finding]) -> None:
        self.findings = findings
        self._written: dict[str, dict[str, str]] = {}

    def of(self, name: str) -> dict[str, str]:
        """Return class -> line of a lens; empty where it has no finding."""
        if name not in self.findings:
            return {}
        if name not in self._written:
            self._written[name] = self.findings[name].lines()
        return self._written[name]
