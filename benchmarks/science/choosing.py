"""python -m benchmarks.science.choosing RUN ...: does choosing without a test split find what the test split likes?

For every run (a folder, or an ARRAYS.npz with test split and head) all candidates are fitted and judged on the test
split. Then each way of choosing picks one, on training features alone; its regret is how far that one stays below the
best candidate on the test split, in balanced accuracy. The test split judges the ways of choosing here; it is never
used to choose.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

from imblens.errors import ImblensWarning, InputError, NotApplicable
from imblens.run import Run
from imblens.treatments import find_treatment
from imblens.treatments._best import LIST
from imblens.treatments._choose import Candidate, Trial, _head_of, _judge, class_mean, try_candidates

WAYS = {"plain cross-validation": 1.0, "widened (auto)": "auto", "always twice as far": 2.0}


def candidates() -> list[Candidate]:
    """The head as it is, and the list of `--with best`."""
    found = [Candidate(None, {}, {})]
    for name, shown in LIST:
        treatment = find_treatment(name)
        found.append(Candidate(treatment, treatment.check(shown), shown))
    return found


def on_test(run: Run, tried: list[Candidate]) -> list[float]:
    """Balanced accuracy of every candidate on the test split; NaN where it cannot be applied."""
    assert run.test is not None
    features, labels = np.asarray(run.test.features), run.test.labels
    found = []
    for candidate in tried:
        try:
            found.append(class_mean(_judge(_head_of(run, candidate), features, labels)[0], labels))
        except (InputError, NotApplicable):
            found.append(float("nan"))
    return found


def main(paths: list[str]) -> int:
    """Print one table per run and the mean regret of every way of choosing."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    regrets: dict[str, list[float]] = {way: [] for way in WAYS}
    tried = candidates()
    for path in paths:
        run = Run.load(Path(path))
        truth = on_test(run, tried)
        best = int(np.nanargmax(truth))
        print(f"\n{path}: as it is {truth[0]:.3f}, best {tried[best].label} {truth[best]:.3f}")
        print("| way | picks | its test balanced accuracy | regret |\n|---|---|---|---|")
        for way, widen in WAYS.items():
            trial: Trial = try_candidates(run, tried, widen=widen)  # type: ignore[arg-type]
            pick = trial.best("balanced_accuracy", keep=0)
            regrets[way].append(truth[best] - truth[pick])
            print(f"| {way} | {tried[pick].label} | {truth[pick]:.3f} | {regrets[way][-1]:.3f} |  ({trial.where})")
    print("\n| way | mean regret | largest |\n|---|---|---|")
    for way, values in regrets.items():
        print(f"| {way} | {np.mean(values):.3f} | {np.max(values):.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
