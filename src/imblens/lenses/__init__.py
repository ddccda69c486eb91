"""One question, one folder: each lens is a pure function from a run to a frozen finding.

A lens is the folder NAME of this room, which exports the function NAME; its declared `order` is its place in a report, from
broad to narrow. Nothing here needs an edit for a new one, except that type checkers and editors know what is listed
under `TYPE_CHECKING`. Third parties add lenses through the entry-point group `imblens.lenses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.lenses._contract import Finding as Finding
from imblens.lenses._contract import LensInfo as LensInfo
from imblens.lenses._contract import Measure as Measure
from imblens.lenses._contract import lens as lens
from imblens.lenses._contract import lens_info as lens_info
from imblens.lenses._registry import HEADINGS as HEADINGS
from imblens.lenses._registry import Lens, built_in_lenses
from imblens.lenses._registry import all_lenses as all_lenses
from imblens.lenses._registry import find_lens as find_lens
from imblens.lenses._registry import lens_page as lens_page
from imblens.lenses._running import ClassMeasure as ClassMeasure
from imblens.lenses._running import class_measures as class_measures
from imblens.lenses._running import run_lenses as run_lenses
from imblens.run import common_rows as common_rows
from imblens.run import same_features as same_features

from imblens.lenses.class_features import compare_class_features as compare_class_features  # isort: skip
from imblens.lenses.embedding_map import CLASS_COLOURS as CLASS_COLOURS  # isort: skip
from imblens.lenses.embedding_map import common_map as common_map  # isort: skip
from imblens.lenses.embedding_map import map_panels as map_panels  # isort: skip

if TYPE_CHECKING:
    from imblens.lenses.adversaries import adversaries as adversaries
    from imblens.lenses.alignment import alignment as alignment
    from imblens.lenses.archetypes import archetypes as archetypes
    from imblens.lenses.calibration import calibration as calibration
    from imblens.lenses.class_accuracy import class_accuracy as class_accuracy
    from imblens.lenses.class_features import class_features as class_features
    from imblens.lenses.co_occurrence import co_occurrence as co_occurrence
    from imblens.lenses.colours import colours as colours
    from imblens.lenses.concepts import concepts as concepts
    from imblens.lenses.diagnosis import diagnosis as diagnosis
    from imblens.lenses.embedding_map import embedding_map as embedding_map
    from imblens.lenses.errors import errors as errors
    from imblens.lenses.feature_density import feature_density as feature_density
    from imblens.lenses.feature_overlap import feature_overlap as feature_overlap
    from imblens.lenses.generalization_gap import generalization_gap as generalization_gap
    from imblens.lenses.headroom import headroom as headroom
    from imblens.lenses.label_suspects import label_suspects as label_suspects
    from imblens.lenses.ranking import ranking as ranking
    from imblens.lenses.shortcuts import shortcuts as shortcuts
    from imblens.lenses.weight_norms import weight_norms as weight_norms

BUILT_IN: tuple[Lens, ...] = tuple(built_in_lenses().values())
globals().update(built_in_lenses())  # each function in place of the folder of its name, now that all are imported
