"""Findings made visible: tables and figures on disk, one offline page, a comparison of runs."""

from imblens.report._audit import Audit, audit

__all__ = ["Audit", "audit"]
