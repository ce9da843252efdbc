"""Which names a model repository may have, checked before anything is written.

A name becomes a folder, a Python package, a distribution, a Backstage entity, a DNS label and a URL path segment. The
same rules stand in the template's ``copier.yml`` for those who use Copier by hand; a test holds both to the same answers.
"""

import re
from functools import cache
from pathlib import Path

from scaffolder.errors import InvalidAnswer

NAME_LENGTH = 63
ANSWERS_FILE = ".copier-answers.yml"
"""The file by which a repository that came from a template is known."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
RESERVED_FILE = Path(__file__).parent.parent / "templates" / "golden-path" / "reserved.yml"


def check_name(name: str) -> str:
    """Return the name if a model repository may have it.

    Raises:
        InvalidAnswer: it may not; the message says why and what would do.
    """
    if len(name) > NAME_LENGTH:
        raise InvalidAnswer(
            f"the name {shortened(name)} has {len(name)} characters; at most {NAME_LENGTH} are possible",
            fix="choose a shorter name",
        )
    if not _NAME.fullmatch(name):
        raise InvalidAnswer(
            f"{shortened(name)} can't be a model's name: only lower-case letters, digits and single hyphens between them",
            fix=f"for example {suggestion(name)}",
        )
    if {name, name.replace("-", "_")} & reserved_names():
        raise InvalidAnswer(
            f"{name!r} is the name of something that Python or the repository's dependencies already use",
            fix=f"for example {name[: NAME_LENGTH - 6].rstrip('-')}-model",
        )
    return name


def package_name(name: str) -> str:
    """Return the Python package that a model of this name has."""
    return ("model_" if name[0].isdigit() else "") + name.replace("-", "_")


def suggestion(name: str) -> str:
    """Return the legal name nearest to an illegal one."""
    words = re.findall(r"[a-z0-9]+", name.lower()[:200])
    return "-".join(words)[:NAME_LENGTH].strip("-") or "credit-risk"


def shortened(text: str, length: int = 60) -> str:
    """Return the text quoted for a message, without control characters and not longer than is good to read."""
    return repr(text if len(text) <= length else f"{text[:length]}...")


@cache
def reserved_names() -> frozenset[str]:
    """Names that would shadow a module or distribution that the generated repository needs."""
    return frozenset(RESERVED_FILE.read_text(encoding="utf-8").partition("default: >-")[2].split())
