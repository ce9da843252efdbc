"""Make again what the template takes from its dependencies and from the toolkit.

That is ``uv.lock`` (one for each set of dependencies that the answers can ask for, merged into one template), the names that
would shadow a dependency, and the OpenAPI document of the model server. For maintainers, when dependencies, ``model.yaml``
or the server's OpenAPI document change: ``python -m scaffolder.lock``, with ``--upgrade`` to take newer versions of packages
too. A test says when it is due. Anything else in the toolkit may change without it: the lock's template leaves the wheel's
name and digest open, and each release fills them in.
"""

import argparse
import json
import keyword
import re
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

from scaffolder import lock_merge, release, toolkit
from scaffolder.errors import ScaffoldError
from scaffolder.git import first_commit

LOCK = release.TEMPLATES / release.TEMPLATE / "template" / "uv.lock.jinja"
OPENAPI = release.TEMPLATES / release.TEMPLATE / "template" / "{{ realtime }}" / "openapi.json.jinja"
RESERVED = release.TEMPLATES / release.TEMPLATE / "reserved.yml"
VARIANTS: dict[str, dict[str, str]] = {
    "realtime": {"type": "realtime"},
    **{f"batch-{engine}": {"type": "batch", "engine": engine} for engine in ("polars", "ray")},
    **{f"streaming-{broker}": {"type": "streaming", "broker": broker} for broker in ("nats", "kafka", "redis")},
}
"""Each set of dependencies that a repository may have, and the answers that ask for it; ``variant`` in the template."""
_NAME = "lock-maker-placeholder"
_DESCRIPTION = "Lock maker's description."
_OWNER = "group:default/lock-maker"
_OWN_FOLDERS = {
    "src",
    "tests",
    "test",
    "docs",
    "build",
    "dist",
    "vendor",
    "site",
    "mlplatform",
    "platform",
    "model",
    "params",
}


@dataclass(frozen=True)
class Made:
    """The text of each file."""

    lock: str
    reserved: str
    openapi: str


def main() -> int:
    """Write the files, and say which changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    arguments = parser.parse_args()
    try:
        made = make(upgrade=arguments.upgrade)
    except ScaffoldError as fault:
        sys.stderr.write(f"error: {fault.message}\n")
        return 1
    for path, text in ((LOCK, made.lock), (RESERVED, made.reserved), (OPENAPI, made.openapi)):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.name}: {'unchanged' if before == text else 'written'}\n")
    return 0


def make(*, upgrade: bool = False) -> Made:
    """Return the files as they should be now; versions that the present lock has are kept unless ``upgrade``."""
    with tempfile.TemporaryDirectory(prefix="lock-") as temporary:
        folder = Path(temporary)
        sources = toolkit.read_sources()
        built = toolkit.build(sources, folder / "toolkit")
        template = _template(folder / "template", built, sources)
        locks: dict[str, str] = {}
        for variant, answers in VARIANTS.items():
            repository = _rendered(template, folder / variant, answers)
            locks[variant] = _locked(repository, _before(variant, built, locks, upgrade=upgrade))
        openapi = _openapi(folder / "realtime")
    try:
        merged = lock_merge.merge(locks)
    except ValueError as fault:
        raise ScaffoldError(f"the locks can't be merged: {fault}") from fault
    return Made(lock=_opened(merged, built), reserved=_reserved(merged), openapi=openapi)


def _template(folder: Path, built: toolkit.Toolkit, sources: dict[str, bytes]) -> Path:
    """Return the template as it is, without what is made here (it may be missing or stale)."""
    files = release.read_template()
    files["reserved.yml"] = (b"reserved_names:\n  type: str\n  when: false\n  default: ''\n", False)
    files.pop("template/uv.lock.jinja", None)
    release.assemble(folder, built, files, sources)
    first_commit(folder, "template")
    return folder


def _rendered(template: Path, folder: Path, answers: dict[str, str]) -> Path:
    import copier

    data = {"name": _NAME, "description": _DESCRIPTION, "owner": _OWNER, **answers}
    copier.run_copy(str(template), folder, data=data, defaults=True, quiet=True, vcs_ref="HEAD")
    return folder


def _before(variant: str, built: toolkit.Toolkit, locks: dict[str, str], *, upgrade: bool) -> str | None:
    """Return the lock whose versions are preferred: the variant's present one, or that of the first variant.

    The latter keeps versions alike among variants that are resolved one after the other.
    """
    if not upgrade and LOCK.is_file():
        text = lock_merge.render(LOCK.read_text(encoding="utf-8"), variant=variant, **_filled_in(built))
        if text.strip():
            return text
    return next(iter(locks.values()), None)


def _locked(repository: Path, before: str | None) -> str:
    path = repository / "uv.lock"
    if before is not None:
        path.write_text(before, encoding="utf-8")
    _uv("lock", folder=repository)
    return path.read_text(encoding="utf-8")


def _filled_in(built: toolkit.Toolkit) -> dict[str, str]:
    return {
        "name": _NAME,
        "toolkit_wheel": built.wheel.name,
        "toolkit_sha256": built.sha256,
        "toolkit_version": built.version,
    }


def _opened(text: str, built: toolkit.Toolkit) -> str:
    """Return the lock with what the answers and the release fill in left open."""
    for variable, part in _filled_in(built).items():
        if variable == "toolkit_version":
            continue
        if part not in text:
            raise ScaffoldError(f"uv wrote a lock without {part}; has its format changed?")
        text = text.replace(part, f"{{{{ {variable} }}}}")
    opened, count = re.subn(
        rf'(name = "mlplatform"\nversion = )"{re.escape(built.version)}"', r'\1"{{ toolkit_version }}"', text
    )
    if not count:
        raise ScaffoldError("uv wrote a lock that can't be made a template; has its format changed?")
    return opened


def _reserved(lock: str) -> str:
    """Names of the standard library, of every locked distribution and of the modules that those bring (where known here)."""
    distributions = set(re.findall(r'^name = "([^"]+)"$', lock, flags=re.MULTILINE)) - {_NAME}
    modules = {
        module.lower()
        for module, owners in packages_distributions().items()
        if any(re.sub(r"[-_.]+", "-", owner).lower() in distributions for owner in owners)
    }
    names = {name.lower() for name in (*sys.stdlib_module_names, *keyword.kwlist, *keyword.softkwlist)}
    names |= distributions | {name.replace("-", "_") for name in distributions} | modules | _OWN_FOLDERS
    usable = sorted(name for name in names if re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name))
    lines = textwrap.wrap(" ".join(usable), width=110, break_on_hyphens=False)
    # One string: Copier would render every item of a list as a template of its own.
    head = ["reserved_names:", "  type: str", "  when: false", "  default: >-"]
    return "\n".join([*head, *(f"    {line}" for line in lines)]) + "\n"


def _openapi(repository: Path) -> str:
    from mlplatform.generate.render import OPENAPI as PATH
    from mlplatform.generate.render import render
    from mlplatform.spec.load import load_spec

    text = render(load_spec(repository))[PATH]
    if "{{" in text or "{%" in text or "{#" in text:
        raise ScaffoldError("the OpenAPI document holds what Jinja would take for its own")
    for value, variable in ((_DESCRIPTION, "description"), (_OWNER, "owner")):
        text = text.replace(json.dumps(value), f"{{{{ {variable} | to_json(ensure_ascii=false) }}}}")
    return text.replace(_NAME, "{{ name }}")


def _uv(*arguments: str, folder: Path) -> None:
    from uv import find_uv_bin

    process = subprocess.run(
        [find_uv_bin(), *arguments, "--no-progress", "--project", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        raise ScaffoldError(f"uv {arguments[0]} failed: {process.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
