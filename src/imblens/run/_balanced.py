"""What is known to have balanced a head over classes."""

from __future__ import annotations

from collections.abc import Mapping

from imblens.run._run import Run

BALANCING = frozenset({"weighted_ce", "cb_ce", "cb_focal", "logit_adjusted", "wbce", "cb_focal_bce"})  # losses


def balanced_by(run: Run) -> str:
    """Return what is known to have balanced the run's head, the training loss or a treatment; "" where nothing is."""
    loss = run.meta.get("loss")
    if isinstance(loss, str) and loss in BALANCING:
        return loss
    before = run.meta.get("treatment")
    if not isinstance(before, Mapping) or before.get("criterion") == "balanced_nll":
        return ""  # calibrated, not balanced
    return str(before["name"])
