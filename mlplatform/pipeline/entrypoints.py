"""Find the functions that ``model.yaml`` names, by reading the source; nothing of the repository is run."""

import ast
from collections.abc import Iterator
from pathlib import Path


def missing(entrypoint: str, repository: Path) -> tuple[str, str] | None:
    """Return what is wrong with ``package.module:function`` and how to put it right, or nothing."""
    module, _, function = entrypoint.partition(":")
    file = module_file(module, repository)
    if file is None:
        looked = f"src/{module.replace('.', '/')}.py"
        return f"there is no module {module} in this repository", f"make {looked}, or correct the name"
    where = file.relative_to(repository)
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        return f"{where} can't be parsed: {getattr(error, 'msg', error)}" + (f" (line {line})" if line else ""), ""
    names = set(_names(tree.body))
    if function in names or "*" in names:
        return None
    return f"{where} has no function {function}", f"define `def {function}(...)` there, or correct the name"


def module_file(module: str, repository: Path) -> Path | None:
    """Return the file of a module under ``src/`` or at the top of the repository."""
    for root in (repository / "src", repository):
        base = root.joinpath(*module.split("."))
        for file in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            if file.is_file():
                return file
    return None


def _names(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that a module's top level binds, also inside of ``if`` and ``try``."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0]
        elif isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
        elif isinstance(statement, ast.If | ast.With):
            yield from _names(statement.body + getattr(statement, "orelse", []))
        elif isinstance(statement, ast.Try):
            yield from _names(statement.body + statement.orelse + statement.finalbody)
            for handler in statement.handlers:
                yield from _names(handler.body)
