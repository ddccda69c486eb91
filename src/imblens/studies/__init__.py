"""The papers' tables and our own measurements: grids of data, networks, treatments and seeds, resumable.

>>> from imblens.studies import study_names
>>> "eos-table2" in study_names()
True
"""

from __future__ import annotations

from imblens.studies._figures import FIGURES as FIGURES
from imblens.studies._fragility_claims import measured_pair as measured_pair
from imblens.studies._panels import Drawing as Drawing
from imblens.studies._panels import Results as Results
from imblens.studies._plants import PLANTS as PLANTS
from imblens.studies._plants import Arrays as Arrays
from imblens.studies._plants import Plant as Plant
from imblens.studies._plants import planted_in as planted_in
from imblens.studies._study import Result as Result
from imblens.studies._study import Study as Study
from imblens.studies._study import find_study as find_study
from imblens.studies._study import open_jobs as open_jobs
from imblens.studies._study import run_study as run_study
from imblens.studies._study import study_descriptions as study_descriptions
from imblens.studies._study import study_file as study_file
from imblens.studies._study import study_names as study_names
