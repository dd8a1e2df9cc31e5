"""Imports run one way, between the packages and between the rooms inside them; every file is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("wse_backend", "moa_core", "grader", "pages")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Who must not know whom. A name stands for a module and all that lies below it.
FORBIDDEN = [
    ("wse_backend", ("moa_core", "grader", "pages", "streamlit")),
    ("moa_core", ("grader", "pages", "streamlit")),
    ("grader", ("moa_core", "wse_backend", "pages", "streamlit")),
    ("wse_backend.weights", ("wse_backend.engine", "wse_backend.wafer", "wse_backend.models")),
    ("wse_backend.engine", ("wse_backend.wafer",)),
    ("wse_backend.wafer", ("wse_backend.engine", "wse_backend.models")),
    (
        "moa_core.config",
        ("moa_core.runs", "moa_core.providers", "moa_core.strategies", "moa_core.experiments"),
    ),
    ("moa_core.providers", ("moa_core.strategies", "moa_core.experiments")),
    ("moa_core.runs", ("moa_core.experiments",)),
    ("moa_core.strategies", ("moa_core.providers", "moa_core.experiments")),
    ("grader.replies", ("grader.grading", "grader.sandbox", "grader.competition")),
    ("grader.sandbox", ("grader.replies", "grader.competition", "grader.challenges")),
    ("grader.grading", ("grader.competition",)),
    ("pages.state", ("streamlit", "pages.parts")),
    ("pages.parts", ("pages.agents", "pages.challenge", "pages.chat", "pages.competition", "pages.host")),
]


def module_of(path: Path) -> str:
    """ "wse_backend/wafer/__init__.py" is wse_backend.wafer."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_in(name: str, room: str) -> bool:
    """Whether `name` is `room` or lies below it."""
    return name == room or name.startswith(f"{room}.")


def wrong_edges(files: list[Path]) -> list[str]:
    """Every import against the rules, as "module:line imports name"."""
    return [
        f"{module_of(path)}:{line} imports {name}"
        for path in files
        for line, name in imported(path)
        for room, strangers in FORBIDDEN
        if is_in(module_of(path), room) and any(is_in(name, stranger) for stranger in strangers)
    ]


def test_imports_run_one_way():
    assert len(FILES) > 150, "the packages are not where this test looks"
    assert wrong_edges(FILES) == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("wse_backend/engine/x.py", "from wse_backend.wafer import WSE2"),
        ("grader/x.py", "def f():\n    import moa_core.runs"),
        ("pages/state/x.py", "import streamlit as st"),
        ("moa_core/x.py", "from grader import grade"),
    ],
)
def test_a_wrong_import_is_seen(where, line, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_imports.ROOT", tmp_path)
    path = tmp_path / where
    path.parent.mkdir(parents=True)
    path.write_text(line)

    assert len(wrong_edges([path])) == 1


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_have_no_circle(package):
    edges = _edges(package)
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module not in done:
            for target in sorted(edges.get(module, ())):
                visit(target, (*way, module))
            done.add(module)

    assert edges
    for module in sorted(edges):
        visit(module, ())


def _edges(package: str) -> dict[str, set[str]]:
    """Which module of a package needs which other one; a package's `__init__` counts as itself."""
    modules = {module_of(path) for path in FILES if is_in(module_of(path), package)}
    edges: dict[str, set[str]] = {}
    for path in FILES:
        me = module_of(path)
        if me in modules:
            names = {name for _, name in imported(path)}
            targets = {t for name in names for t in (name, name.rpartition(".")[0]) if t in modules}
            deepest = {t for t in targets if not any(o != t and is_in(o, t) for o in targets)}
            edges[me] = deepest - {me}
    return edges
