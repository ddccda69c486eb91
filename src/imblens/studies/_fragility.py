"""FRAGILITY as a study: the same networks and linear models on long-tailed and on balanced training sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imblens.data import ImageSet, draw_profile, imbalance_profile, load_images
from imblens.errors import ImblensError, InputError, MissingError, did_you_mean
from imblens.run import Run
from imblens.studies._data import Data
from imblens.studies._fragility_claims import identity, measured_pair
from imblens.studies._jobs import Job
from imblens.studies._networks import trained
from imblens.studies._store import Store

QUESTION = "Do class features differ between long-tailed and balanced training, in number, size and identity?"
PAPER = "FRAGILITY; its abstract, the definitions in docs/lenses"
BALANCED = ", balanced"  # behind the name of a set whose balanced form the user gives
LOSSES: dict[str, dict[str, Any]] = {"ce": {}, "ldam": {"drw": True}, "focal": {}}
MODELS = ("logistic regression", "linear SVM")
TABLES = ("digits table", "wine", "breast cancer")  # of scikit-learn; no download
_CIFAR = "CIFAR-10 (or a long-tailed copy, with --data 'CIFAR-10, balanced=...'): https://www.cs.toronto.edu/~kriz/cifar.html"
SETS = (
    Data(name="CIFAR-10", public="cifar10", profile="exp:100", needs=_CIFAR),
    Data(
        name="SVHN", public="svhn", profile="exp:100", train={"augment": "crop"},
        needs="SVHN, cropped digits: http://ufldl.stanford.edu/housenumbers",
    ),
    Data(name="CIFAR-100", public="cifar100", profile="exp:10", needs="CIFAR-100: https://www.cs.toronto.edu/~kriz/cifar.html"),
)  # fmt: skip
QUICK = (
    Data(name="digits", source="digits", profile="exp:20", train={"augment": "crop", "epochs": 12}),
    Data(name="shapes", source="shapes", profile="exp:50", train={"epochs": 6}),
    Data(name="CIFAR-10", public="cifar10", profile="exp:100", train={"epochs": 6}, needs=_CIFAR),
)
FULL_PLAN = {"arch": "resnet32", "schedule": "cao200"}
QUICK_PLAN = {"arch": "smallnet", "schedule": "short"}


class EqualData(Data):
    """A set thinned to classes of equal size, with as many images in all as `profile` keeps."""

    def load(self) -> ImageSet:
        """Read the set.

        Raises:
            InputError: a class has too few images, as in a copy that is long-tailed itself.
        """
        built_in = self.source in ("digits", "shapes")
        images = (
            load_images(str(self.source), profile="exp:1", seed=self.seed)
            if built_in
            else Data(**{**self.model_dump(), "profile": "natural"}).load()
        )
        counts = images.class_counts
        each = int(imbalance_profile(np.full_like(counts, counts.max()), self.profile).sum()) // len(counts)
        if counts.min() < each:
            raise InputError(
                f"{self.name}: classes of {each} images are asked for, and the smallest has {counts.min()}.",
                hint=f"Give the balanced set as well: --data '{self.name}{BALANCED}=FOLDER'.",
            )
        rows = draw_profile(images.train.labels, np.full_like(counts, each), self.seed)
        return replace(images, train=images.train.subset(rows))


@dataclass(frozen=True)
class Pairs(Job):
    """The long-tailed and the balanced networks of one set and loss, all seeds.

    Attributes:
        data, balanced: the two training sets, with one test set.
        loss: name in the table.
        options: attributes of `imblens.training.TrainingPlan`.
        seeds: of the networks.
    """

    data: Data
    balanced: Data
    loss: str
    options: Mapping[str, Any]
    seeds: tuple[int, ...]

    @property
    def label(self) -> str:
        """Data and loss."""
        return f"{self.data.name} {self.loss}"

    @property
    def cells(self) -> list[dict[str, Any]]:
        """A cell for each seed."""
        return [{"data": self.data.name, "loss": self.loss, "seed": seed} for seed in self.seeds]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Train or load a long-tailed and a balanced network for each seed, and compare."""

        def pair(seed: int) -> tuple[Run, Run]:
            long_tailed, balanced = (
                trained(store.network(self._key(data, seed)), data, self.options, seed)[0]
                for data in (self.data, self.balanced)
            )
            return long_tailed, balanced

        yield from _measured(self.seeds, wanted, pair)

    def _key(self, data: Data, seed: int) -> dict[str, Any]:
        asked = data.model_dump(exclude={"name", "needs", "train"}, exclude_defaults=True)
        equal = {"equal": True} if isinstance(data, EqualData) else {}
        plain = {key: value for key, value in self.options.items() if value not in (None, False)}
        return {"data": {**asked, **equal}, "options": plain, "seed": seed, **data.mirroring(self.options)}


@dataclass(frozen=True)
class Linear(Job):
    """Linear models on a table, fitted to a long-tailed and a balanced draw of its rows."""

    table: str
    model: str
    seeds: tuple[int, ...]

    @property
    def label(self) -> str:
        """Table and model."""
        return f"{self.table} {self.model}"

    @property
    def cells(self) -> list[dict[str, Any]]:
        """A cell for each seed."""
        return [{"data": self.table, "loss": self.model, "seed": seed} for seed in self.seeds]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Fit and compare."""
        yield from _measured(self.seeds, wanted, lambda seed: fitted(self.table, self.model, seed))


def _measured(
    seeds: Sequence[int], wanted: list[dict[str, Any]], pair: Any
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the measures of every wanted seed; identity is also compared with the next seed's models."""
    for key in wanted:
        seed = key["seed"]
        after = seeds[(list(seeds).index(seed) + 1) % len(seeds)]
        try:
            long_tailed, balanced = pair(seed)
            values = measured_pair(long_tailed, balanced)
            values["kept_between"] = identity(long_tailed, balanced)
            if after != seed:
                other = pair(after)
                values["kept_long_tailed"] = identity(long_tailed, other[0])
                values["kept_balanced"] = identity(balanced, other[1])
        except MissingError:
            raise
        except ImblensError as error:
            yield key, {"failed": str(error)}
            continue
        yield key, values


def fitted(table: str, model: str, seed: int) -> tuple[Run, Run]:
    """Return a linear model as a run, fitted to a long-tailed (10:1) and to a balanced draw of a table of scikit-learn.

    40% of the rows are held out, the same for every seed; both draws have about as many rows. Columns are scaled to
    variance 1. The classification embedding of a linear model is weight times column, as in the authors' analysis of linear
    models.

    Example:
        >>> long_tailed, balanced = fitted("wine", "logistic regression", 0)
        >>> long_tailed.train.class_counts.tolist(), balanced.train.class_counts.tolist()
        ([42, 13, 4], [19, 19, 19])
    """
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    loaded = {"digits table": load_digits, "wine": load_wine, "breast cancer": load_breast_cancer}[table]()
    rows, rest, labels, rest_labels = train_test_split(
        loaded.data, loaded.target, test_size=0.4, stratify=loaded.target, random_state=0
    )
    order = np.argsort(-np.bincount(labels), kind="stable")  # the largest class stays the largest
    place = np.argsort(order)
    labels, rest_labels = place[labels], place[rest_labels]
    counts = np.bincount(labels)
    tail = imbalance_profile(counts, "exp:10")
    equal = np.full_like(counts, min(int(tail.sum()) // len(counts), int(counts.min())))
    runs = []
    for kept in (tail, equal):
        drawn = draw_profile(labels, kept, seed)
        last = LogisticRegression(max_iter=5000) if model == MODELS[0] else LinearSVC(max_iter=20000)
        pipeline = make_pipeline(StandardScaler(), last).fit(rows[drawn], labels[drawn])
        runs.append(Run.from_sklearn(pipeline, train=(rows[drawn], labels[drawn]), test=(rest, rest_labels)))
    return runs[0], runs[1]


def sets(data: Mapping[str, str], *, quick: bool) -> list[tuple[Data, Data]]:
    """Return the long-tailed and the balanced form of every set.

    Raises:
        MissingError: `data` names a set that is not in the study.
    """
    known = QUICK if quick else SETS
    names = [one.name for one in known]
    for name in data:
        if name.removesuffix(BALANCED) not in names:
            raise MissingError(f"fragility has no data {name!r}.", hint=did_you_mean(name, names))
    found = []
    for one in known:
        own = one.found(data.get(one.name, one.source))
        equal: Data = EqualData(**own.model_dump())
        if one.name + BALANCED in data:
            equal = Data(**own.model_dump(exclude={"profile", "source"})).found(data[one.name + BALANCED])
        if one.name in data and own.is_thinned:
            own = own.model_copy(update={"profile": "natural"})
        found.append((own, equal))
    return found


def jobs(data: Mapping[str, str], *, quick: bool, seeds: Sequence[int] | None) -> list[Job]:
    """Return the jobs: linear models on tables, which take seconds, then networks of each set with a source and each loss."""
    chosen = tuple(seeds or (0, 1, 2))
    plan = QUICK_PLAN if quick else FULL_PLAN
    networks = [
        Pairs(own, equal, loss, {**plan, "loss": loss, **options, **own.train}, chosen)
        for own, equal in sets(data, quick=quick)
        if own.source is not None
        for loss, options in LOSSES.items()
    ]
    return [*(Linear(table, model, chosen) for table in TABLES for model in MODELS), *networks]
