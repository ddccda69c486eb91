"""Does the diagnosis of multi-label runs identify causes that are planted in stored features of trained networks?

The head is trained again on the planted features. The first reason is counted: whether ranking or threshold is at fault is
stated before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from imblens.errors import NotApplicable
from imblens.lenses import diagnosis
from imblens.lenses.diagnosis import LABEL_CAUSES
from imblens.run import Run
from imblens.studies import _planted_arrays as of_classes
from imblens.studies._jobs import Job
from imblens.studies._plants_in_labels import LABEL_PLANTS, LabelArrays, planted_in_label
from imblens.studies._store import Store
from imblens.studies._tables import plain_markdown

QUESTION = (
    "How often is the first reason of a label the one planted in stored features of trained multi-label networks?"
)
SEEDS = (0, 1, 2, 3, 4, 5)


@dataclass(frozen=True)
class PlantedLabels(Job):
    """One cause planted in a label of one network.

    Attributes:
        path: absolute path of ARRAYS.npz or a run folder.
        plant: one of `LABEL_PLANTS`.
        seed: of the plant.
    """

    path: str
    plant: str
    seed: int

    @property
    def label(self) -> str:
        """Network, plant and seed."""
        return f"{Path(self.path).stem}: {self.plant}, seed {self.seed}"

    @property
    def cells(self) -> list[dict[str, Any]]:
        """One cell."""
        cause = LABEL_PLANTS[self.plant][0]
        return [{"network": Path(self.path).stem, "planted": cause, "plant": self.plant, "seed": self.seed}]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Plant, train the head, and diagnose."""
        del store
        try:
            arrays = LabelArrays.of(Run.load(self.path))
            plant = planted_in_label(arrays, self.plant, self.seed, Path(self.path).stem)
        except NotApplicable as reason:
            yield from ((key, {"failed": str(reason)}) for key in wanted)
            return
        run = plant.arrays.fitted()
        table = reasons(diagnosis(run).tables["diagnosis"])
        found = of_classes.unplanted(table[~table["class"].isin([*plant.planted, *plant.touched])])
        for name in plant.planted:
            found |= of_classes.planted_class(table, name, run)
        yield wanted[0], found


def reasons(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out whether ranking or threshold is at fault; a label without a reason has "none found"."""
    kept = table[~table["cause"].isin(LABEL_CAUSES)]
    bare = table[~table["class"].isin(kept["class"])].drop_duplicates("class")
    return pd.concat([kept, bare.assign(cause=of_classes.BLANK[0], strength=0.0)])


def jobs(paths: Sequence[str | Path], *, quick: bool, seeds: Sequence[int] | None) -> list[Job]:
    """Return a job for every network, plant and seed; with `quick` the first seed only."""
    chosen = tuple(seeds or (SEEDS[:1] if quick else SEEDS))
    found = of_classes.absolute(paths)
    return [PlantedLabels(path, plant, seed) for seed in chosen for path in found for plant in LABEL_PLANTS]


def tables(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Planted against first reason, by plant and by network, false alarms, and what was missed."""
    if "failed" in results:
        results = results[results["failed"].isna()]
    planted = results[results["planted"] != ""]
    found = {name: of_classes.crossed(planted, by) for name, by in (("study", "planted"), ("plants", "plant"))}
    found["networks"] = of_classes.crossed(planted, "network")
    found["false_alarms"] = of_classes.named(results)
    return found | of_classes.misses(planted, "network", "seed")


def shown(found: Mapping[str, pd.DataFrame]) -> str:
    """Show the tables."""
    study = found["study"]
    return "\n\n".join(
        [
            "Planted cause (rows) against the first reason of the label, counts of labels. right: share whose first reason is "
            "the planted one, with its 95% interval; nearly: share where it is second, with at least 0.8 of the first's "
            "strength; accuracy: recall of the label's positives at 0.5.",
            plain_markdown(study),
            f"Right first reason, averaged over causes: {study['right'].mean():.0%}; lowest: {study['right'].min():.0%}.",
            "By plant:",
            plain_markdown(found["plants"]),
            "By network:",
            plain_markdown(found["networks"]),
            "Unplanted labels for which a reason is named, in any place:",
            plain_markdown(found["false_alarms"]),
        ]
    )
