"""Constants folded across modules before .mpy files are made.

A name costs a board some 60 bytes of heap where it is defined and 16 where it is imported, and a look-up at every use.
mpy-cross folds ``const()`` inside one module only; this does it for all modules of a build: names in capitals that
stand for an integer or a short text become it, and their imports go; a module of which another has used nothing else is
not imported by that. Tables that a module computes at import become the bytes they come out as. Behaviour does not
change.
"""

import ast
import importlib
import operator
from pathlib import PurePosixPath

_TEXT_MAX = 10  # characters: such a text is a name to MicroPython, stored once however often it stands in the code
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}


def _is_constant_name(name):
    return name.isupper() and name.strip("_")


def module_name(path):
    """``laclet.l2tp.tables`` for ``laclet/l2tp/tables.py``; a package for its ``__init__.py``."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class _Module:
    """One module: its tree, what its names mean, and the constants it defines."""

    def __init__(self, path, source):
        self.path = path
        self.name = module_name(path)
        self.tree = ast.parse(source)
        self.is_package = PurePosixPath(path).name == "__init__.py"
        self.imported = {}  # name -> (module, name) of ``from module import name``
        self.assigned = {}  # name -> how often it is bound anywhere in the module
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
                self.assigned[node.id] = self.assigned.get(node.id, 0) + 1
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = (self._absolute(node), alias.name)

    def _absolute(self, node):
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        keep = len(parts) - node.level + (1 if self.is_package else 0)
        return ".".join(parts[:keep] + ([node.module] if node.module else []))


class _Fold(ast.NodeTransformer):
    """Puts the numbers in."""

    def __init__(self, module, known):
        self.module = module
        self.known = known  # (module, name) -> int or text

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            value = _value_of_name(node.id, self.module, self.known)
            if value is not None:
                return ast.Constant(value)
        return node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
            found = self.module.imported.get(node.value.id)
            if found is not None:
                value = self.known.get((f"{found[0]}.{found[1]}", node.attr))
                if value is not None:
                    return ast.Constant(value)
        return node

    def visit_Assign(self, node):
        self.generic_visit(node)
        if _is_folded(node, self.module, self.known):
            node.value = ast.Constant(self.known[self.module.name, node.targets[0].id])
        return node

    def visit_ImportFrom(self, node):
        kept = [a for a in node.names if _value_of_name(a.asname or a.name, self.module, self.known) is None]
        if not kept:
            return ast.Pass()
        node.names = kept
        return node

    def visit_Try(self, node):
        self.generic_visit(node)
        if _defines_const(node):
            return ast.Pass()
        return node


def _defines_const(node):
    """``try: from micropython import const`` with its stand-in for CPython."""
    first = node.body[0]
    return isinstance(first, ast.ImportFrom) and first.module == "micropython" and first.names[0].name == "const"


def _value_of_name(name, module, known):
    if name in module.imported:
        return known.get(module.imported[name])
    return known.get((module.name, name))


def _evaluate(node, module, known):
    """The int or the short text that an expression stands for, or None."""
    if isinstance(node, ast.Constant):
        short = isinstance(node.value, str) and len(node.value) <= _TEXT_MAX
        return node.value if type(node.value) is int or short else None
    if isinstance(node, ast.Name):
        return _value_of_name(node.id, module, known)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const" and node.args:
        return _evaluate(node.args[0], module, known)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left = _evaluate(node.left, module, known)
        right = _evaluate(node.right, module, known)
        if isinstance(left, int) and isinstance(right, int):
            return _OPERATORS[type(node.op)](left, right)
    return None


def _find_constants(modules):
    """(module, name) -> int or text of every constant, to the last one that depends on another."""
    known = {}
    found = True
    while found:
        found = False
        for module in modules.values():
            for node in module.tree.body:
                if not isinstance(node, ast.Assign) or len(node.targets) != 1:
                    continue
                target = node.targets[0]
                if not isinstance(target, ast.Name) or not _is_constant_name(target.id):
                    continue
                if module.assigned[target.id] != 1 or (module.name, target.id) in known:
                    continue
                value = _evaluate(node.value, module, known)
                if value is not None:
                    known[module.name, target.id] = value
                    found = True
    return known


def fold(sources, tests=None):
    """``sources`` {path: text} of all modules of a build, folded; and ``tests`` that use them, whose own stays."""
    modules = {path: _Module(path, text) for path, text in sources.items()}
    known = _find_constants(modules)
    for module in modules.values():
        _precompute(module)
        module.tree.body = [node for node in module.tree.body if not _is_folded(node, module, known)]
    for module in modules.values():  # tests may have a constant from who has it from elsewhere
        exported = {(module.name, name): known.get(of) for name, of in module.imported.items()}
        known = {**{key: value for key, value in exported.items() if value is not None}, **known}
    modules.update((path, _Module(path, text)) for path, text in (tests or {}).items())
    out = {}
    for path, module in modules.items():
        before = _loaded(module.tree)
        tree = ast.fix_missing_locations(_Fold(module, known).visit(module.tree))
        _drop_imports(tree, module, before - _loaded(tree), known)
        out[path] = ast.unparse(tree) + "\n"
    return out


def _loaded(tree):
    """All names that a module uses."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _drop_imports(tree, module, unused, known):
    """Do not import modules of the build of which only constants were used."""
    homes = {home for home, _ in known}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            node.names = [
                alias
                for alias in node.names
                if (alias.asname or alias.name) not in unused
                or ".".join(module.imported[alias.asname or alias.name]) not in homes
            ]
    tree.body = [node for node in tree.body if not isinstance(node, ast.ImportFrom) or node.names] or [ast.Pass()]


def _precompute(module):
    """Replace tables that are bytes by what they come out as; what only they used is gone with them."""
    names = [n.targets[0].id for n in module.tree.body if _is_table(n)]
    if not names:
        return
    values = importlib.import_module(module.name)
    changed = False
    for node in module.tree.body:
        if _is_table(node) and isinstance(getattr(values, node.targets[0].id), bytes):
            node.value = ast.Constant(getattr(values, node.targets[0].id))
            changed = True
    while changed:
        used = {n.id for n in ast.walk(module.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        kept = [n for n in module.tree.body if not _is_private_function(n) or n.name in used]
        changed = len(kept) < len(module.tree.body)
        module.tree.body = kept


def _is_table(node):
    """``NAME = bytes(…)`` or ``NAME = _table(…)`` at the top of a module."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return False
    call = node.value
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("bytes", "_table")


def _is_private_function(node):
    return isinstance(node, ast.FunctionDef) and node.name.startswith("_")


def _is_folded(node, module, known):
    """True for the definition of a constant that nobody needs any more."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return False
    return (module.name, node.targets[0].id) in known
