"""Which files of a project import which: read from the sources, so that imports inside of functions count too."""

import ast
import sys
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple


def graph(root: Path, files: Iterable[str]) -> Dict[str, List[str]]:
    """Return for each of `files`, and each file that they lead to, the files below `root` that it imports."""
    modules = Modules(root)
    edges: Dict[str, List[str]] = {}
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file in edges:
            continue
        edges[file] = sorted(modules.imported_by(file) - {file})
        waiting.extend(edges[file])
    return edges


class Modules:
    """Finds the file of a module's name."""

    def __init__(self, root: Path):
        self._root = root
        self._loaded: Dict[str, str] = {}
        self._packages: Dict[str, str] = {}
        self._found: Dict[str, Optional[str]] = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            relative = self._below(file) if isinstance(file, str) else None
            if relative is not None and relative.endswith(".py"):
                self._loaded[name] = relative
                package = getattr(module, "__package__", None)
                if isinstance(package, str):
                    self._packages[relative] = package
        self._folders = [folder for entry in sys.path if (folder := self._folder(entry)) is not None]

    def imported_by(self, file: str) -> Set[str]:
        """Return the project's files that a file imports, with the packages that lead to them."""
        try:
            tree = ast.parse((self._root / file).read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return set()
        found: Set[str] = set()
        for name, members in wanted(tree, self._package_of(file)):
            for candidate in [*lineage(name), *(f"{name}.{member}" for member in members)]:
                target = self._file_of(candidate)
                if target is not None:
                    found.add(target)
        return found

    def _file_of(self, name: str) -> Optional[str]:
        if name in self._loaded:
            return self._loaded[name]
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> Optional[str]:
        path = name.replace(".", "/")
        for folder in self._folders:
            for candidate in (folder / f"{path}.py", folder / path / "__init__.py"):
                if candidate.is_file():
                    return self._below(str(candidate))
        return None

    def _package_of(self, file: str) -> str:
        if file in self._packages:
            return self._packages[file]
        folder = (self._root / file).parent
        parts: List[str] = []
        while (folder / "__init__.py").is_file() and folder != self._root:
            parts.insert(0, folder.name)
            folder = folder.parent
        return ".".join(parts)

    def _below(self, path: str) -> Optional[str]:
        try:
            return Path(path).resolve().relative_to(self._root).as_posix()
        except (OSError, ValueError):
            return None

    def _folder(self, entry: str) -> Optional[Path]:
        folder = Path(entry or ".").resolve()
        inside = folder == self._root or self._root in folder.parents
        return folder if inside and folder.is_dir() else None


def wanted(tree: ast.AST, package: str) -> Iterator[Tuple[str, List[str]]]:
    """Yield each module that a source asks for, with the names taken from it, which may be modules too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom):
            name = absolute(node.module, node.level, package)
            if name:
                yield name, [alias.name for alias in node.names if alias.name != "*"]
        elif isinstance(node, ast.Assign) and any(is_plugins(target) for target in node.targets):
            for constant in ast.walk(node.value):
                if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                    yield constant.value, []


def is_plugins(target: ast.AST) -> bool:
    """Say whether an assignment is the one by which pytest loads further modules."""
    return isinstance(target, ast.Name) and target.id == "pytest_plugins"


def absolute(module: Optional[str], level: int, package: str) -> str:
    """Resolve a relative import."""
    if level == 0:
        return module or ""
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - (level - 1)] if level > 1 else parts
    return ".".join([*parts, *([module] if module else [])])


def lineage(name: str) -> Iterator[str]:
    """Yield a module's packages and the module itself: importing it executes all of them."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])
