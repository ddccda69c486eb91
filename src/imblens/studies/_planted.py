"""Does the diagnosis identify planted causes, and does its advice help?

One cause at a time is planted in synthetic shapes, a network is trained, and the first cause that the diagnosis names
for the planted class is counted. Then the advised treatment is applied, and for comparison one for another cause.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from imblens.base.intervals import mean_with_interval, wilson
from imblens.data import ImageSet, ImageSplit, shapes
from imblens.errors import ImblensError
from imblens.lenses import diagnosis, label_suspects
from imblens.run import Run
from imblens.studies._jobs import Job
from imblens.studies._networks import treated
from imblens.studies._store import Store
from imblens.studies._tables import plain_markdown

QUESTION = "How often is the first cause of the diagnosis the planted one, and does its advice help?"
# the cause that `shapes` plants, as the diagnosis calls it
DIAGNOSED = {
    "few_examples": "few_examples",
    "overlap": "overlap",
    "sub_concepts": "sub_concepts",
    "label_noise": "label_noise",
    "uncovered": "uncovered_range",
    "background": "shortcut",
}
DRAWS, SEEDS = 20, (0, 1, 2)
ADVISED_DRAWS = 5  # for which the advice is tried, with the first seed
SIZE, LARGEST, IMBALANCE, TESTED = 20, 200, 2, 100
RARE = 8  # images that are left of a class with few examples
LEFT = (
    0.2  # share of a sub-concept's training images that is left: a twenty-fifth of its class, a fifth in the test split
)
TRAINING: dict[str, Any] = {"arch": "smallnet", "epochs": 30, "batch_size": 64}
COLLECTED = 40  # images, at most, that "collect" adds
ELSEWHERE = 100_000  # added to a draw's seed for images that are in no split


@dataclass(frozen=True)
class Planted(Job):
    """One drawn set with one cause planted, and one network trained on it.

    Attributes:
        cause: of `imblens.data.shapes`.
        draw: seed of the images.
        seed: of the network.
        advice: whether the advice is tried as well.
    """

    cause: str
    draw: int
    seed: int
    advice: bool

    @property
    def label(self) -> str:
        """Cause, draw and seed."""
        return f"{self.cause} draw={self.draw} seed={self.seed}"

    @property
    def cells(self) -> list[dict[str, Any]]:
        """One cell per class with the planted cause; two more for the advised remedy and another one."""
        own = {"planted": self.cause, "draw": self.draw, "seed": self.seed}
        names = planted_classes(self.cause)
        diagnosed = [{**own, "class": name, "remedy": "none"} for name in names]
        tried = [{**own, "class": names[-1], "remedy": remedy} for remedy in ("advised", "another") if self.advice]
        return diagnosed + tried

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Train, diagnose, and try remedies."""
        fitted = Fitted.to(planted(self.cause, self.draw), self.seed)
        run = fitted.run(fitted.images.test, colours=True)
        table = diagnosis(run).tables["diagnosis"]
        first = table.groupby("class", sort=False).head(1).set_index("class")
        for key in wanted:
            name = key["class"]
            if key["remedy"] == "none":
                yield key, self._found(table, first, name)
            else:
                yield key, self._tried(fitted, str(first.loc[name, "cause"]), name, key["remedy"])

    def _found(self, table: pd.DataFrame, first: pd.DataFrame, name: str) -> dict[str, Any]:
        named = table[table["class"] == name]
        clean = first.drop(planted_classes(self.cause))
        return {
            "first": str(first.loc[name, "cause"]),
            "strength": float(first.loc[name, "strength"]),
            "second": str(named["cause"].iloc[1]) if len(named) > 1 else "",
            "accuracy": float(first.loc[name, "accuracy"]),
            "others_named": float((clean["strength"] > 0).mean()),
        }

    def _tried(self, fitted: Fitted, cause: str, name: str, remedy: str) -> dict[str, Any]:
        if cause not in REMEDIES:
            return {"cause": cause, "did": "", "failed": "nothing is advised"}
        did = REMEDIES[cause][0] if remedy == "advised" else _another(cause, self.draw, self.seed)
        judged = judged_on(self.cause, self.draw, name)
        before = _accuracy(fitted.run(judged))
        try:
            after = dict(REMEDIES.values())[did](fitted, name, judged)
        except ImblensError as error:
            return {"cause": cause, "did": did, "failed": str(error)}
        return {"cause": cause, "did": did, "before": before, "after": after, "lift": round(after - before, 4)}


def jobs(*, quick: bool, seeds: Sequence[int] | None) -> list[Job]:
    """Return a job for every cause, draw and seed; the advice is tried on the first draws, with the first seed."""
    chosen = tuple(seeds or SEEDS)
    draws = 2 if quick else DRAWS
    return [
        Planted(cause, draw, seed, advice=seed == chosen[0] and draw < ADVISED_DRAWS)
        for seed in (chosen[:1] if quick else chosen)
        for draw in range(draws)
        for cause in DIAGNOSED
    ]


def planted(cause: str, draw: int) -> ImageSet:
    """Return shapes with one planted cause and little imbalance otherwise.

    A sub-concept that training has as often as the test split is classified correctly, so it causes no errors: it is
    thinned in training.
    """
    causes = () if cause == "few_examples" else (cause,)
    images = shapes(draw, imbalance=IMBALANCE, causes=causes, n_max=LARGEST, test_per_class=TESTED, size=SIZE)
    labels = images.train.labels
    keep = np.ones(len(labels), bool)
    if cause == "sub_concepts":
        kinds = images.planted[cause]["train"]
        lesser = [row for row, one in enumerate(images.train.ids) if kinds.get(one) == "two bars"]
        keep[lesser[round(LEFT * len(lesser)) :]] = False
        return replace(images, train=images.train.subset(keep))
    if cause != "few_examples":
        return images
    for name in planted_classes(cause):
        keep[np.flatnonzero(labels == images.classes.index(name))[RARE:]] = False
    return replace(images, train=images.train.subset(keep))


def planted_classes(cause: str) -> list[str]:
    """Return the classes that a cause is planted in."""
    return {
        "few_examples": ["crescent", "hourglass"],
        "overlap": ["disc", "oval"],
        "sub_concepts": ["pair"],
        "label_noise": ["ring"],
        "uncovered": ["arrow"],
        "background": ["kite"],
    }[cause]


def judged_on(cause: str, draw: int, name: str) -> ImageSplit:
    """Return new images of a class to evaluate a remedy: as in the test split, but without a planted shortcut."""
    causes = () if cause in ("few_examples", "background") else (cause,)
    return _fresh(causes, 2 * ELSEWHERE + draw, name)


def _fresh(causes: tuple[str, ...], seed: int, name: str) -> ImageSplit:
    images = shapes(seed, imbalance=1, causes=causes, n_max=1, test_per_class=2 * TESTED, size=SIZE)
    assert images.test is not None
    return images.test.subset(images.test.labels == images.classes.index(name))


@dataclass(frozen=True)
class Fitted:
    """A network, the images that it was trained on, and the seed."""

    model: Any
    preprocessing: Mapping[str, Any]
    images: ImageSet
    seed: int

    @classmethod
    def to(cls, images: ImageSet, seed: int) -> Fitted:
        """Train."""
        from imblens.training import TrainingPlan, train

        with tempfile.TemporaryDirectory() as folder:
            result = train(images, TrainingPlan(seed=seed, **TRAINING), out=folder, progress=False)
        return cls(result.model, result.meta["preprocessing"], images, seed)

    def run(self, tested: ImageSplit | None, *, colours: bool = False) -> Run:
        """Capture with the given held-out images instead of the test split."""
        from imblens.extraction import capture

        return capture(
            self.model,
            train=self.images.train,
            test=tested,
            classes=self.images.classes,
            preprocessing=self.preprocessing,
            thumbnails=False,
            colours=colours,
        )


Remedy = Callable[[Fitted, str, ImageSplit], float]


def _head(treatment: str) -> Remedy:
    """Return a remedy that treats the stored features."""
    return lambda fitted, name, judged: _accuracy(treated(fitted.run(judged), treatment, fitted.seed))


def _data(change: Callable[[Fitted, str, ImageSplit], ImageSplit]) -> Remedy:
    """Return a remedy that changes the training split and trains the network again."""

    def remedy(fitted: Fitted, name: str, judged: ImageSplit) -> float:
        split = change(fitted, name, judged)
        return _accuracy(Fitted.to(replace(fitted.images, train=split), fitted.seed).run(judged))

    return remedy


def _collect(fitted: Fitted, name: str, judged: ImageSplit) -> ImageSplit:
    """Add new images of the class that the network misclassifies, as in the test split."""
    asked = fitted.images.source
    new = _fresh(tuple(asked["causes"]), ELSEWHERE + asked["seed"], name)
    misclassified = np.flatnonzero(~fitted.run(new).test.correct)[:COLLECTED]  # type: ignore[union-attr]
    return _joined(fitted.images.train, new.subset(misclassified))


def _drop_suspects(fitted: Fitted, name: str, judged: ImageSplit) -> ImageSplit:
    """Leave out the label suspects of the class."""
    table = label_suspects(fitted.run(judged)).tables["label_suspects"]
    suspects = set(table.loc[table["class"] == name, "id"])
    train = fitted.images.train
    return train.subset(np.array([one not in suspects for one in train.ids]))


def _vary_background(fitted: Fitted, name: str, judged: ImageSplit) -> ImageSplit:
    """Draw half of the class's images again, on any background."""
    train = fitted.images.train
    rows = np.flatnonzero(train.labels == fitted.images.classes.index(name))
    asked = fitted.images.source
    causes = tuple(cause for cause in asked["causes"] if cause != "background")
    new = _fresh(causes, ELSEWHERE + asked["seed"], name).subset(np.arange(len(rows) // 2))
    return _joined(train.subset(np.setdiff1d(np.arange(len(train)), rows[: len(rows) // 2])), new)


REMEDIES: dict[str, tuple[str, Remedy]] = {
    "few_examples": ("best", _head("best")),
    "overlap": ("best", _head("best")),
    "few_features": ("best", _head("best")),
    "sub_concepts": ("collect", _data(_collect)),
    "uncovered_range": ("collect", _data(_collect)),
    "label_noise": ("drop suspects", _data(_drop_suspects)),
    "shortcut": ("vary background", _data(_vary_background)),
    "shortcut_colours": ("vary background", _data(_vary_background)),
}


def _another(cause: str, draw: int, seed: int) -> str:
    """Return a remedy at random among those advised against other causes."""
    advised = REMEDIES[cause][0]
    others = sorted({name for name, _ in REMEDIES.values()} - {advised})
    return str(np.random.default_rng([draw, seed]).choice(others))


def _accuracy(run: Run) -> float:
    assert run.test is not None
    return float(run.test.correct.mean())


def _joined(old: ImageSplit, new: ImageSplit) -> ImageSplit:
    return ImageSplit.from_arrays(
        np.concatenate([old.array(), new.array()]),
        np.concatenate([old.labels, new.labels]),
        ids=[*old.ids, *(f"new/{one}" for one in new.ids)],
    )


def tables(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Planted against first diagnosed cause, the classes where they differ, and what remedies did."""
    untreated = results[results["remedy"] == "none"]
    untreated = untreated.assign(first=untreated["first"].replace("shortcut_colours", "shortcut"))
    counts = pd.crosstab(untreated["planted"], untreated["first"])
    order = [cause for cause in DIAGNOSED if cause in counts.index]
    named = [*DIAGNOSED.values(), *(c for c in sorted(counts.columns) if c not in DIAGNOSED.values())]
    counts = counts.loc[order].reindex(columns=[c for c in named if c in counts.columns], fill_value=0)
    rows = []
    for cause, row in counts.iterrows():
        hits, total = int(row.get(DIAGNOSED[str(cause)], 0)), int(row.sum())
        low, high = map(float, wilson(np.array(hits), np.array(total)))
        mine = untreated[untreated["planted"] == cause]
        ways = {
            "hit": hits / total,
            "hit_low": low,
            "hit_high": high,
            "accuracy": mine["accuracy"].mean(),
            "others_named": mine["others_named"].mean(),
        }
        rows.append({"planted": cause, **row.to_dict(), "classes": total, **ways})
    named_tables = {"study": pd.DataFrame(rows)}
    missed = untreated[untreated["first"] != untreated["planted"].map(DIAGNOSED)]
    if len(missed):
        columns = ["planted", "class", "draw", "seed", "first", "second", "accuracy"]
        named_tables["misses"] = missed[columns].sort_values(columns[:4], kind="stable").reset_index(drop=True)
    tried = results[results["remedy"] != "none"]
    if "lift" in tried and tried["lift"].notna().any():
        named_tables["advice"] = advice(tried.dropna(subset=["lift"]))
    return named_tables


def advice(tried: pd.DataFrame) -> pd.DataFrame:
    """Return, for each diagnosed cause and for all, how often and how much each kind of remedy improved the class.

    Intervals of `mean_lift` are those of Student's t.
    """
    rows = []
    for cause in [*dict.fromkeys(tried["cause"]), "all"]:
        for remedy in ("advised", "another"):
            mine = tried[(tried["remedy"] == remedy) & ((tried["cause"] == cause) | (cause == "all"))]
            if not len(mine):
                continue
            lifted = int((mine["lift"] > 0).sum())
            low, high = map(float, wilson(np.array(lifted), np.array(len(mine))))
            lifts = mine["lift"].to_numpy(dtype=np.float64)[:, None]
            _, mean, lift_low, lift_high = (float(column[0]) for column in mean_with_interval(lifts))
            row = {"diagnosed": cause, "remedy": remedy, "tried": len(mine), "lifted": lifted / len(mine)}
            row |= {"lifted_low": low, "lifted_high": high, "mean_lift": mean}
            rows.append(row | {"lift_low": lift_low, "lift_high": lift_high})
    return pd.DataFrame(rows)


def shown(found: Mapping[str, pd.DataFrame]) -> str:
    """Show the tables."""
    text = "Planted cause (rows) against first diagnosed cause, counts of classes:\n\n" + plain_markdown(found["study"])
    study = found["study"]
    hits = sum(int(row.get(DIAGNOSED[row["planted"]], 0)) for row in study.to_dict("records"))
    total = int(study["classes"].sum())
    text += f"\n\nOn the diagonal: {hits} of {total} ({hits / total:.0%})."
    if "misses" in found:
        text += "\n\nThe others, with the accuracy of the class in the test split:\n\n" + plain_markdown(
            found["misses"]
        )
    if "advice" in found:
        text += "\n\nAccuracy of the class on new images, after the advised remedy and after another at random:\n\n"
        text += plain_markdown(found["advice"])
    return text
