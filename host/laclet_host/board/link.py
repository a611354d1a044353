"""Modules that are always loaded together, linked into one before .mpy files are made.

A module costs a board some 400 bytes of heap besides what is in it: its name in four forms, two tables, a place in
``sys.modules``; and each name that it imports costs a slot, and a look-up at every use. A linked module still stands
under its own name, as a stub that imports what it had: programs of a board's owner need not know of this.
"""

import ast
import builtins
from pathlib import PurePosixPath

from .fold import module_name

# What becomes one: the module it becomes, and its parts in the order in which they run.
UNITS = {
    "laclet/port.py": ("laclet/ticks.py", "laclet/fault.py", "laclet/timers.py", "laclet/port.py"),
    "laclet/l2tp/endpoint.py": (
        "laclet/wire/l2tp.py",
        "laclet/wire/avp.py",
        "laclet/l2tp/tables.py",
        "laclet/l2tp/channel.py",
        "laclet/l2tp/session.py",
        "laclet/l2tp/tunnel.py",
        "laclet/l2tp/endpoint.py",
    ),
    "laclet/node/node.py": ("laclet/node/backoff.py", "laclet/node/dialer.py", "laclet/node/node.py"),
    "laclet/line/serial.py": ("laclet/wire/hdlc.py", "laclet/line/serial.py"),
    "laclet/ppp/link.py": (
        "laclet/ppp/automaton.py",
        "laclet/ppp/options.py",
        "laclet/ppp/ncp.py",
        "laclet/ppp/ipcp.py",
        "laclet/ppp/network.py",
        "laclet/ppp/lcp.py",
        "laclet/ppp/link.py",
    ),
    "laclet/ppp/bundle.py": ("laclet/wire/mp.py", "laclet/ppp/multilink.py", "laclet/ppp/bundle.py"),
    "laclet/node/lns.py": ("laclet/node/callers.py", "laclet/node/lns.py"),
    "laclet_mcu/shell.py": ("laclet_mcu/udp.py", "laclet_mcu/shell.py"),
}

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.Lambda, *_COMPREHENSIONS)
_SCOPES = (ast.ClassDef, *_FUNCTIONS)


class LinkError(Exception):
    """These modules cannot become one."""


def absolute(node, path):
    """The module that an ``ImportFrom`` in the file ``path`` names."""
    if not node.level:
        return node.module or ""
    parts = PurePosixPath(path).parts[: -node.level]
    return ".".join([*parts, *([node.module] if node.module else [])])


def link(sources, units=None):
    """``sources`` {path: text} with the modules of each unit in one; all others import from there."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    homes = {}  # name of a linked module -> its _Unit
    for target, parts in (UNITS if units is None else units).items():
        if target in trees:
            unit = _Unit(target, parts, trees)
            homes.update((module_name(path), unit) for path in parts)
    out = {path: _Rewrite(path, trees[path], homes).visit(trees[path]) for path in trees}
    for unit in set(homes.values()):
        joined = _joined([out[path] for path in unit.parts])
        out.update((path, unit.stub(path)) for path in unit.parts)
        out[unit.target] = joined
    return {path: ast.unparse(ast.fix_missing_locations(tree)) + "\n" for path, tree in out.items()}


def _joined(trees):
    """One module of many; what several of them import is imported once."""
    body, seen = [], set()
    for node in [node for tree in trees for node in tree.body]:
        text = ast.unparse(node)
        if not isinstance(node, (ast.Import, ast.ImportFrom)) or text not in seen:
            body.append(node)
        seen.add(text)
    return ast.Module(body, [])


def _here(nodes):
    """All nodes of one scope: of functions, classes and comprehensions in it only what begins them."""
    for node in nodes:
        yield node
        if not isinstance(node, _SCOPES):
            yield from _here(ast.iter_child_nodes(node))


def _bound(nodes, path):
    """Names that a scope binds: name -> None, or where it is imported from, ``(module, name)`` or ``(module,)``."""
    found, elsewhere = {}, set()
    for node in _here(nodes):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = None
        elif isinstance(node, ast.Import):
            found.update((alias.asname or alias.name.split(".")[0], (alias.name,)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                found[name] = None if name in found else (absolute(node, path), alias.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found[node.id] = None
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found[node.name] = None
        elif isinstance(node, ast.Global):
            elsewhere.update(node.names)
    return {name: source for name, source in found.items() if name not in elsewhere}


def _arguments(node):
    """Names of the arguments of a function."""
    args = node.args
    return [each.arg for each in (*args.args, *args.kwonlyargs, args.vararg, args.kwarg) if each is not None]


def _locals(node, path):
    """Names of a function's, or a comprehension's, own: name -> as _bound() has it."""
    if isinstance(node, _COMPREHENSIONS):
        stored = [name for each in node.generators for name in ast.walk(each.target) if isinstance(name, ast.Name)]
        return {name.id: None for name in stored}
    body = node.body if isinstance(node, ast.FunctionDef) else []
    return {**_bound(body, path), **dict.fromkeys(_arguments(node))}


class _Unit:
    """Modules that become one: what each name of theirs is called there."""

    def __init__(self, target, parts, trees):
        self.target = target
        self.parts = parts
        self.name = module_name(target)
        self._modules = {module_name(path) for path in parts}
        self._origins = {}  # (module, name) -> what it stands for: (module, name), or (module,)
        inner = {}  # module -> names that its functions use for their own
        for path in parts:
            module, tree = module_name(path), trees[path]
            for name, source in _bound(tree.body, path).items():
                self._origins[module, name] = self._origins.get(source, source) or (module, name)
            functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
            inner[module] = {name for node in functions for name in _locals(node, path)}
        self._called = self._call(inner)

    def _call(self, inner):
        """What everything is called: as it was, unless another thing in the unit is called so, too."""
        wishes = {}
        for (_, name), origin in self._origins.items():
            wishes.setdefault(name, set()).add(origin)
        called = {}
        for (module, name), origin in self._origins.items():
            if origin != (module, name):
                continue
            local = any(name in names for other, names in inner.items() if other != module)
            if local or len(wishes[name]) > 1 or hasattr(builtins, name):
                leaf = module.rpartition(".")[2]
                called[origin] = f"_{leaf}{name}" if name.startswith("_") else f"{leaf}_{name}"
            else:
                called[origin] = name
        for (module, name), origin in self._origins.items():
            foreign = origin[0] not in self._modules and ".".join(origin) not in self._modules
            if foreign and called.setdefault(origin, name) != name:
                raise LinkError(f"{module}: {name} is called {called[origin]} elsewhere")
        if len(set(called.values())) < len(called):
            raise LinkError(f"{self.name}: one name for two things")
        return called

    def called(self, module, name):
        """What ``name`` of ``module`` is called in the unit."""
        return self._called.get(self._origins.get((module, name)), name)

    def stub(self, path):
        """What stands in the place of a module: its public names, taken from here."""
        module = module_name(path)
        own = [name for at, name in self._origins if at == module and self._origins[at, name] == (module, name)]
        aliases = [_alias(self.called(module, name), name) for name in sorted(own) if not name.startswith("_")]
        return ast.Module([ast.ImportFrom(self.name, aliases, 0)] if aliases else [], [])


def _alias(name, local):
    return ast.alias(name, None if name == local else local)


class _Rewrite(ast.NodeTransformer):
    """Has a module use what is linked under its new names."""

    def __init__(self, path, tree, homes):
        self._path = path
        self._module = module_name(path)
        self._homes = homes
        self._unit = homes.get(self._module)
        self._top = self._scope(_bound(tree.body, path))
        self._scopes = []  # (names -> linked module that it stands for, or None; whether it is a class)

    def _scope(self, bound):
        """What _bound() has found -> the linked module that it stands for, or None."""
        sources = {name: ".".join(source or ()) for name, source in bound.items()}
        return {name: source if source in self._homes else None for name, source in sources.items()}

    def _find(self, name):
        """``(global, linked module that it stands for or None)``."""
        for names, _ in reversed(self._scopes):
            if name in names:
                return False, names[name]
        return True, self._top.get(name)

    def _called(self, name):
        """A global name's new form."""
        return self._unit.called(self._module, name) if self._unit is not None else name

    def _inside(self, bound, nodes, is_class=False):
        """Visit nodes in a scope of their own; what was there is visible, but for the names of classes."""
        before = self._scopes
        self._scopes = [each for each in before if not each[1]] + [(self._scope(bound), is_class)]
        found = []
        for node in nodes:
            made = self.visit(node)
            found += made if isinstance(made, list) else [made]
        self._scopes = before
        return found

    def _outside(self, node, *parts):
        """Visit what of a node stands in the scope around it."""
        for part in parts:
            value = getattr(node, part)
            setattr(node, part, [each and self.visit(each) for each in value])

    def visit_FunctionDef(self, node):
        self._outside(node, "decorator_list")
        self._outside(node.args, "defaults", "kw_defaults")
        if not self._scopes:
            node.name = self._called(node.name)
        node.body = self._inside(_locals(node, self._path), node.body)
        return node

    def visit_Lambda(self, node):
        self._outside(node.args, "defaults", "kw_defaults")
        node.body = self._inside(_locals(node, self._path), [node.body])[0]
        return node

    def visit_ClassDef(self, node):
        self._outside(node, "decorator_list", "bases")
        if not self._scopes:
            node.name = self._called(node.name)
        node.body = self._inside(_bound(node.body, self._path), node.body, True)
        return node

    def _comprehension(self, node):
        first = node.generators[0]
        first.iter = self.visit(first.iter)
        names = _locals(node, self._path)
        for part in [part for part in ("elt", "key", "value") if hasattr(node, part)]:
            setattr(node, part, self._inside(names, [getattr(node, part)])[0])
        for each in node.generators:
            each.ifs = self._inside(names, each.ifs)
            if each is not first:
                each.iter = self._inside(names, [each.iter])[0]
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Global(self, node):
        node.names = [self._called(name) for name in node.names]
        return node

    def visit_Name(self, node):
        is_global, module = self._find(node.id)
        if module is not None and self._homes[module] is self._unit:
            raise LinkError(f"{self._module}: {node.id} is used as a module")
        if is_global and module is None:
            node.id = self._called(node.id)
        return node

    def visit_Attribute(self, node):
        module = self._find(node.value.id)[1] if isinstance(node.value, ast.Name) else None
        if module is None:
            node.value = self.visit(node.value)
            return node
        unit = self._homes[module]
        node.attr = unit.called(module, node.attr)
        return ast.Name(node.attr, node.ctx) if unit is self._unit else node

    def visit_ImportFrom(self, node):
        source = absolute(node, self._path)
        kept = []
        for alias in node.names:
            local = alias.asname or alias.name
            if not self._scopes:
                local = self._called(local)
            module = f"{source}.{alias.name}" if f"{source}.{alias.name}" in self._homes else source
            unit = self._homes.get(module)
            if unit is None:
                kept.append(ast.ImportFrom(source, [_alias(alias.name, local)], 0))
            elif unit is self._unit:
                if self._scopes and module == source:
                    raise LinkError(f"{self._module}: a function imports {alias.name} of its own unit")
            elif module == source:
                kept.append(ast.ImportFrom(unit.name, [_alias(unit.called(module, alias.name), local)], 0))
            else:
                package, _, leaf = unit.name.rpartition(".")
                kept.append(ast.ImportFrom(package, [_alias(leaf, local)], 0))
        return _merged(kept) or ast.Pass()


def _merged(imports):
    """Imports of one module in one statement."""
    by_module = {}
    for node in imports:
        by_module.setdefault(node.module, []).extend(node.names)
    return [ast.ImportFrom(module, names, 0) for module, names in by_module.items()]
