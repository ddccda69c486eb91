"""Findings made visible: tables and figures on disk, one offline page, a comparison of runs."""

from imblens.report._audit import Audit, audit
from imblens.report._comparison import Comparison, compare

__all__ = ["Audit", "Comparison", "audit", "compare"]
