"""python -m benchmarks.science.head_balance [RUN|ARRAYS.npz ...]: is a balanced head recognised by its training logits?

Every network's head is judged as in `imblens audit` of bare arrays: what is known of its training is taken away first. "lacks"
is the multiple of the logarithm of the class shares that the training logits lack to fit the training labels (0 after
cross-entropy without weights, 1 for a balanced head), with its standard error; a head is judged where it lies two standard
errors from 0.5. The bound 0.5 is the middle of the two theoretical values; it was not chosen on any network. "adjusted" is
the change of the mean recall on the test split by `logit_adjustment` with tau = 1, in points; nothing else uses that split.

Besides the networks that are given, it trains 18 small ones: nine losses on ten overlapping normal classes (50 to 1) and on
the digits of scikit-learn (30 to 1), which they memorise. "between" are trainings that favour rare classes in part.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run import Run, head_balance

AUTHORS = {
    "eos_features": "head retrained on EOS features",
    "smote_features": "head retrained on SMOTE features",
    "remix": "ReMix",
}
PLAIN, BALANCED = ("ce", "focal", "ldam"), ("weighted_ce", "cb_ce", "cb_focal", "logit_adjusted")
DEFERRED = ("ce", "ldam")  # re-weighted in the last fifth of the epochs
SCALE = 10.0  # of the cosines that LDAM takes
Arrays = tuple[NDArray[Any], NDArray[Any]]


def normal_classes() -> tuple[Arrays, Arrays]:
    """Training and test instances of ten overlapping normal classes, 1500 to 30."""
    means, rng = 0.75 * np.random.default_rng(5).normal(size=(10, 20)), np.random.default_rng(0)

    def draw(counts: NDArray[np.int64]) -> Arrays:
        labels = np.repeat(np.arange(10), counts)
        return means[labels] + rng.normal(size=(len(labels), 20)), labels

    return draw(np.geomspace(1500, 30, 10).round().astype(int)), draw(np.full(10, 100))


def digits() -> tuple[Arrays, Arrays]:
    """Training (120 to 4) and test instances of scikit-learn's digits."""
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    test: list[int] = []
    train: list[int] = []
    for label, count in enumerate(np.geomspace(120, 4, 10).round().astype(int)):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test, train = [*test, *rows[:50]], [*train, *rows[50 : 50 + count]]
    return (inputs[train] / 16, labels[train]), (inputs[test] / 16, labels[test])


def trained(data: tuple[Arrays, Arrays], loss: str, *, deferred: bool, epochs: int) -> Run:
    """A small network, trained with that loss."""
    import torch
    from torch import nn
    from torch.nn.functional import normalize

    from imblens.losses import build_loss

    torch.manual_seed(0)
    (inputs, labels), (new, of_new) = data
    counts = np.bincount(labels)
    body = nn.Sequential(nn.Linear(inputs.shape[1], 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    head, cosine = nn.Linear(64, 10), loss == "ldam"
    options: dict[str, Any] = {"s": SCALE} if cosine else {}
    criterion = build_loss(loss, counts.tolist(), **options)
    weights = build_loss("cb_ce", counts.tolist()).class_weight
    parameters = [*body.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

    def last() -> Any:
        return SCALE * normalize(head.weight, dim=1) if cosine else head.weight

    def entered(values: Any) -> Any:
        found = body(torch.as_tensor(values, dtype=torch.float32))
        return normalize(found, dim=1) if cosine else found

    bias = torch.zeros(10) if cosine else head.bias
    for epoch in range(epochs):
        if deferred and epoch == 4 * epochs // 5:
            criterion.class_weight = weights
        for rows in torch.split(torch.randperm(len(labels)), 128):
            optimizer.zero_grad()
            logits = entered(inputs[rows]) @ last().T + bias
            criterion(logits, torch.as_tensor(labels[rows])).backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        layer = (last().numpy(), bias.detach().numpy())
        splits = (entered(inputs).numpy(), labels), (entered(new).numpy(), of_new)
    return Run.from_arrays(train=splits[0], test=splits[1], head=layer)


def small_networks() -> Iterator[tuple[str, str, Run]]:
    """(name, what is known, run) of the networks that are trained here."""
    for data, arrays, epochs in (("normal classes", normal_classes(), 20), ("digits", digits(), 60)):
        for loss in (*PLAIN, *BALANCED):
            known = "balanced" if loss in BALANCED else "not"
            yield f"{data}: {loss}", known, trained(arrays, loss, deferred=False, epochs=epochs)
        for loss in DEFERRED:
            yield f"{data}: {loss}, re-weighted late", "balanced", trained(arrays, loss, deferred=True, epochs=epochs)


def given(path: Path) -> tuple[str, str, Run]:
    """(name, what is known, run) of a network that was named."""
    run = Run.load(path)
    kind = AUTHORS.get(path.stem.rpartition("_")[0])
    if path.suffix == ".npz":
        return f"{path.stem}: {kind or 'unknown'}", {None: "", "ReMix": "between"}.get(kind, "balanced"), run
    balance, data = head_balance(run), run.meta.get("data") or {}
    name = str(run.meta.get("loss"))
    oversampled = (data.get("oversample") or {}).get("name")
    mixed = "remix" if run.meta.get("remix") else "rebalanced_mixup" if run.meta.get("rebalanced_mixup") else ""
    name += "".join(
        f", {part}" for part in (oversampled and f"{oversampled} in pixels", mixed, run.meta.get("arch")) if part
    )
    known = "between" if mixed else "balanced" if oversampled or balance.source in ("training", "treatment") else "not"
    return f"{path.name[:6]}: {name}", known, run


def mean_recall(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Mean over classes of the share of their instances that are predicted as they are."""
    right = logits.argmax(axis=1) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def main(paths: list[str]) -> int:
    """Print the table, and how many heads of each kind were recognised."""
    judged: Counter[tuple[str, str]] = Counter()
    print("| network | known | training | lacks | error | judged | adjusted |\n|---|---|---|---|---|---|---|")
    for name, known, run in [*map(given, map(Path, paths)), *small_networks()]:
        found = head_balance(replace(run, meta={}))
        verdict = {True: "balanced", False: "not", None: "undetermined"}[found.balanced]
        judged[known, verdict] += 1
        adjusted = ""
        if run.test is not None:
            logits, labels = np.asarray(run.test.logits), run.test.labels
            after = mean_recall(logits - np.log(np.maximum(run.train.class_counts, 1)), labels)
            adjusted = f"{100 * (after - mean_recall(logits, labels)):+.1f}"
        training = mean_recall(np.asarray(run.train.logits), run.train.labels)
        print(
            f"| {name} | {known} | {training:.3f} | {found.missing:.2f} | {found.error:.2f} | {verdict} | {adjusted} |",
            flush=True,
        )
    print("\n| known | judged balanced | judged not | undetermined |\n|---|---|---|---|")
    for known in ("balanced", "between", "not", ""):
        row = [judged[known, verdict] for verdict in ("balanced", "not", "undetermined")]
        if sum(row):
            print(f"| {known or 'nothing'} | " + " | ".join(map(str, row)) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
