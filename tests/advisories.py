"""Known vulnerabilities of the pinned dependencies, where the advisory service answers.

    python -m tests.advisories      part of `make check`: it prints what pip-audit finds, and one line where nothing answers

It never fails: an advisory of today must not break the tests of yesterday. `make advisories` fails where there is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

SERVICE = "https://pypi.org/pypi/jinja2/2.10/json"  # where pip-audit asks; this release has known vulnerabilities
SECONDS = 3


def answers(address: str = SERVICE, seconds: float = SECONDS) -> bool:
    """Whether the service knows vulnerabilities: a mirror of packages alone has none to tell."""
    try:
        with urllib.request.urlopen(address, timeout=seconds) as reply:
            return bool(json.load(reply)["vulnerabilities"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def main() -> int:
    """Look the advisories up, or say that they were not."""
    if not answers():
        print("advisories: not looked up, because pypi.org states none here; `make advisories` needs a connection")
        return 0
    subprocess.run(["make", "--no-print-directory", "advisories"], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
