"""The static look at a submission before it runs: forbidden moves, with line number and reason.

This is the first hurdle, not the wall: it turns an attempt into a clear sentence. What gets past it meets
the guarded built-ins, the audit hook and the kernel's limits.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from grader.sandbox.policy.names import (
    ALLOWED_MODULES,
    FORBIDDEN_ATTRIBUTES,
    FORBIDDEN_MODULES,
    FORBIDDEN_NAMES,
    HARMLESS_DUNDERS,
    LOGGING_FORMATTER,
    PARTIAL_MODULES,
    PUBLIC_UNDERSCORE,
)

_DUNDER = re.compile(r"__\w+__")
_FORMAT_WALK = re.compile(r"\{[^{}]*(\.|\[)_")


@dataclass(frozen=True)
class Finding:
    """One place in the source. line: 1-based."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass
class PolicyFindings:
    """refused: forbidden moves. notes: harmless things that will not work here, in plain words.

    unused: top-level imports of forbidden modules nobody uses; they are dropped instead of refused.
    """

    refused: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    unused: list[ast.stmt] = field(default_factory=list)


def check(tree: ast.Module) -> PolicyFindings:
    """Look through a parsed submission. Never raises on a tree that `ast.parse` made."""
    visitor = _Visitor(tree)
    visitor.visit(tree)
    found = visitor.findings
    for finding in (found.refused, found.notes):
        finding.sort(key=lambda each: (each.line, each.reason))
    return found


class _Visitor(ast.NodeVisitor):
    def __init__(self, tree: ast.Module) -> None:
        self.findings = PolicyFindings()
        self.used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self.own = _own_attributes(tree)
        self.bound = _bound_names(tree)
        self.modules = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        self.records = _record_classes(tree)

    def refuse(self, node: ast.AST, reason: str) -> None:
        self.findings.refused.append(Finding(getattr(node, "lineno", 0), reason))

    def note(self, node: ast.AST, reason: str) -> None:
        self.findings.notes.append(Finding(getattr(node, "lineno", 0), reason))

    # imports

    def visit_Import(self, node: ast.Import) -> None:
        bad = [alias for alias in node.names if _is_forbidden(alias.name)]
        if not bad:
            for alias in node.names:
                self.check_available(node, alias.name)
            return
        if all((alias.asname or alias.name.partition(".")[0]) not in self.used for alias in bad):
            self.findings.unused.append(node)
            self.note(node, f"`import {bad[0].name}` is not used and was left out")
            return
        self.refuse(node, f"`import {bad[0].name}` reaches outside the function; use the data it is given")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or _is_forbidden(module):
            if not node.level and all(
                (a.asname or a.name) not in self.used and a.name != "*" for a in node.names
            ):
                self.findings.unused.append(node)
                self.note(node, f"`from {module} import ...` is not used and was left out")
            else:
                self.refuse(node, f"`from {module or '.'} import ...` reaches outside the function")
            return
        for alias in node.names:
            if _is_denied(alias.name, module) or (_is_hidden(alias.name) and module != "__future__"):
                self.refuse(node, f"`{alias.name}` of `{module}` leads into the interpreter's insides")
            elif (
                _is_forbidden(alias.name)
                and f"{module}.{alias.name}" not in ALLOWED_MODULES
                and module == "sys"
            ):
                self.refuse(node, f"`{alias.name}` of `{module}` reaches outside the function")
        self.check_available(node, module)

    def check_available(self, node: ast.AST, module: str) -> None:
        if module not in ALLOWED_MODULES and module not in PARTIAL_MODULES:
            self.note(node, f"`{module}` is not available here; only parts of the standard library are")

    # names and attributes

    def visit_Name(self, node: ast.Name) -> None:
        is_taken = node.id in FORBIDDEN_NAMES and node.id not in self.bound
        if is_taken or (_DUNDER.fullmatch(node.id) and node.id not in HARMLESS_DUNDERS):
            self.refuse(node, f"`{node.id}` is not allowed in a submission")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        self.check_attribute(node, name)
        self.check_module_attribute(node, name)
        self.generic_visit(node)

    def check_module_attribute(self, node: ast.Attribute, name: str) -> None:
        """Other modules reached through an allowed one: not there, but the attempt is plain enough."""
        module = self.modules.get(node.value.id, "") if isinstance(node.value, ast.Name) else ""
        reaches_out = name in FORBIDDEN_MODULES and f"{module}.{name}" not in ALLOWED_MODULES
        if module and (reaches_out or (module == "sys" and name in _SYS_DENIED)):
            self.refuse(node, f"`{module}.{name}` reaches outside the function")

    def check_attribute(self, node: ast.AST, name: str) -> None:
        owner = node.value.id if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else ""
        if _is_denied(name, owner) and name not in _EVERYDAY & self.own:
            self.refuse(node, f"`.{name}` leads into the interpreter's insides")
        elif _DUNDER.fullmatch(name):
            reads = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            if name not in HARMLESS_DUNDERS and not (reads and name in _READABLE):
                self.refuse(node, f"`.{name}` walks into the interpreter's insides")
        elif _is_hidden(name) and name not in self.own | PUBLIC_UNDERSCORE:
            self.refuse(node, f"`.{name}` is private to the object it belongs to")

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            self.check_attribute(node, name)
            if name in ("format", "format_map"):
                self.refuse(node, f"`{name}` cannot be matched in a submission")
        known = isinstance(node.cls, ast.Name) and node.cls.id in _BUILTIN_PATTERNS | self.records
        if node.patterns and not known:
            self.refuse(
                node, "a class pattern with positions is only allowed for built-ins and your own dataclasses"
            )
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        text = node.value
        if not isinstance(text, str):
            return
        if text in FORBIDDEN_ATTRIBUTES - _EVERYDAY or (
            _DUNDER.fullmatch(text) and text not in HARMLESS_DUNDERS and text != "__dict__"
        ):
            self.refuse(node, f"the text {text[:40]!r} names a part of the interpreter")
        elif len(text) < 2000 and _FORMAT_WALK.search(text) and "__" in text:
            self.refuse(node, "a format text that walks through attributes")

    # definitions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.check_defined(node, node.name)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.check_defined(node, node.name)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.check_defined(node, node.name)
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and not _is_abc(keyword.value):
                self.refuse(node, "metaclasses are not allowed in a submission")
        self.generic_visit(node)

    def check_defined(self, node: ast.AST, name: str) -> None:
        if _DUNDER.fullmatch(name) and name not in HARMLESS_DUNDERS:
            self.refuse(node, f"defining `{name}` is not allowed in a submission")

    def visit_arg(self, node: ast.arg) -> None:
        self.check_defined(node, node.arg)
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg:
            self.check_defined(node, node.arg)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.check_defined(node, node.name)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self.check_defined(node, name)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        for name in node.names:
            self.check_defined(node, name)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self.check_defined(node, node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self.check_defined(node, node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.check_defined(node, node.rest)
        self.generic_visit(node)


_EVERYDAY = frozenset({"mro", "Formatter", "get_field", "displayhook"})
"""Denied names that are also plausible names for a submission's own attributes or texts."""

_READABLE = frozenset({"__class__", "__dict__", "__annotations__"})
"""May be read, not set: the instrumented source sends the first two through guards."""

_SYS_DENIED = frozenset({"modules", "monitoring", "path_importer_cache"})
_BUILTIN_PATTERNS = frozenset(
    {"bool", "bytearray", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"}
)


def _is_forbidden(module: str) -> bool:
    if module == "__future__":
        return False
    return module.startswith("_") or module.partition(".")[0] in FORBIDDEN_MODULES


def _is_denied(name: str, owner: str) -> bool:
    return name in FORBIDDEN_ATTRIBUTES and not (name == LOGGING_FORMATTER and owner == "logging")


def _bound_names(tree: ast.Module) -> set[str]:
    """Names the submission gives a meaning of its own."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name)
    return bound


def _record_classes(tree: ast.Module) -> set[str]:
    """Classes without bases (or NamedTuples) that are defined once: their instances are what they claim to
    be."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            plain = all(isinstance(base, ast.Name) and base.id == "NamedTuple" for base in node.bases)
            found[node.name] = found.get(node.name, 0) + (1 if plain and not node.keywords else 2)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = found.get(node.id, 0) + 2
    return {name for name, times in found.items() if times == 1}


def _is_hidden(name: str) -> bool:
    return name.startswith("_")


def _is_abc(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in ("ABCMeta", "EnumMeta", "EnumType")


def _own_attributes(tree: ast.Module) -> set[str]:
    """Attribute names the submission itself defines: stored attributes, methods, class-level names."""
    own: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            for item in ast.walk(node):
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                    own.add(item.name)
                elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
                    own.add(item.id)
    return own
