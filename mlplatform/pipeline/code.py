"""Run the repository's own functions: training and data loading, as ``model.yaml`` names them."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlplatform.bytecode import kept_out_of_artefacts
from mlplatform.pipeline.errors import StageRefused


@contextmanager
def inside(repository: Path) -> Iterator[None]:
    """Be in the repository, with its ``src`` folder first on the import path, and leave both as they were."""
    before, path = Path.cwd(), list(sys.path)
    sys.path[:0] = [str(folder) for folder in (repository / "src", repository) if folder.is_dir()]
    importlib.invalidate_caches()
    os.chdir(repository)
    try:
        with kept_out_of_artefacts():
            yield
    finally:
        os.chdir(before)
        sys.path[:] = path


def function(entrypoint: str, *, field: str, repository: Path) -> Callable[..., Any]:
    """Import ``package.module:function``.

    Raises:
        StageRefused: the module can't be imported or has no such function.
    """
    module_name, _, name = entrypoint.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise StageRefused(
            f"{field}: importing {module_name} failed: {explain(error, repository)}",
            fix=_import_fix(error, module_name),
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise StageRefused(f"{field}: {module_name} has no function {name}", fix=f"correct {field} in model.yaml")
    called: Callable[..., Any] = found
    return called


def explain(error: BaseException, repository: Path) -> str:
    """Return an exception in one line, with the place in the repository's code where it came from."""
    text = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_relative_to(repository) and ".venv" not in file.parts:
            return f"{line} ({file.relative_to(repository)}:{frame.lineno})"
    return line


def _import_fix(error: Exception, module_name: str) -> str | None:
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    if module_name == error.name or module_name.startswith(f"{error.name}."):
        return "the module must lie under src/ or at the top of the repository"
    return f"add the dependency that provides {error.name}: `uv add {error.name}`"
