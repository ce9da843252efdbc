"""How sensitive a data set is: declared, found by a scan, confirmed by a person; and what a version inherits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.datasets.service import above, highest
from mlplatform.gates.result import Gate
from mlplatform.spec.model import Classification
from tests.marks import on_one_database

from ..conftest import Someone
from ..deployments.conftest import Lab, add_version, lab, settings
from ..deployments.test_admission import ask, attest, requirements

__all__ = ["lab", "settings"]

NAME = "sklearn://wine"


def column(name: str, classification: str, *entities: str) -> dict[str, Any]:
    evidence = [{"entity": each, "count": 9, "sampled": 10, "confidence": 0.9} for each in entities]
    return {"name": name, "type": "string", "classification": classification, "reason": "a scan", "evidence": evidence}


def scan(someone: Someone, *columns: dict[str, Any], **changes: Any) -> Any:
    body = {"name": NAME, "entity": "resource:default/wine-measurements", "owner": "group:default/risk"}
    return someone.post("/datasets/scans", {**body, "columns": list(columns), **changes})


@given(st.lists(st.sampled_from(list(Classification))))
def test_the_highest_is_at_least_each(classes: list[Classification]) -> None:
    top = highest(classes)
    assert not any(above(each, top) for each in classes)
    assert top in (classes or [Classification.PUBLIC])


@pytest.mark.slow
def test_from_a_scan_by_a_persons_word_to_admission(lab: Lab) -> None:
    found = scan(lab.ada, column("grower", "pii", "PERSON"), column("hue", "internal"))
    assert found.status_code == 200, found.text
    dataset = found.json()
    assert dataset["classification"] == "pii"
    assert [(one["basis"], one["proposed"]) for one in dataset["columns"]] == [
        ("detected", "pii"),
        ("detected", "internal"),
    ]

    attest(lab, lab.ada, *Gate)
    refused = ask(lab.ada, "staging")
    assert requirements(refused.json())["data-classification"] == "failed"
    said = next(one["message"] for one in refused.json()["requirements"] if one["requirement"] == "data-classification")
    assert (
        said == "model.yaml gives wine-measurements the class public, the catalog pii (column grower, found by a scan)"
    )
    inherited = lab.ada.get("/registry/models/wine/versions/2/classification").json()
    assert (inherited["classification"], inherited["datasets"][0]["declared"]) == ("pii", "public")

    place = f"/datasets/{dataset['id']}/confirmation"
    lowered = {"columns": {"grower": "public", "hue": "public"}}
    without = lab.ada.post(place, lowered)
    assert without.status_code == 422
    assert "reason: is needed, since grower, hue would be below" in without.json()["detail"]
    confirmed = lab.ada.post(place, {**lowered, "reason": "Growers are companies, listed in a public register."}).json()
    assert confirmed["classification"] == "public"
    assert {one["basis"] for one in confirmed["columns"]} == {"confirmed"}
    assert ask(lab.ada, "staging").status_code == 201

    # A scan that finds more waits for a person again, and counts until then.
    again = scan(lab.ada, column("grower", "sensitive-pii", "US_SSN"), column("hue", "public")).json()
    assert again["classification"] == "sensitive-pii"
    shown = {one["name"]: (one["classification"], one["proposed"]) for one in again["columns"]}
    assert shown == {"grower": ("public", "sensitive-pii"), "hue": ("public", None)}
    events = lab.ada.events(subject=f"dataset:{NAME}")
    assert [one["type"].rpartition(".")[2] for one in events] == ["scanned", "confirmed", "scanned"]
    assert events[1]["data"]["columns"]["grower"] == {"from": "pii", "to": "public"}


@pytest.mark.slow
@on_one_database
def test_what_a_registered_version_declares_is_known_until_columns_are(lab: Lab) -> None:
    add_version(lab.services, 3, data=[{**DATA, "classification": "confidential"}])
    with lab.services.database.write() as session:
        lab.services.datasets.registered(session, lab.services.registry.get_version(session, "wine", 3))
    with lab.services.database.write() as session:  # an older version says less
        lab.services.datasets.registered(session, lab.services.registry.get_version(session, "wine", 1))
    (dataset,) = lab.ada.get("/datasets").json()["items"]
    assert (dataset["declared"], dataset["classification"]) == ("confidential", "confidential")
    assert dataset["declaredBy"] == "model:wine/versions/3"
    assert dataset["owner"] == "group:default/risk"
    inherited = lab.ada.get("/registry/models/wine/versions/1/classification").json()
    assert inherited["classification"] == "confidential"
    assert lab.ada.get("/datasets", classification="pii").json()["items"] == []


@pytest.mark.slow
@on_one_database
def test_only_the_owners_people_decide(lab: Lab) -> None:
    id = scan(lab.ada, column("hue", "internal")).json()["id"]
    edsger = lab.backend.someone("edsger")
    answers = [
        scan(edsger, column("hue", "public")),
        edsger.post(f"/datasets/{id}/confirmation", {"columns": {"hue": "internal"}}),
    ]
    assert [one.status_code for one in answers] == [403, 403]
    assert "Members of group:default/risk may." in answers[0].json()["fix"]
    (action,) = edsger.get(f"/datasets/{id}").json()["actions"]
    assert (action["action"], action["allowed"]) == ("confirm", False)
    assert len(lab.ada.events(type="ml-platform.catalog.dataset.refused")) == 2
    foreign = scan(edsger, column("hue", "public"), name="s3://lake/x", owner="group:default/risk")
    assert foreign.status_code == 403


@pytest.mark.slow
@on_one_database
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"columns": {"taste": "pii"}}, "columns.taste: sklearn://wine has no such column"),
        ({"columns": {"hue": "secret"}}, "/columns/hue"),
        ({"columns": {}}, "columns"),
        ({"columns": {"hue": "pii"}, "reason": ""}, "reason"),
    ],
)
def test_wrong_decisions(lab: Lab, body: dict[str, Any], words: str) -> None:
    id = scan(lab.ada, column("hue", "internal")).json()["id"]
    answer = lab.ada.post(f"/datasets/{id}/confirmation", body)
    assert answer.status_code == 422
    assert words in answer.text
    twice = scan(lab.ada, column("hue", "internal"), column("hue", "pii"))
    assert twice.status_code == 422
    assert "two columns have the same name" in twice.text


DATA = {"name": "wine-measurements", "uri": NAME, "role": "evaluation", "load": "wine.data:load"}
