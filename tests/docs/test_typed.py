"""Every line of every page that is to be typed names commands, options, studies, benchmarks and data that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from benchmarks.targets.__main__ import TARGETS

from imblens.cli import app
from imblens.errors import InputError
from imblens.lenses import all_lenses
from imblens.studies import find_study
from imblens.treatments import parse_options

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "src").rglob("*.md")),
]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:imblens|python -m|make) [^`\n]+)`")
FILES = re.compile(r"^cat > (\S+\.toml) <<END\n(.*?)^END$", re.MULTILINE | re.DOTALL)
WRITTEN = re.compile(r'^Path\("(\S+\.toml)"\)\.write_text\("""\n(.*?)^"""\)$', re.MULTILINE | re.DOTALL)
FIRST = re.compile(r"(?:imblens|python -m (?:benchmarks|tests|docs)[.\w]*|make) ")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # of a group
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def lines(text: str) -> Iterator[str]:
    """Lines of fences of any language that start a command, without comments and what a shell does with their output."""
    for _, kind, block in FENCE.findall(text):
        if kind in ("", "bash", "sh", "console"):
            for line in FILES.sub("", block).replace("\\\n", " ").splitlines():
                typed = line.strip().removeprefix("$ ")
                if FIRST.match(typed):
                    yield re.split(r" \|\| | > | {2,}(?=\w)| +# ", typed)[0].strip()


def check(line: str, whole: bool) -> None:
    """Whether a command exists and has the options; of a whole line also their values, and whether what it needs is given."""
    words = shlex.split(line.replace("<TAB>", ""))
    if words[0] == "imblens":
        of_imblens(words[1:], whole)
    elif words[0] == "make":
        of_make(words[1:])
    else:
        of_module(words[2], words[3:])


def of_imblens(words: list[str], whole: bool) -> None:
    name = words.pop(0)
    if name.startswith("--"):
        return
    command = COMMANDS[name]
    known = {word: one for one in command.params for word in (*one.opts, *one.secondary_opts)}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert given <= {*known, "--help"}, f"{name} has no {', '.join(given - set(known))}"
    for option, value in zip(words, words[1:], strict=False):
        if option == "--lens":
            assert value in all_lenses(), value
        if option == "--with" and name == "treat" and value.islower():
            pairs = [pair for before, pair in zip(words, words[1:], strict=False) if before == "--set"]
            parse_options(value, pairs)
    if whole and "--explain" not in given and not {"...", ""} & set(words):
        found, rest, _ = command.make_parser(typer.Context(command)).parse_args(list(words))
        assert not rest, rest
        for one in command.params:
            assert not one.required or found.get(one.name), f"{name} needs {one.name}"


def of_make(words: list[str]) -> None:
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            assert re.search(rf"^{name}:", MAKEFILE, re.MULTILINE), f"the Makefile has no {name}"
            continue
        assert f"$({name})" in MAKEFILE, f"the Makefile reads no {name}"
        if name == "NAMES":
            assert set(value.split()) <= {"all", *TARGETS}, value


def of_module(name: str, words: list[str]) -> None:
    """The options of a program stand as text in its module, or in that of a package of programs."""
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None, name
    source = Path(spec.origin)
    if spec.submodule_search_locations:
        source = source.with_name("__main__.py")
        for word in words if name == "benchmarks.speed" else []:
            assert word.startswith("--") or find_spec(f"{name}.{word}"), word
    text = source.read_text(encoding="utf-8")
    for word in words:
        if word.startswith("--"):
            assert f'"{word}"' in text, f"{name} has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for line in lines(text):
        try:
            check(line, whole=True)
        except Exception as error:
            raise AssertionError(f"{line}\n{error}") from error
    for line in INLINE.findall(FENCE.sub("", text)):
        if re.fullmatch(r"(imblens|make) [a-z-]+( .*)?|python -m (benchmarks|tests|docs)\..*", line):
            check(line.split(" > ")[0], whole=False)


@pytest.fixture(scope="module")
def stated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study files that pages show."""
    folder = tmp_path_factory.mktemp("stated")
    for page in PAGES:
        shown = page.read_text(encoding="utf-8")
        for name, text in [*FILES.findall(shown), *WRITTEN.findall(shown)]:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


STUDIES = [
    (name, line)
    for name, page in zip(NAMES, PAGES, strict=True)
    for line in lines(page.read_text(encoding="utf-8"))
    if line.startswith("imblens study ") and "--explain" not in line
]


@pytest.mark.parametrize(("page", "line"), STUDIES, ids=[f"{page}: {line}" for page, line in STUDIES])
def test_a_study_on_a_page_has_data_to_run_on(page: str, line: str, stated: Path) -> None:
    """With digits in the place of data that are not here."""
    words = shlex.split(line)[2:]
    command = COMMANDS["study"]
    values, _, _ = command.make_parser(typer.Context(command)).parse_args(words)
    name = str(values["name"])
    if name.endswith(".toml"):
        assert (stated / name).is_file(), f"no page shows {name}"
        name = str(stated / name)
    find_study(
        name,
        data={pair.partition("=")[0]: "digits" for pair in values.get("data") or []},
        quick=bool(values.get("quick")),
        seeds=[int(seed) for seed in str(values.get("seeds") or "0").split(",")] if name != "iml-table1" else None,
    )


def test_a_study_without_its_data_is_found() -> None:
    with pytest.raises(InputError, match="no data to run on"):
        find_study("eos-table1", data={}, quick=True)


@pytest.mark.parametrize(
    "line",
    [
        "imblens audits RUN",
        "imblens audit RUN --fast",
        "imblens audit RUN --out",
        "imblens audit RUN --lens archetype",
        "imblens treat RUN --with eos --set k=3 --out OUT",
        "imblens train DATA",
        "imblens merge --out RUN",
        "make benches",
        "make bench NAMES=startups",
        "make bench FOLDER=x",
        "python -m benchmarks.growths",
        "python -m benchmarks.growth --smallest 3",
        "python -m benchmarks.speed startups",
    ],
)
def test_what_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"."):
        check(line, whole=True)
