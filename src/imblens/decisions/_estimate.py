"""Accuracy per class on data without labels, or with few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, a_text, checked, whole
from imblens.base.arrays import divide
from imblens.base.files import claim
from imblens.base.progress import tracked
from imblens.base.random_state import random_state_kept
from imblens.base.wording import FEW, counted, listed, share_with_interval
from imblens.decisions._calibration import fit_calibration
from imblens.decisions._estimate_data import FewClasses, ManyClasses, Source
from imblens.decisions._estimate_many import MANY, kept_logits
from imblens.decisions._expected import Measures, widened
from imblens.decisions._held_out import held_out_split
from imblens.decisions._labelled import Instances, as_instances, labelled_instances
from imblens.decisions._section_text import class_share, save_section, section, with_interval
from imblens.decisions._shift import LEAST, Shift, covariate_auc
from imblens.run import Run, as_run

Floats = NDArray[np.float64]
DRAWS = 200
LARGEST = 1_000  # confusions in the CSV of many classes
MOST_DRAWN = 3000  # instances in one draw of the bootstrap; more would narrow intervals that depend on the labels
TAILS = (0.025, 0.975)  # ends of a 95% interval
LABEL_SHIFT = 0.01  # p-value of equal shares of predictions below which class shares are estimated


@dataclass(frozen=True)
class Estimate:
    """What can be stated about data without labels.

    Attributes:
        tables: `estimate`, `priors` and, in single-label runs, `confusion`; see `estimate`.
        summary: verdict, accuracy and balanced_accuracy with intervals, the tests of shift: plain JSON values.
        notes: assumptions and limits, one sentence each.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([0, 1], [60, 20])
        >>> features = rng.normal(size=(80, 2)) + 2 * np.eye(2)[y]
        >>> run = Run.from_arrays(train=(features, y), head=(np.eye(2) * 2, [0, 0]), classes=["cat", "dog"])
        >>> found = estimate(run, unlabelled=features + 9, labels=(features, y))  # another kind of data
        >>> found.verdict, found.lines()[0][:7], bool(found.tables["estimate"]["recall"].isna().all())
        ('refused', 'refused', True)
    """

    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    summary: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Whether the estimate is "shown", "hedged" or "refused"."""
        return str(self.summary["verdict"])

    def lines(self) -> list[str]:
        """Return the verdict, accuracy, and the classes of lowest recall."""
        if self.verdict == "refused":
            return [
                "refused: the unlabelled instances differ from the labelled ones within classes, so no accuracy is stated."
            ]
        s = self.summary
        value = share_with_interval(s["balanced_accuracy"], s["balanced_accuracy_low"], s["balanced_accuracy_high"])
        lines = [f"{self.verdict}: estimated balanced accuracy {value}."]
        table = self.tables["estimate"].sort_values("recall", kind="stable").head(3)
        for row in table.to_dict("records"):
            recall = share_with_interval(row["recall"], row["recall_low"], row["recall_high"])
            lines.append(f"{row['class']}: estimated recall {recall}.")
        return lines

    def section(self) -> dict[str, Any]:
        """Return lines, table (least recall first) and notes for the section "Before you deploy" of a report."""
        table = self.tables["estimate"].sort_values("recall", kind="stable")
        columns = {"class": table["class"], "labels": table["label_count"]}
        for name in ("recall", "precision"):
            triples = table[[name, f"{name}_low", f"{name}_high"]].to_numpy()
            columns[f"estimated {name}"] = [with_interval(*row) for row in triples]
        shares = self.tables["priors"].loc[table.index]
        columns["share"] = [with_interval(*row) for row in shares[["share", "share_low", "share_high"]].to_numpy()]
        columns["share in training"] = [class_share(value) for value in shares["train_share"]]
        return section("estimate", self.lines(), pd.DataFrame(columns), self.notes)

    def save(self, out: str | Path, *, force: bool = False) -> Path:
        """Write tables/NAME.csv and estimate.json to a folder and return it.

        Above 200 classes, tables/confusion.csv has the 1,000 largest confusions, and tables/confusion.parquet all of the table.

        Raises:
            ExistsError: it holds something and `force` is false.
        """
        folder = claim(Path(out), force=force)
        values = {"summary": dict(self.summary), "notes": list(self.notes), "section": self.section()}
        tables = {f"tables/{name}": table for name, table in self.tables.items()}
        whole = {}
        if len(self.tables["estimate"]) > MANY and (place := "tables/confusion") in tables:
            whole = {place: tables[place]}
            errors = tables[place].loc[tables[place]["class"] != tables[place]["predicted"]]
            tables[place] = errors.sort_values("share", ascending=False, kind="stable").head(LARGEST)
        save_section(folder, "estimate", tables, values, whole=whole)
        return folder


@checked(choose_on=a_text(), seed=a_seed(), draws=whole(1, most=100_000))
def estimate(
    run: Run, *, unlabelled: Any, labels: Any | None = None, choose_on: str = "val", seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Estimate recall, precision, confusion and share of each class on instances without labels.

    Probabilities p are calibrated (`fit_calibration` with `own`) on the few labels, near the calibration on the validation
    split where there is one; without labels, on the validation split. Then, over the unlabelled instances,

        recall_c = sum p_c [predicted c] / sum p_c        precision_c = sum p_c [predicted c] / count [predicted c]

    Where the shares of the predictions differ between labelled and unlabelled data (p < 0.01), class shares are estimated
    by EM and probabilities are adjusted. A classifier is trained to separate labelled from unlabelled instances, at equal
    class shares: with an AUROC above 0.70 (lower end of its 90% interval) the estimate is refused, above 0.53 it is
    hedged: the intervals then do not include the error that this difference causes. With fewer than 40 labelled
    instances there is no test, and the estimate is hedged. Where the validation split, or `Unlabelled`, has groups, no group
    is in two folds, that 90% interval is by group, and fewer than ten groups are too few for the test.

    Intervals (95%) are percentiles over draws: calibrations that the labels leave possible, times a bootstrap of the
    unlabelled instances; none is narrower than the Wilson interval of as many instances, and each holds 1 (0) where all (none)
    may be correct by chance. They hold under label shift, not under other shift.

    Args:
        run: the network; with a head, or pass logits.
        unlabelled: features (n, D), or `imblens.decisions.Unlabelled`.
        labels: (features, labels) of labelled instances of the same kind as the unlabelled ones: class names or numbers,
            multi-hot in multi-label runs.
        choose_on: split for the calibration without labels, "val" or "test".
        seed: of the draws.
        draws: number of draws.

    Returns:
        Table `estimate`: class, label_count (labelled instances), predicted_count, recall, precision with _low and _high; in
        multi-label runs also specificity. Table `priors`: class, train_share, labelled_share, share with _low and _high
        (EM), black_box (the same by black-box shift estimation). Table `confusion`: class, predicted, share with _low and
        _high; above 200 classes only recalls and the 20 largest confusions of each class. Estimates of a refused one
        are NaN, as is precision of a class that is never predicted.

    Raises:
        InputError, ShapeError, MissingError: arrays or labels do not fit the run; no labels and no validation split.

    References:
        Alexandari et al. 2020; Saerens et al. 2002; Lipton et al. 2018; Garg et al. 2020, A unified view of label shift
        estimation. Intervals by draws of the calibration and the bias of the predicted class are ours.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def some(n):
        ...     y = rng.permutation(np.repeat([0, 1], [3 * n, n]))
        ...     return rng.normal(size=(4 * n, 2)) + 2 * np.eye(2)[y], y
        >>> run = Run.from_arrays(train=some(50), head=(np.eye(2) * 2, [0, 0]), classes=["cat", "dog"])
        >>> new, truth = some(1000)
        >>> found = estimate(run, unlabelled=new, labels=some(30))
        >>> real = [(run.head(new).argmax(1) == truth)[truth == c].mean() for c in (0, 1)]
        >>> found.verdict, bool((abs(found.tables["estimate"]["recall"] - real) < 0.05).all())
        ('shown', True)
    """
    run = as_run(run, "estimate")
    new = as_instances(run, unlabelled, "unlabelled")
    with random_state_kept():
        rng = np.random.default_rng(seed)
        source = _source(run, labels, choose_on)
        return _estimated(run, source, new, draws, rng)


def _source(run: Run, labels: Any | None, choose_on: str) -> Source:
    if labels is None:
        split, notes = held_out_split(run, choose_on)
        given = Instances(split.features, kept_logits(split.logit_rows), split.groups)
        notes = [*notes, *_without_labels(run, split.labels)]
        return Source(given, split.labels, fit_calibration(given.logits, split.labels, own=True), notes)
    given, values = labelled_instances(run, labels)
    given = given._replace(logits=kept_logits(given.logits))
    start = None
    if run.val is not None and run.val.has_logits and len(run.val):
        start = fit_calibration(run.val.logit_rows, run.val.labels, own=True)
    found = fit_calibration(given.logits, values, start=start, own=True)
    notes = [f"Calibrated on {counted(len(values), 'labelled instance')}."]
    return Source(given, values, found, [*notes, *_without_labels(run, values)])


def _without_labels(run: Run, labels: NDArray[Any]) -> list[str]:
    """Note on classes that the labelled instances do not hold."""
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=run.n_classes)
    none = [name for name, count in zip(run.classes, counts, strict=True) if count == 0]
    if not none:
        return []
    return [f"No labelled instance of {', '.join(none)}: these estimates depend on the network's own probabilities."]


def _estimated(run: Run, source: Source, new: Instances, draws: int, rng: np.random.Generator) -> Estimate:
    multilabel, notes = run.task == "multilabel", list(source.notes)
    many = not multilabel and run.n_classes > MANY
    data = ManyClasses(source, new) if many else FewClasses(source, new, multilabel)
    use_em = data.label_p < LABEL_SHIFT
    share = data.shares()
    if use_em:
        notes.append("Class shares differ from those of the labelled instances; they were estimated (EM).")
    weights = np.ones(len(source.labels))
    if use_em and not multilabel:
        weights = divide(share, data.before, otherwise=0.0)[source.labels]
    groups = source.instances.groups, new.groups
    auc = covariate_auc(source.instances[:2], new[:2], weights, multilabel=multilabel, rng=rng, groups=groups)
    shift = Shift(data.label_p, *auc)
    verdict = "hedged" if np.isnan(auc[0]) else shift.verdict
    if verdict == "shown" and _without_labels(run, source.labels):
        verdict = "hedged"
    notes += _shift_notes(shift, verdict)
    found, pairs = data.measured(share if use_em else None)
    drawn, shares, boxes = [], [], []
    for calibration in tracked(data.calibrations(draws, rng), "intervals"):
        n = len(new.logits)
        rows = np.arange(n) if n <= MOST_DRAWN else rng.choice(n, MOST_DRAWN, replace=False)
        w = rng.poisson(1.0, len(rows)).astype(np.float64)
        w[0] = max(w[0], 1.0)  # at least one instance
        of_draw, of_shares = data.draw(calibration, rows, w, use_em)
        drawn.append(of_draw)
        shares.append(of_shares)
        boxes.append(data.black_box(rows, w, rng))
    box = data.black_box(slice(None), None, None)
    notes += _disagreement(run, share, np.array(shares), box, np.array(boxes), many)
    values = _Values(found, pairs, drawn, share, np.array(shares), box, data.predicted_counts, len(new.logits))
    return _result(run, source, values, shift, verdict, notes)


def _disagreement(run: Run, share: Floats, shares: Floats, box: Floats, boxes: Floats, many: bool) -> list[str]:
    if many:
        return [f"Class shares have one estimate: black-box shift estimation is left out above {MANY} classes."]
    if np.isnan(box).any():
        return [
            "Black-box shift estimation needs a labelled instance of every class, so class shares have one estimate."
        ]
    spread = np.sqrt(shares.var(axis=0) + np.nanvar(boxes, axis=0))
    from scipy.special import ndtri

    limit = -ndtri(0.025 / len(share))
    apart = [
        name
        for name, off in zip(run.classes, np.abs(share - box) > limit * np.maximum(spread, 1e-9), strict=True)
        if off
    ]
    if not apart:
        return []
    return [
        f"EM and black-box shift estimation disagree on the share of {listed(apart, 5)}: the data may differ within "
        "classes."
    ]


def _shift_notes(shift: Shift, verdict: str) -> list[str]:
    if np.isnan(shift.auc):
        return [
            f"Fewer than {LEAST} labelled or unlabelled instances, or {FEW} groups of them: whether they differ within "
            "classes cannot be tested."
        ]
    found = f"A classifier distinguishes unlabelled from labelled instances with an AUROC of {shift.auc:.2f}"
    if verdict == "shown":
        return [f"{found}: no relevant difference within classes was found."]
    if verdict == "hedged":
        return [f"{found}: they differ within classes, so errors of several points beyond the intervals are possible."]
    return [f"{found}: label some of the new instances, and pass them as labels."]


class _Values(NamedTuple):
    """Point estimates and draws; of confusions, the entries of `pairs`."""

    found: Measures
    pairs: Any
    drawn: list[Measures]
    share: Floats
    shares: Floats
    box: Floats
    predicted_counts: NDArray[np.int64]
    n: int


def _ends(draws: list[Any]) -> tuple[Floats, Floats]:
    drawn = np.array(draws, dtype=np.float64)
    found = np.quantile(drawn, TAILS, axis=0)
    missing = np.isnan(drawn)
    partly = missing.any(axis=0) & ~missing.all(axis=0)  # a class that is not predicted in some draws
    if partly.any():
        found[:, partly] = np.nanquantile(drawn[:, partly], TAILS, axis=0)
    return found[0], found[1]


def _result(
    run: Run,
    source: Source,
    values: _Values,
    shift: Shift,
    verdict: str,
    notes: list[str],
) -> Estimate:
    multilabel = run.task == "multilabel"
    counts = source.labels.sum(axis=0) if multilabel else np.bincount(source.labels, minlength=run.n_classes)
    columns: dict[str, Any] = {"class": run.classes, "label_count": counts, "predicted_count": values.predicted_counts}
    counted_by = {"recall": values.n * values.found.share, "precision": values.predicted_counts}
    counted_by |= {"specificity": values.n * (1 - values.found.share)} if multilabel else {}
    for name, count in counted_by.items():
        ends = _ends([getattr(draw, name) for draw in values.drawn])
        low, high = widened(*ends, getattr(values.found, name), count)
        columns |= {name: getattr(values.found, name), f"{name}_low": low, f"{name}_high": high}
    low, high = widened(*_ends(list(values.shares)), values.share, values.n)
    trained = run.train.class_counts / len(run.train)
    of_labels = counts / len(source.labels)
    shares = {"train_share": trained, "labelled_share": of_labels, "share": values.share, "share_low": low}
    priors = pd.DataFrame({"class": run.classes, **shares, "share_high": high, "black_box": values.box})
    tables = {"estimate": pd.DataFrame(columns), "priors": priors}
    if not multilabel:
        tables["confusion"] = _confusion(run, values)
    balanced = [
        [(draw.recall + draw.specificity) / 2 if multilabel else draw.recall] for draw in (values.found, *values.drawn)
    ]
    means = [float(np.nanmean(one)) for one in balanced]
    summary: dict[str, Any] = {"verdict": verdict, "auc": None if np.isnan(shift.auc) else shift.auc}
    summary |= {"label_shift_p": shift.label_p, "temperature": source.calibration.temperature}
    for name, point, drawn in (
        ("accuracy", values.found.accuracy, [draw.accuracy for draw in values.drawn]),
        ("balanced_accuracy", means[0], means[1:]),
    ):
        low, high = widened(*_ends(drawn), float(point), values.n)
        summary |= {name: float(point), f"{name}_low": float(low), f"{name}_high": float(high)}
    if verdict == "refused":
        for name in ("estimate", "confusion", "priors"):
            if name in tables:
                wanted = [
                    column
                    for column in tables[name]
                    if tables[name][column].dtype.kind == "f" and "_share" not in column
                ]
                tables[name] = tables[name].assign(**dict.fromkeys(wanted, np.nan))
        summary |= {key: None for key in summary if "accuracy" in key}
    return Estimate(tables, summary, tuple(notes))


def _confusion(run: Run, values: _Values) -> pd.DataFrame:
    of, to = values.pairs
    share = values.found.confusion
    low, high = widened(*_ends([draw.confusion for draw in values.drawn]), share, values.n * values.found.share[of])
    names = np.asarray(run.classes, dtype=object)
    return pd.DataFrame(
        {"class": names[of], "predicted": names[to], "share": share, "share_low": low, "share_high": high}
    )
