"""python -m benchmarks.science.choosing RUN ...: does `--with best` find, without a test split, what the test split likes?

For every run (a folder, or an ARRAYS.npz with test split and head) all candidates of `best` are fitted and measured on the
test split. The regret of a way of choosing is how far the head that it takes stays below the best candidate there, in
points of balanced accuracy. Compared are `best`, which sees training features alone, and ways that take the same treatment
for every network. A last line gives "the best of the other networks": on each network, the candidate with the highest mean
accuracy on the other networks of its kind (memorised or not, as `best` finds by cross-validation), so that no network is
judged by a choice that was made on it. The test split judges the ways of choosing here; it is never used to choose.

The rule of `best` was chosen on some of these networks (`CHOSEN_ON`, by file name); its mean regret is printed for those and
for the others apart.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imblens.errors import ImblensWarning, InputError, NotApplicable
from imblens.run import Run
from imblens.treatments import best_candidates, treat, treatment_summary

CHOSEN_ON = frozenset(  # networks that the rule of `best` was chosen on
    (
        "unaugmented-0",
        "unaugmented-1",
        "unaugmented-2",
        "shapes-0",
        "digits-0",
        "digits-1",
        "digits-2",
        "eos_features_10",
        "memorised-0",
        "memorised-1",
        "full-ce",
        "digits-memorised-0",
        "digits-memorised-1",
        "small-memorised-0",
        "small-memorised-1",
        "step-memorised-0",
        "step-memorised-1",
        "full-ldam",
    )
)
ALWAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "always eos": ("eos", {"k_neighbors": 200}),
    "always refit": ("refit", {}),
    "always logit_adjustment": ("logit_adjustment", {"tau": 1.0}),
}


def measured(run: Run, better: Run) -> tuple[float, float, float]:
    """Balanced accuracy on the test split, and the 95% interval of its change from `run`."""
    table = treatment_summary(run, better).set_index("measure")
    row = table.loc["balanced_accuracy"]
    return float(row["after"]), float(row["change_low"]), float(row["change_high"])


def on_test(run: Run, name: str, options: dict[str, Any]) -> float:
    """Balanced accuracy of a treated head on the test split; NaN where the treatment does not apply."""
    try:
        return measured(run, treat(run, name, **options))[0]
    except (InputError, NotApplicable):
        return float("nan")


class Judged(NamedTuple):
    """Accuracies on the test split: of the head as it is, of each candidate, and of what `best` takes.

    `below` is whether what it takes is below the head as it is, by more than the 95% interval; `memorised` whether it
    found that the network has memorised its training features.
    """

    now: float
    known: dict[tuple[Any, ...], float]
    found: float
    below: bool
    winner: str
    memorised: bool

    def top(self) -> tuple[tuple[Any, ...], float]:
        """The best candidate, or the head as it is, and its accuracy."""
        key, accuracy = ("unchanged",), self.now
        for other, its in self.known.items():
            if its > accuracy:
                key, accuracy = other, its  # type: ignore[assignment]
        return key, accuracy


def judged(run: Run) -> Judged:
    """Fit all candidates and `best`, and measure them on the test split."""
    now, _, _ = measured(run, run)
    known = {(name, *options.items()): on_test(run, name, options) for name, options in best_candidates()}
    for name, options in ALWAYS.values():
        known.setdefault((name, *options.items()), on_test(run, name, options))
    chosen = treat(run, "best")
    found, _, high = measured(run, chosen)
    facts = chosen.meta["treatment"]["facts"]
    return Judged(now, known, found, high < 0, facts["winner"], bool(facts["memorised"]))


def main(paths: list[str]) -> int:
    """Print a row per run, and the mean regret of every way with its spread."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    regrets: dict[str, list[float]] = {way: [] for way in ("best", *ALWAYS, "as it is")}
    tables: list[tuple[bool, dict[tuple[Any, ...], float]]] = []
    below = 0
    print(
        "| network | training | as it is | best candidate | its accuracy | `best` applies | "
        + " | ".join(regrets)
        + " |\n|"
        + "---|" * (6 + len(regrets))
    )
    for path in paths:
        run = Run.load(Path(path))
        assert run.test is not None
        trained = float(np.mean([run.train.correct[run.train.labels == c].mean() for c in np.unique(run.train.labels)]))
        one = judged(run)
        now, known = one.now, one.known
        below += one.below
        tables.append((one.memorised, {("unchanged",): now, **known}))
        top, top_accuracy = one.top()
        of_way = {"best": one.found, "as it is": now}
        of_way |= {way: known[(name, *options.items())] for way, (name, options) in ALWAYS.items()}
        for way in regrets:
            regrets[way].append(100 * (top_accuracy - of_way[way]))
        print(
            f"| {Path(path).stem} | {trained:.3f} | {now:.3f} | {_label(top)} | {top_accuracy:.3f} "
            f"| {one.winner} | " + " | ".join(f"{values[-1]:.1f}" for values in regrets.values()) + " |",
            flush=True,
        )
    print("\n| way | mean regret | sd | largest |\n|---|---|---|---|")
    for way, values in regrets.items():
        spread = f"{np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
        print(f"| {way} | {np.mean(values):.2f} | {spread} | {np.max(values):.1f} |")
    others = held_out_regrets(tables)
    if others:
        spread = f"{np.std(others, ddof=1):.2f}" if len(others) > 1 else ""
        print(
            f"| the best of the other networks ({len(others)}) | {np.mean(others):.2f} | {spread} | {np.max(others):.1f} |"
        )
    for line in apart([Path(path).stem for path in paths], regrets["best"]):
        print(f"\n{line}")
    print(f"\n`best` is below the head as it is, by more than the 95% interval, on {below} of {len(paths)} networks.")
    return 0


def apart(names: list[str], regrets: list[float]) -> list[str]:
    """Mean regret of `best` on networks that its rule was chosen on, and on the others; none where there are no such networks.

    Example:
        >>> apart(["shapes-1", "new"], [1.0, 0.5])
        ['Mean regret of `best` on the 2 networks that its rule was not chosen on: 0.75.']
    """
    lines = []
    for chosen, what in ((True, "was"), (False, "was not")):
        own = [regret for name, regret in zip(names, regrets, strict=True) if (name in CHOSEN_ON) == chosen]
        if own:
            word = "network" if len(own) == 1 else "networks"
            lines.append(
                f"Mean regret of `best` on the {len(own)} {word} that its rule {what} chosen on: {np.mean(own):.2f}."
            )
    return lines


def held_out_regrets(tables: list[tuple[bool, dict[tuple[Any, ...], float]]]) -> list[float]:
    """Regret, in points, on each network of the candidate that is best on the other networks of its kind.

    Args:
        tables: whether a network has memorised its training set, and the accuracy of every candidate.
    """
    found = []
    for place, (kind, table) in enumerate(tables):
        others = [other for k, (its, other) in enumerate(tables) if its == kind and k != place]
        shared = [key for key in table if all(np.isfinite(one.get(key, np.nan)) for one in [table, *others])]
        if others and shared:
            taken = max(shared, key=lambda key: float(np.mean([one[key] for one in others])))
            found.append(100 * (np.nanmax(list(table.values())) - table[taken]))
    return found


def _label(key: tuple[Any, ...]) -> str:
    options = ", ".join(f"{name}={value:g}" for name, value in key[1:])
    return f"{key[0]} ({options})" if options else str(key[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
