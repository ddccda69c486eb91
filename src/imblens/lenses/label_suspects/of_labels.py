"""Label suspects of a multi-label run: pairs of a training instance and a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.wording import counted, listed, number
from imblens.lenses._contract import Finding
from imblens.lenses.label_suspects.label_evidence import label_evidence
from imblens.lenses.label_suspects.listing import most_suspect
from imblens.lenses.label_suspects.wrong_labels import estimate_notes, wrong_labels
from imblens.run import NeighbourGraph, Run

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
PRESENT, ABSENT = "present", "absent"
LEAST_AUROC = 0.8  # out of sample; a label that the features rank worse has no suspects: they would be guesses


def label_scores(run: Run) -> Floats:
    """(N, C) 1 - G(given value) of every label, in [0, 1]; NaN where the label is uncertain or cannot be judged."""
    found = label_evidence(run).own
    judged = ~np.isnan(_aurocs(run))
    return np.where(judged, 1 - found, np.nan)


def multilabel_suspects(run: Run, k: int, per_class: int, limit: int) -> Finding:
    """Pairs of an instance and a label whose given value, present or absent, the out-of-sample evidence contradicts."""
    train = run.train
    given, score = train.labels.astype(bool), label_scores(run)
    counts = train.class_counts
    large_from = float(np.median(counts[counts > 0])) if counts.any() else 0.0
    usual = _usual(run, given)
    suspect = (score > 0.5) & (score > 1 - usual)  # less likely than the other value, and than in any instance
    rows, labels = np.nonzero(suspect)
    chosen = most_suspect(score[rows, labels], labels, per_class, limit)
    graph = run.neighbours(k)
    known = label_evidence(run)
    of_labels = _counts(run, suspect, score, counts < large_from)
    summary: dict[str, Any] = {
        "suspects": len(rows),
        "listed": len(chosen),
        "suspects_of_rare_classes": int((counts < large_from)[labels].sum()),
        "estimated": number(float(of_labels["estimated"].sum(min_count=1))),
        "large_from": number(large_from),
        "k": graph.k,
        "fitted": known.n_fitted,
    }
    tables = {
        "label_suspects": _table(run, rows[chosen], labels[chosen], score, graph, counts < large_from),
        "label_suspect_counts": of_labels,
    }
    return Finding(tables, summary, notes=tuple(_notes(run, summary)))


def _usual(run: Run, given: NDArray[np.bool_]) -> Floats:
    """(N, C) share of the given value among all instances whose label is certain."""
    positives = divide((given & run.train.known).sum(axis=0), run.train.known.sum(axis=0), otherwise=0.0)
    return np.where(given, positives, 1 - positives)


def _aurocs(run: Run) -> Floats:
    """(C,) out-of-sample AUROC of each label by G; NaN below 0.8 or where it cannot be judged. Once per run."""
    return run.remember("aurocs of label evidence", lambda: _rank(run))


def _rank(run: Run) -> Floats:
    from sklearn.metrics import roc_auc_score

    own, given = label_evidence(run).own, run.train.labels.astype(bool)
    found = np.full(run.n_classes, np.nan)
    for c in range(run.n_classes):
        judged = ~np.isnan(own[:, c])
        if judged.any():
            present = np.where(given[judged, c], own[judged, c], 1 - own[judged, c])
            value = roc_auc_score(given[judged, c], present)
            found[c] = value if value >= LEAST_AUROC else np.nan
    return found


def _values(present: NDArray[np.bool_]) -> NDArray[np.object_]:
    return np.array([ABSENT, PRESENT], dtype=object)[present.astype(np.int64)]


def _table(
    run: Run, rows: Places, labels: Places, score: Floats, graph: NeighbourGraph, is_rare: NDArray[np.bool_]
) -> pd.DataFrame:
    train, given = run.train, run.train.labels.astype(bool)
    near, ids = graph.indices[rows], run.train.ids
    predicted = _values(np.asarray(train.logits[rows])[np.arange(len(rows)), labels] > 0) if train.has_logits else None
    return pd.DataFrame(
        {
            "id": ids[rows],
            "class": np.array(run.classes, dtype=object)[labels],
            "suggested": _values(~given[rows, labels]),
            "score": score[rows, labels],
            "neighbours": [" ".join(map(str, ids[one])) for one in near],
            "neighbour_classes": [
                ", ".join(_values(given[one, label])) for one, label in zip(near, labels, strict=True)
            ],
            "predicted": predicted,
            "rare_class": is_rare[labels],
        }
    )


def _counts(run: Run, suspect: NDArray[np.bool_], score: Floats, is_rare: NDArray[np.bool_]) -> pd.DataFrame:
    given = run.train.labels.astype(bool)
    judged = (~np.isnan(score)).sum(axis=0)
    n = suspect.sum(axis=0)
    of_positives = (suspect & given).sum(axis=0)
    estimated, low, high = (np.where(judged > 0, numbers, np.nan) for numbers in wrong_labels(run))
    return pd.DataFrame(
        {
            "class": run.classes,
            "count": judged,
            "suspects": n,
            "share": divide(n, judged),
            "often": [
                None if not total else ABSENT if 2 * of >= total else PRESENT
                for of, total in zip(of_positives.tolist(), n.tolist(), strict=True)
            ],
            "rare_class": is_rare,
            "estimated": estimated,
            "estimated_low": low,
            "estimated_high": high,
            "positives": (given & run.train.known).sum(axis=0),
            "suspect_positives": of_positives,
            "auroc": _aurocs(run),
        }
    )


def _notes(run: Run, summary: dict[str, Any]) -> list[str]:
    notes = [
        "A suspect is a pair of an instance and a label: its given value, present or absent, is less likely than the other "
        "value, and less likely than in any instance."
    ]
    silent = [name for name, value in zip(run.classes, _aurocs(run), strict=True) if np.isnan(value)]
    if silent:
        notes.append(
            f"Not judged: {listed(silent)}. The stored features rank these labels poorly (AUROC out of sample below "
            f"{LEAST_AUROC}), or they have too few positives or negatives."
        )
    if summary["listed"] != summary["suspects"]:
        notes.append(f"The table lists {summary['listed']:,} of {counted(summary['suspects'], 'suspect')}.")
    if not summary["fitted"] and len(silent) < run.n_classes:
        notes.append("No head was fitted: scores use the neighbours only.")
    if not run.train.has_logits:
        notes.append("Predictions of the network are unknown.")
    return notes + estimate_notes(run)
