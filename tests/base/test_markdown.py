"""Markdown as escaped HTML, and its sections."""

from __future__ import annotations

import re

import pytest

from imblens.base.markdown import prose, sections


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("one\ntwo\n\nthree", "<p>one\ntwo</p><p>three</p>"),
        ("- a\n- b\n  more", "<ul><li>a</li><li>b\nmore</li></ul>"),
        ("Lead:\n- a", "<p>Lead:</p><ul><li>a</li></ul>"),
        ("`x<y` **b** *e*", "<p><code>x&lt;y</code> <strong>b</strong> <em>e</em></p>"),
        ("a * b * c", "<p>a * b * c</p>"),
        ("[text](http://elsewhere)", "<p>text</p>"),
        ("[text](javascript:alert)", "<p>[text](javascript:alert)</p>"),
        ("```\n<x>\n```", "<pre><code>&lt;x&gt;</code></pre>"),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        (
            "| a | b |\n|---|---|\n| 1 | <2> |",
            '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
            "<tbody><tr><td>1</td><td>&lt;2&gt;</td></tr></tbody></table>",
        ),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("", ""),
    ],
)  # fmt: skip
def test_prose(source, expected):
    assert re.sub(r"\n(?=<)|\n(?=$)", "", str(prose(source))) == expected


def test_pages_are_cut_at_their_headings():
    text = "# name\nlead\n## What it measures\na\n```\n## not a heading\n```\n## Source\nb\n"
    assert sections(text) == {"What it measures": "a\n```\n## not a heading\n```", "Source": "b"}
