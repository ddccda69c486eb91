"""Does the diagnosis identify causes that are planted in stored features of trained networks, and does its advice help?

The head is trained again on the planted features, so that its predictions follow from them. The features themselves
stay as they were: a network that had been trained with the cause might have learned others. Where the diagnosis advises a
treatment of the head for the planted class, it is applied, and for comparison another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.intervals import mean_with_interval, wilson
from imblens.errors import InputError, NotApplicable
from imblens.lenses import diagnosis
from imblens.lenses.diagnosis import NEAR_TIE
from imblens.run import Run
from imblens.studies._jobs import Job
from imblens.studies._networks import treated
from imblens.studies._plants import PLANTS, Arrays, planted_in
from imblens.studies._store import Store
from imblens.studies._tables import plain_markdown

QUESTION = (
    "How often is the first cause the one planted in stored features of trained networks, and does its advice help?"
)
SEEDS = (0, 1, 2)
CAUSES = ("few_examples", "overlap", "sub_concepts", "label_noise", "uncovered_range")
OTHER_CAUSES = ("few_features", "shortcut", "shortcut_colours")  # that nothing here plants
HARM = 0.05  # accuracy of a class that a cause costs, from which it harms
BLANK = ("none found", "too few to tell")
HEADS = ("best", "crt", "eos", "refit")  # treatments of the head that are applied
REMEDIES = ("advised", "another")


@dataclass(frozen=True)
class PlantedArrays(Job):
    """One cause planted in the features of one network.

    Attributes:
        path: absolute path of ARRAYS.npz or a run folder.
        plant: one of `PLANTS`.
        seed: of the plant and the head.
        advice: whether treatments of the head are tried as well.
    """

    path: str
    plant: str
    seed: int
    advice: bool = False

    @property
    def label(self) -> str:
        """Network, plant and seed."""
        return f"{Path(self.path).stem}: {self.plant}, seed {self.seed}"

    @property
    def cells(self) -> list[dict[str, Any]]:
        """One cell for each planted class, one where nothing is planted; two more for the advised treatment and another."""
        own = {"network": Path(self.path).stem, "planted": PLANTS[self.plant][0], "plant": self.plant}
        n = 2 if PLANTS[self.plant][0] == "overlap" else 1
        found = [{**own, "seed": self.seed, "place": place} for place in range(n)]
        remedies = REMEDIES if self.advice and own["planted"] else ()
        return found + [{**found[0], "remedy": remedy} for remedy in remedies]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Plant, train the head, diagnose, and treat the head."""
        del store
        arrays = Arrays.of(Run.load(self.path))
        try:
            plant = planted_in(arrays, self.plant, self.seed, Path(self.path).stem)
        except NotApplicable as reason:
            yield from ((key, {"failed": str(reason)}) for key in wanted)
            return
        run = plant.arrays.fitted(self.seed)
        table = diagnosis(run).tables["diagnosis"]
        others = table[~table["class"].isin([*plant.planted, *plant.touched])]
        shared = unplanted(others)
        if not plant.planted:
            shared |= harmless(plant.arrays, run, others, self.seed)
        cured: Run | None = None
        for key in wanted:
            if "remedy" in key:
                yield key, self._tried(run, table, plant.planted[0], key["remedy"])
                continue
            found = planted_class(table, plant.planted[key["place"]], run) if plant.planted else {}
            if plant.planted:
                cured = cured or plant.cured.fitted(self.seed)
                found["cost"] = _cost(run, cured, plant.planted[key["place"]])
            yield key, {**found, **(shared if key["place"] == 0 else {})}

    def _tried(self, run: Run, table: pd.DataFrame, name: str, remedy: str) -> dict[str, Any]:
        """Treat the head as the diagnosis advises for a class, or otherwise; nothing where it advises none of them."""
        first = table[table["class"] == name].iloc[0]
        advised = str(first["treatment"])
        found: dict[str, Any] = {"class": name, "first": str(first["cause"]), "did": advised}
        if advised not in HEADS:
            return {**found, "failed": "no treatment of the head is advised."}
        if remedy == "another":
            rng = np.random.default_rng([self.seed, crc32(self.label.encode())])
            found["did"] = str(rng.choice([head for head in HEADS if head != advised]))
        assert run.test is not None
        after = treated(run, found["did"], self.seed)
        assert after.test is not None
        own = run.test.labels == run.classes.index(name)
        before, now = (np.asarray(one.test.correct) for one in (run, after) if one.test is not None)
        change = [_balanced(one, run.test.labels, own) for one in (before, now)]
        lift = float(now[own].mean() - before[own].mean())
        return {**found, "lift": round(lift, 4), "others": round(change[1] - change[0], 4)}


def _balanced(correct: NDArray[np.bool_], labels: NDArray[np.int64], left_out: NDArray[np.bool_]) -> float:
    """Mean accuracy of the classes, without those instances."""
    rest = labels[~left_out]
    return float(np.mean([correct[~left_out][rest == label].mean() for label in np.unique(rest)]))


def planted_class(table: pd.DataFrame, name: str, run: Run) -> dict[str, Any]:
    """Return the first two causes of a planted class."""
    rows = table[table["class"] == name]
    first, strength = str(rows["cause"].iloc[0]), float(rows["strength"].iloc[0])
    second = rows.iloc[1] if len(rows) > 1 else None
    return {
        "class": name,
        "train": int(run.train.class_counts[run.classes.index(name)]),
        "first": first,
        "strength": strength,
        "second": "" if second is None else str(second["cause"]),
        "near_tie": second is not None and float(second["strength"]) >= NEAR_TIE * strength,
        "accuracy": float(rows["accuracy"].iloc[0]),
    }


def _cost(run: Run, cured: Run, name: str) -> float:
    """Return the accuracy that a class lacks because of what was planted: a head without the cause, less this one."""
    assert run.test is not None and cured.test is not None
    own = run.test.labels == run.classes.index(name)
    before = run.test.correct[own].mean()
    return float(cured.test.correct[own].mean() - before)


def unplanted(others: pd.DataFrame) -> dict[str, Any]:
    """Return the number of unplanted classes, and for each cause the number that it is named for."""
    judged = others[others["cause"] != BLANK[1]]
    names = judged.groupby("cause")["class"].nunique()
    found: dict[str, Any] = {"unplanted": int(judged["class"].nunique())}
    found["named"] = int(judged.loc[~judged["cause"].isin(BLANK), "class"].nunique())
    return found | {f"named_{cause}": int(names.get(cause, 0)) for cause in (*CAUSES, *OTHER_CAUSES)}


def harmless(arrays: Arrays, run: Run, table: pd.DataFrame, seed: int, predicted: Run | None = None) -> dict[str, int]:
    """Count, for each cause, the classes that it is named for without harm: removing it gains less than 5 points.

    Nothing is planted. What is named is removed by means that the diagnosis does not have:

    - few examples, a rare sub-concept, an uncovered range, few features: half of the class's test instances are added to
      training, the head is trained again, and the gain is that in accuracy of the other half;
    - overlap: test instances that are predicted as the named class count as correct;
    - wrong labels: no label was changed, so they always count as harmless.

    Args:
        arrays: features.
        run: with a head fitted to them as `Arrays.fitted` does.
        table: rows of the diagnosis for unplanted classes.
        seed: decides the halves.
        predicted: run of the network itself, where the head was fitted again: its confusions count.
    """
    counts = dict.fromkeys((*CAUSES, *OTHER_CAUSES), 0)
    any_cause: set[str] = set()
    for name, rows in table[~table["cause"].isin(BLANK)].groupby("class"):
        label = arrays.classes.index(str(name))
        gain = _gain_of_more(arrays, run, label, seed)
        for row in rows.to_dict("records"):
            lost = gain
            if row["cause"] == "overlap":
                lost = _confused(predicted or run, label, row["evidence"])
            elif row["cause"] == "label_noise":
                lost = 0.0
            if lost < HARM:
                counts[row["cause"]] += 1
                any_cause.add(str(name))
    return {f"harmless_{cause}": count for cause, count in counts.items()} | {"harmless": len(any_cause)}


def _gain_of_more(arrays: Arrays, run: Run, label: int, seed: int) -> float:
    """Return the gain in accuracy on half of a class's test instances, when the other half is added to training."""
    own = np.random.default_rng(seed).permutation(arrays.test_rows(label))
    added, judged = own[: len(own) // 2], own[len(own) // 2 :]
    more = replace(
        arrays,
        train=np.concatenate([arrays.train, arrays.test[added]]),
        train_labels=np.concatenate([arrays.train_labels, arrays.test_labels[added]]),
    ).fitted(seed)
    assert run.test is not None and more.test is not None
    return float(more.test.correct[judged].mean() - run.test.correct[judged].mean())


def _confused(run: Run, label: int, evidence: str) -> float:
    """Return the share of a class's test instances that are predicted as the class which the evidence names."""
    assert run.test is not None
    predicted = run.test.predictions[run.test.labels == label]
    rivals = [other for other, name in enumerate(run.classes) if other != label and f" {name}:" in evidence]
    return float(np.isin(predicted, rivals).mean())


def jobs(paths: Sequence[str | Path], *, quick: bool, seeds: Sequence[int] | None) -> list[Job]:
    """Return a job for every network, plant and seed; with `quick` the first seed only, and no treatments.

    Raises:
        InputError: two networks have one name.
    """
    chosen = tuple(seeds or (SEEDS[:1] if quick else SEEDS))
    found = absolute(paths)
    return [PlantedArrays(path, plant, seed, advice=not quick) for seed in chosen for path in found for plant in PLANTS]


def absolute(paths: Sequence[str | Path]) -> list[str]:
    """Return absolute paths of networks.

    Raises:
        InputError: two networks have one name.
    """
    stems = [Path(path).stem for path in paths]
    if len(set(stems)) < len(stems):
        raise InputError("two of the networks have one file name.", hint="Rename one.")
    return [str(Path(path).expanduser().resolve()) for path in paths]


def tables(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Planted against first diagnosed cause, by plant, false alarms, and what was missed."""
    if "failed" in results:
        results = results[results["failed"].isna()]
    tried = results[results["remedy"].notna()] if "remedy" in results else results[:0]
    results = results.drop(tried.index)
    planted = results[results["planted"] != ""]
    found = {"study": crossed(planted, "planted"), "plants": crossed(planted, "plant")}
    found["false_alarms"] = _false_alarms(results)
    found |= misses(planted, "network", "seed", more=("cost",))
    return found | ({"advice": advice(tried)} if len(tried) else {})


def advice(tried: pd.DataFrame) -> pd.DataFrame:
    """Return, for each diagnosed cause and for all, how much the advised treatment of the head and another changed the class.

    Trials of one class of one network are averaged first: intervals (Student's t) are over these means. `difference` is advised
    less another, trial by trial.
    """
    keys = ["network", "plant", "seed", "class", "first"]
    advised, another = (tried.loc[tried["remedy"] == remedy, [*keys, "lift", "others"]] for remedy in REMEDIES)
    pairs = advised.merge(another, on=keys, suffixes=("_advised", "_another"))
    rows = []
    for cause in [*dict.fromkeys(pairs["first"]), "all"]:
        mine = pairs[(pairs["first"] == cause) | (cause == "all")]
        for remedy in (*REMEDIES, "difference"):
            lift, others = (
                mine[f"{what}_advised"] - mine[f"{what}_another"]
                if remedy == "difference"
                else mine[f"{what}_{remedy}"]
                for what in ("lift", "others")
            )
            means = lift.groupby([mine["network"], mine["class"]]).mean()
            n, mean, low, high = (column[0] for column in mean_with_interval(means.to_numpy()[:, None]))
            row = {"diagnosed": cause, "remedy": remedy, "trials": len(mine), "classes": int(n)}
            row |= {"better": float((lift > 0).mean()), "mean_lift": float(mean), "lift_low": float(low)}
            rows.append(row | {"lift_high": float(high), "others": float(others.mean())})
    return pd.DataFrame(rows)


def misses(planted: pd.DataFrame, *where: str, more: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """Return the table `misses` of the planted classes whose first cause is another, where there are any."""
    missed = planted[planted["first"] != planted["planted"]]
    columns = ["planted", "plant", *where, "class", "train", "first", "second", "near_tie", "accuracy", *more]
    return {"misses": missed[columns].reset_index(drop=True)} if len(missed) else {}


def crossed(planted: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return counts of first causes, and the share of right ones with its interval, for each value of a column."""
    rows = []
    for name, mine in planted.groupby(by, sort=False):
        right = int((mine["first"] == mine["planted"]).sum())
        low, high = map(float, wilson(np.array(right), np.array(len(mine))))
        tied = (mine["second"] == mine["planted"]) & mine["near_tie"].astype(bool)
        counts = mine["first"].value_counts()
        seen = {
            cause: int(counts.get(cause, 0))
            for cause in (*CAUSES, *OTHER_CAUSES, *BLANK)
            if cause in set(planted["first"])
        }
        row = {by: name, **seen, "classes": len(mine), "right": right / len(mine), "low": low}
        row |= {"high": high, "nearly": float(tied.mean())}
        if "cost" in mine:
            costly = mine[mine["cost"] >= HARM]
            hits = (costly["first"] == costly["planted"]).mean() if len(costly) else float("nan")
            row |= {"costly": len(costly), "right_costly": float(hits)}
        row["accuracy"] = float(mine["accuracy"].mean())
        rows.append(row)
    return pd.DataFrame(rows)


def _false_alarms(results: pd.DataFrame) -> pd.DataFrame:
    """Return for each cause how often it is named in unplanted classes, and how often where it harms nothing."""
    first = results[results["place"] == 0]
    bare = first[first["planted"] == ""]
    return named(first).merge(named(bare, "harmless"), on="cause")


def named(rows: pd.DataFrame, what: str = "named") -> pd.DataFrame:
    """Return for each cause the share of unplanted classes that it is named for, with its interval.

    Args:
        rows: with `unplanted`, and counts of classes for each cause.
        what: begins the names of the counts: "named" or "harmless".
    """
    found = []
    for cause in (*CAUSES, *OTHER_CAUSES, "any"):
        of = what if cause == "any" else f"{what}_{cause}"
        total, hits = int(rows["unplanted"].sum()), int(rows[of].sum()) if of in rows else 0
        low, high = map(float, wilson(np.array(hits), np.array(total)))
        share = hits / total if total else float("nan")
        ends = {f"{what}_low": low, f"{what}_high": high}
        found.append({"cause": cause, f"{what}_of": total, what: share, **ends})
    return pd.DataFrame(found)


def shown(found: Mapping[str, pd.DataFrame]) -> str:
    """Show the tables."""
    study = found["study"]
    right = float(study["right"].mean())
    parts = [
        "Planted cause (rows) against first diagnosed cause, counts of classes. right: share whose first cause is the "
        "planted one, with its 95% interval; nearly: share where it is second, with at least 0.8 of the first's strength; "
        "costly: classes whose accuracy is at least 5 points lower than without the cause, and right_costly the share "
        "right of those.",
        plain_markdown(study),
        f"Right first cause, averaged over causes: {right:.0%}; lowest: {study['right'].min():.0%}.",
        "By plant:",
        plain_markdown(found["plants"]),
        "Unplanted classes. named: the cause is named, in any place. harmless: it is named where nothing is planted, and "
        "removing it gains less than 5 points of the class's accuracy.",
        plain_markdown(found["false_alarms"]),
    ]
    if "advice" in found:
        parts += [
            "Accuracy of the planted class on the test split, after the treatment of the head that its first cause advises and "
            "after another one; difference: advised less another. Classes that no treatment of the head is "
            "advised for are left out. classes: different classes of networks; intervals are over their means. better: share "
            "of trials. others: mean change of the other classes' accuracy.",
            plain_markdown(found["advice"]),
        ]
    return "\n\n".join(parts)
