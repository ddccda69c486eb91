"""What to collect: which classes gain from more instances, and which instances of a pool to label next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, checked, flag, some_texts, whole
from imblens.base.arrays import divide
from imblens.base.files import claim
from imblens.base.random_state import random_state_kept
from imblens.base.wording import counted, listed
from imblens.decisions._calibration import predicted
from imblens.decisions._distance import nearest_distance, training_sample
from imblens.decisions._gain import FACTORS, collection_gain
from imblens.decisions._labelled import Instances, as_instances
from imblens.decisions._pool_chances import pool_chances
from imblens.decisions._predict import Unlabelled
from imblens.decisions._section_text import class_share, points, save_section, section
from imblens.decisions._stated import UNKNOWN, Stated
from imblens.errors import InputError, MissingError, did_you_mean
from imblens.run import Run, as_array, as_run, in_blocks

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
DOUBT = 3  # power of the chance to be another class
PER_LISTED, FEWEST = 20, 2000  # candidates that are compared: so many for each place of the list, at least so many
COMPARED = (
    2**25
)  # numbers of their probabilities: where classes are many, candidates are fewer, but no fewer than the list
SAME = 0.2  # share of the usual distance to training up to which two instances are near-duplicates
BORDER = 0.5  # the second likeliest class is a border from so many times the chance of the likeliest
FAR = 0.95  # rank of the distance to training from which an instance is uncovered


@dataclass(frozen=True)
class Collection:
    """What to collect.

    Attributes:
        tables: `classes`, and with a pool `list`; see `collect`.
        notes: assumptions and limits, one sentence each.
        stated: `number` of instances in the list that are expected to be of the classes that it is for, and its 95% interval
            `low`, `high`; NaN where none can be stated.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([0, 1], [60, 10])
        >>> features = rng.normal(size=(70, 2)) + 2 * np.eye(2)[y]
        >>> run = Run.from_arrays(train=(features, y), head=(np.eye(2) * 2, [0, 0]), classes=["cat", "dog"])
        >>> found = collect(run, pool=rng.normal(size=(200, 2)) + 1, count=10, gain=False)
        >>> found.tables["classes"].loc[found.tables["classes"]["aimed"], "class"].tolist(), len(found.tables["list"])
        (['dog'], 10)
    """

    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    notes: tuple[str, ...]
    stated: Stated = UNKNOWN

    def lines(self) -> list[str]:
        """Return what the list is expected to hold, and the classes that gain most from more instances."""
        table, lines = self.tables["classes"], []
        if "list" in self.tables:
            aimed = table[table["aimed"]]
            what = (
                f"{counted(len(self.tables['list']), 'instance')} to label next, for {listed(list(aimed['class']), 5)}"
            )
            if np.isnan(self.stated.number):
                lines.append(f"{what}. How many of them are of these classes cannot be stated.")
            else:
                number, low, high = self.stated
                lines.append(
                    f"{what}: about {number:.0f} [{low:.0f}, {high:.0f}] of these classes are expected, "
                    f"{aimed['expected_random'].sum():.1f} in a random list."
                )
        if "gain_2" in table:
            known = table[table["gain_2"].notna()].sort_values("gain_2", ascending=False, kind="stable").head(3)
            for row in known.to_dict("records"):
                lines.append(
                    f"{row['class']}: {_points(row, 2)} from {2 * row['train_count']:,} instead of {row['train_count']:,} "
                    f"instances, {_points(row, 4)} from {4 * row['train_count']:,}."
                )
        return lines

    def section(self) -> dict[str, Any]:
        """Return lines, table (rarest classes first) and notes for the section "Before you deploy" of a report."""
        table = self.tables["classes"].sort_values("train_count", kind="stable")
        columns = {"class": table["class"], "training instances": table["train_count"]}
        for factor in FACTORS if "gain_2" in table else ():
            triples = table[[f"gain_{factor}{end}" for end in ("", "_low", "_high")]].to_numpy()
            columns[f"points from {factor} times as many"] = [points(*row) for row in triples]
        if "list" in self.tables:
            columns["share of the pool"] = [class_share(value) for value in table["pool_share"]]
            columns["expected in the list"] = [_known(value, 0) for value in table["expected"]]
            columns["in a random list"] = [_known(value, 1) for value in table["expected_random"]]
        return section("collect", self.lines(), pd.DataFrame(columns), self.notes)

    def save(self, out: str | Path, *, force: bool = False) -> Path:
        """Write list.csv, tables/classes.csv and collect.json to a folder and return it.

        Raises:
            ExistsError: it holds something and `force` is false.
        """
        folder = claim(Path(out), force=force)
        values = {"lines": self.lines(), "notes": list(self.notes), "section": self.section()}
        tables = {name if name == "list" else f"tables/{name}": table for name, table in self.tables.items()}
        save_section(folder, "collect", tables, values)
        return folder


def _known(value: float, digits: int) -> str:
    return "unknown" if np.isnan(value) else f"{value:.{digits}f}"


def _points(row: dict[str, Any], factor: int) -> str:
    gain, ends = points(*(row[f"gain_{factor}{end}"] for end in ("", "_low", "_high"))).split(" ", 1)
    return f"{gain} points {ends}"


@checked(count=whole(1), classes=some_texts("classes", optional=True), gain=flag(), seed=a_seed())
def collect(
    run: Run,
    *,
    pool: Any | None = None,
    count: int = 100,
    classes: Sequence[str] | None = None,
    gain: bool = True,
    seed: int = 0,
) -> Collection:
    """State what each class gains from more instances, and choose instances of an unlabelled pool to label next.

    Gains are those of `collection_gain`. The list takes instances one after another by

        sum over the classes c that it is for:  p_c (1 - p_c)^3 / n_c

    p_c is the calibrated chance of class c at the class shares of the pool (EM), n_c the training instances of c plus those
    that the list is expected to hold already. So it prefers what is likely of a rare class but is predicted as another:
    instances that it already recognises add little. Where EM finds less than a tenth of the share of a class that the list
    is for, the network may not know it, and shares count half as found and half as in the labelled instances.
    Near-duplicates of training instances and of each other, nearer than a fifth of the usual distance to training, are
    left out.

    The list is not a random sample. Instances of frequent classes are in it because they look like rare ones; a
    head that is trained with them loses recall of rare classes. Add those that turn out to be of the classes that the list is
    for, and keep the others apart.

    Args:
        run: the network, with training features; a head, or logits of the pool. Probabilities are calibrated on the validation
            split.
        pool: features (n, D) or `imblens.decisions.Unlabelled`, without labels; None leaves out the list.
        count: length of the list.
        classes: those that the list is for; by default the third with the fewest training instances.
        gain: whether gains are computed.
        seed: of subsamples and draws.

    Returns:
        Table `classes`: class, train_count, aimed (the list is for it), pool_share (estimated), expected (instances of the
        class in the list), expected_random (in a random list of this length), and the columns of `collection_gain`.
        pool_share and both expected numbers are NaN without a validation split.
        Table `list`: rank, id, for_class (the class with the largest part in the score), probability (of it),
        prediction (of the network), reason (`border`: the network is undecided, `missed`: another class is predicted,
        `likely`: the class itself is predicted; `, uncovered` is added where it is farther from training than 95% of the pool),
        distance_rank, duplicates (instances of the pool that were left out for it).

    Raises:
        InputError, ShapeError: arrays that do not fit, an empty pool, an id that appears twice, a count below 1; no pool and
            no gain.
        MissingError: an unknown class.

    References:
        Settles 2009, Active learning literature survey (uncertainty, density). Aggarwal, Popescu and Hudelot 2020, Active
        learning for imbalanced datasets. The score is ours; measured in docs/results/decisions.md.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def some(*n):
        ...     y = rng.permutation(np.repeat([0, 1, 2], n))
        ...     return rng.normal(size=(len(y), 4)) + 2 * np.eye(3, 4)[y], y
        >>> run = Run.from_arrays(
        ...     train=some(200, 100, 10), val=some(100, 50, 10), head=(2 * np.eye(3, 4), [0, 0, 0]), classes=["a", "b", "c"]
        ... )
        >>> features, truth = some(1000, 500, 50)
        >>> found = collect(run, pool=features, count=40, gain=False)
        >>> int((truth[found.tables["list"]["id"].astype(int)] == 2).sum()) > 3 * 40 * 50 / 1550  # than at random
        True
    """
    run = as_run(run, "collect")
    if pool is None and not gain:
        raise InputError("collect: neither a pool nor gains were requested.", hint="Pass pool=, or gain=True.")
    aimed = _aimed(run, classes)
    table = pd.DataFrame({"class": run.classes, "train_count": run.train.class_counts, "aimed": aimed})
    tables, notes, stated = {}, [], UNKNOWN
    with random_state_kept():
        if pool is not None:
            data = pool if isinstance(pool, Unlabelled) else Unlabelled(as_array(pool, "pool"))
            rows, shares, expected, stated, more = _list(run, data, count, aimed, seed)
            tables["list"] = rows
            table = table.assign(pool_share=shares, expected=expected, expected_random=len(rows) * shares)
            notes += more
        if gain:
            gains, more = collection_gain(run, seed=seed)
            table = table.merge(gains.drop(columns="train_count"), on="class")
            notes += more
    return Collection({"classes": table, **tables}, tuple(notes), stated)


def _aimed(run: Run, classes: Sequence[str] | None) -> NDArray[np.bool_]:
    found = np.zeros(run.n_classes, dtype=bool)
    if classes is None:
        found[np.argsort(run.train.class_counts, kind="stable")[: max(1, run.n_classes // 3)]] = True
        return found
    for name in classes:
        if name not in run.classes:
            raise MissingError(f"collect: {name!r} is not a class of the run.", hint=did_you_mean(name, run.classes))
        found[run.classes.index(name)] = True
    if not found.any():
        raise InputError("collect: classes is empty.", hint="Name a class, or leave out classes.")
    return found


class _Candidates(NamedTuple):
    """Instances of the pool that are compared.

    Attributes:
        rows: (m,) of the pool.
        p: (m, C) chances of classes.
        features: (m, D) or None.
        distance: (m,) to the nearest training instance, or NaN.
    """

    rows: Rows
    p: Floats
    features: Floats | None
    distance: Floats


def _list(
    run: Run, data: Unlabelled, count: int, aimed: NDArray[np.bool_], seed: int
) -> tuple[pd.DataFrame, Floats, Floats, Stated, list[str]]:
    """The list, the class shares of the pool, expected instances of each class and of those it is for, and notes."""
    if not len(data.ids):
        raise InputError("collect: the pool is empty.", hint="Give features of at least one instance.")
    if not (known := pd.Index(data.ids)).is_unique:
        raise InputError(
            f"collect: several instances of the pool have the id {known[known.duplicated()][0]!r}.",
            hint="Give every instance an id of its own, so that annotators find it.",
        )
    rng = np.random.default_rng(seed)
    new = as_instances(run, data, "pool")
    multilabel = run.task == "multilabel"
    chances = pool_chances(run, new.logits, aimed, rng)
    notes = list(chances.notes)
    most = max(count, min(max(FEWEST, PER_LISTED * count), COMPARED // run.n_classes))
    found = _candidates(run, new, lambda rows: chances(new.logits[rows]), aimed, most)
    near = SAME * _usual(found.distance)
    chosen, duplicates, left_out = _greedy(run, found, aimed, count, near)
    p = found.p[chosen]
    worth = np.where(aimed, _worth(p) / np.maximum(run.train.class_counts, 1), -1.0)
    wanted = worth.argmax(axis=1)
    mine = predicted(new.logits[found.rows[chosen]], multilabel)
    rank = _ranks(found.distance)[chosen]
    names = np.asarray(run.classes, dtype=object)
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(chosen) + 1),
            "id": data.ids[found.rows[chosen]],
            "for_class": names[wanted],
            "probability": p[np.arange(len(chosen)), wanted],
            "prediction": ["; ".join(names[row]) for row in mine],
            "reason": _reasons(p, wanted, mine, rank, multilabel),
            "distance_rank": rank,
            "duplicates": duplicates,
        }
    )
    notes.append(
        "The list is not a random sample: its instances of frequent classes look like rare ones. Add those of the classes that "
        "it is for to training, and keep the others apart."
    )
    if left_out:
        notes.append(f"Near-duplicates of training instances were left out: {left_out:,} of the best candidates.")
    if len(table) < count:
        notes.append(f"The list has {counted(len(table), 'instance')}: the pool has no other distinct candidates.")
    logits = np.asarray(new.logits[found.rows[chosen]])
    number = chances.hits(run, logits, aimed, seed)
    if not chances.is_known:
        unknown = np.full(run.n_classes, np.nan)
        return table, unknown, unknown, number, notes
    if np.isnan(number.number):
        notes.append("The validation split has no instance of these classes, so no number of them can be stated.")
    return table, chances.found, _expected(chances(logits, chances.found), aimed, number, multilabel), number, notes


def _expected(p: Floats, aimed: NDArray[np.bool_], number: Stated, multilabel: bool) -> Floats:
    """(C,) expected instances of each class in the list, those of the classes that it is for with the stated sum."""
    sums = p.sum(axis=0)
    if multilabel or np.isnan(number.number):
        return np.where(
            aimed, number.number * divide(sums, sums[aimed].sum()), np.nan if np.isnan(number.number) else sums
        )
    rest = divide(np.array(len(p) - number.number), sums[~aimed].sum(), otherwise=0.0)
    return np.asarray(sums * np.where(aimed, divide(np.array(number.number), sums[aimed].sum()), rest))


def _worth(p: Floats) -> Floats:
    """(m, C) what a label is worth: likely of the class, and not known to be."""
    return p * (1 - p) ** DOUBT


def _candidates(run: Run, new: Instances, chances: Any, aimed: NDArray[np.bool_], most: int) -> _Candidates:
    """The best instances by the counts of training, block by block."""
    n, need = len(new.logits), aimed / np.maximum(run.train.class_counts, 1)
    score = np.concatenate([_worth(chances(rows)) @ need for rows in in_blocks(n, run.n_classes)])
    rows = np.argsort(-score, kind="stable")[:most].astype(np.int64)
    features = None if new.features is None else np.asarray(new.features[rows], dtype=np.float64)
    distance = np.full(len(rows), np.nan)
    if features is not None:
        distance = nearest_distance(training_sample(run.train), features)
    return _Candidates(rows, chances(rows), features, distance)


def _usual(distance: Floats) -> float:
    known = distance[np.isfinite(distance)]
    return float(np.median(known)) if len(known) else 0.0


def _ranks(distance: Floats) -> Floats:
    """(m,) share of the candidates that are nearer to training; NaN without features."""
    order = np.sort(distance)
    return np.where(np.isnan(distance), np.nan, np.searchsorted(order, distance, side="left") / len(distance))


def _greedy(run: Run, found: _Candidates, aimed: NDArray[np.bool_], count: int, near: float) -> tuple[Rows, Rows, int]:
    """Positions of chosen candidates, near-duplicates left out for each, and candidates that equal a training instance."""
    worth, p = _worth(found.p[:, aimed]), found.p[:, aimed]
    counts = np.maximum(run.train.class_counts[aimed], 1).astype(np.float64)
    known = found.distance <= near if found.features is not None else np.zeros(len(p), dtype=bool)
    left = ~known
    chosen: list[int] = []
    duplicates: list[int] = []
    while len(chosen) < count and left.any():
        best = int(np.where(left, worth @ (1 / counts), -1.0).argmax())
        left[best] = False
        same = np.zeros(len(p), dtype=bool)
        if found.features is not None:
            same = left & (np.sqrt(((found.features - found.features[best]) ** 2).sum(axis=1)) <= near)
        left &= ~same
        chosen.append(best)
        duplicates.append(int(same.sum()))
        counts += p[best]
    return np.array(chosen, dtype=np.int64), np.array(duplicates, dtype=np.int64), int(known.sum())


def _reasons(p: Floats, wanted: Rows, mine: NDArray[np.bool_], rank: Floats, multilabel: bool) -> list[str]:
    at = np.arange(len(p))
    own = p[at, wanted]
    if multilabel:
        other = 1 - own
    else:
        others = p.copy()
        others[at, wanted] = 0
        other = others.max(axis=1)
    border = np.minimum(own, other) >= BORDER * np.maximum(own, other)
    kind = np.where(border, "border", np.where(mine[at, wanted], "likely", "missed"))
    return [f"{word}, uncovered" if far > FAR else str(word) for word, far in zip(kind, rank, strict=True)]
