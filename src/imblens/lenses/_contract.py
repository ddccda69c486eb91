"""What a lens is: one function `Run -> Finding` and what it declares about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from html import escape
from importlib import import_module
from inspect import getfile, signature, unwrap
from pathlib import Path
from typing import Any, Literal, ParamSpec

import pandas as pd

from imblens.errors import NotApplicable
from imblens.run import Run, as_run

LAST = 1000  # order of a lens that declares none: after the built-in ones
Lines = Callable[["Finding"], dict[str, str]]
Charts = Callable[["Finding"], dict[str, Any]]
Options = ParamSpec("Options")


@dataclass(frozen=True)
class Measure:
    """A column of a finding's table that holds one number per class.

    Comparison, class table, `watch`, command line and report read these declarations and name no lens.

    Attributes:
        table: name of the table; it has a column `class`.
        column: name of the column. Where the table also has COLUMN_low and COLUMN_high, these are its 95% interval.
        title: what is measured, in a few words: "AUROC".
        better: "higher" or "lower"; None where neither end is better in itself.
        name: key in comparison tables and logs; by default the column's name.
        rows: (column, value) of the rows that count, for tables with several rows per class; None: all.
        after: column that counts instead where the table holds one: the measure with what a treatment added.

    Example:
        >>> measure = Measure(table="weight_norms", column="norm", title="norm of the weights", better=None)
        >>> measure.column
        'norm'
    """

    table: str
    column: str
    title: str
    better: Literal["higher", "lower"] | None = None
    name: str = ""
    rows: tuple[str, str] | None = None
    after: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.column)


@dataclass(frozen=True)
class LensInfo:
    """What a lens declares.

    Attributes:
        name: of the lens.
        question: the user's question; the title of its section in a report.
        needs: what a run must have; see `lens`.
        measures: its class measures.
        order: place in a report, from broad (small) to narrow.
        lines: finding -> one sentence per notable class, by class name.
        charts: finding -> Altair charts by name.
        page: its explanation in Markdown, or None.
        pairs: its tables with a row for each pair of classes, or of class and feature, each with the column whose largest
            values matter most.
        neighbours: the nearest neighbours of each training instance that it uses by default; 0: none.
        built_in: whether it comes with imblens.

    Example:
        >>> from imblens.lenses import archetypes, lens_info
        >>> lens_info(archetypes).name, lens_info(archetypes).built_in
        ('archetypes', True)
    """

    name: str
    question: str = ""
    needs: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()
    order: int = LAST
    lines: Lines | None = field(default=None, repr=False)
    charts: Charts | None = field(default=None, repr=False)
    page: Path | None = None
    pairs: Mapping[str, str] = field(default_factory=dict)
    neighbours: int = 0
    built_in: bool = False


def _copied(value: Any) -> Any:
    """A copy of tables or of a summary that shares nothing which can be changed."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if hasattr(value, "copy") and hasattr(value, "columns"):
        return value.copy(deep=int(pd.__version__.split(".")[0]) < 3)  # from pandas 3 on, copies are made on writing
    return value


class _Copied:
    """A field of a dataclass that is copied when it is set and when it is read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, finding: Any, owner: type) -> Any:
        if finding is None:  # asked by `dataclass` for a default
            raise AttributeError(self.name)
        return _copied(vars(finding)[self.name])

    def __set__(self, finding: Any, value: Any) -> None:
        vars(finding)[self.name] = _copied(value)


def _copied_field() -> Any:
    return _Copied()


@dataclass(frozen=True, eq=False)
class Finding:
    """Frozen evidence of one lens. Reading `tables` or `summary` gives a copy: changing it changes nothing else.

    Attributes:
        tables: tidy frames by name; columns as the lens's page documents them.
        summary: plain JSON values; None where a value is undefined.
        notes: explained gaps and choices, one sentence each, shown under the charts.
        info: what the lens declares; the decorator `lens` fills it in.

    Example:
        >>> import numpy as np
        >>> from imblens.lenses import weight_norms
        >>> from imblens.run import Run
        >>> run = Run.from_arrays(train=(np.eye(2), [0, 1]), head=([[3, 4], [0, 1]], [0, 0]))
        >>> weight_norms(run).tables["weight_norms"]["norm"].tolist()
        [5.0, 1.0]
    """

    tables: Mapping[str, pd.DataFrame] = _copied_field()
    summary: Mapping[str, Any] = _copied_field()
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    info: LensInfo = field(default=LensInfo(""), kw_only=True, repr=False)

    @property
    def lens(self) -> str:
        """Name of the lens.

        Example:
            >>> import numpy as np, pandas as pd
            >>> from imblens.run import Run
            >>> @lens("How large are the features of each class?", lines=lambda found: {"": "all means are known"})
            ... def mean_feature(run):
            ...     means = [run.train.features[run.train.labels == c].mean() for c in range(run.n_classes)]
            ...     return Finding({"mean_feature": pd.DataFrame({"class": run.classes, "mean": means})}, {})
            >>> run = Run.from_arrays(train=(np.eye(2)[[0, 0, 1]], [0, 0, 1]), classes=["cat", "dog"])
            >>> mean_feature(run).tables["mean_feature"]["mean"].tolist()
            [0.5, 0.5]
        """
        return self.info.name

    def lines(self) -> dict[str, str]:
        """One plain-English line per notable class, by class name; worst first. "" holds a line on all classes."""
        return {} if self.info.lines is None else self.info.lines(self)

    def charts(self) -> dict[str, Any]:
        """Altair charts by name, the most informative first. No chart computes: it draws `tables`."""
        if self.info.charts is None:
            return {}
        if not self.info.built_in:
            return self.info.charts(self)
        from altair.utils import schemapi  # type: ignore[import-untyped, unused-ignore]

        with schemapi.debug_mode(
            False
        ):  # our charts are tested: every part checked against the schema takes a third longer
            return self.info.charts(self)

    def sentence(self) -> str:
        """Return the lines of this finding as text."""
        return "\n".join(self.lines().values())

    def _repr_html_(self) -> str:
        """Show lines and tables in a notebook."""
        text = "".join(f"<p>{escape(line)}</p>" for line in self.lines().values())
        tables = "".join(
            f"<details><summary>{escape(name)}</summary>"
            f"{table.to_html(escape=True, max_rows=20, index=False)}</details>"
            for name, table in self.tables.items()
        )
        return text + tables


_REASONS: dict[str, tuple[Callable[[Run], bool], str]] = {
    "test": (lambda run: run.test is not None, "the run has no test split"),
    "logits": (
        lambda run: run.train.has_logits,
        "the run has neither logits nor a head, so predictions are unknown",
    ),
    "test_logits": (
        lambda run: run.test is None or run.test.has_logits,
        "the test split has neither logits nor a head, so predictions are unknown",
    ),
    "head": (
        lambda run: run.head is not None,
        "the run has no head (weight and bias of the last linear layer)",
    ),
    "multiclass": (lambda run: run.task == "multiclass", "it is for single-label runs, and this run is multi-label"),
    "multilabel": (lambda run: run.task == "multilabel", "it is for multi-label runs"),
}


def lens(
    question: str,
    *,
    order: int = LAST,
    needs: Iterable[str] = (),
    measures: Iterable[Measure] = (),
    lines: Lines | None = None,
    charts: Charts | None = None,
    page: str | Path | None = None,
    pairs: Mapping[str, str] | None = None,
    neighbours: int = 0,
) -> Callable[[Callable[Options, Finding]], Callable[Options, Finding]]:
    """Declare a lens: a function from a run (and options) to a `Finding`, named as the lens is.

    A finding is stored with its run under the lens and all its options, defaults included, so that the same call is
    computed once.

    Args:
        question: the user's question, one line.
        order: place in a report, from broad (small) to narrow.
        needs: of "test", "logits", "test_logits", "head", "multiclass", "multilabel", or "train:COLUMN" /
            "test:COLUMN" for a per-instance column that capture may have stored. Checked before the function runs;
            what is missing raises `NotApplicable` with the reason, which an audit records as skipped.
        measures: columns of its tables that hold one number per class.
        lines: finding -> one sentence per notable class, by class name, worst first; "" holds one on all classes. By
            default the function `lines` of `text.py` beside `measure.py`, where the lens is such a folder.
        charts: finding -> Altair charts by name, the most informative first; by default `charts` of `chart.py`.
        page: file that explains the lens in Markdown, with the headings `HEADINGS`; by default `page.md` beside the
            function's module, where there is one.
        pairs: table -> column: tables with a row for each pair of classes, or of class and feature. With many classes
            they are written as Parquet, and the rows with the largest values of the column as CSV.
        neighbours: how many `run.neighbours` it uses by default: several lenses then share one search.

    Example:
        >>> import numpy as np, pandas as pd
        >>> from imblens.lenses import Measure
        >>> @lens("How long are the features of each class?", measures=[Measure("lengths", "length", "length", better=None)])
        ... def lengths(run):
        ...     length = np.linalg.norm(run.train.features, axis=1)
        ...     means = [length[run.train.labels == c].mean() for c in range(run.n_classes)]
        ...     return Finding({"lengths": pd.DataFrame({"class": run.classes, "length": means})}, {"longest": max(means)})
        >>> run = Run.from_arrays(train=([[3, 4], [0, 1]], [0, 1]), classes=["cat", "dog"])
        >>> lengths(run).tables["lengths"]["length"].tolist(), lengths(run).lens
        ([5.0, 1.0], 'lengths')
    """
    declared = LensInfo(
        "", question, tuple(needs), tuple(measures), order, pairs=dict(pairs or {}), neighbours=neighbours
    )

    def declare(function: Callable[Options, Finding]) -> Callable[Options, Finding]:
        here = Path(getfile(unwrap(function))).parent
        own = here / "page.md" if page is None else Path(page)
        info = replace(
            declared,
            name=function.__name__,
            lines=lines or _beside(here, function.__module__, "text", "lines"),
            charts=charts or _beside(here, function.__module__, "chart", "charts"),
            page=own if own.is_file() else None,
            built_in=function.__module__.startswith("imblens.lenses."),
        )
        parameters = signature(function)

        @wraps(function)
        def checked(*args: Options.args, **options: Options.kwargs) -> Finding:
            bound = parameters.bind(*args, **options)
            bound.apply_defaults()
            given, *values = bound.arguments.values()
            run = as_run(given, f"lenses.{info.name}")
            for need in info.needs:
                _demand(run, need, info.name)
            key = (function.__module__, info.name, *map(_hashable, values))

            def compute() -> Finding:
                found: object = function(*args, **options)
                if not isinstance(found, Finding):
                    raise TypeError(f"the lens {info.name!r} returned {type(found).__name__}, not a Finding")
                return replace(found, info=info)

            return run.remember(key, compute)

        checked.info = info  # type: ignore[attr-defined]
        return checked

    return declare


def _beside(folder: Path, module: str, file: str, name: str) -> Callable[[Finding], dict[str, Any]] | None:
    """A function of another file in the folder of a lens, which is imported when it is used; None where there is none."""
    package, _, own = module.rpartition(".")
    return (
        partial(_found, f"{package}.{file}", name) if own == "measure" and (folder / f"{file}.py").is_file() else None
    )


def _found(module: str, name: str, finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = getattr(import_module(module), name)(finding)
    return found


def lens_info(function: Callable[..., Finding]) -> LensInfo:
    """Return what a lens declares.

    Raises:
        TypeError: `function` is not a lens: it is not decorated with `lens`.

    Example:
        >>> from imblens.lenses import archetypes
        >>> lens_info(archetypes).name
        'archetypes'
    """
    info = getattr(function, "info", None)
    if not isinstance(info, LensInfo):
        raise TypeError(f"{function!r} is not a lens: decorate it with imblens.lenses.lens.")
    return info


def _hashable(value: Any) -> Any:
    """Something hashable that is equal where two options are equal."""
    if isinstance(value, Mapping):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    if hasattr(value, "tobytes"):
        return str(value.dtype), value.shape, value.tobytes()
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def meets_needs(run: Run, info: LensInfo) -> bool:
    """Whether a run has what a lens needs."""
    try:
        for need in info.needs:
            _demand(run, need, info.name)
    except NotApplicable:
        return False
    return True


def _demand(run: Run, need: str, name: str) -> None:
    if ":" in need:
        split_name, column = need.split(":")
        split = run.splits.get(split_name)
        if split is None:
            raise NotApplicable(f"{name}: the run has no {split_name} split.")
        if column not in split.columns:
            captured = run.meta.get(name)  # what capture noted on the columns it gathered for this lens
            if isinstance(captured, Mapping) and "skipped" in captured:
                raise NotApplicable(f"{name}: {captured['skipped']}")
            raise NotApplicable(f"{name}: the run holds no {column.replace('_', ' ')} (capture it from the network).")
        return
    holds, reason = _REASONS[need]
    if not holds(run):
        raise NotApplicable(f"{name}: {reason}.")
