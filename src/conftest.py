"""Examples in docstrings are run, but for modules whose package is in none of imblens's extras where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("transformers") else ["imblens/watch/_trainer_callback.py"]
