"""The papers' tables and our own measurements: grids of data, networks, treatments and seeds, resumable.

>>> from imblens.studies import study_names
>>> "eos-table2" in study_names()
True
"""

from __future__ import annotations

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
    "Result",
    "Study",
    "find_study",
    "open_jobs",
    "run_study",
    "study_descriptions",
    "study_file",
    "study_names",
]
