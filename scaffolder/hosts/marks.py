"""Marks by which the platform knows its own things on a host again, whatever answers were lost."""

from scaffolder.hosts.base import NewRepository

_DESCRIPTION_LENGTH = 300
"""Shorter than what any host takes (GitHub's 350 is the least), so that the claim fits behind it."""


def claimed(new: NewRepository) -> str:
    """Return the description of a repository that is not complete yet: with the claim at its end."""
    return f"{shortened_description(new)} (scaffold {new.claim})".strip()


def shortened_description(new: NewRepository) -> str:
    """Return the description in one line that every host takes."""
    return " ".join(new.description.split())[:_DESCRIPTION_LENGTH]


def carries(description: str | None, claim: str) -> bool:
    """Say whether a description ends with the claim."""
    return (description or "").endswith(f"(scaffold {claim})")


def marked(body: str, key: str) -> str:
    """Return a comment with an invisible mark, by which it is found and replaced."""
    return f"{body}\n\n{mark(key)}"


def mark(key: str) -> str:
    """Return the mark of comments of that key."""
    return f"<!-- ml-platform: {key.replace('--', '')} -->"
