"""What the gate found, as sentences, Markdown and JUnit XML. Class names are data, never markup."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from imblens.base.markdown import literal, markdown_table
from imblens.base.wording import FEW, counted, percent
from imblens.decisions._drops import drop_power
from imblens.decisions._section_text import section
from imblens.errors import MissingError, did_you_mean

_KINDS = {"recall": "recall", "specificity": "specificity", "calibration": "calibration error", "minimum": "recall"}


@dataclass(frozen=True)
class GateResult:
    """What the gate found.

    Attributes:
        table: one row per class and check; see `gate`.
        notes: what limits the comparison, one sentence each.
        alpha: largest chance of any false alarm.
        level: p-value up to which a drop of one class is reported after the control over all classes.
        paired: whether both runs have the same test instances.
        names: of the run and of the reference.

    Example:
        >>> import numpy as np
        >>> from imblens import Run
        >>> from imblens.decisions import gate
        >>> run = Run.from_arrays(train=(np.eye(2), [0, 1]), test=(np.eye(2), [0, 1], np.eye(2)))
        >>> gate(run, run).failed
        False
    """

    table: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...]
    alpha: float
    level: float
    paired: bool
    names: tuple[str, str] = ("run", "reference")

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return bool((self.table["result"] == "failed").any())

    def power(self, name: str, drop: float, *, gained: float) -> float:
        """Chance that this gate reports a drop of recall of a class; see `imblens.decisions.drop_power`.

        Raises:
            MissingError: no such class.
        """
        rows = self.table[(self.table["class"] == name) & (self.table["check"] == "recall")]
        if rows.empty:
            raise MissingError(
                f"there is no class {name!r}.", hint=did_you_mean(name, list(self.table["class"].unique()))
            )
        return drop_power(int(rows["count"].iloc[0]), drop, gained=gained, level=self.level)

    def lines(self) -> list[str]:
        """Return the verdict: one sentence in all, and one for each check that failed."""
        table = self.table
        failed = table[table["result"] == "failed"].to_dict("records")
        checked = int((table["result"] != "skipped").sum())
        new, old = self.names
        if not failed:
            chance = f"At most {percent(self.alpha)} of unchanged runs would fail."
            return [f"passed: {counted(checked, 'check')} of {new} against {old}, none failed. {chance}"]
        first = f"failed: {len(failed)} of {counted(checked, 'check')} of {new} against {old}."
        return [first, *(f"{row['class']}: {reason(row)}." for row in failed)]

    def section(self) -> dict[str, Any]:
        """Return lines, table (failed checks first) and notes for the section "Before you deploy" of a report."""
        order = (self.table["result"] != "failed").sort_values(kind="stable").index
        rows = [
            {
                "class": row["class"],
                "check": row["check"],
                "before": _cell(row, "before"),
                "after": _cell(row, "after"),
                "p": _p(row["p_value"])[2:].removeprefix("= ") if _known(row["p_value"]) else "",
                "result": row["result"],
            }
            for row in self.table.loc[order].to_dict("records")
        ]
        return section("gate", self.lines(), pd.DataFrame(rows), self.notes)

    def markdown(self) -> str:
        """Return verdict and table as Markdown; class names cannot add markup."""
        new, old = (literal(name) for name in self.names)
        failed = int((self.table["result"] == "failed").sum())
        verdict = "Failed" if failed else "Passed"
        checked = counted(len(self.table), "check")
        head = ("class", "check", "before", "after", "change", "95% interval", "p", "result")
        rows = [
            [
                literal(str(row["class"])),
                row["check"],
                _cell(row, "before"),
                _cell(row, "after"),
                _signed(row["change"], row["check"]),
                f"[{_signed(row['change_low'])}, {_signed(row['change_high'])}]" if _known(row["change_low"]) else "",
                _p(row["p_value"])[2:].removeprefix("= ") if _known(row["p_value"]) else "",
                f"**{row['result']}**" if row["result"] == "failed" else row["result"],
            ]
            for row in self.table.to_dict("records")
        ]
        notes = [
            f"At most {percent(self.alpha)} of unchanged runs fail. p-values are corrected for the number of classes.",
            *(literal(note, code=False) for note in self.notes),
        ]
        first = f"**{verdict}**: {new} against {old}, {failed} of {checked} failed."
        return "\n".join([first, "", markdown_table(head, rows), "", *(f"- {note}" for note in notes), ""])

    def junit(self) -> str:
        """Return the table as JUnit XML, for continuous integration: one test case per row, named after the class."""
        from xml.etree import ElementTree as ET

        results = self.table["result"]
        counts = {"tests": len(results), "failures": int((results == "failed").sum()), "errors": 0}
        counts["skipped"] = int((results == "skipped").sum())
        attributes = {"name": "imblens gate", **{key: str(value) for key, value in counts.items()}}
        root = ET.Element("testsuites", attributes)
        suite = ET.SubElement(root, "testsuite", attributes)
        for row in self.table.to_dict("records"):
            case = ET.SubElement(
                suite,
                "testcase",
                {"classname": f"imblens.gate.{row['check']}", "name": _legible(row["class"]), "time": "0"},
            )
            if row["result"] == "failed":
                ET.SubElement(
                    case, "failure", {"message": _legible(f"{row['class']}: {reason(row)}"), "type": row["check"]}
                )
            elif row["result"] == "skipped":
                ET.SubElement(case, "skipped", {"message": "no test instance in one of the runs"})
        ET.indent(root)
        return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def reason(row: dict[str, Any]) -> str:
    """State the values of one check.

    Example:
        >>> reason({"check": "minimum", "after": 0.9, "limit": 0.95, "count": 40})
        'recall 90%, below the minimum of 95% (40 test instances)'
    """
    kind, check = _KINDS[row["check"]], row["check"]
    few = ", few test instances" if row["count"] < FEW else ""
    if check == "minimum":
        tested = counted(row["count"], "test instance")
        return f"{kind} {_share(row['after'])}, below the minimum of {_share(row['limit'])} ({tested})"
    if check == "calibration":
        return f"{kind} from {row['before']:.4f} to {row['after']:.4f} ({_p(row['p_value'])})"
    return (
        f"{kind} from {_share(row['before'])} to {_share(row['after'])}, a drop of {-100 * row['change']:.1f} points "
        f"({_p(row['p_value'])}{few})"
    )


def _legible(value: Any) -> str:
    from imblens.run import legible

    return legible(str(value))


def _known(value: Any) -> bool:
    return bool(value == value)


def _share(value: float) -> str:
    """A share in percent, with a decimal where it is not whole."""
    return f"{100 * value:.1f}".removesuffix(".0") + "%"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _cell(row: dict[str, Any], column: str) -> str:
    if not _known(row[column]):
        return ""
    return f"{row[column]:.4f}" if row["check"] == "calibration" else _share(row[column])


def _signed(value: float, check: str = "recall") -> str:
    if not _known(value):
        return ""
    number, places = (value, 4) if check == "calibration" else (100 * value, 1)
    return f"{round(number, places) + 0.0:+.{places}f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no minus before a zero
