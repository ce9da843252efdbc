"""Other rooms of the platform, which an environment that only has the toolkit lacks."""

import importlib
import importlib.util
from types import ModuleType

from mlplatform.cli.errors import CliError


def scaffolder(module: str, command: str) -> ModuleType:
    """Import a module of the scaffolder for a command.

    Raises:
        CliError: the scaffolder is not installed here.
    """
    if importlib.util.find_spec("scaffolder") is None:
        fix = "run it in the platform's own checkout or environment (the distribution ml-golden-path)"
        raise CliError(f"`{command}` needs the scaffolder, which is not installed in this environment", fix)
    return importlib.import_module(f"scaffolder.{module}")
