"""Rows of what is measured on networks that one has as arrays: ARRAYS.npz with head and test split, given by `--arrays`.

Each measurement has a benchmark of its own, which prints a row for every network: `imblens study diagnosis --arrays`,
`benchmarks.science.label_suspects`, `.choosing` and `.forecasts`. Which networks a method was chosen on is not looked up:
give networks that nothing was chosen on. `in_images` trains networks of its own, on images.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.targets._row import Row, ends
from imblens.errors import ImblensWarning
from imblens.run import Run

RIGHT, LOWEST, HARMLESS = 0.8, 0.6, 0.1  # shares
REGRET, KL = 0.3, 0.045  # points; nats
IN_FEATURES, IN_IMAGES = (1, 2), (0, 1, 2)  # seeds of the plants in docs/results/report.md


def diagnosis(files: Sequence[Path], seeds: Sequence[int] = IN_FEATURES) -> Iterator[Row]:
    """Causes planted in features: right first causes, and causes that are named where they harm nothing."""
    from imblens.studies import find_study, run_study

    with tempfile.TemporaryDirectory() as folder:
        tables = run_study(find_study("diagnosis", arrays=files, quick=True, seeds=seeds), folder).tables
    what, alarms = f"diagnosis, causes planted in features of {named(files)}", tables["false_alarms"]
    yield from _causes(what, tables["study"])
    yield _harmless(what, alarms)


def in_images(data: Mapping[str, str], seeds: Sequence[int] = IN_IMAGES) -> Iterator[Row]:
    """Causes planted in images, networks trained on them: right first causes."""
    from imblens.studies import find_study, run_study

    with tempfile.TemporaryDirectory() as folder:
        tables = run_study(find_study("diagnosis", data=data, quick=True, seeds=seeds), folder).tables
    what = f"diagnosis, causes planted in images of {', '.join(data)}"
    yield from _causes(what, tables["study"])
    yield _harmless(what, tables["false_alarms"])


def _harmless(what: str, alarms: pd.DataFrame) -> Row:
    """The share of unplanted classes with a named cause that harms nothing."""
    any_cause = alarms.set_index("cause").loc["any"]
    share, bounds = float(any_cause["harmless"]), f"{any_cause['harmless_low']:.2f} to {any_cause['harmless_high']:.2f}"
    return Row(f"{what}: named and harmless", f"<= {HARMLESS:g}", f"{share:.2f}", bounds, share <= HARMLESS)


def _causes(what: str, causes: pd.DataFrame) -> Iterator[Row]:
    """The mean share of right first causes, and the lowest."""
    lowest, right = causes.loc[causes["right"].idxmin()], [float(share) for share in causes["right"]]
    of_lowest = f"{lowest['right']:.2f} ({lowest['planted']})"
    yield Row(
        f"{what}: right first cause",
        f">= {RIGHT:g}",
        f"{np.mean(right):.2f}",
        ends(right, 2),
        bool(np.mean(right) >= RIGHT),
    )
    yield Row(
        f"{what}: lowest cause",
        f">= {LOWEST:g}",
        of_lowest,
        f"{lowest['low']:.2f} to {lowest['high']:.2f}",
        bool(lowest["right"] >= LOWEST),
    )


def label_suspects(files: Sequence[Path]) -> Iterator[Row]:
    """Average precision less the better of cleanlab's, for every network and noise rate."""
    from benchmarks.science.label_suspects import RATES, known_mean, precisions

    ahead: dict[str, list[float]] = {}
    for file in files:
        for rate in RATES:
            for group, of_method in precisions(str(file), rate).items():
                mine = known_mean(of_method.pop("ours"))
                if of_method and np.isfinite(mine):
                    ahead.setdefault(group, []).append(mine - max(map(known_mean, of_method.values())))
    what = f"label_suspects, noise of 2, 5, 10% in {named(files)}: average precision less cleanlab's"
    if not ahead:
        yield Row(what, "> 0", "cleanlab is not installed")
    for group, values in ahead.items():
        least, won = min(values), sum(value > 0 for value in values)
        shown = f"{np.mean(values):+.3f}, above on {won} of {len(values)}"
        yield Row(
            f"{what}, {group if group != 'all' else 'all classes'}", "> 0 on all", shown, ends(values, 3), least > 0
        )


def best(files: Sequence[Path]) -> Iterator[Row]:
    """The regret of `treat --with best` against the best treatment on the test split."""
    from benchmarks.science.choosing import judged

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImblensWarning)
        found = [judged(Run.load(file)) for file in files]
    regrets = [100 * (one.top()[1] - one.found) for one in found]
    below, mean = sum(one.below for one in found), float(np.mean(regrets))
    what = f"treat --with best on {named(files)}"
    yield Row(f"{what}: mean regret", f"<= {REGRET:g} points", f"{mean:.2f}", ends(regrets, 1), mean <= REGRET)
    yield Row(f"{what}: below the untreated head", "0 networks", f"{below} of {len(found)}", met=not below)


def soft(files: Sequence[Path]) -> Iterator[Row]:
    """The divergence of the forecast of test errors from the errors."""
    from imblens.lenses import adversaries

    values = [float(adversaries(Run.load(file)).summary["kl"]["soft"]) for file in files]
    what = f"soft forecast of test errors on {named(files)}"
    yield Row(what, f"<= {KL:g} nats", f"{np.mean(values):.3f}", ends(values, 3), float(np.mean(values)) <= KL)


def named(files: Sequence[Path]) -> str:
    """How many networks there are."""
    return "1 network" if len(files) == 1 else f"{len(files)} networks"
