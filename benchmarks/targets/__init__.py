"""Every target of the project in one table; `python -m benchmarks.targets --help` states how."""
