"""Who owns a repository, by what it says itself and by who has worked on it."""

import re

from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey.facts import Guess

_PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_TEAM = re.compile(r"@([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9][A-Za-z0-9._-]*)")
_REMOTE = re.compile(r"[:/]([A-Za-z0-9][A-Za-z0-9-]*)/[^/]+?(?:\.git)?/?$")


def find_owner(repository: Repository) -> tuple[Guess[str] | None, Guess[str] | None, list[str]]:
    """Return the owning group, the organisation on the git host, and what else speaks for somebody.

    A person who has made the most commits is named as a hint only: the owner of a model is a group.
    """
    owner = _of_catalog(repository)
    org: Guess[str] | None = None
    for path in _PLACES:
        for number, line in enumerate((repository.text(path) or "").splitlines(), 1):
            match = _TEAM.search(line.partition("#")[0])
            if match and (line.startswith("*") or owner is None):
                owner = owner or Guess(f"group:default/{match[2]}", (f"{path}:{number}",))
                org = org or Guess(match[1], (f"{path}:{number}",))
    if org is None and (remote := repository.answer("remote", "get-url", "origin")):
        match = _REMOTE.search(remote.strip())
        if (match and "://" in remote) or (match and "@" in remote):
            org = Guess(match[1], ("the remote origin",))
    return owner, org, _authors(repository)


def _of_catalog(repository: Repository) -> Guess[str] | None:
    text = repository.text("catalog-info.yaml") or ""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"^\s+owner:\s*[\"']?([^\"'\s#]+)", line)
        if match:
            kind, _, rest = match[1].rpartition(":")
            namespace, _, name = rest.rpartition("/")
            if kind in {"", "group"}:
                return Guess(f"group:{namespace or 'default'}/{name}", (f"catalog-info.yaml:{number}",))
    return None


def _authors(repository: Repository) -> list[str]:
    said = repository.answer("log", "--format=%aN", "--max-count=2000", "HEAD") or ""
    names = [name for name in said.splitlines() if name and "[bot]" not in name]
    if not names:
        return []
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    most = sorted(counts, key=lambda name: -counts[name])[:3]
    shown = ", ".join(f"{name} ({counts[name]})" for name in most)
    return [f"most commits are by {shown}"]
