"""python -m benchmarks.science.fragility LONG_TAILED RUN ... BALANCED RUN ...: which claims of FRAGILITY hold?

Each RUN is a folder that `imblens train` wrote; the two lists are as long as each other, networks of one seed at one
place, e.g. `fragility LONG_TAILED lt0 lt1 lt2 BALANCED bal0 bal1 bal2`. Both sets have the same classes. Numbers are means over
the rare third of the long-tailed set's classes (and, beside them, over its frequent third), then mean and standard
deviation over networks.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from imblens.lenses import class_accuracy, class_features, compare_class_features
from imblens.run import Run

COLUMNS = ("needed_mean", "effective_number", "distinct_equal_n", "top1_magnitude")


def per_class(run: Run) -> pd.DataFrame:
    """One row a class: diversity, accuracy, shifts."""
    found = class_features(run).tables
    table = found["class_diversity"].set_index("class").join(found["magnitude_match"].set_index("class"))
    return table.join(class_accuracy(run).tables["class_accuracy"].set_index("class")[["train_count", "accuracy"]])


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.3g} ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else f"{values[0]:.3g}"


def claims_of_number_and_magnitude(tailed: list[pd.DataFrame], balanced: list[pd.DataFrame]) -> None:
    n = len(tailed[0]) // 3
    order = tailed[0]["train_count"].sort_values(kind="stable").index
    print(f"\nNumber and magnitude of class features ({len(tailed)} networks each)\n")
    print(
        "| classes | measure | long-tailed | balanced | difference | long-tailed lower in |\n|---|---|---|---|---|---|"
    )
    for group, names in (("rare", order[:n]), ("frequent", order[-n:])):
        for column in COLUMNS:
            one, two = ([float(t.loc[names, column].mean()) for t in tables] for tables in (tailed, balanced))
            apart = [a - b for a, b in zip(one, two, strict=True)]
            lower = f"{sum(d < 0 for d in apart)} of {len(apart)}"
            print(f"| {group} | {column} | {spread(one)} | {spread(two)} | {spread(apart)} | {lower} |")


def claim_of_identity(tailed: list[Run], balanced: list[Run]) -> None:
    def kept(a: Run, b: Run) -> tuple[float, float]:
        summary = compare_class_features(a, b).summary
        return summary["kept_share"], summary["mean_correlation"]

    pairs = {"long-tailed against balanced": list(zip(tailed, balanced, strict=True))}
    for name, runs in (("long-tailed against long-tailed", tailed), ("balanced against balanced", balanced)):
        pairs[name] = [(a, b) for i, a in enumerate(runs) for b in runs[i + 1 :]]
    print("\nIdentity: share of a class's ten strongest features that stay, features matched by correlation\n")
    print("| networks | share kept | correlation of matched features |\n|---|---|---|")
    for name, both in pairs.items():
        if both:
            shares, correlations = zip(*(kept(a, b) for a, b in both), strict=True)
            print(f"| {name} | {spread(list(shares))} | {spread(list(correlations))} |")


def claim_of_diversity(tailed: list[pd.DataFrame]) -> None:
    print("\nWhat goes with a class's accuracy on the long-tailed set (Spearman over classes)\n")
    print("| with | correlation |\n|---|---|")
    for column in ("train_count", *COLUMNS):
        print(f"| {column} | {spread([float(spearmanr(t[column], t['accuracy']).statistic) for t in tailed])} |")


def claim_of_match(tailed: list[pd.DataFrame], balanced: list[pd.DataFrame]) -> None:
    print("\nMagnitudes of test instances against training, in training standard deviations (0 is a match)\n")
    print("| set | right | wrong | wrong larger in | strength of wrong |\n|---|---|---|---|---|")
    for name, tables in (("long-tailed", tailed), ("balanced", balanced)):
        both = pd.concat(tables).dropna(subset=["correct_shift", "wrong_shift"])
        larger = int((both["wrong_shift"] > both["correct_shift"]).sum())
        right, wrong, strength = (
            spread([float(t[column].mean()) for t in tables])
            for column in ("correct_shift", "wrong_shift", "wrong_strength")
        )
        print(f"| {name} | {right} | {wrong} | {larger} of {len(both)} classes | {strength} |")


def main(words: list[str]) -> int:
    """Print the four tables."""
    if words[:1] != ["LONG_TAILED"] or "BALANCED" not in words:
        print(__doc__, file=sys.stderr)
        return 2
    middle = words.index("BALANCED")
    tailed, balanced = ([Run.load(Path(p)) for p in paths] for paths in (words[1:middle], words[middle + 1 :]))
    if not tailed or len(tailed) != len(balanced):
        print(f"{len(tailed)} long-tailed and {len(balanced)} balanced runs: give as many of each.", file=sys.stderr)
        return 2
    one, two = [per_class(run) for run in tailed], [per_class(run) for run in balanced]
    claims_of_number_and_magnitude(one, two)
    claim_of_identity(tailed, balanced)
    claim_of_diversity(one)
    claim_of_match(one, two)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
