"""python -m benchmarks.science.conclusions heads|quality ARRAYS.npz ... | training DATA OUT: what the papers suggest, measured.

IML (use cases of sections IV-C to IV-G) and EOS (sections VI and VII) suggest ways that they do not measure. Each is a
treatment, a loss, a training option or a lens here.

heads     treatments on stored features: resampling by archetype, EOS that changes chosen features only; beside the
          samplers that they extend. Three seeds of every network.
quality   measures of the embedding beside the generalization gap: which goes with recall over classes, and with the gain
          that over-sampling brings?
training  a loss that penalises shared features, EOS while the representation is trained, augmentation of class colours;
          smallnet, three seeds, beside plain cross-entropy. DATA is what `imblens train` takes; OUT keeps the networks.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from imblens.errors import ImblensWarning
from imblens.lenses import class_accuracy
from imblens.run import Run
from imblens.treatments import treat

SEEDS = (0, 1, 2)
HEADS: dict[str, tuple[str, dict[str, object]]] = {
    "random": ("random", {}),
    "smote": ("smote", {}),
    "eos, K = 10": ("eos", {"k_neighbors": 10}),
    "archetype_resampling": ("archetype_resampling", {}),
    "archetype_resampling, safe_kept = 1": ("archetype_resampling", {"safe_kept": 1.0}),
    "eos_features, uncovered": ("eos_features", {"change": "uncovered"}),
    "eos_features, shared": ("eos_features", {"change": "shared"}),
}


def accuracies(run: Run) -> tuple[float, float]:
    """Balanced accuracy on the test split, and the mean recall of the rarest third of the classes."""
    found = class_accuracy(run)
    table = found.tables["class_accuracy"].sort_values("train_count", kind="stable")
    return float(found.summary["balanced_accuracy"]), float(table["accuracy"].head(max(1, len(table) // 3)).mean())


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def points(values: Sequence[float]) -> str:
    """Mean ± standard deviation of differences, in points, and how many are above 0."""
    mean, sd = 100 * np.mean(values), 100 * np.std(values, ddof=1) if len(values) > 1 else 0.0
    return f"{mean:+.1f} ± {sd:.1f} ({sum(v > 0 for v in values)} of {len(values)})"


def heads(paths: Sequence[str]) -> None:
    """Print what each sampler does to the head of every network."""
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in ("head as it is", *HEADS)}
    for path in paths:
        run = Run.load(Path(path))
        for seed in SEEDS:
            rows["head as it is"].append(accuracies(run))
            for name, (treatment, options) in HEADS.items():
                rows[name].append(accuracies(treat(run, treatment, random_state=seed, **options)))
    print(f"{len(paths)} networks, {len(SEEDS)} seeds each; differences network by network, in points of balanced accuracy\n")
    print("| treatment | balanced accuracy | rare third | minus smote | minus eos, K = 10 |\n|---|---|---|---|---|")
    for name, values in rows.items():
        against = (
            [value[0] - other[0] for value, other in zip(values, rows[base], strict=True)]
            for base in ("smote", "eos, K = 10")
        )
        both, rare = ([value[i] for value in values] for i in (0, 1))
        print(f"| {name} | {spread(both)} | {spread(rare)} | {' | '.join(points(each) for each in against)} |")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"heads": heads}


def main(words: list[str]) -> int:
    """Print the tables of one part."""
    if len(words) < 2 or words[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    COMMANDS[words[0]](words[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
