"""What Cookiecutter's own Jinja extensions bring, said with what Copier has.

Cookiecutter 2.7 loads ``jsonify``, ``random_ascii_string``, ``slugify``, ``{% now %}`` and ``uuid4`` into every template.
Copier has Jinja's own filters and those of jinja2-ansible-filters.
"""

import string
from collections.abc import Callable
from typing import Any

from scaffolder.cookiecutter.syntax import Syntax, quoted

EXTENSIONS = frozenset(
    {
        "cookiecutter.extensions.JsonifyExtension",
        "cookiecutter.extensions.RandomStringExtension",
        "cookiecutter.extensions.SlugifyExtension",
        "cookiecutter.extensions.TimeExtension",
        "cookiecutter.extensions.UUIDExtension",
        "jinja2_time.TimeExtension",
        "jinja2.ext.do",
        "jinja2.ext.with_",
        "jinja2.ext.autoescape",
        "jinja2.ext.loopcontrols",
    }
)
"""Extensions whose effects are converted, so that naming them needs no word."""
_UNITS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_DATE = "%Y-%m-%d"


def _random_ascii_string(syntax: Syntax, arguments: str) -> tuple[str, str]:
    length, _, punctuation = arguments.partition(",")
    letters = string.ascii_letters
    choice = quoted(letters)
    if punctuation.strip():
        condition = punctuation.strip().removeprefix("punctuation").lstrip().removeprefix("=").strip()
        choice = f"({quoted(letters + string.punctuation)} if {condition} else {quoted(letters)})"
    count = length.strip().removeprefix("length").lstrip().removeprefix("=").strip()
    return "random_string", _repeated(syntax, f"range({count})", syntax.variable(f"{choice} | ans_random"))


def _uuid4(syntax: Syntax, _arguments: str) -> tuple[str, str]:
    """Return a random UUID of version 4 (RFC 9562, section 5.4)."""
    digits = syntax.variable("'0123456789abcdef' | ans_random")
    parts = [_repeated(syntax, f"range({count})", digits) for count in (8, 4, 3, 3, 12)]
    parts[2] = f"4{parts[2]}"
    parts[3] = syntax.variable("'89ab' | ans_random") + parts[3]
    return "random_uuid", "-".join(parts)


def _repeated(syntax: Syntax, over: str, body: str) -> str:
    return f"{syntax.block(f'for _ in {over}')}{body}{syntax.block('endfor')}"


FUNCTIONS: dict[str, Callable[[Syntax, str], tuple[str, str]]] = {
    "random_ascii_string": _random_ascii_string,
    "uuid4": _uuid4,
}
"""Functions by name: from the text of a call's arguments to a name for the value and the template that makes it."""


def slugify(syntax: Syntax, written: str) -> str:
    """Return the chain of filters that does for ASCII what ``slugify(...)`` of python-slugify does.

    Raises:
        ValueError: it is called with arguments that no chain of filters stands for.
    """
    from jinja2 import Environment, nodes

    tree = Environment().parse("{{ x | " + written + " }}")  # noqa: S701
    call = next(node for node in tree.find_all(nodes.Filter) if node.name == "slugify")
    try:
        options: dict[str, Any] = {str(pair.key): pair.value.as_const() for pair in call.kwargs}
    except nodes.Impossible:
        raise ValueError("`slugify` is called with arguments that are computed") from None
    separator, lower = options.pop("separator", "-"), options.pop("lowercase", True)
    for name in ("entities", "decimal", "hexadecimal"):
        options.pop(name, None)
    if call.args or options or call.dyn_args or call.dyn_kwargs or not isinstance(separator, str):
        raise ValueError(f"`slugify` is called with {', '.join(options) or 'arguments by position'}")
    chain = [
        "regex_replace('[\\']+', '-')",
        *(["lower"] if lower else []),
        "regex_replace('(?<=[0-9]),(?=[0-9])', '')",
        f"regex_replace('[^-a-z0-9{'' if lower else 'A-Z'}]+', '-')",
        "regex_replace('--+', '-')",
        "trim('-')",
    ]
    return " | ".join([*chain, *([f"replace('-', {quoted(separator)})"] if separator != "-" else [])])


def now(written: str) -> tuple[str, str, int]:
    """Return time zone, format and shift in seconds of a ``now`` tag, given from its name on.

    Raises:
        ValueError: something in it is computed, or shifts by months or years, which have no fixed length.
    """
    from jinja2 import Environment, nodes

    expression = written.strip().removeprefix("now").strip()
    tree = Environment().parse("{{ (" + expression + ",) }}")  # noqa: S701
    parts = next(iter(tree.find_all(nodes.Tuple))).items
    first, shift = parts[0], 0
    try:
        if isinstance(first, nodes.Add | nodes.Sub):
            sign = 1 if isinstance(first, nodes.Add) else -1
            shift = sign * _shift(str(first.right.as_const()))
            first = first.left
        zone = str(first.as_const())
        format_ = str(parts[1].as_const()) if len(parts) > 1 else _DATE
    except nodes.Impossible:
        raise ValueError("`now` is called with something that is computed") from None
    return zone, _DATE if format_ == "None" else format_, shift


def _shift(text: str) -> int:
    seconds = 0.0
    for part in text.split(","):
        unit, _, number = part.partition("=")
        if unit.strip() not in _UNITS:
            raise ValueError(f"`now` is shifted by {unit.strip()}, which have no fixed length")
        seconds += _UNITS[unit.strip()] * float(number)
    return round(seconds)
