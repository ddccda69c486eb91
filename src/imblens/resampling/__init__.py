"""Resampling: EOS and BalancedSVM with imbalanced-learn's API, the draws behind them, and imbalanced-learn's own samplers.

The samplers are imported on first use: imbalanced-learn takes seconds to import.

>>> from imblens.resampling import EOS
>>> EOS(k_neighbors=10).k_neighbors
10
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from imblens.resampling._adapters import Resampled, TrainingRows, fitting_k, resample_with
from imblens.resampling._draw import Draw, draw_eos, interpolate, isolated_note
from imblens.resampling._numeric import check_counts, class_seeds, refuse_too_many, stratified

if TYPE_CHECKING:
    from imblens.resampling._balanced_svm import BalancedSVM as BalancedSVM
    from imblens.resampling._balanced_svm import RecordingSMOTE as RecordingSMOTE
    from imblens.resampling._eos import EOS as EOS

_LATE = {
    "EOS": "imblens.resampling._eos",
    "BalancedSVM": "imblens.resampling._balanced_svm",
    "RecordingSMOTE": "imblens.resampling._balanced_svm",
}

__all__ = [
    "EOS",
    "BalancedSVM",
    "Draw",
    "RecordingSMOTE",
    "Resampled",
    "TrainingRows",
    "check_counts",
    "class_seeds",
    "draw_eos",
    "fitting_k",
    "interpolate",
    "isolated_note",
    "refuse_too_many",
    "resample_with",
    "stratified",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    sampler = getattr(import_module(_LATE[name]), name)
    globals()[name] = sampler
    return sampler
