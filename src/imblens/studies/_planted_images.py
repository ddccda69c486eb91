"""Does the diagnosis identify causes that are planted in real images, and does its advice help?

Causes are planted in a sample of the images, one at a time and several together, each in different classes; a small network
is trained on them, captured, and diagnosed. Then each planted class gets the remedy that its first cause advises, and for
comparison another one.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from imblens.data import UNMIRRORED, ImageSet, ImageSplit, load_images
from imblens.errors import InputError, NotApplicable
from imblens.lenses import diagnosis, label_suspects
from imblens.run import Run
from imblens.studies import _planted_arrays as stored
from imblens.studies._jobs import Job
from imblens.studies._networks import treated
from imblens.studies._plants import Arrays
from imblens.studies._plants_in_images import IN_IMAGES, TOGETHER, Images, planted_images
from imblens.studies._store import Store
from imblens.studies._tables import plain_markdown
from imblens.training import TrainingPlan
from imblens.workflows import train_and_capture

QUESTION = "How often is the first cause of the diagnosis the one planted in real images, and does its advice help?"
SEEDS = (0, 1, 2)
MOST = (250, 100)  # training and test images of a class
TRAINING: dict[str, Any] = {"arch": "smallnet", "epochs": 8, "batch_size": 64}


@dataclass(frozen=True)
class PlantedImages(Job):
    """Causes planted in one set, and one network trained on it.

    Attributes:
        data: name of the set.
        source: what `load_images` reads.
        plants: of `IN_IMAGES`; of several, each is in different classes.
        seed: of images, plants and network.
        advice: whether remedies are tried as well.
    """

    data: str
    source: str
    plants: tuple[str, ...]
    seed: int
    advice: bool

    @property
    def label(self) -> str:
        """Set, plants and seed."""
        return f"{self.data}: {' + '.join(self.plants)}, seed {self.seed}"

    @property
    def cells(self) -> list[dict[str, Any]]:
        """For each plant a cell for each of its classes; then one for each remedy."""
        own = {"data": self.data, "together": "+".join(self.plants), "seed": self.seed}
        found = [
            {**own, "planted": IN_IMAGES[plant], "plant": plant, "place": place, "remedy": "none"}
            for plant in self.plants
            for place in range(2 if IN_IMAGES[plant] == "overlap" else 1)
        ]
        remedies = ("advised", "another") if self.advice else ()
        tried = [one for one in found if one["planted"] and one["place"] == 0]
        return found + [{**one, "remedy": remedy} for remedy in remedies for one in tried]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Plant, train, diagnose, and try remedies."""
        try:
            images = planted_images(load_images(self.source), self.plants, MOST, self.seed)
        except NotApplicable as reason:
            yield from ((key, {"failed": str(reason)}) for key in wanted)
            return
        planted_set = images.image_set(self.data)
        plain = images.plain_tests()
        run = self._fitted(store, planted_set, plain, "planted")
        table = diagnosis(run).tables["diagnosis"]
        planted = [name for names in images.planted.values() for name in names]
        others = table[~table["class"].isin([*planted, *images.touched])]
        shared = stored.unplanted(others) | _harmless(run, others, self.seed)
        for key in wanted:
            names = images.planted.get(key["plant"], ())
            if key["planted"] and len(names) <= key["place"]:
                yield key, {"failed": "no class that was still free is large enough."}
            elif key["remedy"] == "none":
                found = stored.planted_class(table, names[key["place"]], run) if names else {}
                counts_others = key["plant"] == self.plants[0] and key["place"] == 0  # one cell of a network
                yield key, {**found, **(shared if counts_others else {})}
        judged = [key for key in wanted if key["remedy"] != "none" and images.planted.get(key["plant"])]
        for remedy in ("advised", "another"):
            mine = [key for key in judged if key["remedy"] == remedy]
            if mine:
                yield from self._tried(store, images, run, table, mine)

    def _fitted(self, store: Store, images: ImageSet, plain: ImageSplit, which: str) -> Run:
        """Train a network, or read the one that is stored; the split `val` has the test images without planted marks.

        `which` is what was done to the training images: networks of one job differ by it.
        """
        own = {"data": self.data, "source": self.source, "together": list(self.plants), "seed": self.seed}
        training = TRAINING if self.source not in UNMIRRORED else {**TRAINING, "augment": "crop"}
        folder = store.network({**own, "most": list(MOST), "training": training, "which": which})
        begun = (folder / "checkpoints" / "last.ckpt").exists()
        plan = TrainingPlan(seed=self.seed, **training)
        asked: dict[str, Any] = {"resume": begun, "overwrite": not begun, "thumbnails": False, "val": plain}
        return train_and_capture(images, folder, plan, **asked)[0]

    def _tried(
        self, store: Store, images: Images, run: Run, table: pd.DataFrame, keys: list[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Give every class its remedy; those that change images share one more network."""
        first = table.groupby("class", sort=False).head(1).set_index("class")
        first["treatment"] = first["treatment"].where(~first["cause"].isin(stored.BLANK), "")
        names = {key["plant"]: images.planted[key["plant"]][0] for key in keys}
        suspects = set(label_suspects(run).tables["label_suspects"]["id"])
        did = {}
        for plant, name in names.items():
            did[plant] = _advised(str(first.loc[name, "treatment"]))
            if keys[0]["remedy"] == "another" and did[plant]:
                possible = images.possible(name, suspects)
                did[plant] = _another(did[plant], possible, f"{self.label}: {plant}")
        on_data = {names[plant]: remedy for plant, remedy in did.items() if remedy in ON_DATA}
        again: Run | None = None
        if on_data:
            changed = images.remedied(self.data, on_data, suspects)
            ids = zlib.crc32("\n".join(map(str, changed.train.ids)).encode())
            again = self._fitted(store, changed, images.plain_tests(), f"{sorted(on_data.items())}, images {ids:08x}")
        for key in keys:
            name, remedy = names[key["plant"]], did[key["plant"]]
            values: dict[str, Any] = {"class": name, "first": str(first.loc[name, "cause"]), "did": remedy}
            if not remedy:
                yield key, {**values, "failed": "nothing is advised, or nothing else would change anything"}
                continue
            if remedy == "collect" and not len(images.left_out.get(name, ())):
                yield key, {**values, "failed": "the plant left no image out that could be collected"}
                continue
            after = again if remedy in ON_DATA else _with_treated_head(run, remedy, self.seed)
            assert after is not None
            (low, others), (high, others_now) = (_accuracy(one, name) for one in (run, after))
            lifts = {"lift": round(high - low, 4), "others": round(others_now - others, 4)}
            yield key, {**values, "before": low, "after": high, **lifts}


# first word of what the diagnosis advises -> what is done in the images; other advice is a treatment of the head
IN_WORDS = {"collect": "collect", "more": "collect", "check": "drop suspects", "vary": "vary"}
ON_DATA = tuple(dict.fromkeys(IN_WORDS.values()))
HEAD = "best"  # the rival of what changes images


def _advised(treatment: str) -> str:
    """Return the remedy that the column `treatment` advises; "" where it advises none."""
    own = IN_WORDS.get(treatment.split(" ")[0], treatment)
    return own if own in (*ON_DATA, *stored.HEADS) else ""


def _another(advised: str, possible: Collection[str], label: str) -> str:
    """Return a remedy of another kind, at random among those that change something for the class; "" without one."""
    rivals = [one for one in ON_DATA if one in possible] + [HEAD]
    rivals = [one for one in rivals if one != advised and (one != HEAD or advised not in stored.HEADS)]
    return str(np.random.default_rng(zlib.crc32(label.encode())).choice(rivals)) if rivals else ""


def _harmless(run: Run, table: pd.DataFrame, seed: int) -> dict[str, int]:
    """Count the unplanted classes that a cause is named for without harm; heads are fitted to the stored features."""
    arrays = Arrays.of(run)
    return stored.harmless(arrays, arrays.fitted(seed), table, seed, predicted=run)


def _with_treated_head(run: Run, remedy: str, seed: int) -> Run:
    """Treat the head without the split `val`: it has the images of the test split, and nothing may be chosen on them."""
    head = treated(replace(run, val=None), remedy, seed).head
    assert head is not None
    return run.with_head(head)


def _accuracy(run: Run, name: str) -> tuple[float, float]:
    """Accuracy of a class on test images without planted marks, and the mean of the other classes."""
    assert run.val is not None
    correct, labels = np.asarray(run.val.correct), run.val.labels
    own = run.classes.index(name)
    found = {label: float(correct[labels == label].mean()) for label in np.unique(labels).tolist()}
    return found.pop(own), float(np.mean(list(found.values())))


def jobs(data: Mapping[str, str], *, quick: bool, seeds: Sequence[int] | None) -> list[Job]:
    """Return a job for every set, seed and plant; then those with several plants. With `quick` only these, and no advice.

    Raises:
        InputError: a set has no name.
    """
    if "" in data:
        raise InputError("a set of --data has no name.", hint="Write --data NAME=FOLDER.")
    chosen = tuple(seeds or (SEEDS[:1] if quick else SEEDS))
    alone = [] if quick else [(plant,) for plant in IN_IMAGES]
    return [
        PlantedImages(
            name,
            str(Path(source).expanduser().resolve()) if Path(source).exists() else source,
            plants,
            seed,
            advice=not quick and plants != ("nothing",),
        )
        for seed in chosen
        for plants in [*TOGETHER, *alone]
        for name, source in data.items()
    ]


def tables(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Planted against first diagnosed cause, by plant and set, false alarms, misses, and what remedies did."""
    if "failed" in results:
        results = results[results["failed"].isna()]
    untreated = results[results["remedy"] == "none"].copy()
    untreated["first"] = untreated["first"].replace("shortcut_colours", "shortcut")
    planted = untreated[untreated["planted"] != ""]
    found = {"study": stored.crossed(planted, "planted"), "plants": stored.crossed(planted, "plant")}
    if len(set(planted["data"])) > 1:
        found["sets"] = stored.crossed(planted, "data")
    bare = untreated[untreated["unplanted"].notna()]
    found["false_alarms"] = stored.named(bare).merge(stored.named(bare, "harmless"), on="cause")
    found |= stored.misses(planted, "data", "together", "seed")
    tried = results[results["remedy"] != "none"]
    if "lift" in tried and tried["lift"].notna().any():
        network = tried["data"] + ", " + tried["together"] + ", " + tried["seed"].astype(str)
        found["advice"] = stored.advice(tried.assign(network=network).dropna(subset=["lift"]))
        found["remedies"] = remedies(tried.dropna(subset=["lift"]))
    return found


def remedies(tried: pd.DataFrame) -> pd.DataFrame:
    """Return what was done, how often, and the mean change of the class: by first cause, advised or another."""
    groups = tried.groupby(["first", "remedy", "did"], sort=True)["lift"]
    found = groups.agg(trials="size", mean_lift="mean").reset_index()
    return found.rename(columns={"first": "diagnosed"})


def shown(found: Mapping[str, pd.DataFrame]) -> str:
    """Show the tables."""
    study = found["study"]
    parts = [
        "Planted cause (rows) against first diagnosed cause, counts of classes. right: share whose first cause is the planted "
        "one, with its 95% interval; nearly: share where it is second, with at least 0.8 of the first's strength.",
        plain_markdown(study),
        f"Right first cause, averaged over causes: {study['right'].mean():.0%}; lowest: {study['right'].min():.0%}.",
        "By plant:",
        plain_markdown(found["plants"]),
        *(["By set:", plain_markdown(found["sets"])] if "sets" in found else []),
        "Unplanted classes. named: the cause is named, in any place. harmless: it is named, and removing it gains less than 5 "
        "points of the class's accuracy: half of its test instances are added to training and the head is fitted again; of "
        "overlap, confusions with the named class count as correct.",
        plain_markdown(found["false_alarms"]),
    ]
    if "advice" in found:
        parts += [
            "Change of the class's accuracy on test images without what was planted in them, after the advised remedy and "
            "after one of another kind that changes something for the class; only classes with both. others: mean change of "
            "the other classes. Intervals are over classes of networks, which are taken to be independent.",
            plain_markdown(found["advice"]),
            "What was done, in all trials:",
            plain_markdown(found["remedies"]),
        ]
    return "\n\n".join(parts)
