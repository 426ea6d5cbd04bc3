"""The package's own source as data: modules and what they import."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = 'pose_estimation_ros'


@dataclass(frozen=True)
class Import:
    """One imported module, and whether it is imported as soon as the importer is."""

    name: str
    at_module_level: bool

    @property
    def top(self):
        return self.name.split('.')[0]

    @property
    def part(self):
        """The part of our package that is imported, e.g. 'core'; None for the package itself."""
        return part_of(self.name)


def part_of(module):
    """Return 'core' for 'pose_estimation_ros.core.camera', None for 'pose_estimation_ros'."""
    return (module.split('.') + [None])[1]


@cache
def modules():
    """Return the path of every module of the package by dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob('*.py')):
        parts = path.relative_to(ROOT).with_suffix('').parts
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return found


@cache
def imports_of(module):
    """Return everything that a module imports, also inside functions and by name in a string."""
    path = modules()[module]
    tree = ast.parse(path.read_text(), str(path))
    delayed = {child for node in ast.walk(tree)
               if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
               for child in ast.walk(node)}
    typing_only = {child for node in ast.walk(tree)
                   if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.dump(node.test)
                   for statement in node.body for child in ast.walk(statement)}
    package = module if path.name == '__init__.py' else module.rpartition('.')[0]
    found = []
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = _from_names(node, package)
        elif isinstance(node, ast.Constant) and _names_our_module(node.value):
            names = [node.value.partition(':')[0]]
        else:
            continue
        by_string = isinstance(node, ast.Constant)
        found += [Import(name, node not in delayed and not by_string) for name in names]
    return found


def reachable_imports(start, at_module_level_only):
    """Return each module that importing or running `start` can load, with one importer of it."""
    known = modules()
    importer = {start: None}
    open_modules = [start]
    while open_modules:
        module = open_modules.pop()
        for item in imports_of(module):
            if at_module_level_only and not item.at_module_level:
                continue
            if item.name not in importer:
                importer[item.name] = module
                if item.name in known:
                    open_modules.append(item.name)
    return importer


def _from_names(node, package):
    base = node.module or ''
    if node.level:
        parents = package.split('.')[:len(package.split('.')) - node.level + 1]
        base = '.'.join([*parents, base] if base else parents)
    if base.split('.')[0] != PACKAGE:
        return [base]
    known = modules()
    below = [f'{base}.{alias.name}' for alias in node.names if f'{base}.{alias.name}' in known]
    return [base, *below]


def _names_our_module(value):
    return (isinstance(value, str) and value.startswith(f'{PACKAGE}.')
            and value.partition(':')[0] in modules())
