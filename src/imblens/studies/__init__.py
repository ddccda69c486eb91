"""The papers' tables and our own measurements: grids of data, networks, treatments and seeds, resumable.

>>> from imblens.studies import study_names
>>> "eos-table2" in study_names()
True
"""

from __future__ import annotations

from imblens.studies._figures import FIGURES
from imblens.studies._fragility_claims import measured_pair
from imblens.studies._panels import Drawing
from imblens.studies._panels import Results as FigureResults
from imblens.studies._planting import PLANTS, Arrays, Plant, planted_in
from imblens.studies._study import (
    Result,
    Study,
    find_study,
    open_jobs,
    run_study,
    study_descriptions,
    study_file,
    study_names,
)

__all__ = [
    "FIGURES",
    "PLANTS",
    "Arrays",
    "Drawing",
    "FigureResults",
    "Plant",
    "Result",
    "Study",
    "find_study",
    "measured_pair",
    "open_jobs",
    "planted_in",
    "run_study",
    "study_descriptions",
    "study_file",
    "study_names",
]
