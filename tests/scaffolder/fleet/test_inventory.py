"""What the platform knows of every repository: version, drift, open requests, owners."""

import pytest

from scaffolder.fleet.inventory import is_earlier, versions_behind
from tests.waiting import wait_until

from .conftest import LONGEST, SECOND, TEMPLATE, THIRD, Fleet


def looked(fleet: Fleet) -> dict[str, dict[str, object]]:
    row = fleet.ada.post("/fleet/inventories", {}).json()
    wait_until(lambda: fleet.ada.get(f"/fleet/inventories/{row['id']}").json()["finishedAt"], LONGEST)
    return {one["name"]: one for one in fleet.ada.get("/fleet/repositories").json()["items"]}


def test_every_repository_is_shown_with_what_it_is_at(fleet: Fleet) -> None:
    fleet.add("plain")
    fleet.add("drifted", {"run.sh": "#!/bin/sh\nexec false\n", "own.txt": "mine\n"}, owner="group:default/search")
    fleet.add("lost", {".copier-answers.yml": "_src_path: https://example.org/other.git\n_commit: v1\n"})
    fleet.add("broken", {".copier-answers.yml": "[\n"})
    fleet.release(SECOND, "v2.0.0")
    fleet.release(THIRD, "v3.0.0")
    found = looked(fleet)
    assert {name: (one["template"], one["version"], one["newest"], one["behind"]) for name, one in found.items()} == {
        "plain": (TEMPLATE, "v1.0.0", "v3.0.0", 2),
        "drifted": (TEMPLATE, "v1.0.0", "v3.0.0", 2),
        "lost": (None, "v1", None, None),
        "broken": (None, None, None, None),
    }
    assert found["plain"]["drift"] == []
    assert found["drifted"]["drift"] == [{"path": "run.sh", "change": "changed", "added": 1, "deleted": 1}]
    assert (found["plain"]["owner"], found["drifted"]["owner"]) == ("group:default/risk", "group:default/search")
    assert "no template of this platform" in str(found["lost"]["fault"])
    assert "is not YAML" in str(found["broken"]["fault"])
    assert found["plain"]["templateChangedAt"]
    summary = {(one["owner"], one["template"]): one for one in fleet.ada.get("/fleet/summary").json()}
    assert summary["group:default/search", TEMPLATE] == {
        "owner": "group:default/search", "template": TEMPLATE, "repositories": 1, "behind": 1, "openRequests": 0, "faults": 0,
    }  # fmt: skip

    campaign = fleet.start("v3.0.0", owner="group:default/search")
    assert list(fleet.proposed(campaign["id"])) == ["drifted"]
    found = looked(fleet)
    assert (found["drifted"]["number"], found["plain"]["number"]) == (1, None)
    behind = fleet.ada.get("/fleet/repositories", behind=True, owner="group:default/risk").json()["items"]
    assert [one["name"] for one in behind] == ["plain"]


def test_a_repository_that_is_gone_is_forgotten(fleet: Fleet) -> None:
    import shutil

    fleet.add("a")
    fleet.add("b")
    assert list(looked(fleet)) == ["a", "b"]
    shutil.rmtree(fleet.host.path("models", "a"))
    assert list(looked(fleet)) == ["b"]


@pytest.mark.parametrize(
    ("version", "behind"),
    [
        ("v1.0.0", 2),
        ("v1.0.0.post1", 1),
        ("v2.0.0", 0),
        ("1.0.0", 2),
        ("v1.0.0-3-gabcdef0", 2),
        ("v0.9.0", None),
        ("x", None),
    ],
)
def test_versions_are_counted(version: str, behind: int | None) -> None:
    assert versions_behind(version, ["v1.0.0", "v1.0.0.post1", "v2.0.0"]) == behind


def test_versions_are_ordered_as_versions() -> None:
    assert is_earlier("v0.9.0", "v0.10.0")
    assert not is_earlier("v0.10.0", "v0.9.0")
    assert not is_earlier("v1.0.0", "v1.0.0")
    assert is_earlier("main", "v1.0.0")
