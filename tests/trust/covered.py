"""Which share of the lines and branches do the quick tests run? `make coverage` measures it in 20 minutes.

python -m tests.trust.covered build/coverage.json     keeps the sums that slipcover wrote
python -m tests.trust.covered                          the figures only
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "coverage.json"


def keep(found: Path) -> None:
    """Write the sums of a file of slipcover, made with `--branch --json`."""
    sums = json.loads(found.read_text())["summary"]
    kept = {kind: [sums[f"covered_{kind}"], sums[f"missing_{kind}"]] for kind in ("lines", "branches")}
    RESULTS.write_text(json.dumps(kept) + "\n")


def figures() -> list[str]:
    """One sentence."""
    if not RESULTS.exists():
        return ["coverage: not measured"]
    kept = json.loads(RESULTS.read_text())
    shares = [f"{run / (run + left):.1%} of {run + left:,} {kind}" for kind, (run, left) in kept.items()]
    return [f"coverage: the quick tests run {' and '.join(shares)}"]


def main() -> int:
    """Keep the sums of the file that is named, and print them."""
    for name in sys.argv[1:2]:
        keep(Path(name))
    print(*figures(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
