"""Sentences on causes."""

from __future__ import annotations

from imblens.lenses._contract import Finding

NEAR_TIE = 0.8  # share of the first cause's strength from which another is nearly as strong


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with a named cause, least accurate first.

    The first cause's evidence, what to try, and the causes that are nearly as strong with what to try against them.
    """
    table = finding.tables["diagnosis"]
    named = table[table["strength"] > 0]
    first = named.groupby("class", sort=False).head(1)
    first = first.sort_values(["accuracy", "strength"], ascending=[True, False], kind="stable")
    places = named.groupby("class").indices
    found = {}
    for row in first.to_dict("records"):
        near = named.iloc[places[row["class"]]]
        near = near[(near["cause"] != row["cause"]) & (near["strength"] >= NEAR_TIE * row["strength"])]
        ties = "; ".join(
            f"{cause.replace('_', ' ')} (try: {what})"
            for cause, what in zip(near["cause"], near["treatment"], strict=True)
        )
        text = f"{row['class']}: {row['evidence']} Try: {row['treatment']}."
        found[str(row["class"])] = f"{text} Nearly as strong: {ties}." if ties else text
    return found
