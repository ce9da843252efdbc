"""The golden path's content as templates of other tools.

Converted mechanically from what it renders to: where a file of the template is rendered, the model's name becomes the other
tool's variable; files that are only copied stay files that are only copied. So every tool reads, renders and writes the same.
"""

import json
from pathlib import Path

NAME = "churn"


def rendered_paths(template: Path, made: Path) -> set[str]:
    """Return the files of a made repository that came from a rendered file of the template, by their name."""
    names = {path.name.removesuffix(".jinja") for path in template.rglob("*.jinja")}
    names.add(".copier-answers.yml")
    return {
        path.relative_to(made).as_posix()
        for path in made.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(made).parts and path.name in names
    }


def cookiecutter(made: Path, rendered: set[str], folder: Path) -> Path:
    """Write a Cookiecutter template of a made repository, and return its folder."""
    top = folder / "{{cookiecutter.name}}"
    copied = []
    for path, content in _files(made):
        target = top / path.replace(NAME, "{{cookiecutter.name}}")
        if path in rendered:
            text = content.decode().replace("{{", "\0").replace("{%", "{{ '{%' }}").replace("{#", "{{ '{#' }}")
            content = text.replace("\0", "{{ '{{' }}").replace(NAME, "{{cookiecutter.name}}").encode()
        else:
            copied.append(target.relative_to(folder).as_posix().replace("{{cookiecutter.name}}", NAME))
            copied.append(path.replace(NAME, "*"))
        _write(target, content)
    (folder / "cookiecutter.json").write_text(json.dumps({"name": NAME, "_copy_without_render": sorted(set(copied))}))
    return folder


def fetch_template(made: Path, rendered: set[str], folder: Path) -> Path:
    """Write a skeleton for Backstage's ``fetch:template``, and return its folder; rendered files end with ``.njk``."""
    for path, content in _files(made):
        target = folder / path.replace(NAME, "${{ values.name }}")
        if path in rendered:
            text = content.decode().replace("${{", "\0").replace("{%", "${{ '{%' }}").replace("{#", "${{ '{#' }}")
            content = text.replace("\0", "${{ '${{' }}").replace(NAME, "${{ values.name }}").encode()
            target = target.with_name(f"{target.name}.njk")
        _write(target, content)
    return folder


def _files(made: Path) -> list[tuple[str, bytes]]:
    files = (path for path in sorted(made.rglob("*")) if path.is_file())
    found = ((path.relative_to(made), path) for path in files)
    return [(name.as_posix(), path.read_bytes()) for name, path in found if ".git" not in name.parts]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
