"""Resampling: EOS and BalancedSVM with imbalanced-learn's API, the draws behind them, and imbalanced-learn's own samplers.

The samplers are imported on first use: imbalanced-learn takes seconds to import.

>>> from imblens.resampling import EOS
>>> EOS(k_neighbors=10).k_neighbors
10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.resampling._adapters import FEWER as FEWER
from imblens.resampling._adapters import Resampled as Resampled
from imblens.resampling._adapters import TrainingRows as TrainingRows
from imblens.resampling._adapters import fitting_k as fitting_k
from imblens.resampling._adapters import resample_with as resample_with
from imblens.resampling._draw import Draw as Draw
from imblens.resampling._draw import draw_eos as draw_eos
from imblens.resampling._draw import interpolate as interpolate
from imblens.resampling._draw import isolated_note as isolated_note
from imblens.resampling._numeric import check_counts as check_counts
from imblens.resampling._numeric import class_seeds as class_seeds
from imblens.resampling._numeric import refuse_too_many as refuse_too_many
from imblens.resampling._numeric import stratified as stratified

if TYPE_CHECKING:
    from imblens.resampling._balanced_svm import BalancedSVM as BalancedSVM
    from imblens.resampling._balanced_svm import RecordingSMOTE as RecordingSMOTE
    from imblens.resampling._eos import EOS as EOS

__getattr__ = lazy(__name__, {"._eos": ("EOS",), "._balanced_svm": ("BalancedSVM", "RecordingSMOTE")})
