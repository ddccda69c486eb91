"""Which training instances may be mislabelled?"""

from imblens.lenses.label_suspects.evidence import class_evidence
from imblens.lenses.label_suspects.measure import label_suspects, suggested_labels, suspect_scores
from imblens.lenses.label_suspects.of_labels import label_scores

__all__ = ["class_evidence", "label_scores", "label_suspects", "suggested_labels", "suspect_scores"]
