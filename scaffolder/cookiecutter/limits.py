"""How large a template may be, and how much its rendering may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on a stranger's template; the defaults are far above what real ones need."""

    files: int = 20_000
    file_bytes: int = 16 << 20
    """Of one file, in the template or rendered."""
    total_bytes: int = 256 << 20
    context_bytes: int = 1 << 20
    """Of ``cookiecutter.json``."""
    questions: int = 1_000
    depth: int = 40
    """Folders in folders."""
    template_bytes: int = 4 << 20
    """Of a text file that is rendered; larger ones are no templates that a person wrote."""
    seconds: float = 120.0
    """Of one rendering, and of one clone."""
    memory_bytes: int = 2 << 30
    """Of the process that renders."""


DEFAULT = Limits()
