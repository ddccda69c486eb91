"""FRAGILITY's class features, one instance and one feature at a time, in plain Python."""

from __future__ import annotations

import math


def needed(feature_row, weight, bias):
    """Return (predicted class, set of needed features, CE) of one instance by trying 0, 1, 2, ... largest CE."""
    logits = [
        sum(f * w for f, w in zip(feature_row, row, strict=True)) + b for row, b in zip(weight, bias, strict=True)
    ]
    predicted = logits.index(max(logits))
    runner_up = sorted(logits)[-2]
    embedding = [f * w for f, w in zip(feature_row, weight[predicted], strict=True)]
    negative = sum(e for e in embedding if e < 0)
    by_size = sorted((d for d, e in enumerate(embedding) if e > 0), key=lambda d: -embedding[d])
    for size in range(len(by_size) + 1):
        if sum(embedding[d] for d in by_size[:size]) + bias[predicted] + negative >= runner_up:
            return predicted, set(by_size[:size]), embedding
    return predicted, set(by_size), embedding


def class_features(features, labels, weight, bias):
    """Return {class: (frequency, magnitude, fe_mean, needed_mean, distinct, effective, top1, top10)}."""
    found = {}
    for label in sorted(set(labels)):
        rows = [row for row, own in zip(features, labels, strict=True) if own == label]
        dim = len(rows[0])
        answers = [needed(row, weight, bias) for row in rows]
        n = len(rows)
        frequency = [sum(d in chosen for _, chosen, _ in answers) / n for d in range(dim)]
        magnitude = [sum(embedding[d] for _, _, embedding in answers) / n for d in range(dim)]
        fe_mean = [sum(row[d] for row in rows) / n for d in range(dim)]
        positive = [sum(max(embedding[d], 0.0) for _, _, embedding in answers) / n for d in range(dim)]
        total = sum(positive)
        share = [p / total for p in positive]
        entropy = -sum(p * math.log(p) for p in share if p > 0)
        found[label] = {
            "frequency": frequency,
            "magnitude": magnitude,
            "fe_mean": fe_mean,
            "needed_mean": sum(len(chosen) for _, chosen, _ in answers) / n,
            "distinct": len(set().union(*(chosen for _, chosen, _ in answers))),
            "effective_number": math.exp(entropy),
            "top1_magnitude": max(magnitude),
            "top10_share": sum(sorted(share)[-10:]),
        }
    return found


def magnitude_match(train, train_labels, test, test_labels, weight, bias, top):
    """Return {class: (right shift, wrong shift)}; None where there is nothing to compare."""
    found = {}
    for label in sorted(set(train_labels)):
        own = [
            [f * w for f, w in zip(row, weight[label], strict=True)]
            for row, y in zip(train, train_labels, strict=True)
            if y == label
        ]
        dim, n = len(own[0]), len(own)
        mean = [sum(row[d] for row in own) / n for d in range(dim)]
        deviation = [math.sqrt(sum((row[d] - mean[d]) ** 2 for row in own) / n) for d in range(dim)]
        strongest = [d for d in sorted(range(dim), key=lambda d: -mean[d])[:top] if deviation[d] > 0]
        shifts = []
        for want_right in (True, False):
            chosen = [
                [f * w for f, w in zip(row, weight[label], strict=True)]
                for row, y in zip(test, test_labels, strict=True)
                if y == label and (needed(row, weight, bias)[0] == label) == want_right
            ]
            if not chosen or not strongest:
                shifts.append(None)
                continue
            steps = [abs(sum(row[d] for row in chosen) / len(chosen) - mean[d]) / deviation[d] for d in strongest]
            shifts.append(sum(steps) / len(steps))
        found[label] = tuple(shifts)
    return found
