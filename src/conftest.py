"""Examples in docstrings are run, but for those of packages that no extra of imblens names, where these are not installed."""

from __future__ import annotations

from importlib.util import find_spec

# `make peers` runs it
collect_ignore = [] if find_spec("transformers") and find_spec("accelerate") else ["imblens/watch/_trainer_callback.py"]
