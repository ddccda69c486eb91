"""The words of the left column of the word list occur nowhere in what users and maintainers read."""

from __future__ import annotations

from tests.docs.words import ROOT, checked, offences


def test_plain_words() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in checked([ROOT / "src", ROOT / "docs", ROOT / "README.md"])
        for line, word in offences(file)
    ]
    assert not found, "\n".join(found[:50])
