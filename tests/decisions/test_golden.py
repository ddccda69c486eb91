"""What decisions, estimates, lists to label and gates state and write is what is stored."""

# ruff: noqa: E501  # a case is read as one line

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from imblens import decisions
from imblens.decisions import (
    Decision,
    Unlabelled,
    collect,
    collection_gain,
    decision_section,
    estimate,
    gate,
    read_section,
)
from imblens.decisions._blocks import digest_of
from imblens.decisions._calibration import calibration_draws
from imblens.decisions._drops import changed_groups
from imblens.decisions._expected import black_box_shares, widened
from imblens.decisions._section_text import class_share, points, share, with_interval
from imblens.decisions._shift import covariate_auc, label_shift_p
from imblens.decisions._worse_calibration import compared_rows, residuals
from imblens.run import Run
from tests import golden
from tests.decisions.runs import NAMES, run_of, sample

LOOSE = 30.0  # times the tolerance: calibration is fitted in steps
LOOSER = {"parts/covariate": 1000.0}  # a classifier by scikit-learn
POOL = sample((160, 70, 30, 20), 41)
SHARES = {"ant": 0.4, "bee": 0.3, "cat": 0.2, "dog": 0.1}
COSTS = np.array([[0, 1, 1, 2], [1, 0, 3, 1], [2, 1, 0, 1], [9, 9, 4, 0]])


def several(n_val: int = 160, shift: float = 0.0, **other: Any) -> Run:
    """Three labels, the last of them rare."""
    rng = np.random.default_rng(5)

    def split(n: int) -> tuple[Any, Any, Any]:
        labels = (rng.random((n, 3)) < [0.5, 0.3, 0.12]).astype(int)
        features = np.hstack([1.6 * labels, labels]) + rng.normal(size=(n, 6))
        return features.round(3), labels, (2.2 * features[:, :3] - 2 + shift).round(3)

    made = {"train": split(200), "val": split(n_val), "test": split(150)}
    return Run.from_arrays(**{**made, "classes": ["dark", "wet", "cold"], **other})


def grouped(seed: int = 0, scale: float = 2.0) -> Run:
    """Instances in groups of about four."""
    run = run_of(seed=seed, scale=scale)
    whose = {name: np.array([f"p{i // 4}" for i in range(len(split))]) for name, split in run.splits.items()}
    splits = {name: (split.features, split.labels) for name, split in run.splits.items()}
    return Run.from_arrays(**splits, head=(run.head.weight, run.head.bias), classes=NAMES, groups=whose)


small = partial(run_of, (120, 50, 24, 10), (70, 40, 20, 6), (60, 30, 20, 12))
FITTED: dict[str, tuple[Callable[[], Run], dict[str, Any]]] = {
    "usual": (run_of, {}), "small": (small, {}), "coverage": (run_of, {"coverage": 0.7}), "abstain": (run_of, {"abstain": 0.2}),
    "equal": (run_of, {"prior": "equal"}), "training": (run_of, {"prior": "training"}), "shares": (run_of, {"prior": SHARES}),
    "costs": (run_of, {"costs": COSTS}), "recall": (run_of, {"min_recall": {"ant": 0.7, "cat": 0.5}, "confidence": 0.8}),
    "all": (run_of, {"prior": "equal", "costs": COSTS, "min_recall": {"bee": 0.6}, "abstain": 0.1, "sets": "prevalence"}),
    **{method: (small, {"sets": method}) for method in decisions.SET_METHODS}, "on test": (run_of, {"choose_on": "test", "seed": 3}),
    "groups": (grouped, {}), "labels": (several, {}), "labels abstain": (several, {"abstain": 0.15, "coverage": 0.8}),
    "labels recall": (several, {"min_recall": {"wet": 0.8}, "prior": {"dark": 0.4, "wet": 0.5, "cold": 0.3}}),
    "few labels": (partial(several, 12), {}),
}  # fmt: skip


def fitted(make: Callable[[], Run], options: dict[str, Any]) -> Any:
    """The rules, what they predict, and their tables."""
    run = make()
    rules = Decision.fit(run, **options)
    fields = {name: value for name, value in vars(rules).items() if name not in ("head", "distances")}
    far = None if rules.distances is None else [rules.distances.scale, rules.distances.grid, rules.distances.starts]
    found: dict[str, Any] = {
        "rules": fields,
        "far": far,
        "predicted": rules.predict(run.test.features, logits=run.test.logits),
    }
    found |= {"measured": rules.measured(run.test), "expected": golden.raised(lambda: rules.expected(run))}
    if found["expected"] == "no error":
        found["expected"] = rules.expected(run)
    found["section"] = decision_section(rules, run)
    moved = np.linspace(2, 1, run.n_classes) / (run.n_classes + (0 if rules.multilabel else 2))
    moved = moved if rules.multilabel else moved / moved.sum()
    found["moved"] = golden.raised(lambda: rules.with_shares(moved))
    if found["moved"] == "no error":
        found["moved"] = rules.with_shares(moved).predict(logits=run.test.logits[:9])
    with TemporaryDirectory() as folder:
        again = Decision.load(rules.save(Path(folder) / "rules.safetensors"))
        found["read"] = again.predict(run.test.features, logits=run.test.logits).equals(found["predicted"])
    return found


def stated(make: Callable[[], Any]) -> Any:
    """All of an estimate, a collection or the result of a gate, what it writes, and warnings."""
    with warnings.catch_warnings(record=True) as caught, TemporaryDirectory() as folder:
        warnings.simplefilter("always")
        found = make()
        tables = found.tables if hasattr(found, "tables") else found.table
        text = (
            [found.markdown(), found.junit() if hasattr(found, "junit") else ""] if hasattr(found, "markdown") else []
        )
        if hasattr(found, "save"):
            found.save(Path(folder) / "out")
        written = sorted(str(file.relative_to(folder)) for file in Path(folder).rglob("*") if file.is_file())
    kept = {name: value for name, value in vars(found).items() if name not in ("tables", "table")}
    said = [str(one.message) for one in caught if one.category.__name__ == "ImblensWarning"]
    return [tables, kept, found.lines(), found.section(), text, written, said]


LOGITS = several().test.logits + np.array([0.4, -0.5, 0.2])
ESTIMATED: dict[str, Callable[[], Any]] = {
    "usual": lambda: estimate(run_of(), unlabelled=POOL[0], draws=20),
    "other seed": lambda: estimate(run_of(), unlabelled=POOL[0], draws=20, seed=4),
    "as before": lambda: estimate(run_of(), unlabelled=sample((120, 60, 30, 8), 77)[0], draws=20),
    "other shares": lambda: estimate(run_of(), unlabelled=sample((10, 20, 80, 120), 78)[0], draws=20),
    "elsewhere": lambda: estimate(run_of(), unlabelled=POOL[0] + 3, draws=10),
    "somewhat elsewhere": lambda: estimate(run_of(), unlabelled=POOL[0] + 0.35, draws=10),
    "few": lambda: estimate(run_of(), unlabelled=POOL[0][:25], draws=10),
    "labels": lambda: estimate(run_of(), unlabelled=POOL[0], labels=sample((30, 20, 10, 8), 51), draws=10),
    "few labels": lambda: estimate(run_of(), unlabelled=POOL[0], labels=sample((8, 6, 4, 0), 51), draws=10),
    "logits": lambda: estimate(run_of(), unlabelled=Unlabelled(logits=run_of().head(POOL[0])), draws=10),
    "on test": lambda: estimate(run_of(val=None), unlabelled=POOL[0], choose_on="test", draws=10),
    "several": lambda: estimate(several(), unlabelled=Unlabelled(several().test.features, LOGITS), draws=20),
    "several, few": lambda: estimate(several(20), unlabelled=Unlabelled(logits=LOGITS), draws=10),
    "groups": lambda: estimate(grouped(), unlabelled=POOL[0], draws=10),
}
COLLECTED: dict[str, Callable[[], Any]] = {
    "list": lambda: collect(run_of(), pool=POOL[0], count=20, gain=False),
    "all": lambda: collect(small(), pool=POOL[0], count=400, gain=False),
    "classes": lambda: collect(run_of(), pool=POOL[0], count=12, classes=["bee", "cat"], gain=False, seed=2),
    "without validation": lambda: collect(run_of(val=None), pool=POOL[0], count=10, gain=False),
    "without test": lambda: collect(run_of(val=None, test=None), pool=POOL[0], count=10, gain=False),
    "logits": lambda: collect(run_of(), pool=Unlabelled(logits=run_of().head(POOL[0])), count=10, gain=False),
    "names": lambda: collect(
        run_of(), pool=Unlabelled(POOL[0], ids=[f"i{i}" for i in range(280)]), count=6, gain=False
    ),
    "doubles": lambda: collect(
        run_of(), pool=np.concatenate([POOL[0], POOL[0] + 1e-5, run_of().train.features[:40]]), count=15, gain=False
    ),
    "rare": lambda: collect(run_of(), pool=POOL[0][(POOL[1] < 2)], count=8, gain=False),
    "several": lambda: collect(several(), pool=Unlabelled(several().test.features, LOGITS), count=12, gain=False),
    "gain": lambda: collect(small()),
}
GATED: dict[str, Callable[[], Any]] = {
    "equal": lambda: gate(run_of(), run_of()),
    "other scale": lambda: gate(run_of(scale=9.0), run_of()),
    "better": lambda: gate(run_of(scale=1.0), run_of(scale=6.0), names=("new", "old")),
    "worse": lambda: gate(worse(), run_of(), alpha=0.2),
    "worse allowed": lambda: gate(worse(), run_of(), max_drop=0.15, calibration=False),
    "recall": lambda: gate(worse(), run_of(), min_recall={"dog": 0.9, "ant": 0.5}),
    "other instances": lambda: gate(run_of(seed=1), run_of()),
    "fewer instances": lambda: gate(run_of(test=(30, 20, 10, 4), seed=2), run_of(), calibration=False),
    "without a class": lambda: gate(worse((100, 50, 30, 0)), run_of(test=(100, 50, 30, 0))),
    "groups": lambda: gate(grouped(scale=5.0), grouped()),
    "several": lambda: gate(several(shift=-0.9), several()),
    "several recall": lambda: gate(several(shift=0.8), several(), min_recall={"cold": 0.9}, seed=3),
}


def worse(test: tuple[int, ...] = (100, 50, 30, 20)) -> Run:
    """The same instances, the rare class predicted less often, and a class more often."""
    run = run_of(test=test)
    splits = {name: (split.features, split.labels) for name, split in run.splits.items()}
    return Run.from_arrays(**splits, head=(run.head.weight, run.head.bias + np.array([0, 4, 0, -6])), classes=NAMES)


RNG = np.random.default_rng(61)
P, OF = RNG.dirichlet([1, 1, 1], 60).round(4), RNG.integers(0, 3, 60)
Z = np.log(np.maximum(P, 1e-3)).round(3)
PARTS: dict[str, Callable[[], Any]] = {
    "recall threshold": lambda: [decisions.recall_threshold(P[:, c], r, confidence=q) for c in range(3) for r in (0.6, 0.9) for q in (0.5, 0.9)],
    "sign test": lambda: decisions.sign_p_values(np.array([0, 3, 5, 0]), np.array([0, 4, 12, 2])),
    "power": lambda: [decisions.drop_power(n, d, gained=g, level=0.05) for n in (12, 40) for d in (0.0, 0.1, 0.3) for g in (0.0, 0.05)],
    "detectable": lambda: [decisions.detectable_drop(n, gained=0.02, level=0.05, power=p) for n in (10, 30, 200) for p in (0.5, 0.8)],
    "adjusted": lambda: [decisions.adjusted_probabilities(P, P.mean(axis=0), [0.1, 0.2, 0.7]), decisions.adjusted_probabilities(P[:, :2], np.array([0.3, 0.4]), np.array([0.5, 0.1]), multilabel=True)],
    "em": lambda: decisions.em_prior(P, np.array([0.5, 0.3, 0.2])),
    "black box": lambda: decisions.black_box_prior(np.array([[50, 4, 1], [3, 20, 4], [2, 1, 9]]), np.array([0.5, 0.3, 0.2])),
    "quantiles": lambda: [decisions.conformal_quantile(P[:n, 0], q) for n in (4, 9, 60) for q in (0.5, 0.8, 0.95)],
    "needed": lambda: [decisions.needed_for(q) for q in (0.5, 0.8, 0.9, 0.95, 0.99)],
    "sets": lambda: [[rule, rule(Z[:20]), decisions.set_coverage(rule, Z, OF), rule.too_few] for rule in (decisions.fit_sets(Z, OF, method=m, coverage=0.7, prior=np.array([9.0, 3, 1])) for m in decisions.SET_METHODS)],
    "sets tau": lambda: decisions.fit_sets(Z, OF, method="interpolated", coverage=0.8, tau=0.2),
    "calibration": lambda: [decisions.fit_calibration(Z, OF, own=own) for own in (False, True)] + [decisions.fit_calibration(Z[:7], OF[:7], start=decisions.fit_calibration(Z, OF, own=True), own=True)],
    "calibration of labels": lambda: decisions.fit_calibration(Z, np.eye(3, dtype=int)[OF], own=True),
    "calibration draws": lambda: [calibration_draws(decisions.fit_calibration(Z, y, own=True), Z, 3, np.random.default_rng(2)) for y in (OF, np.eye(3, dtype=int)[OF])],
    "gains": lambda: [collection_gain(make(), draws=8, seed=1) for make in (small, partial(several, 60))],
    "label shift": lambda: [label_shift_p(np.eye(3, dtype=bool)[OF[:a]], np.eye(3, dtype=bool)[OF[b:]]) for a, b in ((60, 0), (20, 20), (9, 50))],
    "covariate": lambda: [covariate_auc((X, Z), (None if X is None else X[:50] + m, Z[:50] + m), np.ones(60), multilabel=False, rng=np.random.default_rng(1)) for m in (0.0, 0.7) for X in (None, P)],
    "groups": lambda: changed_groups(np.array([1, -1, 0, 1, 1, -1]), np.array([0, 0, 1, 1, 2, 2])),
    "shares": lambda: [decisions.estimated_shares(run_of(), POOL[0]), decisions.share_lines(estimate(run_of(), unlabelled=POOL[0], draws=5))],
    "black box shares": lambda: golden.raised(lambda: black_box_shares(P, P)),
    "widened": lambda: widened(np.array([0.1, 0.5]), np.array([0.3, 0.6]), np.array([0.2, 0.5]), np.array([9, 40])),
    "residuals": lambda: [residuals(make().test, np.arange(30)).toarray() for make in (run_of, several)],
    "rows": lambda: [compared_rows(n, c, np.random.default_rng(0)) for n, c in ((50, 3), (9000, 4000))],
    "texts": lambda: [[share(v), class_share(v), with_interval(v, v - 0.1, v + 0.2), points(v, v - 0.1, v + 0.2)] for v in (0.0, 0.0002, 0.004, 0.0097, 0.5, 1.0, float("nan"))],
    "constraints": lambda: [decisions.constraints_of(["a=0.5", "b=c=0.25"]), decisions.constraints_of(["a=1"], ends=True)],
    "digests": lambda: [digest_of(1, "a", np.eye(2)), digest_of(1, "b", np.eye(2)), digest_of([1.5, None], {"a": 1})],
    "prior": lambda: [decisions.checked_prior(run_of(), given) for given in ("equal", "training", SHARES)],
}  # fmt: skip

ASKED: dict[str, Callable[[], Any]] = {
    "coverage of one": lambda: Decision.fit(run_of(), coverage=1.0), "coverage of none": lambda: Decision.fit(run_of(), coverage=0.0),
    "abstain all": lambda: Decision.fit(run_of(), abstain=1.0), "abstain percent": lambda: Decision.fit(run_of(), abstain=20), "abstain less": lambda: Decision.fit(run_of(), abstain=-0.1),
    "no validation": lambda: Decision.fit(run_of(val=None)), "on train": lambda: Decision.fit(run_of(), choose_on="train"), "no sets": lambda: Decision.fit(run_of(), sets="no"),
    "prior of others": lambda: Decision.fit(run_of(), prior={"cow": 1.0}), "prior of some": lambda: Decision.fit(run_of(), prior={"ant": 1.0}), "prior in words": lambda: Decision.fit(run_of(), prior="odd"),
    "prior of too much": lambda: Decision.fit(run_of(), prior={**SHARES, "ant": 0.9}), "prior of less": lambda: Decision.fit(run_of(), prior={**SHARES, "ant": -0.1}), "prior in percent": lambda: Decision.fit(run_of(), prior={k: 100 * v for k, v in SHARES.items()}),
    "costs of two": lambda: Decision.fit(run_of(), costs=[[0, 1], [1, 0]]), "costs of right": lambda: Decision.fit(run_of(), costs=np.eye(4)), "costs undefined": lambda: Decision.fit(run_of(), costs=np.full((4, 4), np.nan)), "costs of labels": lambda: Decision.fit(several(), costs=1 - np.eye(3)),
    "recall of one": lambda: Decision.fit(run_of(), min_recall={"dog": 1.0}), "recall too high": lambda: Decision.fit(run_of(), min_recall={"dog": 0.99}), "recall of no class": lambda: Decision.fit(run_of(), min_recall={"dgo": 0.9}), "confidence": lambda: Decision.fit(run_of(), confidence=1.0), "seed": lambda: Decision.fit(run_of(), seed=-1),
    "features of others": lambda: Decision.fit(run_of()).predict(np.ones((3, 2))), "logits of others": lambda: Decision.fit(run_of()).predict(logits=np.ones((3, 2))), "nothing": lambda: Decision.fit(run_of()).predict(), "undefined": lambda: Decision.fit(run_of()).predict(np.full((2, 6), np.nan)), "no features": lambda: Decision.fit(several()).predict(np.ones((2, 6))),
    "no such file": lambda: Decision.load("nothing.safetensors"), "unlabelled of others": lambda: estimate(run_of(), unlabelled=np.ones((50, 2))), "unlabelled of none": lambda: estimate(run_of(), unlabelled=np.ones((0, 6))), "draws": lambda: estimate(run_of(), unlabelled=POOL[0], draws=0),
    "labels of others": lambda: estimate(run_of(), unlabelled=POOL[0], labels=(POOL[0], POOL[1] + 9)), "labels of fewer": lambda: estimate(run_of(), unlabelled=POOL[0], labels=(POOL[0], POOL[1][:9])), "refused": lambda: decisions.estimated_shares(run_of(), POOL[0] + 9),
    "count": lambda: collect(run_of(), pool=POOL[0], count=0), "classes of others": lambda: collect(run_of(), pool=POOL[0], classes=["dgo"]), "no classes": lambda: collect(run_of(), pool=POOL[0], classes=[], gain=False), "nothing to collect": lambda: collect(run_of(), gain=False), "pool of others": lambda: collect(run_of(), pool=np.ones((5, 2)), gain=False), "same class": lambda: collect(run_of(), pool=POOL[0], classes=["cat", "cat"], gain=False),
    "gain of nothing": lambda: collection_gain(run_of(val=None, test=None)), "gain of few": lambda: collection_gain(run_of(train=(7, 6, 5, 4))), "drop": lambda: gate(run_of(), run_of(), max_drop=1.5), "drop of less": lambda: gate(run_of(), run_of(), max_drop=-0.1), "alpha": lambda: gate(run_of(), run_of(), alpha=0.0),
    "gate of others": lambda: gate(run_of(), several()), "gate of no class": lambda: gate(run_of(), run_of(), min_recall={"dgo": 0.9}), "gate of percent": lambda: gate(run_of(), run_of(), min_recall={"dog": 90}), "gate without test": lambda: gate(run_of(test=None), run_of()), "gate without a class": lambda: gate(run_of(test=(50, 30, 20, 0)), run_of()), "power of no class": lambda: gate(run_of(), run_of()).power("dgo", 0.1, gained=0.0),
    "constraint": lambda: decisions.constraints_of(["a"]), "constraint in percent": lambda: decisions.constraints_of(["a=95"]), "constraint of no name": lambda: decisions.constraints_of(["=0.5"]), "constraint of all": lambda: decisions.constraints_of(["a=1"]), "threshold": lambda: decisions.recall_threshold(P[:9, 0], 0.9), "section": lambda: read_section(run_of(), Path("nothing")), "section without test": lambda: decision_section(Decision.fit(run_of()), run_of(test=None)),
    "sets of none": lambda: decisions.fit_sets(Z, OF, coverage=1.2), "sets of another kind": lambda: decisions.fit_sets(Z, OF, method="no"), "tau": lambda: decisions.fit_sets(Z, OF, tau=2.0), "read": lambda: decisions.read_unlabelled(Path("nothing.csv")), "ids": lambda: Unlabelled(POOL[0], ids=["a"]), "shapes": lambda: Unlabelled(POOL[0], POOL[0][:3]), "empty": lambda: Unlabelled(),
}  # fmt: skip

CASES: dict[str, Callable[[], Any]] = {f"fitted/{name}": partial(fitted, *one) for name, one in FITTED.items()}
for kind, some in (("estimated", ESTIMATED), ("collected", COLLECTED), ("gated", GATED)):
    CASES |= {f"{kind}/{name}": partial(stated, make) for name, make in some.items()}
CASES |= {f"parts/{name}": make for name, make in PARTS.items()}
CASES["refusals/asked"] = lambda: {name: golden.raised(call) for name, call in ASKED.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_decisions_are_those_stored(case: str) -> None:
    golden.check("decisions", case, CASES[case](), loose=LOOSER.get(case, LOOSE))
