"""The figures of every trial on trust.

python -m tests.trust.soak       inputs, options and files are tried now; kills, faults, fuzzing, mutants and coverage are read
"""

from __future__ import annotations

import sys

from tests.trust import covered, faults, files, fuzz, inputs, kills, mutants, options


def main() -> int:
    """Print the figures; 1 where something was mishandled."""
    wrong = inputs.main() + options.main() + files.main()
    lines = [kills.figures(), faults.figures(), fuzz.figures(), mutants.figures(), covered.figures()]
    for found in lines:
        print(*found, sep="\n")
    return int(bool(wrong) or any(len(found) > 1 for found in lines))


if __name__ == "__main__":
    sys.exit(main())
