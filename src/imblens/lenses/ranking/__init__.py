"""Does the network rank the instances of each class first?"""

from imblens.base.operating_point import best_threshold as best_threshold
from imblens.lenses.ranking.bootstrap import areas as areas
from imblens.lenses.ranking.changes import RankingChanges as RankingChanges
from imblens.lenses.ranking.changes import ranking_changes as ranking_changes
from imblens.lenses.ranking.intervals import auroc_interval as auroc_interval
from imblens.lenses.ranking.intervals import share_interval as share_interval
from imblens.lenses.ranking.measure import ranking as ranking
from imblens.lenses.ranking.outcomes import OUTCOMES as OUTCOMES
from imblens.lenses.ranking.outcomes import outcome as outcome
