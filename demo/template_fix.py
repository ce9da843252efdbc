"""A fix of the template, as platform engineers make one: in a checkout of the platform, and released from there."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from demo.shell import Person

ROOT = Path(__file__).parents[1]
_ROOMS = ("templates", "scaffolder", "mlplatform")
_TEMPLATE = Path("templates") / "golden-path"
_IGNORED = (".ipynb_checkpoints/", "*.prof", "core.*", "scratch/")


def copy_checkout(folder: Path) -> Path:
    """Copy what a release is made from, so that the story leaves this checkout alone; return the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", ".*cache")
    for room in _ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=ignored)
    return folder


def ignore_more(checkout: Path, number: int) -> str:
    """Have git ignore one pattern more than the ``number`` fixes before this one did; return what it is for people."""
    patterns = [_IGNORED[index] if index < len(_IGNORED) else f"scratch-{index}/" for index in range(number + 1)]
    file = checkout / _TEMPLATE / "template" / ".gitignore"
    file.write_text(file.read_text(encoding="utf-8") + "".join(f"{one}\n" for one in patterns), encoding="utf-8")
    change = f"Git ignores `{patterns[-1]}`."
    changelog = checkout / _TEMPLATE / "CHANGELOG.md"
    head, mark, rest = changelog.read_text(encoding="utf-8").partition("## [Unreleased]\n")
    changelog.write_text(f"{head}{mark}\n### Changed\n\n- {change}\n{rest}", encoding="utf-8")
    return change


def release(operator: Person, checkout: Path, *options: str) -> dict[str, Any]:
    """Release the checkout's template with ``platform templates release``; return what it said."""
    there = replace(operator, folder=checkout, environment={**operator.environment, "PYTHONPATH": str(checkout)})
    return there.platform("templates", "release", *options).document
