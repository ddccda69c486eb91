"""After the audit: decisions for deployment. Arrays only; nothing here needs the network."""

from imblens.decisions._blocks import digest_of, forget, kept_arrays, parts_folder
from imblens.decisions._calibration import Calibration, fit_calibration
from imblens.decisions._collect import Collection, collect
from imblens.decisions._decision import Decision
from imblens.decisions._deployment import (
    checked_prior,
    constraints_of,
    read_costs,
    read_prior,
    recall_threshold,
    share_hint,
)
from imblens.decisions._drops import detectable_drop, drop_power, sign_p_values
from imblens.decisions._estimate import Estimate, estimate, estimated_shares, refused, share_lines
from imblens.decisions._gain import collection_gain
from imblens.decisions._gate import GateResult, gate
from imblens.decisions._labelled import read_labels
from imblens.decisions._predict import SUFFIXES, Unlabelled, read_unlabelled, write_decisions
from imblens.decisions._priors import adjusted_probabilities, black_box_prior, em_prior
from imblens.decisions._section import decision_section, read_section
from imblens.decisions._sets import SET_METHODS, SetRule, conformal_quantile, fit_sets, needed_for, set_coverage
from imblens.decisions._shift import Shift

__all__ = [
    "SET_METHODS",
    "SUFFIXES",
    "Calibration",
    "Collection",
    "Decision",
    "Estimate",
    "GateResult",
    "SetRule",
    "Shift",
    "Unlabelled",
    "adjusted_probabilities",
    "black_box_prior",
    "checked_prior",
    "collect",
    "collection_gain",
    "conformal_quantile",
    "constraints_of",
    "decision_section",
    "detectable_drop",
    "digest_of",
    "drop_power",
    "em_prior",
    "estimate",
    "estimated_shares",
    "fit_calibration",
    "fit_sets",
    "forget",
    "gate",
    "kept_arrays",
    "needed_for",
    "parts_folder",
    "read_costs",
    "read_labels",
    "read_prior",
    "read_section",
    "read_unlabelled",
    "recall_threshold",
    "refused",
    "set_coverage",
    "share_hint",
    "share_lines",
    "sign_p_values",
    "write_decisions",
]
