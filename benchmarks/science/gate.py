"""python -m benchmarks.science.gate: how often does `imblens gate` fail, where nothing changed and where a class dropped?

Every pair has ten classes with 30, 30, 50, 100, 150, 200, 300, 400, 500 and 1,000 test instances and recalls from 0.5 to
0.95. Logits of a run are a common part (with noise of each run around it) of every instance, so that two runs agree on
most instances, as two trainings of one network do. "unchanged": both are drawn from one distribution. "dropped": recall
of one class of 30 instances falls by a planted number of points; the power analysis is `imblens.decisions.drop_power` at
the true shares of gained and lost instances and at the level of each gate, averaged.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from imblens.decisions import drop_power, gate
from imblens.run import Run

COUNTS = np.array([30, 30, 50, 100, 150, 200, 300, 400, 500, 1000])
RECALLS = np.linspace(0.5, 0.95, 10)
CHURN = 0.04  # share of a class that one run classifies correctly and the other does not, in each direction
PAIRS = 200
DROPS = (0.1, 0.2, 0.3, 0.4)


def logits_of(correct: NDArray[np.bool_], labels: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Logits whose prediction is the label where `correct`, with confidences that vary."""
    rng = np.random.default_rng(seed)
    other = (labels + rng.integers(1, 10, len(labels))) % 10
    logits = rng.normal(size=(len(labels), 10))
    logits[np.arange(len(labels)), np.where(correct, labels, other)] += 6 + rng.exponential(2, len(labels))
    return logits


def pair(seed: int, drop: float) -> tuple[Run, Run, NDArray[np.int64]]:
    """A run and its reference, in which recall of class 0 falls by `drop`; same test instances."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(10), COUNTS)
    u = rng.random(len(labels))
    recall = RECALLS[labels]
    churn = np.minimum(CHURN, np.minimum(recall, 1 - recall))
    lost = churn + np.where(labels == 0, drop, 0.0)
    before = u < recall
    after = np.where(u < lost, False, before) | ((u >= recall) & (u < recall + churn))
    features = np.zeros((len(labels), 2))
    runs = [
        Run.from_arrays(train=(features, labels), test=(features, labels, logits_of(correct, labels, 2 * seed + place)))
        for place, correct in enumerate((before, after))
    ]
    return runs[1], runs[0], labels


def main(arguments: list[str]) -> int:
    """Print both tables; an argument replaces the number of pairs."""
    pairs = int(arguments[0]) if arguments else PAIRS
    print(f"| unchanged pairs: {pairs} | stated | found |\n|---|---|---|")
    fails = {"any check": 0, "recall": 0, "calibration": 0}
    for seed in range(pairs):
        run, reference, _ = pair(seed, 0.0)
        table = gate(run, reference, seed=seed).table
        failed = set(table.loc[table["result"] == "failed", "check"])
        for kind in fails:
            fails[kind] += bool(failed) if kind == "any check" else kind in failed
    for kind, count in fails.items():
        print(f"| {kind} fails | at most {'5' if kind == 'any check' else '2.5'}% | {100 * count / pairs:.1f}% |")
    print(f"\n| drop of a class of 30, {pairs} pairs | reported | power analysis |\n|---|---|---|")
    for drop in DROPS:
        caught, power = 0, []
        for seed in range(pairs):
            run, reference, _ = pair(10_000 + seed, drop)
            found = gate(run, reference, calibration=False, alpha=0.025)
            first = found.table.iloc[0]
            caught += first["result"] == "failed"
            power.append(drop_power(30, drop, gained=CHURN, level=found.level))
        print(f"| {100 * drop:.0f} points | {100 * caught / pairs:.1f}% | {100 * np.mean(power):.1f}% |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
