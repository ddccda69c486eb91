"""Does a list of `imblens collect` hold as many instances of the classes that it is for as stated?

    python -m benchmarks.science.collect_stated ARRAYS.npz ...

Two halves of the test split, drawn twice: a pool, and the validation split. The pool has equal class shares or those of
training ("natural", about 1,100 instances), and so has the validation split of "natural, val too"; 500 validation instances, or
all that there are. Lists of 100 for the rarest third of the classes. "covered": lists whose true number lies in the stated 95%
interval.

Without a validation split no number is stated. The list is then ordered by the network's own probabilities ("own"); beside it,
the list that training frequencies and EM would give ("adjusted"), and the number that these would state.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.decisions import Unlabelled, collect
from imblens.errors import ImblensWarning
from imblens.run import Run

COUNT, SEEDS, LARGEST = 100, range(2), 450
KINDS = ("equal", "natural", "natural, val too")
Rows = NDArray[np.int64]


def thinned(rows: Rows, labels: Rows, counts: Rows, most: float) -> Rows:
    """Rows with the class shares of training, at most so many of a class and at least two."""
    parts = []
    for place, n in enumerate(counts):
        of_class = rows[labels[rows] == place]
        parts.append(of_class[: max(2, round(most * n / counts.max()))])
    return np.concatenate(parts)


def trial(whole: Run, kind: str, n_val: int | None, seed: int) -> tuple[Rows, Rows]:
    """Rows of the test split for validation and for the pool."""
    assert whole.test is not None
    order, labels, counts = (
        np.random.default_rng(seed).permutation(len(whole.test)),
        whole.test.labels,
        whole.train.class_counts,
    )
    val, pool = np.array_split(order, 2)
    if kind != "equal":
        pool = thinned(pool, labels, counts, LARGEST)
    if kind == KINDS[2]:
        val = thinned(val, labels, counts, len(val))
        val = np.random.default_rng(seed).permutation(val)
    return val[:n_val], pool


def listed(whole: Run, val: Rows | None, pool: Rows, **changed: Any) -> tuple[float, float, float, int]:
    """Stated number, its interval, and the true number."""
    assert whole.test is not None and whole.head is not None
    x, y, z = np.asarray(whole.test.features), whole.test.labels, np.asarray(whole.test.logits)
    splits: dict[str, Any] = {} if val is None else {"val": (x[val], y[val], z[val])}
    train = (whole.train.features, whole.train.labels)
    run = Run.from_arrays(train=train, head=(whole.head.weight, whole.head.bias), **splits)
    data = Unlabelled(x[pool], changed.get("logits", z)[pool], pool.astype(str))
    found = collect(run, pool=data, count=COUNT, gain=False)
    aimed = np.flatnonzero(found.tables["classes"]["aimed"])
    rows = found.tables["list"]["id"].to_numpy().astype(int)
    return (*found.stated, int(np.isin(y[rows], aimed).sum()))


def adjusted_logits(whole: Run, pool: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits whose softmax is for the shares that EM finds in the pool, from training frequencies."""
    from scipy.special import softmax

    from imblens.decisions import adjusted_probabilities, em_prior

    assert whole.test is not None
    before = whole.train.class_counts / len(whole.train)
    p = softmax(np.asarray(whole.test.logits, dtype=np.float64), axis=1)
    shares = (len(pool) * em_prior(p[pool], before) + 0.5) / (len(pool) + 0.5 * len(before))
    found = adjusted_probabilities(p, before, shares)
    return np.log(np.maximum(found, 1e-30)), found


def main(arguments: list[str]) -> int:
    """Print a row per network, pool and validation split; see the module."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    wholes = {Path(path).stem: Run.load(Path(path)) for path in arguments}
    print("| network | pool | validation | stated | true | covered |\n|---|---|---|---|---|---|", flush=True)
    covered: dict[str, list[int]] = {name: [0, 0] for name in wholes}
    for name, whole in wholes.items():
        for kind in KINDS:
            for n_val in (500, None):
                trials = [trial(whole, kind, n_val, seed) for seed in SEEDS]
                found = [listed(whole, val, pool) for val, pool in trials]
                stated = ", ".join(f"{n:.0f} [{low:.0f}, {high:.0f}]" for n, low, high, _ in found)
                held = sum(low <= true <= high for _, low, high, true in found)
                covered[name] = [covered[name][0] + held, covered[name][1] + len(found)]
                sizes = f"{np.mean([len(val) for val, _ in trials]):,.0f}"
                true = ", ".join(str(one[3]) for one in found)
                print(f"| {name} | {kind} | {sizes} | {stated} | {true} | {held} of {len(found)} |", flush=True)
    print("\ncovered: " + ", ".join(f"{name} {held} of {n}" for name, (held, n) in covered.items()))
    print(
        "\n| network | pool | own: true | adjusted: true | adjusted: would state |\n|---|---|---|---|---|", flush=True
    )
    for name, whole in wholes.items():
        for kind in KINDS[:2]:
            pools = [trial(whole, kind, None, seed)[1] for seed in SEEDS]
            own = [listed(whole, None, pool)[3] for pool in pools]
            rare = np.argsort(whole.train.class_counts, kind="stable")[: whole.n_classes // 3]
            other, would = [], []
            for pool in pools:
                logits, p = adjusted_logits(whole, pool)
                other.append(listed(whole, None, pool, logits=logits)[3])
                worth = (p * (1 - p) ** 3 / whole.train.class_counts)[pool][:, rare].sum(axis=1)
                would.append(p[pool][np.argsort(-worth)[:COUNT]][:, rare].sum())
            texts = [", ".join(f"{one:.0f}" for one in values) for values in (own, other, would)]
            print(f"| {name} | {kind} | {' | '.join(texts)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
