"""Several lock files as one Jinja template: what they share stands there once, exactly as uv wrote it.

A lock file is a head and a list of ``[[package]]`` tables in a fixed order. Heads and tables that are the same in all variants
stand bare; others stand between ``{% if variant in … %}`` and ``{% endif %}``. For each variant the template renders to its
lock file, byte for byte.
"""

import re
from collections.abc import Mapping
from typing import Any

from packaging.version import Version

VARIABLE = "variant"
_TABLE = "[[package]]\n"
_PACKAGE = re.compile(
    r'\[\[package\]\]\nname = "(?P<name>[^"]+)"\n(?:version = "(?P<version>[^"]+)"\n)?source = (?P<source>[^\n]+)\n'
)


def merge(locks: Mapping[str, str]) -> str:
    """Return the template of lock files by their variants.

    Raises:
        ValueError: a text has not the form that uv writes, or holds what Jinja would take for its own.
    """
    variants = tuple(locks)
    parts: dict[tuple[Any, ...], dict[str, list[str]]] = {}
    for variant, text in locks.items():
        if re.search(r"\{[{%#]", text):
            raise ValueError("a lock file holds what Jinja would take for its own")
        head, *tables = re.split(r"^(?=\[\[package\]\]\n)", text, flags=re.MULTILINE)
        for key, part in [((), head), *((_key(table), table) for table in tables)]:
            parts.setdefault(key, {}).setdefault(part, []).append(variant)
    merged = "".join(
        _conditional(part, of, variants)
        for _key_, alternatives in sorted(parts.items())
        for part, of in alternatives.items()
    )
    for variant, text in locks.items():
        if render(merged, **{VARIABLE: variant}) != text:
            raise ValueError(f"the lock of {variant} can't be told from the merged one; has uv's format changed?")
    return merged


def render(template: str, **answers: str) -> str:
    """Return what Copier makes of a merged template."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    return environment.from_string(template).render(**answers)


def _key(table: str) -> tuple[Any, ...]:
    found = _PACKAGE.match(table)
    if found is None:
        raise ValueError(f"not a package table: {table[:60]!r}")
    version = found["version"]
    return found["name"], Version(version) if version else Version("0"), found["source"]


def _conditional(part: str, of: list[str], variants: tuple[str, ...]) -> str:
    if tuple(of) == variants:
        return part
    named = ", ".join(f"'{variant}'" for variant in of)
    return f"{{% if {VARIABLE} in [{named}] %}}\n{part}{{% endif %}}\n"
