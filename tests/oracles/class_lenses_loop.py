"""The lenses on classes, instance by instance and pair by pair, as one would explain them."""

from __future__ import annotations

import math

import numpy as np

from tests.oracles.neighbours import brute_graph


def same_class_counts(features, labels, k):
    """How many of the k nearest others of each instance share its class."""
    near, _ = brute_graph(features, min(k, len(features) - 1))
    return [sum(1 for j in row if labels[j] == labels[i]) for i, row in enumerate(near)]


def kind(n, k):
    """The archetype of an instance of which n of k neighbours share the class."""
    if n == 0:
        return "outlier"
    if n / k >= 0.8:
        return "safe"
    return "border" if n / k >= 0.4 else "rare"


def medoid(features, rows):
    """The row whose distances to the others add up to least; sums equal to 12 digits are equal."""
    sums = [math.fsum(math.dist(features[i], features[j]) for j in rows) for i in rows]
    return next(i for i, total in zip(rows, sums, strict=True) if total <= min(sums) * (1 + 1e-12))


def neighbour_forecast(features, labels, predictions, n_classes, k):
    """Counts of enemy classes among the neighbours of wrong instances, and on which instances they rest."""
    near, _ = brute_graph(features, min(k, len(features) - 1))
    counts, basis = np.zeros((n_classes, n_classes), dtype=int), []
    for c in range(n_classes):
        members = [i for i in range(len(labels)) if labels[i] == c]
        wrong = [i for i in members if predictions is not None and predictions[i] != c]
        basis.append("errors" if len(wrong) >= 10 else "all")
        for i in wrong if len(wrong) >= 10 else members:
            for j in near[i]:
                if labels[j] != c:
                    counts[c, labels[j]] += 1
    return counts, basis


def fisher(features, labels, i, k):
    """1 / mean over features of (mu_i - mu_k)^2 / (var_i + var_k), not yet a share."""
    one, two = features[labels == i].astype(np.float64), features[labels == k].astype(np.float64)
    ratios = []
    for d in range(features.shape[1]):
        apart = (one[:, d].mean() - two[:, d].mean()) ** 2
        spread = one[:, d].var() + two[:, d].var()
        if spread > 0:
            ratios.append(apart / spread)
        elif apart > 0:
            ratios.append(math.inf)
    return 1 / np.mean(ratios)


def soft(logits, labels, i, rng, n=4_000):
    """Errors of the class's cloud, widened little by little until a fifth is wrong (50 errors), and its training errors."""
    classes = range(logits.shape[1])
    logits = logits.astype(np.float64)
    own = logits[labels == i]
    within = sum(np.cov(logits[labels == c].T) * (labels == c).sum() for c in classes) / len(labels)
    weight = 50 / (50 + len(own))
    cloud = np.sqrt(1 - weight) * rng.multivariate_normal(0 * own[0], np.cov(own.T), n)
    cloud += np.sqrt(weight) * rng.multivariate_normal(0 * own[0], within, n)
    width = 1.0
    while True:
        answers = [int(answer) for answer in (own.mean(axis=0) + width * cloud).argmax(axis=1)]
        if sum(answer != i for answer in answers) >= n / 5:
            break
        width *= 1.01
    total = np.array([0.0 if c == i else answers.count(c) for c in classes])
    others = np.array([0.0 if c == i else (labels == c).sum() for c in classes])
    errors = [int(row.argmax()) for row in own]
    expected = 0.95 * total / total.sum() + 0.05 * others / others.sum()
    found = 50 * expected + [0 if c == i else errors.count(c) for c in classes]
    return found / found.sum()


def kl(observed, forecast, n_classes):
    """Mean over classes with errors of KL(observed, forecast), each smoothed by 0.001; unknown rows are uniform."""

    def smooth(row, i):
        values = [0.0 if math.isnan(v) else v for j, v in enumerate(row) if j != i]
        total = sum(values)
        values = [(v / total if total > 0 else 0.0) + 0.001 for v in values]
        return [v / sum(values) for v in values]

    found = []
    for i in range(n_classes):
        if sum(v for j, v in enumerate(observed[i]) if j != i) > 0:
            p, q = smooth(observed[i], i), smooth(forecast[i], i)
            found.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return sum(found) / len(found)


def top(values, k):
    """The k largest, of equal ones the lower index first."""
    return sorted(range(len(values)), key=lambda d: (-values[d], d))[:k]


def density_counts(features, labels, n_classes, k):
    """In how many instances of each class a feature is among the instance's own k largest."""
    counts = np.zeros((n_classes, len(features[0])), dtype=int)
    for row, label in zip(features, labels, strict=True):
        for feature in top(row, k):
            counts[label, feature] += 1
    return counts


def gap(train, test):
    """How far `test` leaves the range of `train`, summed over features."""
    if not len(train) or not len(test):
        return math.nan
    total = 0.0
    for d in range(train.shape[1]):
        total += max(0.0, float(train[:, d].min()) - float(test[:, d].min()))
        total += max(0.0, float(test[:, d].max()) - float(train[:, d].max()))
    return total
