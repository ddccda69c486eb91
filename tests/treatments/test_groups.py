"""Folds for choosing keep groups (patients) together."""

from __future__ import annotations

import numpy as np

from imblens.run import Run
from imblens.treatments._choose import _folds


def test_a_patient_is_in_one_fold_and_a_class_of_one_patient_in_none() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 24, 6])
    patients = np.r_[np.repeat(np.arange(14), 6), np.full(6, 99)]
    patients[:6] = 12  # one with instances of two classes
    features = np.c_[patients, rng.normal(size=(90, 2))]
    run = Run.from_arrays(train=(features, labels), groups={"train": patients})
    pieces, _, _, notes = _folds(run, 3, 1.0, 0, True)
    assert len(pieces) == 3
    seen = [set(np.round(held[:, 0])) for _, held, _ in pieces]
    for (part, _, truth), held in zip(pieces, seen, strict=True):
        assert not held & set(np.asarray(part.train.features)[:, 0])
        assert set(truth) == {0, 1}
    assert set.union(*seen) == set(range(1, 14))
    assert notes == ("2: instances of one training group, so nothing could be held out to choose on.",)


def test_folds_hold_no_features_until_they_are_asked_for() -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    labels = np.arange(6000) % 3
    run = Run.from_arrays(train=(rng.normal(size=(6000, 50)).astype(np.float32) + labels[:, None], labels))
    whole = run.train.features.nbytes
    tracemalloc.start()
    pieces = _folds(run, 3, 1.0, 0, True)[0]
    held = tracemalloc.get_traced_memory()[0]
    one = pieces[0]
    asked = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < whole / 2
    assert asked - held > whole / 2 and len(one) == 3
