"""A fix of the template reaches thirty repositories that engineers have changed: by pull request, conflicts and all."""

import subprocess
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import template_fix
from demo.shell import Person, wait_until
from scaffolder.fleet.proposing import branch_of
from tests.journeys.conftest import RunningPlatform

pytestmark = [pytest.mark.journey, pytest.mark.timeout(1200)]

OWNER = "group:default/search"
TEMPLATE = "golden-path"
BRANCH = branch_of(TEMPLATE)
SIZE = 30
RELEASED = "@$(RUN) platform run --until scan"
FIXED = "@$(RUN) platform run --until scan $(GATES)"
OWN = "@$(RUN) platform run --until scan --verbose"


def post(person: Person, url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {person.token()}", "idempotency-key": uuid.uuid4().hex}
    answer = httpx.post(f"{url}/api/ml-platform{path}", json=body, headers=headers, timeout=60)
    assert answer.is_success, answer.text
    return dict(answer.json())


def made(person: Person, url: str, name: str) -> str:
    """Have a repository made and return where it can be cloned from."""
    wish = {"name": name, "template": TEMPLATE, "type": "realtime", "answers": {"owner": OWNER}}
    id = post(person, url, "/scaffolds", wish)["id"]

    def ended() -> Any:
        found = person.api(f"/scaffolds/{id}")
        assert found["state"] not in {"failed", "cancelled"}, found
        return found if found["state"] == "done" else None

    return str(wait_until(ended, seconds=300, what=f"{name} is made")["cloneUrl"])


def change(folder: Path, number: int) -> str:
    """Change a repository as its engineers might; return the path of a file that is theirs from now on."""
    if number % 3 == 0:  # the very line that the template changes
        makefile = folder / "Makefile"
        text = makefile.read_text(encoding="utf-8")
        assert RELEASED in text
        makefile.write_text(text.replace(RELEASED, OWN), encoding="utf-8")
        return "Makefile"
    if number % 3 == 1:  # a file of their own, and a template's file that is not wanted
        (folder / "notes.md").write_text(f"# Notes on {folder.name}\n", encoding="utf-8")
        (folder / ".devcontainer" / "devcontainer.json").unlink()
        return "notes.md"
    readme = folder / "README.md"
    readme.write_text(
        readme.read_text(encoding="utf-8") + f"\n## Ours\n\n{folder.name} ranks things.\n", encoding="utf-8"
    )
    return "README.md"


def changed_by_hand(person: Person, url: str, clone_url: str, number: int, work: Path) -> tuple[str, str]:
    """Change a repository by a pull request; return a file of the engineers' own, and its text."""
    name = clone_url.rpartition("/")[2].removesuffix(".git")
    one = Person(person.name, person.console, person.environment, work)
    one.git("clone", "--quiet", clone_url, name)
    one.folder = work / name
    path = change(one.folder, number)
    one.git("checkout", "--quiet", "-b", "ours")
    one.commit("Make it ours")
    one.git("push", "--quiet", "origin", "ours")
    pulls = f"/git/local/models/{name}/pull-requests"
    pull = post(person, url, pulls, {"title": "Make it ours", "head": "ours"})
    post(person, url, f"{pulls}/{pull['number']}/decision", {"decision": "merge"})
    return path, (one.folder / path).read_text(encoding="utf-8")


def recorded(person: Person, subject: str) -> list[str]:
    """Return what the audit log says of a campaign or a repository, the oldest first."""
    found = person.api(f"/audit/events?subject={subject}&limit=500")["items"]
    return [item["event"]["type"].rpartition(".")[2] for item in found]


def release(operator: Person, folder: Path) -> str:
    """Release a fix of the template as platform engineers do, from a checkout of their own; return its version."""
    checkout = template_fix.copy_checkout(folder)
    makefile = checkout / "templates" / TEMPLATE / "template" / "Makefile.jinja"
    makefile.write_text(makefile.read_text(encoding="utf-8").replace(RELEASED, FIXED), encoding="utf-8")
    major, minor, _patch = (checkout / "templates" / "VERSION").read_text(encoding="utf-8").strip().split(".")
    (checkout / "templates" / "VERSION").write_text(f"{major}.{int(minor) + 1}.0\n", encoding="utf-8")
    notes = "### Changed\n- `make gates GATES=--verbose` shows every check."
    return str(template_fix.release(operator, checkout, "--notes", notes)["version"])


def test_a_fix_of_the_template_reaches_every_repository(running_platform: RunningPlatform, tmp_path: Path) -> None:
    url = running_platform.url
    stem = f"ranker-{uuid.uuid4().hex[:6]}"
    names = [f"{stem}-{number:02}" for number in range(SIZE)]
    edsger, operator = running_platform.signed_in("edsger"), running_platform.signed_in("operator")
    with ThreadPoolExecutor(4) as threads:
        urls = list(threads.map(lambda name: made(edsger, url, name), names))
        theirs = list(
            threads.map(lambda number: changed_by_hand(edsger, url, urls[number], number, tmp_path), range(SIZE))
        )
    version = release(operator, tmp_path / "checkout")

    planned = operator.platform("fleet", "campaign", "start", version, "--owner", OWNER, "--dry-run").document
    assert sorted(one["name"] for one in planned["items"]) == names
    refused = edsger.platform("fleet", "campaign", "start", version, expect=None)
    assert refused.status != 0
    assert "Traceback" not in refused.messages
    start = ("fleet", "campaign", "start", version, "--owner", OWNER, "--waves", "3")
    campaign = operator.platform(*start).document
    id = campaign["id"]

    def members() -> dict[str, dict[str, Any]]:
        found = operator.platform("fleet", "campaign", "show", id).document["repositories"]
        return {one["name"]: one for one in found}

    def states() -> Counter[str]:
        return Counter(one["state"] for one in members().values())

    # The first wave is a conflict and two that merge; nobody else is asked before it is through.
    wait_until(lambda: states() == {"pending": 27, "open": 2, "conflicts": 1}, seconds=180, what="the first wave")
    first = [name for name, one in members().items() if one["state"] != "pending"]
    assert first == names[:3]

    # An engineer decides the conflict on the branch, where both sides are shown.
    shown = edsger.api(f"/git/local/models/{names[0]}/pull-requests/{members()[names[0]]['number']}")
    assert shown["draft"]
    for side in (OWN, FIXED, version, "shows every check"):
        assert side in shown["body"], side
    edsger.folder = tmp_path / names[0]
    edsger.git("fetch", "--quiet", "origin")
    edsger.git("checkout", "--quiet", BRANCH)
    makefile = edsger.folder / "Makefile"
    conflicted = makefile.read_text(encoding="utf-8")
    assert "<<<<<<<" in conflicted
    before, _, rest = conflicted.partition("<<<<<<<")
    after = rest.partition(">>>>>>>")[2].partition("\n")[2]
    makefile.write_text(f"{before}\t{OWN} $(GATES)\n{after}", encoding="utf-8")
    edsger.commit("Keep ours, and take the variable")
    edsger.git("push", "--quiet", "origin", BRANCH)
    for name in first:
        edsger.folder = tmp_path / name
        number = str(members()[name]["number"])
        if name == names[0]:
            edsger.platform("pr", "ready", number)
        edsger.platform("pr", "merge", number)

    wait_until(lambda: not states()["pending"], seconds=420, what="all others are proposed")
    assert states() == {"merged": 3, "open": 18, "conflicts": 9}
    again = operator.platform(*start, expect=None)
    assert again.status == 0 or "under way" in again.messages, again.messages
    for name, one in members().items():
        pulls: Any = edsger.api(f"/git/local/models/{name}/pull-requests")
        assert [pull["head"] for pull in pulls] == [BRANCH, "ours"], name
        assert bool(one["conflicts"]) == (int(name[-2:]) % 3 == 0), one
        assert one["state"] != "open" or one["checks"] == "green", one

    # What engineers wrote is still there on each branch, whatever the template changed.
    for number, (path, text) in enumerate(theirs):
        name = names[number]
        proposed = _show(urls[number], BRANCH if name not in first else "main", path)
        assert (OWN in proposed) if path == "Makefile" else (proposed == text), name
        if number % 3 == 1:
            assert not _has(urls[number], BRANCH if name not in first else "main", ".devcontainer/devcontainer.json")
    assert FIXED in _show(urls[1], "main", "Makefile")

    operator.platform("fleet", "campaign", "abort", id, "--reason", "the story ends here")
    wait_until(
        lambda: operator.platform("fleet", "campaign", "show", id).document["state"] == "aborted",
        seconds=60,
        what="the campaign is aborted",
    )
    assert states() == {"merged": 3, "closed": 27}
    assert recorded(operator, f"campaign:{id}") == ["started", "collected", "wave_opened", "abort_requested", "aborted"]
    decided = recorded(operator, f"repository:models/{names[0]}")
    assert [one for one in decided if one in {"conflicts", "marked_ready"}] == ["conflicts", "marked_ready"]
    assert decided[-1] == "merged"
    assert [one for one in recorded(operator, f"repository:models/{names[4]}") if one in {"open", "closed"}][:2] == [
        "open",
        "closed",
    ]
    operator.platform("audit", "verify")


def _show(clone_url: str, ref: str, path: str) -> str:
    command = ["git", "-C", clone_url.removeprefix("file://"), "show", f"{ref}:{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _has(clone_url: str, ref: str, path: str) -> bool:
    command = ["git", "-C", clone_url.removeprefix("file://"), "cat-file", "-e", f"{ref}:{path}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
