"""Sentences on ranking."""

from __future__ import annotations

from imblens.base.wording import FEW, evidence, percent
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with an AUROC below the mean, lowest first; then the means over classes."""
    table = finding.tables["ranking"].dropna(subset=["auroc"])
    found: dict[str, str] = {}
    for row in table[table["auroc"] < table["auroc"].mean()].sort_values("auroc", kind="stable").itertuples():
        groups = getattr(row, "groups", None)
        few = ", too few to tell" if (row.positives if groups is None else groups) < FEW else f": {row.outcome}"
        found[str(row[1])] = (
            f"{row[1]}: AUROC {row.auroc:.3f} [{row.auroc_low:.3f}, {row.auroc_high:.3f}] "
            f"({evidence(row.positives, groups, 'positive')}{few}); average precision {row.average_precision:.2f} "
            f"[{row.average_precision_low:.2f}, {row.average_precision_high:.2f}] (prevalence {row.prevalence:.2f}); mean "
            f"probability of its positives {percent(row.mean_probability_positives)}."
        )
    if len(table):
        found[""] = f"{_means(finding, len(table))}{_thresholds(finding)}"
    return found


def _means(finding: Finding, n: int) -> str:
    """The means over classes that can be judged, then over all, marked where some of them cannot."""
    ranked, enough = finding.summary["classes_ranked"], finding.summary["classes_enough"]
    every = f"AUROC {_mean(finding, 'auroc', '')}, average precision {_mean(finding, 'average_precision', '')}"
    if enough == ranked:
        return f"Mean over {n} classes: {every}."
    lacking = f"fewer than {FEW} positives" + (" or groups of them" if "groups" in finding.tables["ranking"] else "")
    if not enough:
        return f"Mean over {n} classes: {every}. All have {lacking}: too few to tell."
    own = f"AUROC {_mean(finding, 'auroc', '_enough')}, average precision {_mean(finding, 'average_precision', '_enough')}"
    over = "The one class" if enough == 1 else f"Mean over the {enough} classes"
    has = "has" if ranked - enough == 1 else "have"
    return f"{over} with enough positives: {own}. With the {ranked - enough} that {has} {lacking}, too few to tell: {every}."


def _mean(finding: Finding, measure: str, of: str) -> str:
    value, low, high = (finding.summary[f"macro_{measure}{of}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _thresholds(finding: Finding) -> str:
    table = finding.tables.get("ranking_thresholds")
    both = None if table is None else table[["f1", "f1_at_half"]].dropna()
    if table is None or both is None or both.empty:
        return ""
    few = int((table["few"] & table["f1"].notna()).sum())
    warning = f" {few} of the thresholds were chosen on fewer than {FEW} positives or groups of them." if few else ""
    return (
        f" With a threshold per label, chosen on {table['chosen_on'].iloc[0]} instances, mean F1 on test is "
        f"{both['f1'].mean():.3f}; with 0.5 for all labels {both['f1_at_half'].mean():.3f}.{warning}"
    )
