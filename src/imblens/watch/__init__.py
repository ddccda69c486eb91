"""Audits while a network is being trained. Importing this imports neither torch, Lightning nor transformers."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from imblens.errors import DependencyError
from imblens.watch._now import audit_now as audit_now
from imblens.watch._now import class_metrics as class_metrics
from imblens.watch._now import log_audit as log_audit
from imblens.watch._now import metric_names as metric_names

if TYPE_CHECKING:
    from imblens.watch._callback import AuditCallback as AuditCallback
    from imblens.watch._trainer_callback import TrainerAuditCallback as TrainerAuditCallback

_CALLBACKS = {
    "AuditCallback": ("lightning", "imblens.watch._callback", "pip install 'imblens[train]'"),
    "TrainerAuditCallback": ("transformers", "imblens.watch._trainer_callback", "pip install transformers accelerate"),
}


def __getattr__(name: str) -> Any:
    if name not in _CALLBACKS:
        raise AttributeError(f"module 'imblens.watch' has no attribute {name!r}")
    package, module, hint = _CALLBACKS[name]
    if find_spec(package) is None:
        raise DependencyError(f"{name} needs {package}, which is not installed.", hint=hint)
    return getattr(import_module(module), name)
