"""Known vulnerabilities of the pinned dependencies, wherever `make advisories` has installed pip-audit.

    python -m tests.advisories      part of `make check`

It never fails: an advisory of today must not break the tests of yesterday. `make advisories` fails where there is one.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

READY = Path(__file__).resolve().parents[1] / ".venv-advisories" / ".ready"
SECONDS = 60  # a lookup takes a few; without a connection, pip-audit tries again and again


def main() -> None:
    """Look the advisories up, or state why they were not."""
    if not READY.exists():
        print("advisories: not looked up; `make advisories` installs pip-audit and looks them up from then on")
        return
    try:
        subprocess.run(["make", "--no-print-directory", "advisories"], check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        print(f"advisories: the service did not answer within {SECONDS} seconds")


if __name__ == "__main__":
    main()
