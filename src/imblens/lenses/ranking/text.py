"""Sentences on ranking."""

from __future__ import annotations

from imblens.base.wording import FEW, counted, percent
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with an AUROC below the mean, lowest first; then the means over classes."""
    table = finding.tables["ranking"].dropna(subset=["auroc"])
    found: dict[str, str] = {}
    for row in table[table["auroc"] < table["auroc"].mean()].sort_values("auroc", kind="stable").itertuples():
        few = ", too few to tell" if row.positives < FEW else ""
        found[str(row[1])] = (
            f"{row[1]}: AUROC {row.auroc:.3f} [{row.auroc_low:.3f}, {row.auroc_high:.3f}] "
            f"({counted(row.positives, 'positive')}{few}); average precision {row.average_precision:.2f} "
            f"[{row.average_precision_low:.2f}, {row.average_precision_high:.2f}] (prevalence {row.prevalence:.2f}); mean "
            f"probability of its positives {percent(row.mean_probability_positives)}."
        )
    if len(table):
        found[""] = (
            f"Mean over {len(table)} classes: AUROC {_mean(finding, 'auroc')}, average precision "
            f"{_mean(finding, 'average_precision')}.{_thresholds(finding)}"
        )
    return found


def _mean(finding: Finding, measure: str) -> str:
    value, low, high = (finding.summary[f"macro_{measure}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _thresholds(finding: Finding) -> str:
    table = finding.tables.get("ranking_thresholds")
    both = None if table is None else table[["f1", "f1_at_half"]].dropna()
    if table is None or both is None or both.empty:
        return ""
    return (
        f" With a threshold per label, chosen on {table['chosen_on'].iloc[0]} instances, mean F1 on test is "
        f"{both['f1'].mean():.3f}; with 0.5 for all labels {both['f1_at_half'].mean():.3f}."
    )
