"""After the audit: decisions for deployment. Arrays only; nothing here needs the network."""

from imblens.decisions._drops import detectable_drop, drop_power, sign_p_values
from imblens.decisions._gate import GateResult, gate

__all__ = ["GateResult", "detectable_drop", "drop_power", "gate", "sign_p_values"]
