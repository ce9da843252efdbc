"""The Jinja environment of the sources: Copier's, with nothing in it that the sources don't need.

Copier brings its filters by jinja2-ansible-filters, which is under the GPL and would have to be in every model
repository. So the few that are used stand here, by the same names; a test holds both doors to the same bytes.
"""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

FILES = Path(__file__).with_name("files")
PREFIX = "generate"
"""How sources name each other, whichever folder they lie in: ``generate/_text.jinja``."""
SUFFIX = ".jinja"
ENVOPS = {"keep_trailing_newline": True, "trim_blocks": True, "lstrip_blocks": True}


@cache
def environment(files: Path = FILES) -> SandboxedEnvironment:
    """Return the environment that renders the sources in ``files``; it keeps what it has compiled."""
    made = SandboxedEnvironment(
        loader=PrefixLoader({PREFIX: FileSystemLoader(files)}),
        undefined=StrictUndefined,
        autoescape=False,  # none of the files is HTML; strings are written as JSON
        **ENVOPS,
    )
    made.filters |= {
        "to_json": json.dumps,
        "to_nice_json": _nice_json,
        "from_json": json.loads,
        "combine": _combine,
        "hash": _hash,
        "regex_replace": _regex_replace,
        "regex_search": _regex_search,
    }
    return made


def _nice_json(value: Any, indent: int = 4, sort_keys: bool = True, ensure_ascii: bool = True) -> str:
    return json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=ensure_ascii, separators=(",", ": "))


def _combine(first: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    combined = dict(first)
    for other in others:
        combined |= other
    return combined


def _hash(value: str, kind: str) -> str:
    return hashlib.new(kind, value.encode()).hexdigest()


def _regex_replace(value: str, pattern: str, replacement: str) -> str:
    return re.sub(pattern, replacement, value)


def _regex_search(value: str, pattern: str) -> str | None:
    match = re.search(pattern, value)
    return match.group() if match else None
