"""What a variable of Cookiecutter is called in Copier: its own name, unless that means something else there."""

import keyword
from collections.abc import Iterable

TAKEN = frozenset(
    {
        "cookiecutter", "now", "make_secret", "UNSET", "pathjoin", "loop", "self", "super", "caller", "varargs", "kwargs",
        "range", "dict", "lipsum", "cycler", "joiner", "namespace", "true", "false", "none", "True", "False", "None",
        "recursive", "context", "scoped", "ignore", "missing", "_done",
    }
)  # fmt: skip
"""Names that Jinja or Copier gives a meaning of its own."""
PRIVATE, RENDERED = "private", "computed"


def copier_names(variables: Iterable[str]) -> dict[str, str]:
    """Return the name in Copier of each variable, all different.

    Copier keeps names that begin with an underscore for its settings, so ``_x`` becomes ``private_x`` and ``__x``
    ``computed_x``.
    """
    given = list(variables)
    names = {name: name for name in given if _usable(name)}
    for name in given:
        if name in names:
            continue
        stem = name.lstrip("_")
        prefix = RENDERED if name.startswith("__") else PRIVATE if name.startswith("_") else ""
        word = (
            "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in stem).strip("_")
            or "variable"
        )
        names[name] = unused(f"{prefix}_{word}" if prefix else word, names.values())
    return {name: names[name] for name in given}


def unused(name: str, others: Iterable[str]) -> str:
    """Return a usable name that none of the others is: ``name``, or else ``name_2``, ``name_3`` …"""
    known = set(others)
    word = name if _usable(name) else f"{name}_"
    word = word if _usable(word) else f"variable_{word.strip('_')}"
    number, found = 1, word
    while found in known:
        number += 1
        found = f"{word}_{number}"
    return found


def _usable(name: str) -> bool:
    plain = name.isascii() and name.isidentifier() and not name.startswith("_")
    return plain and name not in TAKEN and not keyword.iskeyword(name)
