"""The figures of every trial on trust.

python -m tests.trust.soak       inputs and options are tried now; kills, fuzzing and mutants are read from results/
"""

from __future__ import annotations

import sys

from tests.trust import fuzz, inputs, kills, mutants, options


def main() -> int:
    """Print the figures; 1 where something was mishandled."""
    wrong = inputs.main() + options.main()
    lines = [kills.figures(), fuzz.figures(), mutants.figures()]
    for found in lines:
        print(*found, sep="\n")
    return int(bool(wrong) or any(len(found) > 1 for found in lines))


if __name__ == "__main__":
    sys.exit(main())
