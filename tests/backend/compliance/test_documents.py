"""Model card and technical file: what is on record is in them, and nothing that people wrote becomes Markdown."""

import pytest

from mlplatform.gates.result import Gate, Outcome
from tests.marks import on_one_database

from ..conftest import SPEC
from ..deployments.conftest import Lab, add_version, lab, settings
from ..deployments.test_admission import ask, attest
from .test_waivers import WISH, decide, wished

__all__ = ["lab", "settings"]
pytestmark = [pytest.mark.slow, on_one_database]


def written(lab: Lab, document: str, version: int | str = 2) -> str:
    answer = lab.ada.get(f"/compliance/models/wine/versions/{version}/documents/{document}")
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["markdown"]
    return text


def test_they_tell_how_a_version_came_to_be_live(lab: Lab) -> None:
    attest(lab, lab.ada, *(gate for gate in Gate if gate is not Gate.PII))
    attest(lab, lab.ada, Gate.PII, outcome=Outcome.FAILED)
    decide(lab.backend.someone("operator"), wished(lab)["id"])
    lab.until(ask(lab.ada, "staging").json()["id"], "completed")
    card = written(lab, "model-card")
    for words in (
        "# Model card: wine v2",
        "| Live in | staging |",
        "It is **public**",
        "| alcohol | double | any |",
        "| pii | failed | pii failed | user:default/ada |",
        "- accuracy\\_score, at least 0.5",
        f"is waived until {lab.ada.get('/compliance/waivers').json()['items'][0]['expiresAt'][:10]} by user:default/operator",
        str(WISH["reason"]),
        "Control C1.1 is not met",
    ):
        assert words in card, words
    # A waiver that holds in all environments is told once.
    assert card.count(str(WISH["reason"])) == 1
    file = written(lab, "technical-file")
    for words in (
        "## 9. Post-market monitoring",
        "| staging | user:default/ada | nobody | promoted |",
        "**to be added**",
    ):
        assert words in file, words
    assert "None" not in card + file


def test_a_version_of_which_nothing_is_known_has_documents_that_say_so(lab: Lab) -> None:
    assert "There is no result of a gate about this version." in written(lab, "model-card")
    assert "It was never rolled out." in written(lab, "technical-file")
    assert lab.ada.get("/compliance/models/wine/versions/9/documents/model-card").status_code == 404
    assert lab.ada.get("/compliance/models/wine/versions/2/documents/poem").status_code == 422


def test_what_people_wrote_stays_text(lab: Lab) -> None:
    hostile = "<script>alert(1)</script>\n\n# Approved | by [everybody](javascript:x) {{ 7 * 7 }}"
    add_version(lab.services, 3, description=hostile, data=SPEC["data"])
    for document in ("model-card", "technical-file"):
        text = written(lab, document, 3)
        assert "<script>" not in text
        assert "\n# Approved" not in text
        assert "\\[everybody\\](javascript:x)" in text
        assert "\\{\\{ 7 \\* 7 \\}\\}" in text
