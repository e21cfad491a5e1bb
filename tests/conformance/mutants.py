"""Mutants of a module: every rule changed, one at a time, systematically over its syntax tree."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
WORDS = {
    "interrupt": "rollback",
    "rollback": "interrupt",
    "delete": "interrupt",
    "success": "error",
    "error": "success",
    "timeout": "error",
    "pending": "running",
    "running": "pending",
    "interrupted": "gone",
    "gone": "interrupted",
    "reject": "enqueue",
    "enqueue": "reject",
    "any": "all",
    "all": "any",
    "executing": "all",
}
CALLED = {"any": "all", "all": "any"}


class Mutant(NamedTuple):
    """A changed module. ``what``: where, and which change; the same change twice in a function is numbered."""

    what: str
    module: ModuleType


def mutants(source: str, name: str) -> Iterator[Mutant]:
    """Every mutant of the module."""
    tree = ast.parse(source)
    told: Counter[str] = Counter()
    for place, (where, node) in enumerate(_rules(tree)):
        for n, changed in enumerate(_changes(node)):
            what = f"{where}: {_shown(node)} -> {_shown(changed)}"
            told[what] += 1
            whole = copy.deepcopy(tree)
            _, target = list(_rules(whole))[place]
            replacement = list(_changes(target))[n]
            _replace(whole, target, replacement)
            numbered = what if told[what] == 1 else f"{what} ({told[what]})"
            yield Mutant(numbered, _loaded(whole, f"{name}_mutant"))


def _shown(node: ast.AST) -> str:
    return ast.unparse(node).split("\n")[0]


def _loaded(tree: ast.Module, name: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(ast.fix_missing_locations(tree), name, "exec"), module.__dict__)
    return module


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list) and any(item is old for item in value):
                setattr(parent, field, [new if item is old else item for item in value])


def _rules(tree: ast.Module) -> list[tuple[str, Any]]:
    """Every node that says something: no docstrings, annotations, imports or names of types."""
    found: list[tuple[str, Any]] = []

    def visit(node: ast.AST, where: str) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node) or _names_a_type(node):
            return
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            where = f"{where}.{node.name}".lstrip(".")
        found.append((where or "module", node))
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "type_params", "decorator_list", "bases"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, where)

    visit(tree, "")
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _names_a_type(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Subscript)
        and isinstance(node.value.value, ast.Name)
    )


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that is done to a node."""
    match node:
        case ast.Compare(left, [op], [right]):
            for other in COMPARED[type(op)]:
                yield ast.Compare(left, [other()], [right])
        case ast.Compare():
            for i, op in enumerate(node.ops):
                for other in COMPARED[type(op)]:
                    yield ast.Compare(node.left, [*node.ops[:i], other(), *node.ops[i + 1 :]], node.comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for i in range(len(values)):
                rest = values[:i] + values[i + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, op, right) if type(op) in COMPUTED:
            yield ast.BinOp(left, COMPUTED[type(op)](), right)
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(str() as value):
            yield ast.Constant(WORDS.get(value, value + "?"))
        case ast.Name(name) if name in CALLED:
            yield ast.Name(CALLED[name], ast.Load())
        case ast.IfExp(test, body, other):
            yield ast.IfExp(test, other, body)
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
            yield ast.If(ast.Constant(True), body, orelse)
            yield ast.Pass()
        case ast.comprehension(target, iterated, [_, *_] as tests, is_async):
            for i in range(len(tests)):
                yield ast.comprehension(target, iterated, tests[:i] + tests[i + 1 :], is_async)
        case ast.Return(value) if value is not None:
            if not isinstance(value, ast.Constant) or value.value is not None:
                yield ast.Return(ast.Constant(None))
            yield ast.Return(ast.UnaryOp(ast.Not(), value))
        case ast.Return() | ast.Break() | ast.Continue() | ast.For() | ast.Assign() | ast.AugAssign():
            yield ast.Pass()
        case ast.Expr():
            yield ast.Pass()
        case ast.keyword(str() as name, _) if name != "key":
            yield ast.keyword(name, ast.Constant(None))
    if isinstance(node, ast.Break):
        yield ast.Continue()
    if isinstance(node, ast.Continue):
        yield ast.Break()
