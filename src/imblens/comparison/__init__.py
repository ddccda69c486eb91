"""Runs of one data set side by side: accuracy, class measures and features, and what changed from the first run."""

from imblens.comparison._changes import SUMMARY, class_changes, class_counts, class_effects
from imblens.comparison._compare import Comparison, best_first, class_lines, compare
from imblens.comparison._gains import gains
from imblens.comparison._of_classes import check_classes

__all__ = [
    "SUMMARY",
    "Comparison",
    "best_first",
    "check_classes",
    "class_changes",
    "class_counts",
    "class_effects",
    "class_lines",
    "compare",
    "gains",
]
