"""Whatever is sent to the documented routes, the answer is a documented one and never a 5xx."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from backend.app import create_app
from backend.core.config import Settings

API = "/api/ml-platform"


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("fuzz")
    users = [{"ref": "user:default/ada", "groups": ["group:default/risk", "group:default/platform"]}]
    made = Settings.model_validate(
        {
            "home": str(home),
            "mlflow": {"embedded": False},
            "identity": {"localIssuer": {"users": users}},
            "ingress": {"port": 1, "adminPort": 2},
        }
    )
    app = create_app(made)
    with TestClient(app, raise_server_exceptions=False) as http:
        secret = Path(home / "identity" / "login-secret").read_text()
        token = http.post(f"{API}/identity/token", json={"secret": secret, "user": "user:default/ada"}).json()
        app.state.token = token["accessToken"]
        yield app


def answers_well(operation: Any, token: str, statuses: Counter[int]) -> None:
    """Send what fits the document and what does not, and look at each answer."""

    @given(
        case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )
    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def send(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {token}"})
        statuses[answer.status_code] += 1
        if answer.status_code != 503:  # nothing is served from here, so what needs Envoy may say so
            case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])
        if answer.status_code >= 400:
            assert answer.headers["content-type"][0].startswith("application/problem+json")

    send()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_request_makes_the_platform_stumble(fuzzed: Any) -> None:
    # What is followed for ever would be waited for for ever.
    schema = schemathesis.openapi.from_asgi("/openapi.json", fuzzed).exclude(path_regex="/audit/events/stream$")
    seen, statuses = [], Counter[int]()
    for found in schema.get_all_operations():
        operation = found.ok()
        seen.append(operation.label)
        answers_well(operation, fuzzed.state.token, statuses)
    assert f"POST {API}/registry/models/{{name}}/versions" in seen
    assert len(seen) > 20
    # It got past the door, and both kinds of answers were seen.
    assert statuses[200] > 50, statuses
    assert statuses[422] > 100, statuses
    assert statuses[401] < sum(statuses.values()) / 3, statuses
