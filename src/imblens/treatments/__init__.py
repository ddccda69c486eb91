"""From a run to the same run with a better head: resampling in feature space, other heads, post-hoc corrections.

>>> from imblens.treatments import treatment_names
>>> treatment_names()[:6]
['best', 'logit_adjustment', 'temperature', 'refit', 'crt', 'tau_norm']

Other packages add treatments through the entry-point group `imblens.treatments`, each a `Treatment`. `EOS` and
`BalancedSVM` are those of `imblens.resampling`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imblens.resampling import Resampled
from imblens.treatments._base import Option, Outcome, Treatment
from imblens.treatments._best import best_candidates
from imblens.treatments._choose import Trial
from imblens.treatments._compare import treatment_summary, treatment_table
from imblens.treatments._cross_validation import cross_validated
from imblens.treatments._registry import (
    all_treatments,
    find_treatment,
    parse_options,
    parse_pairs,
    treatment_descriptions,
    treatment_names,
)
from imblens.treatments._resample import resample, sampling_options
from imblens.treatments._train_head import Recipe, train_head
from imblens.treatments._treat import treat, treatment_lines

if TYPE_CHECKING:
    from imblens.resampling import EOS as EOS
    from imblens.resampling import BalancedSVM as BalancedSVM

__all__ = [
    "EOS",
    "BalancedSVM",
    "Option",
    "Outcome",
    "Recipe",
    "Resampled",
    "Treatment",
    "Trial",
    "all_treatments",
    "best_candidates",
    "cross_validated",
    "find_treatment",
    "parse_options",
    "parse_pairs",
    "resample",
    "sampling_options",
    "train_head",
    "treat",
    "treatment_descriptions",
    "treatment_lines",
    "treatment_names",
    "treatment_summary",
    "treatment_table",
]


def __getattr__(name: str) -> Any:
    if name not in {"EOS", "BalancedSVM"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from imblens import resampling

    return getattr(resampling, name)
