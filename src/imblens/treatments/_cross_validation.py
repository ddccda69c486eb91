"""Trying every combination of options of one treatment on held-out instances."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from imblens.run import Run, Split
from imblens.treatments._base import Treatment
from imblens.treatments._choose import FOLDS, Candidate, Trial, Widen, try_candidates
from imblens.treatments._registry import find_treatment


def cross_validated(
    run: Run,
    treatment: Treatment | str,
    grid: Mapping[str, Sequence[Any]],
    *,
    options: Mapping[str, Any] | None = None,
    validation: Split | None = None,
    folds: int = FOLDS,
    widen: Widen = "auto",
    seed: int = 0,
) -> Trial:
    """Try every combination of `grid` and return how each did; the test split is never looked at.

    With `validation`, every candidate is fitted on the whole training split and scored there. Without, training features
    are split into stratified folds (a known group is in one of them), and what a candidate trains, resampling included,
    sees the other folds only. A head that any fit to these features would give (90% of predictions equal, mean over
    classes) is refitted on the other folds too; one that training the network has made is used unchanged, since no head
    fitted to a fold could replace it.

    Limits: a network that has memorised its training instances places them much closer to their class than new
    instances. In plain cross-validation nearly all are then correct, and the candidate that changes least is preferred.
    Where that is so (balanced accuracy of the fold's heads 0.9 or more), "auto" moves held-out features away from their
    class's mean, `widen` times as far: the smallest number at which the head as it is gets half of what chance gets wrong
    (balanced accuracy (1 + 1 / C) / 2 or less). That restores errors, and is a stress test, no estimate of test accuracy:
    directions in which only new instances differ stay unseen. Else held-out features stay where they are. Where you can,
    hold out instances and pass `validation`.

    Args:
        run: single-label.
        treatment: a treatment or its name.
        grid: values to try, by option.
        options: the other options.
        validation: instances that the network was not trained on, and that are not its test split.
        folds: 2 or more. Classes of one instance stay in training and are not scored.
        widen: 1 or more, or "auto"; 1 is plain cross-validation.
        seed: of the folds.

    Example:
        >>> import numpy as np
        >>> rng, y = np.random.default_rng(0), np.repeat([0, 1], [60, 12])
        >>> features = rng.normal(size=(72, 4)) + np.eye(4)[y]
        >>> run = Run.from_arrays(train=(features, y), head=(np.eye(2, 4), [0, 0]), classes=["cat", "dog"])
        >>> trial = cross_validated(run, "logit_adjustment", {"tau": [0.0, 1.0]})
        >>> [candidate.shown for candidate in trial.candidates], len(trial.labels)
        ([{'tau': 0.0}, {'tau': 1.0}], 72)
    """
    found = find_treatment(treatment) if isinstance(treatment, str) else treatment
    base = found.check({**(options or {}), **{key: values[0] for key, values in grid.items()}})
    tried = []
    for values in itertools.product(*grid.values()):
        shown = dict(zip(grid, values, strict=True))
        tried.append(Candidate(found, found.check({**base, **shown}), shown))
    return try_candidates(run, tried, validation=validation, folds=folds, widen=widen, seed=seed)
