"""Small faults for `tests.trust.mutants`: which can be made, and do the tests notice one?

Modules and tests are loaded once; each mutant is tried in a forked child, which alone sees it. No file is changed.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import hashlib
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import select
import signal
import sys
import time
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANGS = ""
QUICK = 4.0  # seconds of processor time of tests that a mutant is tried with first
MORE = 60.0  # and of further ones
MEMORY = 12 << 30
OPTIONS = ["-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "--show-capture=no"]
OPTIONS += ["-m", "not slow and not browser and not thorough"]


@dataclass(frozen=True)
class Mutant:
    """One small fault: cosmic-ray's operator at its n-th place in a file."""

    file: str
    line: int
    operator: str
    occurrence: int
    before: str
    after: str
    source: str  # of the whole file, with the fault
    function: str | None  # dotted name of the outermost function around it; None outside functions


def _meaning(source: str) -> str:
    """What runs: without annotations and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(0) if isinstance(node, ast.AnnAssign) else None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if ast.get_docstring(node) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) else None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _function_around(source: str, at: tuple[int, int]) -> str | None:
    """Dotted name of the outermost function whose body holds (line, column) `at`."""

    def look(body: list[ast.stmt], prefix: str) -> str | None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found = look(node.body, f"{prefix}{node.name}.")
                if found:
                    return found
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first, last = node.body[0], node.body[-1]
                if (first.lineno, first.col_offset) <= at <= (last.end_lineno or 0, last.end_col_offset or 0):
                    return prefix + node.name
        return None

    return look(ast.parse(source).body, "")


def draw(files: list[Path], count: int, rng: random.Random) -> list[Mutant]:
    """`count` mutants of `files`: a place is drawn first, then one of its mutants.

    Left out: what changes only annotations or docstrings, and what does not compile.
    """
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.operators.provider import OperatorProvider
    from cosmic_ray.plugins import get_operator

    kinds = [(name, get_operator(f"core/{name}")()) for name in OperatorProvider() if not name.startswith("Variable")]
    of_words = [(name, kind) for name, kind in kinds if "BinaryOperator" not in name and "Comparison" not in name]
    places: dict[tuple[str, tuple[int, int], tuple[int, int]], list[tuple[str, int]]] = defaultdict(list)
    for file in files:
        seen: dict[str, int] = defaultdict(int)
        for node in ast_nodes(get_ast(file.read_text())):
            every = node.type in ("operator", "keyword", "comp_op")
            for name, kind in kinds if every else of_words:
                for start, end in kind.mutation_positions(node):
                    places[str(file.relative_to(ROOT)), start, end].append((name, seen[name]))
                    seen[name] += 1
    found: list[Mutant] = []
    order = sorted(places)
    rng.shuffle(order)
    for path, start, end in order:
        if len(found) == count:
            break
        source = (ROOT / path).read_text()
        choices = sorted(places[path, start, end])
        rng.shuffle(choices)
        for name, occurrence in choices:
            changed = mutate_code(source, dict(kinds)[name], occurrence)
            try:
                differs = changed is not None and _meaning(changed) != _meaning(source)
                compile(changed or "", path, "exec", dont_inherit=True)
            except SyntaxError:
                continue
            if changed is None or not differs:
                continue
            found.append(_mutant(path, source, changed, name, occurrence))
            break
    return found


def _mutant(path: str, source: str, changed: str, name: str, occurrence: int) -> Mutant:
    """What was changed, and where."""
    pairs = enumerate(zip(source.split("\n"), changed.split("\n"), strict=False))
    at, (before, after) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    column = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    function = _function_around(source, (at + 1, column))
    return Mutant(path, at + 1, name, occurrence, before.strip(), after.strip(), changed, function)


def find(one: dict[str, Any]) -> Mutant | None:
    """A mutant that was tried before, in the code of today: the nearest line that reads the same."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source, found, occurrence = (ROOT / one["file"]).read_text(), [], 0
    while changed := mutate_code(source, get_operator(f"core/{one['operator']}")(), occurrence):
        mutant = _mutant(one["file"], source, changed, one["operator"], occurrence)
        if (mutant.before, mutant.after) == (one["before"], one["after"]):
            found.append(mutant)
        occurrence += 1
    return min(found, key=lambda mutant: abs(mutant.line - one["line"]), default=None)


class _Loader(SourceFileLoader):
    """Loads a module with the fault."""

    text = ""

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self.text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.name = mutant.file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        loader = _Loader(fullname, str(ROOT / self.mutant.file))
        loader.text = self.mutant.source
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


def in_child(work: Callable[[], Any], seconds: int, log: Path) -> Any:
    """Result of `work` in a forked child; HANGS after `seconds` of processor time, or 40 times as long by the clock."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))  # not of addresses: V8 reserves many
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        try:
            os.write(writing, json.dumps(work()).encode())
        except BaseException as error:
            os.write(writing, json.dumps(f"{type(error).__name__}: {error}"[:300]).encode())
        os._exit(0)
    os.close(writing)
    got, ended = b"", bool(select.select([reading], [], [], 40 * seconds)[0])
    while ended and (piece := os.read(reading, 1 << 16)):
        got += piece
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL if not ended else 0)
    _, status = os.waitpid(pid, 0)
    if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
        return HANGS
    return json.loads(got) if got else "the process died"


def digest(folders: list[str]) -> str:
    """What the code and tests in these folders and files are known by."""
    found = hashlib.sha256()
    for one in folders:
        for file in sorted((ROOT / one).rglob("*.py")) or [ROOT / one]:
            found.update(str(file).encode() + file.read_bytes())
    return found.hexdigest()[:12]


class Watch:
    """Pytest plugin: which test failed first."""

    def __init__(self) -> None:
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid or "collection"


class Lines:
    """Pytest plugin: the lines of a room that each test runs, and its seconds.

    Lines of a fixture that several tests share count for each of them.
    """

    def __init__(self, room: str) -> None:
        import coverage

        self.coverage = coverage.Coverage(
            data_file=None, include=[str(ROOT / "src/imblens" / room / "*")], config_file=False
        )
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, list[str]] = {}
        self.context = ""

    def _switch(self, name: str) -> str:
        before, self.context = self.context, name
        self.coverage.switch_context(name)
        return before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        start = time.process_time()
        self.fixtures[item.nodeid] = list(getattr(item, "fixturenames", []))
        self._switch(item.nodeid)
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - start

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        before = self._switch(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            self._switch(before)

    def found(self) -> dict[str, Any]:
        """Of each test: seconds, and lines by file."""
        data = self.coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = defaultdict(dict)
        for file in data.measured_files():
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines[context].setdefault(str(Path(file).relative_to(ROOT)), []).append(line)
        tests = {}
        for name, seconds in self.seconds.items():
            ran: dict[str, set[int]] = defaultdict(set)
            for context in [name, *(f"fixture {one}" for one in self.fixtures[name])]:
                for file, some in lines.get(context, {}).items():
                    ran[file] |= set(some)
            tests[name] = {"seconds": seconds, "lines": {file: sorted(some) for file, some in ran.items()}}
        return tests


def run_items(session: Any, items: list[Any]) -> str | None:
    """The first of `items` that fails."""
    watch = Watch()
    session.config.pluginmanager.register(watch)
    for item, following in zip(items, [*items[1:], None][: len(items)], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch.failed:
            break
    return watch.failed


def choose(found: dict[str, Any], mutant: Mutant) -> tuple[list[str], list[str]]:
    """The tests for a mutant: the quickest that run its line; then others that do, and all in the same files.

    Outside functions all other tests of the room follow: a constant may be read from anywhere.
    """
    in_file = [name for name, one in found.items() if one["lines"].get(mutant.file)]
    on_line = [name for name in in_file if mutant.line in found[name]["lines"][mutant.file]]
    first = sorted(on_line or in_file, key=lambda name: found[name]["seconds"])
    files = {name.split("::")[0] for name in first}
    known = set(first)
    others = [name for name in found if name not in known and (mutant.function is None or name.split("::")[0] in files)]
    others.sort(key=lambda name: found[name]["seconds"])
    quick, more, used = [], [], 0.0
    for name in [*first, *others]:
        if name in known and (not quick or used + found[name]["seconds"] <= QUICK):
            quick.append(name)
        elif used + found[name]["seconds"] <= MORE:
            more.append(name)
        else:
            continue
        used += found[name]["seconds"]
    return quick, more


def limit(found: dict[str, Any], names: list[str]) -> int:
    """Seconds of processor time after which these tests hang."""
    return 30 + int(5 * sum(found[name]["seconds"] for name in names))


class Loop:
    """Pytest plugin: collect once, then hand the session over instead of running its tests."""

    def __init__(self, work: Callable[[Any], None]) -> None:
        self.work = work

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        if session.testsfailed:
            raise SystemExit("The tests cannot be collected.")
        self.work(session)
        return True


def functions_by_place() -> dict[tuple[str, str], list[types.FunctionType]]:
    """All functions in memory by file and dotted name."""
    found: dict[tuple[str, str], list[types.FunctionType]] = defaultdict(list)
    for one in gc.get_objects():
        if type(one) is types.FunctionType and "/imblens/" in one.__code__.co_filename:
            found[one.__code__.co_filename, one.__code__.co_qualname].append(one)
    return found


def patch(mutant: Mutant, functions: list[types.FunctionType]) -> bool:
    """Give functions that are loaded the code with the fault; False where that cannot be."""

    def codes(inside: types.CodeType) -> Iterator[types.CodeType]:
        for one in inside.co_consts:
            if isinstance(one, types.CodeType):
                yield one
                yield from codes(one)

    whole = compile(mutant.source, str(ROOT / mutant.file), "exec", dont_inherit=True)
    code = [one for one in codes(whole) if one.co_qualname == mutant.function]
    if len(code) != 1 or len(functions) != 1 or functions[0].__code__.co_freevars != code[0].co_freevars:
        return False
    functions[0].__code__ = code[0]
    return True


class _Ahead:
    """Pytest plugin: a finder of modules comes before pytest's own, which loads the files that it is given from the disk."""

    def __init__(self, finder: _Finder) -> None:
        self.finder = finder

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        sys.meta_path.insert(0, self.finder)


def fresh(mutant: Mutant, tests: list[str]) -> str | None:
    """The first test that fails where the module is loaded with the fault, in a process that has loaded nothing of imblens."""
    watch = Watch()
    code = pytest.main([*OPTIONS, "-x", *tests], plugins=[watch, _Ahead(_Finder(mutant))])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        return "no tests"
    return watch.failed or (None if code == pytest.ExitCode.OK else f"exit code {int(code)}")
