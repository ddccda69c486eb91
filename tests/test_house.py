"""Structure of the package: imports point one way, start-up is light, dependencies are declared, no machine path is named."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "imblens"
ALLOWED: dict[str, set[str]] = {  # besides base and errors
    "base": set(),
    "run": set(),
    "data": set(),
    "models": set(),
    "losses": set(),
    "charts": set(),
    "resampling": {"run"},
    "lenses": {"run", "charts", "resampling"},
    "treatments": {"run", "charts", "resampling", "comparison"},
    "decisions": {"run", "charts", "resampling"},
    "extraction": {"data", "models", "run"},
    "training": {"data", "models", "losses"},
    "comparison": {"lenses", "run", "charts"},
    "report": {"lenses", "comparison", "run", "charts"},
    "exports": {"report", "lenses", "run"},
    "watch": {"extraction", "report", "comparison", "lenses"},
    "synthesis": {"data", "run", "training", "treatments", "resampling"},
}
EVERYTHING = {"studies", "workflows", "cli"}
ARRAY_PATH = {"base", "run", "charts", "resampling", "lenses", "treatments", "decisions", "comparison", "report", "cli"}
ARRAY_PATH |= {"exports"}


def rooms() -> list[str]:
    return sorted(p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py")))


@cache
def imports(file: Path) -> tuple[tuple[str, bool], ...]:
    """Names that a file imports anywhere, `if TYPE_CHECKING` included, and whether at module level."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    at_top = {id(node) for node in tree.body}
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(alias.name, id(node) in at_top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names += [(f"{module}.{alias.name}", id(node) in at_top) for alias in node.names]
    return tuple(names)


def imported_rooms(file: Path) -> set[str]:
    parts = [name.split(".") for name, _ in imports(file)]
    return {part[1] for part in parts if part[0] == "imblens" and len(part) > 1}


@pytest.mark.parametrize("room", rooms())
def test_imports_follow_the_arrows(room: str) -> None:
    if room in EVERYTHING:
        return
    assert room in ALLOWED, f"{room} is a new room: state in docs/architecture.md and here what it may import"
    for file in (PACKAGE / room).rglob("*.py"):
        assert not any(name.startswith(".") for name, _ in imports(file)), f"{file}: relative import"
        extra = imported_rooms(file) - ALLOWED[room] - {room, "base", "errors"}
        assert not extra, f"{file.relative_to(PACKAGE)} imports {sorted(extra)}"


# --------------------------------------------------------------------------------------------- circles between files


def modules() -> dict[str, Path]:
    named = {}
    for file in PACKAGE.rglob("*.py"):
        parts = ["imblens", *file.relative_to(PACKAGE).with_suffix("").parts]
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


def circles() -> list[list[str]]:
    """Groups of modules that import each other, directly or through others, at any place in a file."""
    files = modules()
    graph = {}
    for module, file in files.items():
        names = [name for name, _ in imports(file) if name.split(".")[0] == "imblens"]
        graph[module] = {name if name in files else name.rpartition(".")[0] for name in names} & set(files) - {module}
    reached = {module: set(after) for module, after in graph.items()}
    for middle in graph:
        for after in reached.values():
            if middle in after:
                after |= reached[middle]
    groups = {frozenset(b for b in after if a in reached[b]) for a, after in reached.items() if a in after}
    return sorted(sorted(group) for group in groups)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert not circles(), circles()


# ---------------------------------------------------------------------------------------------------- private modules


def test_no_import_crosses_rooms_into_a_private_module() -> None:
    """A module with an underscore is imported by its own room and by the tests of that room (tests/ROOM) only."""
    for file in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        home = file.relative_to(PACKAGE if PACKAGE in file.parents else ROOT / "tests").parts[0]
        for name, _ in imports(file):
            parts = name.split(".")
            private = any(re.match("_[a-z]", part) for part in parts[2:])
            assert not (parts[0] == "imblens" and private and parts[1] != home), f"{file.relative_to(ROOT)}: {name}"


# ------------------------------------------------------------------------------------------------------- dependencies

DISTRIBUTIONS = {  # import name -> name on the package index, where they differ
    "PIL": "pillow",
    "imblearn": "imbalanced-learn",
    "lance": "pylance",
    "markdown_it": "markdown-it-py",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
}
# Used where the user has them; nothing of imblens needs them.
IF_INSTALLED = {"timm", "transformers", "mlflow", "wandb", "comet-ml", "cuvs"}


def declared() -> tuple[set[str], set[str]]:
    """Packages of the core, and of the extras for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name: needs for name, needs in project["optional-dependencies"].items() if name not in {"dev", "test", "docs"}
    }

    def named(needs: list[str]) -> set[str]:
        return {re.split(r"[\s\[<>=;~!]", need)[0].lower() for need in needs} - {"imblens"}

    return named(project["dependencies"]), named([need for needs in extras.values() for need in needs])


def third_party(file: Path) -> Iterator[tuple[str, bool]]:
    for name, at_top in imports(file):
        package = name.split(".")[0]
        if package not in {"imblens", "__future__", *sys.stdlib_module_names}:
            yield DISTRIBUTIONS.get(package, package).lower().replace("_", "-"), at_top


def test_every_imported_package_is_declared() -> None:
    core, extras = declared()
    for file in PACKAGE.rglob("*.py"):
        for package, _ in third_party(file):
            assert package in core | extras | IF_INSTALLED, f"{file.relative_to(PACKAGE)} imports {package}"


def test_the_array_path_imports_the_core_only() -> None:
    core, _ = declared()
    for room in ARRAY_PATH:
        for file in (PACKAGE / room).rglob("*.py"):
            outside = {package for package, at_top in third_party(file) if at_top} - core
            assert not outside, f"{file.relative_to(PACKAGE)} imports {sorted(outside)} at module level"


# ------------------------------------------------------------------------------------------------------------ the rest


def test_the_recipe_for_conda_asks_for_the_same_versions() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {one.partition(";")[0].replace(">=", " >=").lower().strip() for one in listed}
    recipe = set(re.findall(r"^    - (\S+ >=\S+)$", (ROOT / "conda" / "recipe.yaml").read_text(), re.MULTILINE))
    assert recipe - wanted == {"python >=3.10"} and wanted <= recipe


def test_the_version_is_stated_once() -> None:
    import imblens

    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    where = stated["tool"]["hatch"]["version"]
    found = re.findall(where["pattern"], (ROOT / where["path"]).read_text(encoding="utf-8"))
    assert found == [imblens.__version__] and "version" in stated["project"]["dynamic"]
    recipe = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")  # a feedstock has no file to read it from
    assert re.findall(r'^  version: "(.*)"$', recipe, re.MULTILINE) == found
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == found


def test_every_public_room_has_tests() -> None:
    tests = Path(__file__).parent
    for room in rooms():
        assert any((tests / room).rglob("test_*.py")), f"tests/{room} has no test"


def test_no_file_is_long_without_a_reason() -> None:
    """A file above 400 lines states in its first lines why it is one: "One file of more than 400 lines: ..."."""
    for file in PACKAGE.rglob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        stated = "more than 400 lines: " in "\n".join(lines[:12])
        assert len(lines) <= 400 or stated, f"{file.relative_to(PACKAGE)} has {len(lines)} lines"


LIGHT = """
import sys, random
state = random.getstate()
import imblens
assert random.getstate() == state
heavy = {"torch", "pandas", "altair", "lightning", "kornia", "datasets", "matplotlib", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


def test_importing_costs_nothing() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


ARRAYS_WITHOUT_TORCH = """
import sys
import numpy as np
import imblens
rng = np.random.default_rng(0)
y = np.repeat(np.arange(3), (40, 20, 10))
X = rng.normal(size=(70, 5)) + y[:, None]
W = rng.normal(size=(3, 5))
run = imblens.Run.from_arrays(train=(X, y, X @ W.T), test=(X, y, X @ W.T), head=(W, np.zeros(3)))
imblens.audit(run)
heavy = {"torch", "lightning", "kornia", "datasets"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_array_path_never_imports_torch() -> None:
    subprocess.run([sys.executable, "-c", ARRAYS_WITHOUT_TORCH], check=True)


def test_the_code_names_no_path_of_a_machine() -> None:
    for file in [*PACKAGE.rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        text = file.read_text(encoding="utf-8")
        assert f"{ROOT}/" not in text and f"{Path.home()}/" not in text, file
