"""python -m benchmarks.science.label_suspects ARRAYS.npz ...: are mislabelled training instances ranked first?

A share of the training labels of each network is replaced by a random other class (uniform over instances and classes),
three seeds each. Every method orders all training instances; its average precision counts the replaced labels as
positives. Labels that are incorrect in the data already count against all methods alike. "ours" is the score of the lens
`label_suspects`. cleanlab, where installed, scores the 5-fold cross-validated probabilities of one multinomial logistic
regression on the same standardised features, by self-confidence and by normalised margin. Thirds are of the classes, by number
of instances of the given label; means and standard deviations are over seeds. Each argument is ARRAYS.npz or a run folder.

    python -m benchmarks.science.label_suspects --plant DATA COPY RATE SEED
    python -m benchmarks.science.label_suspects --learned RUN DATA ...

The features above were made without the replaced labels. --plant copies a folder of train.parquet and test.parquet with that
share of the training labels replaced (column `label`, numbers); once a network has been trained on the copy, --learned ranks
the labels of its run and counts those that differ from DATA as positives.

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

import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imblens.lenses.label_suspects import label_scores, suspect_scores, wrong_labels
from imblens.run import Run

RATES = (0.02, 0.05, 0.10)
SEEDS = (0, 1, 2)
COUNTED = 4_000  # training instances
THIRDS = ("all", "rarest third", "middle third", "largest third")
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
        split = Run.load(path).train
        features, labels = np.asarray(split.features, dtype=np.float64), np.asarray(split.labels)
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
            print(f"| {Path(path).stem} | {100 * rate:.0f}% | {cells} |", flush=True)
    return 0


def counted(path: str, rate: float) -> tuple[float, float, float, int, int, int]:
    """Mean numbers planted and estimated, mean error of a share; of all seeds, classes covered, above 0, and in all."""
    loaded = Run.load(path)
    assert loaded.test is not None
    train, test = ((np.asarray(one.features), np.asarray(one.labels)) for one in (loaded.train, loaded.test))
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
            print(
                f"| {Path(path).stem} | {100 * rate:.0f}% | {planted:.0f} | {estimated:.0f} | {100 * error:.1f}% "
                f"| {classes} | {covered} | {above} |",
                flush=True,
            )
    return 0


def plant(data: str, copy: str, rate: str, seed: str) -> int:
    """Copy a data set with a share of its training labels replaced."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    Path(copy).mkdir(parents=True)
    table = pq.read_table(Path(data, "train.parquet"))
    labels = table["label"].to_numpy().astype(np.int64)
    given = replaced(labels, float(rate), int(labels.max()) + 1, int(seed))
    column = table.schema.get_field_index("label")
    field = table.schema.field(column)
    pq.write_table(table.set_column(column, field, pa.array(given).cast(field.type)), Path(copy, "train.parquet"))
    shutil.copy(Path(data, "test.parquet"), Path(copy, "test.parquet"))
    print(f"{(given != labels).sum()} of {len(labels)} labels replaced.")
    return 0


def learned(pairs: list[str]) -> int:
    """Print the rows of networks that were trained with the wrong labels."""
    import pyarrow.parquet as pq

    table = _Table()
    for path, data in zip(pairs[::2], pairs[1::2], strict=True):
        run = Run.load(path)
        true = pq.read_table(Path(data, "train.parquet"), columns=["label"])["label"].to_numpy().astype(np.int64)
        given = np.asarray(run.train.labels)
        if len(true) != len(given) or (true != given).mean() > 0.5:
            raise SystemExit(f"the instances of {path} are not those of {data}.")
        found = precision_of(np.asarray(run.train.features, dtype=np.float64), true, given, run.n_classes, 0)
        rate = f"{100 * (true != given).mean():.0f}%, learned"
        table.add(path, rate, {g: {m: [value] for (of, m), value in found.items() if of == g} for g in THIRDS})
    return 0


def precisions(path: str, rate: float) -> dict[str, dict[str, list[float]]]:
    """Average precisions for each seed, by group of classes and method."""
    split = Run.load(path).train
    features, labels = np.asarray(split.features, dtype=np.float64), np.asarray(split.labels)
    n_classes = int(labels.max()) + 1
    found: dict[str, dict[str, list[float]]] = {group: {} for group in THIRDS}
    for seed in SEEDS:
        given = replaced(labels, rate, n_classes, seed)
        for (group, method), value in precision_of(features, labels, given, n_classes, seed).items():
            found[group].setdefault(method, []).append(value)
    return found


def precision_of(
    features: Floats, labels: Integers, given: Integers, n_classes: int, seed: int
) -> dict[tuple[str, str], float]:
    """Average precision by group of classes and method; NaN where a group has no replaced label."""
    from sklearn.metrics import average_precision_score

    run = Run.from_arrays(train=(features, given), classes=[str(c) for c in range(n_classes)])
    scores = {"ours": np.nan_to_num(suspect_scores(run)), **cleanlab_scores(features, given, seed)}
    order = np.argsort(np.bincount(given, minlength=n_classes), kind="stable")
    found = {}
    for group, classes in zip(THIRDS, (order, *np.array_split(order, 3)), strict=True):
        rows = np.isin(given, classes)
        wrong = (given != labels)[rows]
        for method, score in scores.items():
            value = average_precision_score(wrong, score[rows]) if wrong.any() else np.nan
            found[group, method] = float(value)
    return found


class _Table:
    """A table of average precisions that is printed row by row."""

    def __init__(self) -> None:
        self._methods: list[str] = []

    def add(self, path: str, noise: str, found: dict[str, dict[str, list[float]]]) -> None:
        """Print the rows of a network, one for each group of classes."""
        if not self._methods:
            self._methods = list(found[THIRDS[0]])
            columns = " | ".join(self._methods)
            print(f"| network | noise | classes | {columns} |\n|{'---|' * (3 + len(self._methods))}")
        for group in THIRDS:
            cells = " | ".join(_with_spread(found[group][method]) for method in self._methods)
            print(f"| {Path(path).stem} | {noise} | {group} | {cells} |", flush=True)


def known_mean(values: list[float]) -> float:
    """Mean over the seeds in which a group has a replaced label; NaN without one.

    >>> known_mean([0.5, float("nan"), 1.0]), known_mean([float("nan")])
    (0.75, nan)
    """
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _with_spread(values: list[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    spread = f" ± {np.std(known, ddof=1):.3f}" if len(known) > 1 else ""
    return f"{known_mean(values):.3f}{spread}"


def main(paths: list[str]) -> int:
    """Print one row per network, noise rate and group of classes: average precision, mean and spread over the seeds."""
    modes = {"--multilabel": multilabel, "--count": count, "--learned": learned}
    if paths[:1] == ["--plant"] and len(paths) == 5:
        return plant(*paths[1:])
    unpaired = paths[:1] == ["--learned"] and len(paths) % 2 == 0  # each RUN has its DATA
    if unpaired or "--plant" in paths or not [path for path in paths if path not in modes]:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    if paths[0] in modes:
        return modes[paths[0]](paths[1:])
    table = _Table()
    for path in paths:
        for rate in RATES:
            table.add(path, f"{100 * rate:.0f}%", precisions(path, rate))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
