"""From a run to the same run with a better head: resampling in feature space, other heads, post-hoc corrections.

>>> from imblens.treatments import treatment_names
>>> treatment_names()[:6]
['best', 'logit_adjustment', 'temperature', 'refit', 'crt', 'tau_norm']

Other packages add treatments through the entry-point group `imblens.treatments`, each a `Treatment`. `EOS` and
`BalancedSVM` are those of `imblens.resampling`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.base.options import Configurable as Configurable
from imblens.base.options import Option as Option
from imblens.base.options import parse_pairs as parse_pairs
from imblens.resampling import Resampled as Resampled
from imblens.treatments._base import Outcome as Outcome
from imblens.treatments._base import Treatment as Treatment
from imblens.treatments._best import best_candidates as best_candidates
from imblens.treatments._choose import Trial as Trial
from imblens.treatments._compare import treatment_summary as treatment_summary
from imblens.treatments._compare import treatment_table as treatment_table
from imblens.treatments._cross_validation import cross_validated as cross_validated
from imblens.treatments._registry import all_treatments as all_treatments
from imblens.treatments._registry import find_treatment as find_treatment
from imblens.treatments._registry import parse_options as parse_options
from imblens.treatments._registry import treatment_names as treatment_names
from imblens.treatments._resample import resample as resample
from imblens.treatments._resample import sampling_options as sampling_options
from imblens.treatments._train_head import Recipe as Recipe
from imblens.treatments._train_head import train_head as train_head
from imblens.treatments._treat import treat as treat
from imblens.treatments._treat import treatment_lines as treatment_lines

if TYPE_CHECKING:
    from imblens.resampling import EOS as EOS
    from imblens.resampling import BalancedSVM as BalancedSVM

__getattr__ = lazy(__name__, {"imblens.resampling": ("EOS", "BalancedSVM")})
