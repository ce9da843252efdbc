"""What a scaffold would make, and what is seen of one that was made."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from git import Repo

from tests.waiting import wait_until

from .conftest import Platform


def test_a_plan_lists_the_very_files_and_makes_nothing(platform: Platform, name: str) -> None:
    body: dict[str, Any] = {"name": name, "type": "realtime", "answers": {"owner": "group:default/risk"}}
    temporary = set(Path(tempfile.gettempdir()).glob("scaffold-plan-*"))
    answer = platform.ada.post("/scaffolds/plan", body)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert (plan["name"], plan["host"], plan["org"], plan["owner"]) == (name, "local", "models", "group:default/risk")
    assert platform.left(name) == []
    assert platform.scaffolds(name) == []
    assert platform.events(name) == []
    assert set(Path(tempfile.gettempdir()).glob("scaffold-plan-*")) <= temporary

    made = platform.make(name, answers=body["answers"])
    assert made["templateVersion"] == plan["templateVersion"]
    assert sorted(Repo(made["cloneUrl"]).git.ls_tree("-r", "--name-only", "main").splitlines()) == plan["files"]

    # Nobody took an inventory.
    place = f"/fleet/repositories/local/models/{name}"
    wait_until(lambda: platform.ada.get(place).status_code == 200, 20)
    seen = platform.ada.get(place)
    assert (seen.json()["owner"], seen.json()["behind"], seen.json()["fault"]) == ("group:default/risk", 0, None)

    again = platform.ada.post("/scaffolds/plan", body)
    assert (again.status_code, again.json()["type"]) == (409, "urn:ml-platform:problem:name-taken")
    assert again.json()["suggestion"] == f"{name}-risk"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"answers": {"replicas": 1000}}, 422),
        ({"answers": {"ownr": "x"}}, 422),
        ({"name": "../evil"}, 422),
        ({"answers": {"owner": "group:default/search"}}, 403),
    ],
)
def test_what_a_scaffold_would_be_refused_for(platform: Platform, name: str, body: dict[str, Any], status: int) -> None:
    wanted = {"name": name, "type": "realtime", **body}
    planned, asked = (platform.ada.post(path, wanted) for path in ("/scaffolds/plan", "/scaffolds"))
    assert planned.status_code == asked.status_code == status
    assert planned.json()["detail"] == asked.json()["detail"]
