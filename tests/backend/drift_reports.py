"""Drift reports as an engineer asks for them."""

from typing import Any

from tests.waiting import wait_until

from .conftest import Someone


def drift_report(someone: Someone, model: str) -> dict[str, Any]:
    """Ask for a report about a model in the environment "lab", and return it as it is when it is made."""
    asked = someone.post(f"/drift/models/{model}/reports", {"environment": "lab"})
    assert asked.status_code == 202, asked.text

    def found() -> dict[str, Any]:
        document: dict[str, Any] = someone.get(f"/drift/reports/{asked.json()['id']}").json()
        return document

    wait_until(lambda: found()["state"] != "pending", 240, lambda: str(found()))
    return found()
