"""Other rooms of the platform, which an environment that only has the toolkit lacks."""

import importlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from mlplatform.cli.errors import CliError

_CONFIGURATION = ("app-config.yaml", "app-config.local.yaml")


def scaffolder(module: str, command: str) -> ModuleType:
    """Import a module of the scaffolder for a command.

    Raises:
        CliError: the scaffolder is not installed here.
    """
    if importlib.util.find_spec("scaffolder") is None:
        fix = "run it in the platform's own checkout or environment (the distribution ml-golden-path)"
        raise CliError(f"`{command}` needs the scaffolder, which is not installed in this environment", fix)
    return importlib.import_module(f"scaffolder.{module}")


def launcher() -> ModuleType:
    """Import what starts and stops the platform.

    Raises:
        CliError: the platform is not installed here.
    """
    if importlib.util.find_spec("backend") is None or importlib.util.find_spec("backend.local") is None:
        fix = "run it in the platform's own checkout or environment (the distribution ml-golden-path)"
        raise CliError("the platform itself is not installed in this environment", fix)
    return importlib.import_module("backend.local.cli_api")


def policy_cases(configs: Sequence[Path], cases: Sequence[Path]) -> list[dict[str, Any]]:
    """Return what came of putting test cases to the access policies of a configuration.

    Raises:
        CliError: the platform is not installed here, or its configuration or policies are wrong.
    """
    launcher()
    files = importlib.import_module("backend.core.config_files")
    try:
        settings = importlib.import_module("backend.core.config").load_settings(configuration(configs), os.environ)
        outcomes = importlib.import_module("backend.access.cases").run(settings, list(cases))
    except files.ConfigError as error:
        raise CliError("the configuration can't be used", "\n".join(error.faults)) from None
    return [asdict(one) for one in outcomes]


def configuration(named: Sequence[Path]) -> list[Path]:
    """Return the platform's configuration files: those that are named, else those of the current folder."""
    chosen = list(named) or [Path(name) for name in _CONFIGURATION if Path(name).is_file()]
    return [path.resolve() for path in chosen]
