"""A row of the table of targets."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = "| what | target | measured; of rounds the median | spread | |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """What was measured beside its target.

    Attributes:
        what: and on which data.
        target: as text.
        measured: the value, the median of several rounds; where nothing was measured, what to do.
        spread: of the value over rounds, networks or classes; a dash of a single one.
        met: None where nothing was measured.
    """

    what: str
    target: str
    measured: str
    spread: str = "–"
    met: bool | None = None

    def __str__(self) -> str:
        """The row of a Markdown table."""
        verdict = {True: "met", False: "missed", None: "not measured"}[self.met]
        return f"| {self.what} | {self.target} | {self.measured} | {self.spread} | {verdict} |"


def ends(values: list[float], digits: int) -> str:
    """The smallest and the largest of several values; a dash of one.

    >>> ends([0.25, 0.5], 2), ends([1.0], 2)
    ('0.25 to 0.50', '–')
    """
    return "–" if len(values) < 2 else f"{min(values):.{digits}f} to {max(values):.{digits}f}"
