"""Entity references: ``[kind:][namespace/]name``, compared without regard to case, as Backstage does."""

import re

DEFAULT_NAMESPACE = "default"
_REF = re.compile(r"^(?:(?P<kind>[^:/]+):)?(?:(?P<namespace>[^:/]+)/)?(?P<name>[^:/]+)$")


def make_ref(kind: str, namespace: str, name: str) -> str:
    """Return the canonical reference of an entity."""
    return f"{kind}:{namespace}/{name}".lower()


def full_ref(text: str, *, kind: str, namespace: str = DEFAULT_NAMESPACE) -> str:
    """Return a reference in its canonical form, with what it leaves out filled in.

    Raises:
        ValueError: it is no reference.
    """
    match = _REF.match(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no entity reference; write [kind:][namespace/]name")
    return make_ref(match["kind"] or kind, match["namespace"] or namespace, match["name"])
