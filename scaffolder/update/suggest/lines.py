"""Rules that look at lines alone."""

from scaffolder.update.models import Hunk, Suggestion

_HASH = (".py", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".sh", ".mk", ".txt", ".tf", ".rego")
_HASH_NAMES = ("Makefile", "Dockerfile", "CODEOWNERS", ".gitignore", ".dockerignore", ".env", ".editorconfig")
_SLASHES = (".js", ".ts", ".tsx", ".jsonc", ".go", ".proto", ".css")
_SETS = (".gitignore", ".dockerignore", ".helmignore", ".prettierignore")


def same_change(_path: str, hunk: Hunk) -> Suggestion | None:
    """Both sides wrote the same, apart from white space at the ends of lines and empty lines."""
    if _bare(hunk.ours) != _bare(hunk.theirs):
        return None
    return Suggestion("same-change", "Both sides made the same change, apart from white space.", text=hunk.theirs)


def one_side_cosmetic(path: str, hunk: Hunk) -> Suggestion | None:
    """One side only changed white space or comments: the other side's lines do what both wanted."""
    if not hunk.base:
        return None
    if cosmetic_only(path, hunk.base, hunk.theirs):
        reason = "The template only changed white space or comments here, so the repository's lines lose nothing."
        return Suggestion("cosmetic", reason, text=hunk.ours)
    if cosmetic_only(path, hunk.base, hunk.ours):
        reason = (
            "The repository only changed white space or comments here; the template's lines do what it wants them to."
        )
        return Suggestion("cosmetic", reason, text=hunk.theirs)
    return None


def only_added(_path: str, hunk: Hunk) -> Suggestion | None:
    """One side only added lines before or after those that the other side changed: both changes fit side by side."""
    if not hunk.base.strip():
        return None
    for adding, changing, who in (
        (hunk.ours, hunk.theirs, "The repository only added lines"),
        (hunk.theirs, hunk.ours, "The template only added lines"),
    ):
        base, lines, other = (_ended(side).splitlines(keepends=True) for side in (hunk.base, adding, changing))
        if len(lines) <= len(base):
            continue
        if lines[: len(base)] == base:
            text = "".join([*other, *lines[len(base) :]])
            return Suggestion("added", f"{who} after these; they follow the other side's.", text=text)
        if lines[-len(base) :] == base:
            text = "".join([*lines[: -len(base)], *other])
            return Suggestion("added", f"{who} before these; they precede the other side's.", text=text)
    return None


def line_set(path: str, hunk: Hunk) -> Suggestion | None:
    """The file is a set of lines whose order says nothing: what either side added or removed holds."""
    if path.rpartition("/")[2] not in _SETS:
        return None
    ours, base, theirs = (_bare(side) for side in (hunk.ours, hunk.base, hunk.theirs))
    if any(line.startswith("!") for line in (*ours, *theirs)):
        return None
    merged = [line for line in theirs if line in ours or line not in base]
    merged += [line for line in ours if line not in base and line not in merged]
    text = "".join(f"{line}\n" for line in merged)
    return Suggestion(
        "union", "The order of these lines says nothing, so what either side added or removed holds.", text=text
    )


def cosmetic_only(path: str, before: str, after: str) -> bool:
    """Say whether two texts differ at most in empty lines, white space at the ends of lines, and lines that are comments.

    White space at the beginning of a line counts: in Python and YAML it has a meaning.
    """
    return _without_comments(path, before) == _without_comments(path, after)


def _without_comments(path: str, text: str) -> list[str]:
    name = path.rpartition("/")[2].removesuffix(".jinja")
    sign = ""
    if name.endswith(_HASH) or name.startswith(_HASH_NAMES):
        sign = "#"
    elif name.endswith(_SLASHES):
        sign = "//"
    return [line for line in _bare(text) if not (sign and line.lstrip().startswith(sign) and not line.startswith("#!"))]


def _bare(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
