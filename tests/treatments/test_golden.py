"""Heads, predictions, records and tables after every treatment, and what treatments say, are those stored."""

# ruff: noqa: E501  # a case is read as one line

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from imblens.run import Run
from imblens.treatments import (
    Recipe,
    _choose,
    all_treatments,
    cross_validated,
    find_treatment,
    parse_options,
    resample,
    sampling_options,
    train_head,
    treat,
    treatment_lines,
    treatment_summary,
    treatment_table,
)
from imblens.treatments._choose import class_mean, class_mean_error
from imblens.treatments._folds import widened
from imblens.treatments._retrain import recipe_of
from imblens.treatments._train_head import released_recipe
from tests import golden
from tests.treatments._runs import NAMES, blobs

LOOSE = 30.0  # times the tolerance: heads are trained in steps, in which other machines round differently
STEADY = {"learning_rate": 0.05, "batch_size": 16, "epochs": 2}  # steps as large as the usual ones magnify that
DESCENT = (
    "kmeans_smote",
    "cluster_centroids",
    "instance_hardness_threshold",
)  # results change with scikit-learn, or slow
QUICK: dict[str, Any] = {"eos": {"k_neighbors": 4}, "best": {"candidates": "refit,ncm,logit_adjustment", "folds": 2}}
PLAIN = Recipe(learning_rate=0.2, epochs=4, least_steps=0)


def single(counts: tuple[int, ...] = (60, 26, 14, 7), apart: float = 1.2, **other: Any) -> Run:
    """Four classes, a head that is biased towards the large ones, and groups of nothing."""
    features, labels = blobs(counts, seed=3, apart=apart)
    weight = np.stack([features[labels == c].mean(axis=0) for c in range(len(counts))])
    bias = np.log(counts) - (weight**2).sum(axis=1) / 2
    given = {"train": (features, labels), "test": blobs((20, 20, 12, 9), seed=8, apart=apart), "head": (weight, bias)}
    return Run.from_arrays(**{**given, "classes": NAMES[: len(counts)], **other})


def held_out(**other: Any) -> Run:
    """With a validation split."""
    return single(val=blobs((30, 20, 12, 8), seed=14), **other)


def several(**other: Any) -> Run:
    """Three labels, the last of them rare."""

    def split(n: int, seed: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        labels = (rng.random((n, 3)) < [0.6, 0.25, 0.1]).astype(np.uint8)
        labels[:2] = [[1, 1, 1], [0, 0, 0]]
        return np.hstack([1.5 * labels, np.zeros((n, 2))]) + rng.normal(size=(n, 5)), labels

    head = (np.eye(3, 5), np.array([-0.3, -1.9, -3.2]))
    given = {"train": split(150, 1), "test": split(110, 2), "head": head, "classes": ["many", "few", "rare"]}
    return Run.from_arrays(**{**given, **other})


def grouped() -> Run:
    """Test instances in groups of three."""
    return single(groups={"test": np.array([f"p{i // 3}" for i in range(61)])})


RUNS: dict[str, Callable[[], Run]] = {"single": single, "held_out": held_out, "several": several, "grouped": grouped}


def treated(make: Callable[[], Run], name: str, **options: Any) -> Any:
    """Everything a treated run holds that the run did not, or the error."""
    run, found = make(), {}
    known = {option.name for option in find_treatment(name).options}
    options = {**{key: value for key, value in STEADY.items() if key in known}, **options}

    def work() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_choose, "PLAIN", PLAIN)
            better = treat(run, name, **options)
        with_it = (
            {} if better.synthetic is None else {"synthetic": [better.synthetic.features, better.synthetic.labels]}
        )
        found.update(
            head=[better.head.weight, better.head.bias], logits=better.test.logits, predictions=better.test.predictions,
            record=better.meta["treatment"], lines=treatment_lines(better), table=treatment_table(run, better),
            summary=treatment_summary(run, better), **with_it,
        )  # fmt: skip

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        error = golden.raised(work)
    said = [str(one.message) for one in caught if one.category.__name__ == "ImblensWarning"]
    return {"said": said, "error": error, **found}


def rows(name: str, counts: tuple[int, ...] = (60, 26, 14, 7), **options: Any) -> Any:
    """The rows that a sampler would train a head on."""
    found: list[Any] = []
    error = golden.raised(lambda: found.append(resample(single(counts), name, random_state=4, **options)))
    return found[0] if found else error


OTHERS: dict[str, dict[str, Any]] = {
    "logit_adjustment": {"tau": 0.5}, "temperature": {"temperature": 1.7}, "refit": {"l2": 0.5}, "tau_norm": {"tau": 0.3},
    "crt": {"epochs": 3, "learning_rate": 0.1, "weight_decay": 0.01, "batch_size": 16, "start": "random"},
    "lws": {"weight_decay": 1.0}, "ncm": {"random_state": 4}, "eos": {"k_neighbors": 3, "direction": "away", "curve": True, "recipe": "released", "learning_rate": "auto", "batch_size": 128},
    "smote": {"k_neighbors": 2, "curve": True, "epochs": 4}, "balanced_svm": {"fit_on": "original", "k_neighbors": 2},
    "best": {"candidates": "tau_norm,lws,temperature", "folds": 3, "widen": 1.3},
    "random": {"sampling_strategy": "minority", "random_state": 3}, "adasyn": {"n_neighbors": 3},
}  # fmt: skip
TREATED: dict[str, Callable[[], Any]] = {}
for run, make in RUNS.items():
    for name in all_treatments():
        if name in DESCENT or (run == "grouped" and name not in ("refit", "logit_adjustment", "eos")):
            continue
        TREATED[f"{run}/{name}"] = partial(treated, make, name, **QUICK.get(name, {}))
for name, given in OTHERS.items():
    TREATED[f"options/{name}"] = partial(treated, single, name, **given)
TREATED |= {
    "options/auto eos": partial(treated, held_out, "eos"),
    "options/best held out": partial(treated, held_out, "best", candidates="refit,logit_adjustment,tau_norm,ncm,lws"),
    "options/best of memorised": partial(treated, partial(single, apart=5.0), "best", candidates="refit,logit_adjustment,ncm"),
    "options/auto refit": partial(treated, single, "refit", l2="auto"),
    "options/memorised": partial(treated, partial(single, (40, 25, 9, 1)), "logit_adjustment"),
    "options/of one": partial(treated, partial(single, (40, 25, 9, 1)), "smote"),
    "options/no head": partial(treated, partial(single, head=None), "crt"),
    "options/no head to change": partial(treated, partial(single, head=None), "tau_norm"),
    "options/twice": lambda: treated(lambda: treat(single(), "refit"), "logit_adjustment", tau=1.0),
    "options/labels without a head": partial(treated, partial(several, head=None), "refit"),
    "options/labels with a validation": partial(treated, partial(several, val=(several().train.features + 0.3, several().train.labels)), "logit_adjustment"),
    "options/validation": partial(treated, single, "tau_norm", validation=blobs((9, 9, 9, 9), seed=99)),
}  # fmt: skip

SAMPLERS = [name for name, one in all_treatments().items() if one.resample is not None and name not in DESCENT]
SAMPLED = {f"rows/{name}": partial(rows, name) for name in SAMPLERS}
SAMPLED |= {f"rows/{name} of one": partial(rows, name, (20, 12, 9, 1)) for name in SAMPLERS}
SAMPLED |= {
    f"rows/{name} to counts": partial(rows, name, sampling_strategy={"cat": 20, "dog": 11}) for name in SAMPLERS
}
SAMPLED |= {
    "rows/archetype k": partial(rows, "archetype_resampling", k=3, safe_kept=0.2),
    "rows/features shared": partial(rows, "chosen_features", change="shared", n_features=2),
    "rows/features few": partial(rows, "chosen_features", k_neighbors=3, n_features=1),
}

FEATURES, LABELS = blobs((40, 20, 6), seed=5)


def head(**options: Any) -> Any:
    """A head that is trained, and its steps."""
    steps: list[Any] = []
    options.setdefault("recipe", Recipe(learning_rate=0.1, epochs=3))
    found = train_head(
        FEATURES, LABELS, 4, after_epoch=lambda epoch, one: steps.append([epoch, float(one.weight.sum())]), **options
    )
    return [found.weight, found.bias, steps]


def trial(**options: Any) -> Any:
    """Options tried by cross-validation."""
    run, name, grid = (
        options.pop("run", single)(),
        options.pop("name", "logit_adjustment"),
        options.pop("grid", {"tau": [0.0, 0.5, 1.0]}),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_choose, "PLAIN", PLAIN)
        found = cross_validated(run, name, grid, **options)
    best = [found.best(criterion, keep) for criterion in ("balanced_accuracy", "balanced_nll") for keep in (None, 0)]
    differences = [found.difference(1, 0, criterion) for criterion in ("balanced_accuracy", "balanced_nll")]
    return [
        found.table(),
        found.labels,
        found.where,
        found.notes,
        found.has_seen,
        found.memorised,
        best,
        differences,
        found.scores,
    ]


VALUES, OF = np.random.default_rng(3).random(20).round(3), np.repeat([0, 1, 3], [11, 6, 3])
PARTS: dict[str, Callable[[], Any]] = {
    "head": head,
    "head at random": lambda: head(start="random", seed=3),
    "head from another": lambda: head(start=train_head(FEATURES, LABELS, 4, recipe=Recipe(epochs=1, learning_rate=0.02))),
    "head released": lambda: head(recipe=released_recipe()),
    "head balanced": lambda: head(recipe=Recipe(balanced=True, epochs=2, learning_rate=0.1)),
    "head in steps": lambda: head(recipe=Recipe(epochs=3, batch_size=7, least_steps=30, learning_rate=0.1, momentum=0.5, weight_decay=0.1)),
    "head with warm-up": lambda: head(recipe=Recipe(epochs=4, warm_up=2, learning_rate=0.2)),
    "head raw": lambda: head(recipe=Recipe(epochs=4, scaled=False, learning_rate=0.01)),
    "head that diverges": lambda: golden.raised(lambda: head(recipe=Recipe(learning_rate=1e30))),
    "steps": lambda: [Recipe(batch_size=b, least_steps=s).rows_of_step(n) for b in (8, 128) for s in (0, 20) for n in (5, 90, 4000)],
    "recipes": lambda: [Recipe().as_meta(), released_recipe().as_meta()]
    + [recipe_of(find_treatment("smote").check(given), balanced=b) for b in (False, True) for given in ({}, {"recipe": "released"}, {"weight_decay": 0.5, "learning_rate": 3.0})],
    "trial": trial,
    "trial of three folds": lambda: trial(folds=3, seed=4),
    "trial widened": lambda: trial(widen=1.4),
    "trial held out": lambda: trial(validation=held_out().val),
    "trial of a fitted head": lambda: trial(run=_fitted),
    "trial of samplers": lambda: trial(name="smote", grid={"k_neighbors": [1, 90]}, options=STEADY),
    "trial of one": lambda: trial(run=partial(single, (30, 12, 7, 1))),
    "trial of nothing": lambda: golden.raised(lambda: trial(run=lambda: Run.from_arrays(train=(np.eye(2), [0, 1]), head=(np.eye(2), [0, 0])))),
    "means": lambda: [class_mean(VALUES, OF), class_mean_error(VALUES, OF), widened(FEATURES[:3], FEATURES[3:6], 1.5)],
    "declared": lambda: {
        name: [one.family, one.criterion, one.needs_head, one.reads_head, one.trains, str(one.per_label), [[o.name, o.default, o.grid, o.words, o.low, o.high] for o in one.options]]
        for name, one in all_treatments().items()
    },
    "sampling options": lambda: {name: [option.name for option in sampling_options(name)] for name in SAMPLERS},
    "untreated": lambda: [treatment_lines(single()), treatment_table(_untested(), _untested()), treatment_summary(_untested(), _untested())],
}  # fmt: skip


def _fitted() -> Run:
    """A head such as its training instances give."""
    features, labels = blobs((60, 26, 14, 7), seed=3)
    found = train_head(features, labels, 4, recipe=PLAIN)
    return single(head=(found.weight, found.bias))


def _untested() -> Run:
    return Run.from_arrays(train=blobs((9, 6), seed=1), classes=NAMES[:2])


ASKED: dict[str, Callable[[], Any]] = {
    "no such treatment": lambda: treat(single(), "smot"),
    "no such option": lambda: treat(single(), "smote", k=3),
    "no sampler": lambda: resample(single(), "refit"),
    "labels of a sampler": lambda: resample(several(), "smote"),
    "another name": lambda: find_treatment("logit adjustment"),
    "a number as name": lambda: find_treatment(3),
    "test split": lambda: treat(single(), "tau_norm", validation=single().test),
    "training split": lambda: treat(single(), "tau_norm", validation=single().train),
    "features of others": lambda: treat(single(), "tau_norm", validation=(np.ones((4, 2)), [0, 1, 2, 3])),
    "labels of one column": lambda: treat(several(), "tau_norm", validation=(np.ones((4, 5)), [0, 1, 0, 1])),
    "another test split": lambda: treatment_table(single(), held_out(test=blobs((5, 5, 5, 5), seed=1))),
    "other classes": lambda: treatment_summary(single(), single((60, 26, 14))),
    "unknown predictions": lambda: treatment_table(single(head=None), single()),
    "copies": lambda: treat(single(test=tuple(part[:30] for part in blobs((60, 26, 14, 7), seed=3))), "ncm"),
    "few copies": lambda: treat(single(test=tuple(part[:9] for part in blobs((60, 26, 14, 7), seed=3))), "ncm"),
    "a head of others": lambda: treat(single(train=(*blobs((60, 26, 14, 7), seed=3), np.ones((107, 4)) * np.arange(4))), "tau_norm"),
    "nothing to try": lambda: treat(single((30, 12, 7, 1)), "best", candidates="smote"),
    "no such candidate": lambda: treat(single(), "best", candidates="smot"),
    "best of best": lambda: treat(single(), "best", candidates="best"),
    "one class": lambda: treat(Run.from_arrays(train=(np.eye(3), [0, 0, 0]), classes=["a", "b"]), "refit"),
    "pairs": lambda: parse_options("smote", ["k_neighbors"]),
    "pairs twice": lambda: parse_options("smote", ["k_neighbors=3", "k_neighbors=4"]),
    "pairs of words": lambda: parse_options("smote", ["k_neighbors=many"]),
}  # fmt: skip


def refusals() -> dict[str, str]:
    return {name: golden.raised(call) for name, call in ASKED.items()}


def odd_options() -> dict[str, dict[str, str]]:
    """What each option says to values at and beyond its ends."""
    found: dict[str, dict[str, str]] = {}
    for one in all_treatments().values():
        for option in one.options:
            values = [-1, 0, 1, 1.5, 21, "other", None, True, *(v for v in (option.low, option.high) if v is not None)]
            of = f"{option.name} {option.default}"
            if of in found:
                continue
            found[of] = {f"{v}": golden.raised(partial(one.check, {option.name: v})) for v in values}
    return found


CASES: dict[str, Callable[[], Any]] = TREATED | SAMPLED | {f"parts/{name}": call for name, call in PARTS.items()}
CASES |= {"refusals/asked": refusals, "refusals/options": odd_options}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_a_treatment_gives_what_is_stored(case: str) -> None:
    golden.check("treatments", case, CASES[case](), loose=LOOSE)
