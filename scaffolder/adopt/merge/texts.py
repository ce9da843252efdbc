"""Add lines to ``.gitignore``, ``Makefile`` and ``mkdocs.yml``."""

import re
from collections.abc import Iterable, Mapping, Sequence

from scaffolder.adopt.merge.additions import below

MAKE_INCLUDE = "-include platform.mk"


def merged_ignore(before: str | None, wanted: str, tracked: Iterable[str]) -> tuple[str | None, list[str]]:
    """Return ``.gitignore`` with the lines that it lacks, and those that are left out because they hide tracked files.

    Nothing is returned where it needs no line.
    """
    from pathspec import PathSpec

    known = {line.strip() for line in (before or "").splitlines()}
    alike = known | {line.strip("/") for line in known}
    hides: list[str] = []
    added: list[str] = []
    files = list(tracked)
    for line in wanted.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#") or pattern in alike or pattern.strip("/") in alike:
            continue
        spec = PathSpec.from_lines("gitignore", [pattern])
        (hides if any(spec.match_file(path) for path in files) else added).append(pattern)
    if not added:
        return None, hides
    start = f"{below(before)}# The platform's\n" if before else ""
    return start + "".join(f"{pattern}\n" for pattern in added), hides


def merged_makefile(before: str | None) -> str | None:
    """Return a ``Makefile`` that includes the platform's targets after its own; nothing where it does already."""
    if before is None:
        return f"# The platform's targets; yours go above.\n{MAKE_INCLUDE}\n"
    if re.search(r"(?m)^-?s?include\s.*\bplatform\.mk\b", before):
        return None
    return f"{below(before)}{MAKE_INCLUDE}\n"


def targets(makefile: str) -> set[str]:
    """Return the targets that a ``Makefile`` defines; make's own special ones (``.PHONY``) are none."""
    found = {
        name for names in re.findall(r"(?m)^([A-Za-z0-9_./ -]+?)\s*::?(?![=])", makefile) for name in names.split()
    }
    return {name for name in found if not re.fullmatch(r"\.[A-Z_]+", name)}


def platform_mk(uv_version: str) -> str:
    """Return the platform's targets, under names of their own and with variables of their own."""
    return f"""# Added by `platform adopt`: the platform's targets, beside your own.
PLATFORM_UV_VERSION := {uv_version}
PLATFORM_UV ?= $(shell command -v uv || echo .tools/bin/uv)
PLATFORM_RUN := $(PLATFORM_UV) run --frozen --group gates
PLATFORM_ENV ?= staging

.PHONY: platform-check platform-gates platform-ship platform-generate

platform-check: $(PLATFORM_UV)  ## say what is missing in model.yaml and around it
	@$(PLATFORM_RUN) platform check

platform-gates: $(PLATFORM_UV)  ## train and run every gate; needs no platform
	@$(PLATFORM_RUN) platform run --until scan

platform-ship: $(PLATFORM_UV)  ## train, pass the gates, register and deploy (PLATFORM_ENV=staging)
	@$(PLATFORM_RUN) platform run --env $(PLATFORM_ENV)

platform-generate: $(PLATFORM_UV)  ## write what follows from model.yaml: API document, objectives, alerts, manifests
	@$(PLATFORM_RUN) platform generate

.tools/bin/uv:
	@echo "Installing uv $(PLATFORM_UV_VERSION) into .tools/ ..."
	@python3 -m venv .tools
	@.tools/bin/python -m pip install --quiet "uv==$(PLATFORM_UV_VERSION)"
"""


def uv_version(makefile: str) -> str:
    """Return the version of uv that the template's ``Makefile`` pins."""
    match = re.search(r"(?m)^UV_VERSION\s*:=\s*(\S+)", makefile)
    return match[1] if match else "0.13.9"


def merged_nav(before: str, pages: Mapping[str, str]) -> str | None:
    """Return ``mkdocs.yml`` with pages at the end of its navigation; nothing where that is not safe to do.

    A file without ``nav`` shows all pages by itself and needs nothing.
    """
    lines = before.split("\n")
    start = next((index for index, line in enumerate(lines) if re.match(r"^nav:\s*(#.*)?$", line)), None)
    missing = {title: page for title, page in pages.items() if page not in before}
    if start is None or not missing:
        return None
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith((" ", "-", "#"))):
        end += 1
    block = [index for index in range(start + 1, end) if lines[index].strip()]
    if not block:
        return None
    indent = lines[block[0]][: len(lines[block[0]]) - len(lines[block[0]].lstrip())]
    added = [f"{indent}- {title}: {page}" for title, page in missing.items()]
    merged = "\n".join([*lines[: block[-1] + 1], *added, *lines[block[-1] + 1 :]])
    return merged if _only_pages_added(before, merged, list(missing.values())) else None


def _only_pages_added(before: str, after: str, pages: Sequence[str]) -> bool:
    old, new = _plain(before), _plain(after)
    if not isinstance(old, dict) or not isinstance(new, dict) or not isinstance(old.get("nav"), list):
        return False
    count = len(old["nav"])
    added = [next(iter(item.values())) for item in new["nav"][count:] if isinstance(item, dict)]
    rest = {name: value for name, value in new.items() if name != "nav"}
    same = rest == {name: value for name, value in old.items() if name != "nav"}
    return same and new["nav"][:count] == old["nav"] and added == list(pages)


def _plain(text: str) -> object:
    """Read YAML for comparison; tags of mkdocs's extensions (``!!python/name``) are read as texts."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(re.sub(r"!!?(python|ENV|relative)\S*", "", text))
    except (YAMLError, ValueError, RecursionError):
        return None
