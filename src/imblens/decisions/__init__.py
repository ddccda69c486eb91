"""After the audit: decisions for deployment. Arrays only; nothing here needs the network."""

from imblens.decisions._calibration import Calibration, fit_calibration
from imblens.decisions._decision import Decision
from imblens.decisions._drops import detectable_drop, drop_power, sign_p_values
from imblens.decisions._gate import GateResult, gate
from imblens.decisions._predict import Unlabelled, read_unlabelled, write_decisions
from imblens.decisions._sets import SET_METHODS, SetRule, conformal_quantile, fit_sets, needed_for, set_coverage

__all__ = [
    "SET_METHODS",
    "Calibration",
    "Decision",
    "GateResult",
    "SetRule",
    "Unlabelled",
    "conformal_quantile",
    "detectable_drop",
    "drop_power",
    "fit_calibration",
    "fit_sets",
    "gate",
    "needed_for",
    "read_unlabelled",
    "set_coverage",
    "sign_p_values",
    "write_decisions",
]
