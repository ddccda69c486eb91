"""Does the network rank the instances of each class first?"""

from imblens.lenses.ranking.bootstrap import areas
from imblens.lenses.ranking.changes import RankingChanges, ranking_changes
from imblens.lenses.ranking.intervals import auroc_interval, share_interval
from imblens.lenses.ranking.measure import ranking
from imblens.lenses.ranking.outcomes import OUTCOMES, outcome
from imblens.lenses.ranking.thresholds import best_threshold

__all__ = [
    "OUTCOMES",
    "RankingChanges",
    "areas",
    "auroc_interval",
    "best_threshold",
    "outcome",
    "ranking",
    "ranking_changes",
    "share_interval",
]
