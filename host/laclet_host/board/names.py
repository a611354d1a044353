"""Names that only the code itself uses, shared before .mpy files are made.

Every name is kept once by MicroPython, in tables that double when they are full: 620 names take 7 kB of a board's heap,
one more takes 14. Two kinds need not be told apart as long as nobody sees them together: private attributes of classes
that have nothing to do with one another, and arguments that no call names. Functions, methods and classes keep their
names, so tracebacks read as ever.
"""

import ast
import string

# What programs of a board's owner call: their arguments are handed over by name, for all we know.
_PUBLIC = ("laclet_mcu/aio.py",)


def shorten(sources, tests=()):
    """``sources`` {path: text} with fewer names; ``tests`` are paths of those that do not count, but follow."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    own = [tree for path, tree in trees.items() if path not in tests]
    uses = _Uses(own)
    classes = _classes(own, uses.private())
    attributes = _share([_family(classes, name) for name in classes], uses.all)
    theirs = _Uses([trees[path] for path in tests]).given()  # a test's own objects keep what they have
    shared = {name: new for name, new in attributes.items() if name not in theirs}
    arguments = uses.positional([tree for path, tree in trees.items() if path in _PUBLIC])
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                node.attr = (shared if path in tests else attributes).get(node.attr, node.attr)
        if path not in tests:
            _rename_arguments(tree, arguments)
    return {path: ast.unparse(tree) + "\n" for path, tree in trees.items()}


class _Uses:
    """How each name of a program is used."""

    def __init__(self, trees):
        self.all = set()
        self._seen = set()  # defined, imported, global, a keyword, in a text: what must stay as it is
        self._keywords = set()  # of calls
        self._attributes = set()
        self._stored = set()  # attributes that a method gives its own object
        self._required = set()
        for tree in trees:
            self._seen.update(node.id for node in _top(tree) if isinstance(node, ast.Name))
            for node in ast.walk(tree):
                self._add(node)
        self.all |= self._seen | self._attributes | self._required | self._keywords

    def _add(self, node):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self._seen.add(node.name)
        if isinstance(node, ast.ClassDef):
            self._seen.update(name.id for name in _top(node) if isinstance(name, ast.Name))
        elif isinstance(node, ast.arguments):
            self._required.update(each.arg for each in _required(node))
            self._seen.update(each.arg for each in _optional(node))
        elif isinstance(node, ast.Attribute):
            self._attributes.add(node.attr)
            if _is_own(node):
                self._stored.add(node.attr)
        elif isinstance(node, ast.Name):
            self.all.add(node.id)
        elif isinstance(node, ast.alias):
            self._seen.update((*node.name.split("."), node.asname))
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            self._seen.update(node.names)
        elif isinstance(node, ast.keyword):
            self._keywords.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._seen.add(node.value)

    def given(self):
        """What objects and modules have been given."""
        return self._stored | self._seen

    def private(self):
        """Attributes that are nobody else's."""
        return {name for name in self._stored - self._seen if name[0] == "_" and name[1] != "_"}

    def positional(self, public):
        """Arguments that no call can name, but for those of public modules."""
        kept = {node.arg for tree in public for node in ast.walk(tree) if isinstance(node, ast.arg)}
        return self._required - self._keywords - kept - {"self"}


def _required(arguments):
    return arguments.args[: len(arguments.args) - len(arguments.defaults)]


def _optional(arguments):
    others = (*arguments.args[len(_required(arguments)) :], *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    return [each for each in others if each is not None]


def _top(tree):
    """What stands in a module or class, but not in what is defined in it."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _top(node)


def _is_own(node):
    return isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _classes(trees, names):
    """class -> (which of the names it uses, its bases); what is called alike is taken for one."""
    found = {}
    for node in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        has, bases = found.setdefault(node.name, (set(), set()))
        has.update(names & {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)})
        bases.update(each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in node.bases)
    return found


def _family(classes, name, known=()):
    """The names of a class and of all that it stems from."""
    if name not in classes or name in known:
        return set()
    has, bases = classes[name]
    return has.union(*(_family(classes, base, (*known, name)) for base in bases))


def _share(families, taken):
    """name -> new name, the same for names that no family has both of."""
    beside = {}
    for family in families:
        for name in family:
            beside.setdefault(name, set()).update(family - {name})
    free = [
        f"_{a}{b}" for a in ("", *string.ascii_lowercase) for b in string.ascii_lowercase if f"_{a}{b}" not in taken
    ]
    new = {}
    for name in sorted(beside, key=lambda name: (-len(beside[name]), name)):
        used = {new.get(each) for each in beside[name]}
        new[name] = next(each for each in free if each not in used)
    return new


def _rename_arguments(tree, names):
    """Call arguments ``a``, ``b`` …, each by a letter that its function does not use."""
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.Lambda)):
            continue
        inside = [node for node in ast.walk(function) if isinstance(node, (ast.Name, ast.arg))]
        used = {node.id if isinstance(node, ast.Name) else node.arg for node in inside}
        kept = {each.arg for node in ast.walk(function) if isinstance(node, ast.arguments) for each in _optional(node)}
        free = (letter for letter in string.ascii_lowercase if letter not in used)
        new = {each.arg: next(free) for each in _required(function.args) if each.arg in names - kept}
        for node in inside:
            if isinstance(node, ast.Name):
                node.id = new.get(node.id, node.id)
            else:
                node.arg = new.get(node.arg, node.arg)
