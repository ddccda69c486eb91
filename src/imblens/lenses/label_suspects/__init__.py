"""Which training instances may be mislabelled?"""

from imblens.lenses.label_suspects.evidence import class_evidence as class_evidence
from imblens.lenses.label_suspects.measure import label_suspects as label_suspects
from imblens.lenses.label_suspects.measure import suggested_labels as suggested_labels
from imblens.lenses.label_suspects.measure import suspect_scores as suspect_scores
from imblens.lenses.label_suspects.of_labels import label_scores as label_scores
from imblens.lenses.label_suspects.wrong_labels import wrong_labels as wrong_labels
