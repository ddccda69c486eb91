"""Which training instances may be mislabelled?"""

from imblens.lenses.label_suspects.measure import label_suspects, suspect_scores

__all__ = ["label_suspects", "suspect_scores"]
