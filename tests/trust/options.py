"""Odd values for every option of the public functions: those named here are served, all others are refused.

    python -m tests.trust.options       the counts, and every value that is neither served nor refused as stated

A refusal is one exception of imblens that names the argument (or what the argument is, as listed in `CALLED`).
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import imblens
from imblens import lenses
from imblens.errors import ImblensError
from imblens.resampling import EOS, BalancedSVM
from tests.trust.inputs import (
    BIAS,
    CENTRES,
    FEATURES,
    LABELS,
    NAMES,
    REFUSED,
    SERVED,
    TEST_FEATURES,
    TEST_LABELS,
    WEIGHT,
)

ODD: dict[str, Any] = {
    "None": None,
    "empty text": "",
    "text": "x",
    "bytes": b"x",
    "-1": -1,
    "0": 0,
    "0.5": 0.5,
    "2": 2,
    "10^30": 10**30,
    "NaN": math.nan,
    "infinity": math.inf,
    "np.int64(2)": np.int64(2),
    "list": [],
    "list of None": [None],
    "list of text": ["x"],
    "mapping": {},
    "mapping to None": {"x": None},
    "share": {"ant": 0.5},
    "mapping to text": {"ant": "x"},
    "object": object(),
    "function": len,
    "complex": 1j,
    "array": np.zeros(3),
    "set": {1},
    "null byte": "a\0b",
}
FLAG = {"0"}
COUNT = {"2", "10^30", "np.int64(2)"}
SEED = {"0", "2", "np.int64(2)"}
FACTS = {"None", "mapping", "mapping to None", "share", "mapping to text"}
NONE = {"None"}
NO_TABLE = "needs a table|no table|not a table|holds no Parquet|mapping of tables"
NO_COLUMN = "has no column|names of"


@cache
def run() -> imblens.Run:
    """Return a run with training, validation and test instances."""
    val = CENTRES[TEST_LABELS] + np.random.default_rng(5).normal(size=(36, 5)) * 2
    return imblens.Run.from_arrays(
        train=(FEATURES, LABELS),
        test=(TEST_FEATURES, TEST_LABELS),
        val=(val, TEST_LABELS),
        head=(WEIGHT, BIAS),
        classes=NAMES,
    )


@cache
def decision() -> imblens.Decision:
    """Return rules chosen on that run."""
    return imblens.Decision.fit(run())


@cache
def estimator() -> Any:
    """Return a fitted classifier."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(FEATURES, LABELS)


@cache
def frame() -> pd.DataFrame:
    """Return the instances as a table."""
    return pd.DataFrame(np.vstack([FEATURES, TEST_FEATURES]), columns=list("abcde")).assign(
        y=np.array(NAMES)[np.r_[LABELS, TEST_LABELS]], s=["train"] * 78 + ["test"] * 36
    )


ARRAYS = {"train": (FEATURES, LABELS), "test": (TEST_FEATURES, TEST_LABELS)}
LABELLED = (TEST_FEATURES, TEST_LABELS)


def of_run(function: Callable[..., Any], **usual: Any) -> Callable[..., Any]:
    return lambda **given: function(**{"run": run(), **usual, **given})


Entry = tuple[Callable[..., Any], dict[str, set[str]]]
ENTRIES: dict[str, Entry] = {
    "Run.from_arrays": (
        lambda **given: imblens.Run.from_arrays(**{**ARRAYS, **given}),
        {
            "train": set(),
            "test": NONE,
            "val": NONE,
            "head": NONE,
            "classes": NONE,
            "meta": FACTS,
            "task": NONE,
            "groups": NONE | {"mapping", "mapping to None"},
        },
    ),
    "Run.from_table": (
        lambda **given: imblens.Run.from_table(
            **{"source": frame(), "features": list("abcde"), "label": "y", "split": "s", **given}
        ),
        {
            "source": set(),
            "features": set(),
            "label": set(),
            "split": set(),
            **dict.fromkeys(("logits", "id", "group", "preview", "head", "classes", "task"), NONE),
            "meta": FACTS,
        },
    ),
    "Run.from_sklearn": (
        lambda **given: imblens.Run.from_sklearn(**{"estimator": estimator(), **ARRAYS, **given}),
        {
            "estimator": set(),
            "train": set(),
            "test": NONE,
            "val": NONE,
            "classes": NONE,
            "meta": FACTS,
            "groups": NONE | {"mapping", "mapping to None"},
        },
    ),
    "Run.save": (
        lambda **given: run().save(**{"path": "r", "force": True, **given}),
        {"path": {"text"}, "force": FLAG},
    ),
    "Run.load": (imblens.Run.load, {"path": set()}),
    "Run.neighbours": (
        lambda **given: run().neighbours(**{"k": 3, **given}),
        {"k": COUNT, "approximate": FLAG | NONE, "progress": NONE | {"function"}},
    ),
    "audit": (
        of_run(imblens.audit, lenses=["archetypes"]),
        {
            "run": set(),
            "lenses": {"list"} | NONE,
            "of": NONE,
            "options": NONE | {"mapping"},
            "on_step": NONE | {"function"},
            "skip": {"list", "mapping"},
            "engine": set(),
            "address": NONE,
            "deployment": {"list"},
        },
    ),
    "treat": (of_run(imblens.treat, name="tau_norm"), {"run": set(), "name": set(), "validation": NONE}),
    "compare": (
        lambda **given: imblens.compare(**{"runs": [run(), run()], **given}),
        {"runs": set(), "names": NONE, "draw_map": FLAG},
    ),
    "estimate": (
        of_run(imblens.estimate, unlabelled=TEST_FEATURES, labels=LABELLED, draws=5),
        {"run": set(), "unlabelled": set(), "labels": NONE, "seed": SEED, "draws": {"2", "np.int64(2)"}},
    ),
    "gate": (
        of_run(imblens.gate, against=run(), calibration=False),
        {
            "run": set(),
            "against": set(),
            "max_drop": {"0", "0.5"},
            "min_recall": NONE | {"mapping", "share"},
            "alpha": set(),
            "calibration": FLAG,
            "seed": SEED,
            "names": set(),
        },
    ),
    "collect": (
        of_run(imblens.collect, pool=TEST_FEATURES, count=3, gain=False),
        {"run": set(), "pool": set(), "count": COUNT, "classes": NONE, "gain": FLAG, "seed": SEED},
    ),
    "Decision.fit": (
        of_run(imblens.Decision.fit),
        {
            "run": set(),
            "choose_on": set(),
            "sets": set(),
            "coverage": {"0.5"},
            "abstain": NONE | {"0", "0.5"},
            "prior": NONE,
            "costs": NONE,
            "min_recall": NONE | {"mapping", "share"},
            "confidence": {"0.5"},
            "seed": SEED,
        },
    ),
    "Decision.predict": (
        lambda **given: decision().predict(**given),
        {"features": set(), "logits": set()},
    ),
    "Decision.save": (
        lambda **given: decision().save(**{"path": "d.safetensors", "force": True, **given}),
        {"path": set(), "force": FLAG},
    ),
    "Decision.load": (imblens.Decision.load, {"path": set()}),
    "EOS": (
        lambda **given: EOS(**given).fit_resample(FEATURES, LABELS),
        {
            "k_neighbors": COUNT,
            "random_state": SEED | NONE | {"10^30"},
            "direction": set(),
            "indexing": set(),
            "sampling_strategy": {"mapping"},
        },
    ),
    "BalancedSVM": (
        lambda **given: BalancedSVM(**given).fit_resample(FEATURES, LABELS),
        {
            "k_neighbors": {"2", "np.int64(2)"},
            "random_state": SEED | NONE | {"10^30"},
            "estimator": NONE,
            "fit_on": set(),
            "max_fit": COUNT,
        },
    ),
    "errors": (of_run(lenses.errors), {"run": set(), "k": COUNT, "per_pair": COUNT | NONE, "limit": COUNT}),
    "archetypes": (of_run(lenses.archetypes), {"run": set(), "k": COUNT, "prototypes": COUNT}),
    "adversaries": (of_run(lenses.adversaries), {"run": set(), "k": COUNT, "least_errors": COUNT | {"0"}}),
    "feature_overlap": (of_run(lenses.feature_overlap), {"run": set(), "top": COUNT}),
    "feature_density": (of_run(lenses.feature_density), {"run": set(), "top": COUNT}),
    "class_features": (of_run(lenses.class_features), {"run": set(), "top": COUNT, "split": set()}),
    "calibration": (of_run(lenses.calibration), {"run": set(), "n_bins": {"2", "np.int64(2)"}}),
    "label_suspects": (of_run(lenses.label_suspects), {"run": set(), "k": COUNT, "per_class": COUNT, "limit": COUNT}),
    "embedding_map": (of_run(lenses.embedding_map), {"run": set(), "random_state": SEED}),
    "common_map": (
        lambda **given: lenses.common_map(**{"runs": [run(), run()], "n_points": 12, **given}),
        {"runs": set(), "names": NONE},
    ),
    "compare_class_features": (
        lambda **given: lenses.compare_class_features(**{"before": run(), "after": run(), **given}),
        {"before": set(), "after": set(), "k": COUNT, "split": set()},
    ),
}
# What a message may call an argument whose name it does not repeat.
CALLED = {
    "run": "needs a Run",
    "against": "needs a Run",
    "before": "needs a Run",
    "after": "needs a Run",
    "runs": "needs a Run|compare got|common_map: ",
    "source": NO_TABLE,
    **dict.fromkeys(("features", "label", "split", "logits", "id", "group", "preview"), NO_COLUMN),
    "of": "no class",
    "classes": "is not a class|class name",
    "lenses": "no lens",
    "skip": "no lens",
    "options": "no lens",
    "name": "no treatment",
    "validation": "test must be",
    "max_drop": "tolerated drop",
    "alpha": "false alarm",
    "choose_on": "chosen on",
    "sets": "prediction set",
    "abstain": "to send to a person",
    "prior": "of the run",
    "min_recall": "of the run|recall of",
    "path": "is not a valid name for|no run at|is a folder",
    "force": "",
}


def cases() -> list[tuple[str, str]]:
    """Every function with every argument that is tried."""
    return [(entry, argument) for entry, (_, arguments) in ENTRIES.items() for argument in arguments]


def outcomes(entry: str, argument: str) -> Iterator[tuple[str, str, str]]:
    """What became of every odd value: its name, `served`, `refused` or a defect, and the message."""
    call, _ = ENTRIES[entry]
    for name, value in ODD.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                call(**{argument: value})
            except ImblensError as error:
                said = str(error)
                names = [argument, argument.replace("_", " "), *CALLED.get(argument, argument).split("|")]
                yield name, REFUSED if any(word in said for word in names) else "refused without the argument", said
            except Exception as error:
                yield name, f"raised {type(error).__name__}", str(error)[:200]
            else:
                yield name, SERVED, ""


def defects(entry: str, argument: str) -> list[str]:
    """One sentence for each odd value that is neither served nor refused as the table states."""
    served = ENTRIES[entry][1][argument]
    return [
        f"{entry}({argument}={value}): {kind} {said}"
        for value, kind, said in outcomes(entry, argument)
        if kind != (SERVED if value in served else REFUSED)
    ]


def main() -> int:
    """Print the counts per function and every value that is not as stated."""
    wrong: list[str] = []
    here = os.getcwd()
    for entry, (_, arguments) in ENTRIES.items():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            found: Counter[str] = Counter()
            for argument, served in arguments.items():
                for value, kind, said in outcomes(entry, argument):
                    found[kind] += 1
                    if kind != (SERVED if value in served else REFUSED):
                        wrong.append(f"{entry}({argument}={value}): {kind} {said}")
            os.chdir(here)
        print(f"{entry:24} {found.total():4} values: " + ", ".join(f"{n} {k}" for k, n in sorted(found.items())))
    print(*wrong, f"{len(wrong)} not as stated", sep=os.linesep)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
