"""Comparisons that can be saved and shown: `imblens.comparison` with a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from imblens import comparison
from imblens.report._compare_page import notebook_html, save_comparison
from imblens.run import Run


class Comparison(comparison.Comparison):
    """Runs side by side, with a report; see `imblens.comparison.Comparison` for its attributes.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1, 2], [40, 20, 10])
        >>> features = rng.normal(size=(70, 4)) + 2 * np.eye(4)[labels]
        >>> run = Run.from_arrays(train=(features, labels), test=(features + 0.1, labels, features[:, :3]))
        >>> found = compare([run, run], ["first", "again"])
        >>> float(found.tables["comparison_summary"]["change"].iloc[1])
        0.0
    """

    def save(self, out: str | Path, *, force: bool = False, figures: bool = True, papers: bool = False) -> Path:
        """Write report.html, tables/ and figures/ into `out`, and return the path of the report.

        Args:
            out: folder; created when missing.
            force: overwrite the files of an earlier comparison.
            figures: whether to write figures/ (the report holds its drawings either way).
            papers: whether to write papers/: figures 84 mm wide as SVG, PDF and PNG, tables for LaTeX.

        Raises:
            ExistsError: `out` is not empty and `force` is false.
            StorageError: the disk is full or read-only.
        """
        return save_comparison(self, Path(out), force=force, figures=figures, papers=papers)

    def _repr_html_(self) -> str:
        """Show verdict, summary and static charts in a notebook, without a script."""
        return notebook_html(self)


def compare(
    runs: Sequence[Run],
    names: Sequence[str] | None = None,
    *,
    draw_map: bool = False,
    of: str | Sequence[str] = (),
) -> Comparison:
    """Compare runs as `imblens.comparison.compare` does; the result can be saved."""
    found = comparison.compare(runs, names, draw_map=draw_map, of=of)
    return Comparison(**{field.name: getattr(found, field.name) for field in fields(found)})


compare.__doc__ = comparison.compare.__doc__
