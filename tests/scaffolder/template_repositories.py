"""Small templates for tests, each a git repository made of a few texts."""

import importlib.util
import os
import subprocess
from pathlib import Path

from scaffolder.release import Release

ANSWERS = {"{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}"}


def git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *names, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_template(
    folder: Path, files: dict[str, str], *, tag: str = "v1.0.0", links: dict[str, str] | None = None
) -> Release:
    """Make a template of these files, or the next version of one that is there already."""
    if not folder.exists():
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
    for name, text in {**ANSWERS, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, target in (links or {}).items():
        (folder / name).symlink_to(target)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", tag)
    git(folder, "tag", tag)
    return Release(folder, tag, f"https://templates.example.org/{folder.name}.git")


def pypackage_template() -> Path:
    """Return the template that the distribution ``cookiecutter-pypackage`` carries, which others wrote."""
    spec = importlib.util.find_spec("cookiecutter_pypackage")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], "template")
