"""Audits while a network is being trained. Importing this imports neither torch nor Lightning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imblens.watch._now import audit_now, class_metrics, log_audit

if TYPE_CHECKING:
    from imblens.watch._callback import AuditCallback as AuditCallback

__all__ = ["AuditCallback", "audit_now", "class_metrics", "log_audit"]


def __getattr__(name: str) -> Any:
    if name != "AuditCallback":
        raise AttributeError(f"module 'imblens.watch' has no attribute {name!r}")
    from importlib.util import find_spec

    from imblens.errors import DependencyError

    if find_spec("lightning") is None:
        raise DependencyError(
            "AuditCallback needs lightning, which is not installed.", hint="pip install 'imblens[train]'"
        )
    from imblens.watch._callback import AuditCallback

    return AuditCallback
