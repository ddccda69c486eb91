"""IML, Table I: the image sets and networks of the paper's study. Nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from imblens.base.markdown import markdown_table
from imblens.data import parse_profile
from imblens.errors import InputError
from imblens.studies._data import Data
from imblens.studies._jobs import Job
from imblens.studies._store import Store
from imblens.studies._tables import read_paper, with_missing

QUESTION = "Which image sets, how imbalanced, and which networks does IML study? Nothing is trained."
PAPER = "IML, Table I"
TABLE = "iml_table1"
COLUMNS = (
    *("classes", "train", "test", "input_dim", "fe_dim", "imbalance", "max_imbalance", "epochs", "network"),
)  # of the paper

KINDS = {"exp": "exponential", "step": "step", "natural": "as it is"}


@dataclass(frozen=True)
class Described(Job):
    """An image set with the network and the schedule that a study trains on it.

    Attributes:
        data: the image set.
        options: attributes of `imblens.training.TrainingPlan`.
    """

    data: Data
    options: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Data."""
        return self.data.name

    @property
    def cells(self) -> list[dict[str, Any]]:
        """One cell."""
        return [{"data": self.data.name}]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Read the set and build the network.

        input_dim is channels x height x width of an image, fe_dim the number of features, max_imbalance the count of
        the largest class over that of the smallest.
        """
        from imblens.models import find_head, make_network
        from imblens.training import TrainingPlan

        images = self.data.load()
        counts = images.class_counts
        if not counts.all():
            raise InputError(f"{images.name} has classes without training images.", hint="Leave those classes out.")
        shape = images.train.image(0).shape
        arch = str(self.options["arch"])
        network = make_network(arch, images.n_classes, size=shape[:2])
        plan = TrainingPlan(**self.options).for_images(images)
        head: Any = find_head(network, n_classes=images.n_classes)[1]
        held_out = images.held_out
        for key in wanted:
            yield (
                key,
                {
                    "classes": images.n_classes,
                    "train": len(images.train),
                    "test": None if held_out is None else len(held_out),
                    "input_dim": int(shape[0] * shape[1] * shape[2]),
                    "fe_dim": int(head.weight.shape[1]),
                    "imbalance": KINDS[parse_profile(self.data.profile).kind],
                    "max_imbalance": round(float(counts.max() / counts.min()), 1),
                    "epochs": plan.epochs,
                    "network": arch,
                },
            )


def tables(results: pd.DataFrame, missing: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return the paper's table, ours beside it."""
    paper = read_paper(TABLE, ["data"])
    table = results[["data"]].assign(seeds=0)
    known = paper.set_index("data").reindex(results["data"])
    for name in COLUMNS:
        table[name] = results[name].to_numpy()
        table[f"{name}_paper"] = known[name].to_numpy()
    return {"study": with_missing(table, missing, paper).drop(columns="seeds")}


def shown(named_tables: Mapping[str, pd.DataFrame]) -> str:
    """Show the table: ours (paper's)."""
    table = named_tables["study"]
    head = ["data", *COLUMNS, *(["needs"] if "needs" in table else [])]
    rows = []
    for row in table.to_dict("records"):
        cells = [f"{_text(row[name])} (paper {_text(row[f'{name}_paper'])})" for name in COLUMNS]
        rows.append([row["data"], *cells, *([row["needs"]] if "needs" in row else [])])
    return markdown_table(head, rows)


def _text(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return value if isinstance(value, str) else f"{value:,.1f}".removesuffix(".0")
