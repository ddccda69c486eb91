"""What a lens is: one function `Run -> Finding`, and what it declares about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from imblens.errors import NotApplicable
from imblens.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finding(ABC):
    """Frozen evidence of one lens.

    Attributes:
        tables: tidy frames by name; columns as the lens's page documents them.
        summary: plain JSON values; None where a value is undefined.
        notes: explained gaps and choices, one sentence each, shown under the charts.
    """

    lens: ClassVar[str]
    tables: Mapping[str, pd.DataFrame]
    summary: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def lines(self) -> dict[str, str]:
        """One plain-English line per notable class, by class name; worst first. "" holds a line on all classes."""

    @abstractmethod
    def charts(self) -> dict[str, Any]:
        """Altair charts by name, the telling one first. No chart computes: it draws `tables`."""

    def sentence(self) -> str:
        """Return the lines of this finding as text."""
        return "\n".join(self.lines().values())

    def _repr_html_(self) -> str:
        """Show the lines and the first chart in a notebook."""
        from html import escape

        text = "".join(f"<p>{escape(line)}</p>" for line in self.lines().values())
        tables = "".join(
            f"<details><summary>{escape(name)}</summary>"
            f"{table.to_html(escape=True, max_rows=20, index=False)}</details>"
            for name, table in self.tables.items()
        )
        return text + tables


LensFunction = TypeVar("LensFunction", bound=Callable[..., Finding])


@dataclass(frozen=True)
class LensInfo:
    """What a lens says of itself: its name, the user's question it answers and what a run must have for it."""

    name: str
    question: str
    needs: tuple[str, ...]


_REASONS: dict[str, tuple[Callable[[Run], bool], str]] = {
    "test": (lambda run: run.test is not None, "the run has no test split"),
    "logits": (
        lambda run: run.train.has_logits,
        "the run has neither logits nor a head, so the answers are unknown",
    ),
    "test_logits": (
        lambda run: run.test is None or run.test.has_logits,
        "the test split has neither logits nor a head, so the answers are unknown",
    ),
    "head": (
        lambda run: run.head is not None,
        "the run has no head (weight and bias of the last linear layer)",
    ),
    "multiclass": (
        lambda run: run.task == "multiclass",
        "it compares one answer per instance, and this run has several labels per instance",
    ),
    "multilabel": (lambda run: run.task == "multilabel", "it is for runs with several labels per instance"),
}


def lens(question: str, *, needs: Iterable[str] = ()) -> Callable[[LensFunction], LensFunction]:
    """Declare a lens: the question it answers and what it needs of a run.

    Args:
        question: the user's question, one line.
        needs: of "test", "logits", "test_logits", "head", "multiclass", "multilabel", or "train:COLUMN" /
            "test:COLUMN" for a per-instance column that capture may have stored. Checked before the function runs;
            what is missing raises `NotApplicable` with the reason, which an audit records as skipped.

    A finding is remembered with its run, so that a lens which reads other lenses costs nothing twice.
    """
    required = tuple(needs)

    def declare(function: LensFunction) -> LensFunction:
        name = function.__name__

        @wraps(function)
        def checked(run: Run, **options: Any) -> Finding:
            for need in required:
                _demand(run, need, name)
            return run.remember((name, repr(sorted(options.items()))), lambda: function(run, **options))

        checked.info = LensInfo(name, question, required)  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return declare


def lens_info(function: Callable[..., Finding]) -> LensInfo:
    """Return what a lens says of itself; a plain third-party function needs nothing."""
    found = getattr(function, "info", None)
    if isinstance(found, LensInfo):
        return found
    doc = (function.__doc__ or "").strip().split("\n")[0]
    return LensInfo(function.__name__, doc, ())


def _demand(run: Run, need: str, name: str) -> None:
    if ":" in need:
        split_name, column = need.split(":")
        split = run.splits.get(split_name)
        if split is None:
            raise NotApplicable(f"{name}: the run has no {split_name} split.")
        if column not in split.columns:
            captured = run.meta.get(name)  # what capture says of the columns it gathered for this lens
            if isinstance(captured, Mapping) and "skipped" in captured:
                raise NotApplicable(f"{name}: {captured['skipped']}")
            raise NotApplicable(f"{name}: the run holds no {column.replace('_', ' ')} (capture it from the network).")
        return
    holds, reason = _REASONS[need]
    if not holds(run):
        raise NotApplicable(f"{name}: {reason}.")
