"""python -m benchmarks.science.label_suspects ARRAYS.npz ...: are mislabelled training instances ranked first?

A share of the training labels of each network is replaced by a random other class (uniform over instances and classes),
three seeds each. Every method orders all training instances; its average precision counts the replaced labels as
positives. Labels that are incorrect in the data already count against all methods alike. "ours" is the score of the lens
`label_suspects`. cleanlab, where installed, scores the 5-fold cross-validated probabilities of one multinomial logistic
regression on the same standardised features, by self-confidence and by normalised margin. The rarest third is the classes
with the fewest instances, by given label.

    python -m benchmarks.science.label_suspects --multilabel ARRAYS.npz ...

makes six labels of each network's classes: a label is present in a random three tenths of the classes (a draw for each seed;
4,000 instances). In each label the noise rate is the share of positives that become negative, and as many negatives become
positive. Average precision is the mean over labels; cleanlab's self-confidence is of one logistic regression per label.

    python -m benchmarks.science.label_suspects --count ARRAYS.npz ...

compares the estimated number of wrong labels with the planted number, also where none is planted: 4,000 training instances, all
test instances, three seeds each, no network's predictions. Over the classes that are judged (50 training, 30 test instances):
planted and estimated are means of the sums, error the mean absolute error of a class's share, "covered" counts classes whose
95% interval holds the planted number, and "above 0" those whose interval does not hold 0. Labels that are incorrect in the data
count as correct.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from numpy.typing import NDArray

from imblens.lenses.label_suspects import label_scores, suspect_scores, wrong_labels
from imblens.run import Run

RATES = (0.02, 0.05, 0.10)
SEEDS = (0, 1, 2)
COUNTED = 4_000  # training instances
METHODS = {"self-confidence": "self_confidence", "normalised margin": "normalized_margin"}
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def replaced(labels: Integers, rate: float, n_classes: int, seed: int) -> Integers:
    """Return the labels with a share of them replaced by another class."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels), round(rate * len(labels)), replace=False)
    given = labels.copy()
    given[rows] = (labels[rows] + rng.integers(1, n_classes, len(rows))) % n_classes
    return given


def cleanlab_scores(features: Floats, given: Integers, seed: int) -> dict[str, Floats]:
    """Scores of cleanlab, larger for suspects; empty where it is not installed."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    standard = StandardScaler().fit_transform(features)
    model = LogisticRegression(max_iter=300)
    probability = cross_val_predict(model, standard, given, cv=folds, method="predict_proba")
    return {
        f"cleanlab {name}": -get_label_quality_scores(given, probability, method=method)
        for name, method in METHODS.items()
    }


def several_labels(features: Floats, labels: Integers, rate: float, seed: int) -> dict[str, list[float]]:
    """Average precision of each label by ours and by cleanlab, where it is installed."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels), min(4000, len(labels)), replace=False)
    present = rng.random((int(labels.max()) + 1, 6)) < 0.3
    present = present[:, present.any(axis=0) & ~present.all(axis=0)]
    truth, x = present[labels[rows]].astype(np.int64), features[rows]
    flipped = np.zeros(truth.shape, dtype=bool)
    for label, column in enumerate(truth.T):
        for value in (0, 1):
            places = np.flatnonzero(column == value)
            flipped[rng.choice(places, min(len(places), round(rate * column.sum())), replace=False), label] = True
    given = np.where(flipped, 1 - truth, truth)
    run = Run.from_arrays(train=(x, given), classes=[str(c) for c in range(given.shape[1])], task="multilabel")
    scores = {"ours": np.nan_to_num(label_scores(run))}
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        pass
    else:
        standard, folds = StandardScaler().fit_transform(x), StratifiedKFold(5, shuffle=True, random_state=seed)
        columns = []
        for column in given.T:
            model = LogisticRegression(max_iter=300)
            probability = cross_val_predict(model, standard, column, cv=folds, method="predict_proba")
            columns.append(-get_label_quality_scores(column, probability, method="self_confidence"))
        scores["cleanlab self-confidence"] = np.stack(columns, axis=1)
    return {
        method: [float(average_precision_score(a, b)) for a, b in zip(flipped.T, score.T, strict=True)]
        for method, score in scores.items()
    }


def multilabel(paths: list[str]) -> int:
    """Print one row per network and noise rate."""
    columns: list[str] = []
    for path in paths:
        with np.load(path) as arrays:
            features, labels = arrays["train_features"].astype(np.float64), arrays["train_labels"].astype(np.int64)
        for rate in RATES:
            found: dict[str, list[float]] = {}
            for seed in SEEDS:
                for method, values in several_labels(features, labels, rate, seed).items():
                    found.setdefault(method, []).append(float(np.mean(values)))
            if not columns:
                columns = list(found)
                print(f"| network | noise | {' | '.join(columns)} |\n|{'---|' * (2 + len(columns))}")
            cells = " | ".join(
                f"{np.mean(found[method]):.3f} ± {np.std(found[method], ddof=1):.3f}" for method in columns
            )
            print(f"| {path.rsplit('/', 1)[-1].removesuffix('.npz')} | {100 * rate:.0f}% | {cells} |", flush=True)
    return 0


def counted(path: str, rate: float) -> tuple[float, float, float, int, int, int]:
    """Mean numbers planted and estimated, mean error of a share; of all seeds, classes covered, above 0, and in all."""
    with np.load(path) as arrays:
        train, test = (
            (arrays[f"{name}_features"], arrays[f"{name}_labels"].astype(np.int64)) for name in ("train", "test")
        )
    found = []
    for seed in SEEDS:
        rows = np.random.default_rng(seed).choice(len(train[1]), min(COUNTED, len(train[1])), replace=False)
        labels, n_classes = train[1][rows], int(train[1].max()) + 1
        given = replaced(labels, rate, n_classes, seed)
        run = Run.from_arrays(train=(train[0][rows], given), test=test, classes=[str(c) for c in range(n_classes)])
        estimated, low, high = wrong_labels(run)
        planted = np.bincount(given, weights=given != labels, minlength=n_classes)
        judged = np.isfinite(estimated)
        error = np.abs(estimated - planted)[judged] / run.train.class_counts[judged]
        covered = ((low <= planted) & (planted <= high))[judged]
        found.append(
            (planted[judged].sum(), estimated[judged].sum(), error.mean(), covered.sum(), (low > 0).sum(), judged.sum())
        )
    columns = list(zip(*found, strict=True))
    means = [float(np.mean(column)) for column in columns[:3]]
    return means[0], means[1], means[2], *(int(np.sum(column)) for column in columns[3:])  # type: ignore[return-value]


def count(paths: list[str]) -> int:
    """Print one row per network and noise rate."""
    print(
        "| network | noise | planted | estimated | error | classes | covered | above 0 |\n|---|---|---|---|---|---|---|---|"
    )
    for path in paths:
        for rate in (0.0, *RATES):
            planted, estimated, error, covered, above, classes = counted(path, rate)
            name = path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".npz")
            print(
                f"| {name} | {100 * rate:.0f}% | {planted:.0f} | {estimated:.0f} | {100 * error:.1f}% | {classes} | {covered} "
                f"| {above} |",
                flush=True,
            )
    return 0


def precisions(path: str, rate: float) -> dict[str, dict[str, list[float]]]:
    """Average precision of each method for each seed: of all training instances, and of the rarest third of classes."""
    from sklearn.metrics import average_precision_score

    with np.load(path) as arrays:
        features = arrays["train_features"].astype(np.float64)
        labels = arrays["train_labels"].astype(np.int64)
    n_classes = int(labels.max()) + 1
    found: dict[str, dict[str, list[float]]] = {"all": {}, "rarest third": {}}
    for seed in SEEDS:
        given = replaced(labels, rate, n_classes, seed)
        run = Run.from_arrays(train=(features, given), classes=[str(c) for c in range(n_classes)])
        scores = {"ours": np.nan_to_num(suspect_scores(run)), **cleanlab_scores(features, given, seed)}
        rarest = np.argsort(np.bincount(given, minlength=n_classes), kind="stable")[: n_classes // 3]
        for group, rows in (("all", np.ones(len(given), bool)), ("rarest third", np.isin(given, rarest))):
            for method, score in scores.items():
                value = average_precision_score((given != labels)[rows], score[rows])
                found[group].setdefault(method, []).append(float(value))
    return found


def main(paths: list[str]) -> int:
    """Print one row per network, noise rate and group of classes: mean average precision over the seeds."""
    if not [path for path in paths if path not in ("--multilabel", "--count")]:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    if paths[0] == "--multilabel":
        return multilabel(paths[1:])
    if paths[0] == "--count":
        return count(paths[1:])
    columns: list[str] = []
    for path in paths:
        for rate in RATES:
            found = precisions(path, rate)
            if not columns:
                columns = list(found["all"])
                print(f"| network | noise | classes | {' | '.join(columns)} |\n|{'---|' * (3 + len(columns))}")
            name = path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".npz")
            for group, values in found.items():
                cells = " | ".join(f"{np.mean(values[method]):.3f}" for method in columns)
                print(f"| {name} | {100 * rate:.0f}% | {group} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
