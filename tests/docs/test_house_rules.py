"""The rules of the house that a machine can hold."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from inspect import getdoc
from pathlib import Path

import pytest

import onnxprune
from onnxprune.coupling.rules import RULES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "onnxprune"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    p
    for folder in ("onnxprune", "tests", "benchmarks", "docs", "fixtures")
    for p in ROOT.glob(f"{folder}/**/*.py")
]
MOST_LINES = 500

FLOORS = {
    "errors": 0,
    "model": 1,
    "coupling": 2,
    "criteria": 3,
    "execution": 3,
    "reconstruction": 3,
    "torch_graph": 3,
    "calibration": 3,
    "evaluation": 3,
    "plan": 4,
    "surgery": 5,
    "verification": 5,
    "repair": 5,
    "runtime": 6,
    "frontends": 6,
    "training": 6,
    "sensitivity": 6,
    "pictures": 1,
    "sweep": 6,
    "report": 7,
    "api": 8,
    "__init__": 8,
    "cli": 9,
    "__main__": 9,
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def package_of(path: Path) -> str:
    """The package below ``onnxprune`` that a module belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Packages below ``onnxprune`` that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports are absolute"
            if node.module == "onnxprune":
                yield from (alias.name for alias in node.names if alias.name != "__version__")
            elif node.module and node.module.startswith("onnxprune."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("onnxprune.")
            )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    own = FLOORS[package_of(path)]
    assert not [name for name in imported(path) if FLOORS[name] > own]


def test_packages_do_not_import_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        own = package_of(path)
        edges.setdefault(own, set()).update(name for name in imported(path) if name != own)
    TopologicalSorter(edges).prepare()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_rule_says_what_it_does() -> None:
    silent = [op for domain, op in RULES.operators() if not getdoc(RULES.get(domain, op).couple)]
    assert not silent


def test_public_names_are_sorted_and_importable() -> None:
    names = onnxprune.__all__
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(onnxprune, name) is not None
    assert set(names) <= set(dir(onnxprune))


def test_test_modules_have_names_of_their_own() -> None:
    """Pytest imports them by their names alone."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
