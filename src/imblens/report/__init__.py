"""Findings as tables and figures on disk, one offline page, one plain summary, and a comparison of runs."""

from imblens.report._audit import Audit, audit
from imblens.report._audit_page import report_html
from imblens.report._comparison import Comparison, compare
from imblens.report._data import QUICK_MAP
from imblens.report._figures import Figure, draw, warm_up
from imblens.report._overlays import maps_figure
from imblens.report._papers import column_figure
from imblens.report._render import figures
from imblens.report._sentences import assumptions
from imblens.report._summary import next_treatment, summary

__all__ = [
    "QUICK_MAP",
    "Audit",
    "Comparison",
    "Figure",
    "assumptions",
    "audit",
    "column_figure",
    "compare",
    "draw",
    "figures",
    "maps_figure",
    "next_treatment",
    "report_html",
    "summary",
    "warm_up",
]
