"""Runs of one data set side by side: accuracy, class measures and features, and what changed from the first run."""

from imblens.comparison._changes import SUMMARY as SUMMARY
from imblens.comparison._changes import changes_alike as changes_alike
from imblens.comparison._changes import class_changes as class_changes
from imblens.comparison._changes import class_counts as class_counts
from imblens.comparison._changes import class_effects as class_effects
from imblens.comparison._compare import Comparison as Comparison
from imblens.comparison._compare import best_first as best_first
from imblens.comparison._compare import class_lines as class_lines
from imblens.comparison._compare import compare as compare
from imblens.comparison._compare import few_in_means as few_in_means
from imblens.comparison._gains import gains as gains
from imblens.comparison._of_classes import check_classes as check_classes
