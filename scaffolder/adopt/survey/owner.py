"""Who owns a repository, by what it says itself and by who has worked on it."""

import re
from collections.abc import Iterator

from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey.facts import Guess

_PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_TEAM = re.compile(
    r"@([A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)/(?:[\w.-]+/)*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?=[\s,]|$)"
)
_GROUP = re.compile(r"(?:group:)?(?:([a-z0-9-]+)/)?([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_REMOTE = re.compile(r"[:/]([A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)/[^/]+?(?:\.git)?/?$")


def find_owner(repository: Repository) -> tuple[Guess[str] | None, Guess[str] | None, list[str]]:
    """Return the owning group, the organisation on the git host, and what else speaks for somebody.

    A person who has made the most commits is named as a hint only: the owner of a model is a group.
    """
    owner = _of_catalog(repository)
    org: Guess[str] | None = None
    teams = list(_teams(repository))
    # Of what stands for everything the last line counts, as on the hosts; a team of some folders is second best.
    for path, number, team, _all in [*reversed([one for one in teams if one[3]]), *teams][:1]:
        owner = owner or Guess(f"group:default/{team[2]}", (f"{path}:{number}",))
        org = Guess(team[1], (f"{path}:{number}",))
    if org is None and (remote := repository.answer("remote", "get-url", "origin")):
        match = _REMOTE.search(remote.strip())
        if (match and "://" in remote) or (match and "@" in remote):
            org = Guess(match[1], ("the remote origin",))
    return owner, org, _authors(repository)


def _teams(repository: Repository) -> Iterator[tuple[str, int, re.Match[str], bool]]:
    """Yield the lines of the first CODEOWNERS file that name a team, and whether they stand for everything."""
    for path in _PLACES:
        if (text := repository.text(path)) is None:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if match := _TEAM.search(line.partition("#")[0]):
                yield path, number, match, line.startswith("* ")
        return


def _of_catalog(repository: Repository) -> Guess[str] | None:
    text = repository.text("catalog-info.yaml") or ""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"^\s+owner:\s*[\"']?([^\"'\s#]+)", line)
        if match and (group := _GROUP.fullmatch(match[1])):
            return Guess(f"group:{group[1] or 'default'}/{group[2]}", (f"catalog-info.yaml:{number}",))
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
