"""What can be read about deployments."""

from .conftest import PLACE, Lab


def test_deployments_are_listed_newest_first_page_by_page(lab: Lab) -> None:
    first, second = lab.deploy(1), lab.deploy(2)
    page = lab.ada.get("/deployments", limit=1).json()
    assert [one["id"] for one in page["items"]] == [second["id"]]
    rest = lab.ada.get("/deployments", limit=1, cursor=page["nextCursor"]).json()
    assert [one["id"] for one in rest["items"]] == [first["id"]]
    assert rest["nextCursor"] is None


def test_deployments_are_filtered(lab: Lab) -> None:
    lab.deploy(1)
    assert len(lab.ada.get("/deployments", model="wine", environment="lab", phase="completed").json()["items"]) == 1
    assert lab.ada.get("/deployments", model="beer").json()["items"] == []
    assert lab.ada.get("/deployments", environment="staging").json()["items"] == []
    assert lab.ada.get("/deployments", phase="held").json()["items"] == []
    assert lab.ada.get("/deployments", phase="lost").status_code == 422


def test_the_same_request_with_the_same_key_is_one_deployment(lab: Lab) -> None:
    body = {"model": "wine", "version": 1, "environment": "lab"}
    answers = [lab.ada.post("/deployments", body, **{"Idempotency-Key": "k1"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert len(lab.ada.get("/deployments").json()["items"]) == 1


def test_logs_are_plain_lines(lab: Lab) -> None:
    assert lab.ada.get(f"{PLACE}/logs").status_code == 404  # nothing is up
    lab.deploy(1)
    answer = lab.ada.get(f"{PLACE}/logs", tail=5)
    assert answer.text == "1/0 hello\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert lab.ada.get(f"{PLACE}/logs", version=7).status_code == 404


def test_what_does_not_exist(lab: Lab) -> None:
    nobody = "0" * 8 + "-0000-7000-8000-" + "0" * 12
    assert lab.ada.get(f"/deployments/{nobody}").status_code == 404
    assert lab.ada.get("/deployments/nonsense").status_code == 422
    assert lab.ada.get("/environments/moon/models/wine").status_code == 404
    assert lab.ada.get("/environments/lab/models/beer").status_code == 404
    assert lab.ada.post(f"{PLACE}/rollback", {"reason": "x"}).status_code == 422


def test_every_door_needs_a_caller(lab: Lab) -> None:
    nobody = "0" * 8 + "-0000-7000-8000-" + "0" * 12
    for path in ("/deployments", f"/deployments/{nobody}", PLACE, f"{PLACE}/logs"):
        assert lab.backend.http.get(f"/api/ml-platform{path}").status_code == 401
    for path in (
        "/deployments",
        f"{PLACE}/rollback",
        *(f"/deployments/{nobody}/{one}" for one in ("abort", "promote")),
    ):
        assert lab.backend.http.post(f"/api/ml-platform{path}", json={}).status_code == 401
