"""Words that imblens does not use, since the field has better ones; `python -m tests.docs.words PATH ...` lists them."""

from __future__ import annotations

import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = {  # pattern -> what to write instead
    r"pictures?": "image; figure for charts",
    r"answer(s|ed|ing)?": "prediction, predict",
    r"says?|saying|said": "predicts, states, reports",
    r"(is|are|was|were|be|being) (right|wrong)": "is classified correctly, is misclassified",
    r"false yes(es)?|noes|yeses|has it|lacks it|several labels": "false positives, negatives, positives, multi-label",
    r"(?<!too few to )tells?|telling|told": "reports, reported, states",
    r"nobody": "unknown, cannot be determined",
    r"by heart": "memorised",
    r"hangs? on": "depends on",
    r"rests? on": "relies on",
    r"leans?|anew": "biased towards, again",
    r"safely among": "safe",
    r"lit|ghosts?": "activated, blended images",
    r"mends?|mended|mending|torso|apolog(y|ies)|the door": "fix, incomplete, fallback text, validation",
    r"from above": "embedding map",
    r"(?<!here )(is|are|was|were) no (?!longer|more|less)[a-z]+": "is not a",
    r"stands? (behind|beside|twice|there)|as (it|they) stands?": "follows, is beside, appears twice, unchanged",
    r"whoever|one's own|held against|in truth": "custom, compared with, really",
}
PATTERN = re.compile(r"(?<![A-Za-z0-9])(" + "|".join(WORDS) + r")(?![A-Za-z0-9])", re.IGNORECASE)
SPACED_PERCENT = re.compile(r"(?<=[\d}]) %(?=[\s.,;:!?)\]\"'*]|$)", re.MULTILINE)
EXCEPTIONS: dict[str, tuple[str, ...]] = {  # word -> files (below the repository) where it has another meaning
    "answered": ("src/imblens/lenses/calibration/",),  # columns of its table, which keep their names
    "pictures": ("src/imblens/data/__init__.py",),  # an earlier name
    "tell": ("src/imblens/base/archives.py",),  # a method of files
}


def offences(file: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and words of one file: names, text and comments of Python, everything of other files."""
    name = file.relative_to(ROOT).as_posix()
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        with file.open("rb") as stream:
            pieces = [
                (token.start[0], token.string, token.type != tokenize.NAME)
                for token in tokenize.tokenize(stream.readline)
                if token.type in (tokenize.NAME, tokenize.STRING, tokenize.COMMENT)
            ]
    else:
        pieces = [(number, line, file.suffix != ".js") for number, line in enumerate(text.splitlines(), 1)]
    for line, piece, is_text in pieces:
        patterns = [PATTERN, SPACED_PERCENT] if is_text else [PATTERN]
        for pattern in patterns:
            for found in pattern.finditer(piece):
                word = found.group().strip()
                if not any(name.startswith(place) for place in EXCEPTIONS.get(word.lower(), ())):
                    yield line + piece.count("\n", 0, found.start()), word


def checked(paths: list[Path]) -> list[Path]:
    """The text files that the rule is for."""
    found: list[Path] = []
    for path in paths:
        found += [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    kinds = {".py", ".md", ".html", ".js", ".css", ".toml"}
    return [
        path for path in found if path.suffix in kinds and path.name != "vega.js" and "__pycache__" not in path.parts
    ]


if __name__ == "__main__":
    given = [Path(argument).resolve() for argument in sys.argv[1:]] or [ROOT / "src", ROOT / "docs", ROOT / "README.md"]
    for file in checked(given):
        for line, word in offences(file):
            print(f"{file.relative_to(ROOT)}:{line}: {word}")
