"""Ranking by comparing every positive with every negative."""

from __future__ import annotations


def auroc(positives, negatives):
    """Return the share of pairs in which the positive is larger, ties counted half."""
    wins = sum(1.0 if p > q else 0.5 if p == q else 0.0 for p in positives for q in negatives)
    return wins / (len(positives) * len(negatives))


def average_precision(positives, negatives):
    """Return the precision at each threshold, weighted by the recall it adds."""
    scores = sorted({*positives, *negatives}, reverse=True)
    total, before = 0.0, 0
    for threshold in scores:
        hits = sum(p >= threshold for p in positives)
        said = hits + sum(q >= threshold for q in negatives)
        total += (hits - before) / len(positives) * hits / said
        before = hits
    return total


def delong_variance(positives, negatives):
    """Return DeLong's variance of the AUROC from the placements of both groups."""
    n, m = len(positives), len(negatives)
    beaten = [sum((p > q) + (p == q) / 2 for q in negatives) / m for p in positives]
    missed = [sum((p > q) + (p == q) / 2 for p in positives) / n for q in negatives]

    def spread(values):
        mean = sum(values) / len(values)
        return sum((v - mean) ** 2 for v in values) / (len(values) - 1)

    return spread(beaten) / n + spread(missed) / m
