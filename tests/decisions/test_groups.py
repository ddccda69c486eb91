"""Expected recall and coverage are by group where groups are known."""

from __future__ import annotations

import numpy as np

from imblens.decisions import Decision, fit_sets, set_coverage
from imblens.run import Run
from tests.decisions.runs import head, run_of


def _with(groups: np.ndarray) -> Run:
    run = run_of()
    splits = {name: (split.features, split.labels) for name, split in run.splits.items()}
    return Run.from_arrays(**splits, head=head(), classes=run.classes, groups={"val": groups})


def test_expected_recall_is_less_certain_where_patients_have_several_instances() -> None:
    n = len(run_of().val or ())
    plain, alone, grouped = (
        Decision.fit(run).expected(run) for run in (run_of(), _with(np.arange(n)), _with(np.arange(n) // 6))
    )
    for name in ("recall", "covered"):
        widths = [(table[f"{name}_high"] - table[f"{name}_low"]).to_numpy() for table in (plain, alone, grouped)]
        np.testing.assert_allclose(widths[1], widths[0])
        assert (widths[2][:3] > widths[0][:3]).all()  # the last class has few instances, each of another patient
    np.testing.assert_allclose(grouped["precision"], plain["precision"])


def test_labels_and_sets_too() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((120, 2)) < (0.5, 0.3)).astype(int)
    logits = 2 * labels - 1 + rng.normal(size=(120, 2))
    widths = []
    for groups in (None, np.arange(120) // 6):
        whose = None if groups is None else {"val": groups}
        run = Run.from_arrays(
            train=(logits, labels),
            val=(logits, labels, logits),
            task="multilabel",
            groups=whose,
            head=(np.eye(2), [0, 0]),
        )
        table = Decision.fit(run).expected(run)
        sets = set_coverage(fit_sets(logits, labels), logits, labels, groups=groups)
        widths.append(np.r_[table["recall_high"] - table["recall_low"], sets["coverage_high"] - sets["coverage_low"]])
    assert (widths[1] > widths[0]).all()
