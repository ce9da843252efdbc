"""`platform cost` as a team lead uses it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from backend.core.container import Services
from backend.cost.resources import Resource
from tests.conftest import SetClock
from tests.marks import on_one_database

from ..command_line import Command, commands
from ..conftest import Backend, make_settings
from .conftest import PRICES

pytestmark = [pytest.mark.slow, on_one_database]

RISK = "group:default/risk"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    cost = {"prices": [one for one in PRICES if one["resource"] != "training"]}
    quotas = [{"team": RISK, "environment": "staging", "cpu": "4", "models": 3}]
    return make_settings(settings.home, settings.database.url, cost=cost, quotas=quotas)


@pytest.fixture
def of(
    settings: Settings,
    services: Services,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[[str], Command]]:
    app = create_app(settings, clock=clock)
    backend = Backend(TestClient(app, raise_server_exceptions=False), app.state.services)
    yield commands(backend, monkeypatch, capsys)
    app.state.services.database.close()


@pytest.fixture
def ada(of: Callable[[str], Command]) -> Command:
    return of("ada")


def test_a_month_by_team_model_version_and_day(ada: Command, use: Callable[..., None]) -> None:
    assert ada("cost")[:2] == (0, "2028-02: 0.00 USD so far, 0.00 of it shared\nforecast: 0.00 USD\n")
    for day in (18, 19):
        use(datetime(2028, 2, day, 5, tzinfo=UTC), "90000")
        use(datetime(2028, 2, day, 5, tzinfo=UTC), "2000", resource=Resource.REQUESTS)
    use(datetime(2028, 2, 19, 5, tzinfo=UTC), "9000", model="beer", version=2)
    use(datetime(2028, 2, 19, 5, tzinfo=UTC), "7", resource=Resource.TOKENS)
    status, text, _ = ada("cost")
    assert status == 0
    assert text.splitlines()[1].split() == [RISK, "2.10", "0.00", "4000", "0.525000"]
    assert "2028-02: 2.10 USD so far" in text
    assert "no price covers 7 tokens of tokens: wine" in text
    status, found, _ = ada("cost", "--team", RISK, "--json")
    assert (status, [(one["model"], one["cost"]) for one in found["groups"]]) == (
        0,
        [("wine", "2.00"), ("beer", "0.10")],
    )
    text = ada("cost", "--model", "wine", "--by", "day")[1]
    assert [line.split()[:2] for line in text.splitlines()[1:3]] == [["2028-02-18", "1.00"], ["2028-02-19", "1.00"]]
    assert "wine v1" in ada("cost", "--model", "wine")[1]
    assert "2027-01: 0.00 USD" in ada("cost", "--month", "2027-01")[1]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--model", "cider"), 1, "there is no model 'cider'"),
        (("--month", "2028-13"), 2, "'2028-13' is no month; write for example 2028-02"),
        (("--month", "February"), 2, "'February' is no month"),
        (("--by", "mood"), 2, "'mood' is not one of"),
        (("quotas",), 2, "Did you mean 'quota'?"),
        (("budget", "--model", "cider"), 1, "the model cider has no budget"),
        (("budget", "--model", "cider", "--set", "5"), 1, "there is no model 'cider'"),
        (("budget", "--model", "wine", "--team", RISK), 2, "Give either --model or --team."),
        (("budget", "--set", "5"), 2, "--set needs --model or --team."),
        (("budget", "--model", "wine", "--enforce"), 2, "--enforce goes with --set."),
        (("budget", "--model", "wine", "--set", "-1"), 2, "-1 can't be spent"),
        (("budget", "--model", "wine", "--set", "NaN"), 2, "NaN can't be spent"),
        (("budget", "--model", "wine", "--set", "much"), 2, "'much' is no amount"),
        (("budget", "--model", "wine", "--set", "0.0000000001"), 1, "more than nine decimal places"),
        (("quota", "--env", "not an environment"), 1, "environment"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_or_makes_no_sense(arguments: tuple[str, ...], status: int, said: str, ada: Command) -> None:
    found, out, told = ada("cost", *arguments)
    assert (found, out) == (status, ""), told
    assert said in told
    if status == 1:
        found, out, _ = ada("cost", *arguments, "--json")
        assert (found, list(out)) == (1, ["error"])


def test_a_budget_is_set_shown_and_used_up(
    of: Callable[[str], Command], ada: Command, use: Callable[..., None]
) -> None:
    assert ada("cost", "budget")[:2] == (0, "there is no budget\n")
    use(datetime(2028, 2, 19, 5, tzinfo=UTC), "90000")
    status, text, _ = ada("cost", "budget", "--model", "wine", "--set", "4", "--enforce")
    assert status == 0
    head, row = text.splitlines()
    assert head.split()[0] == "of"
    assert "model wine  1.00 of 4.00 USD  25 %" in row
    assert "refuses rollouts  user:default/ada" in row
    (one,) = ada("cost", "budget", "--json")[1]["items"]
    assert (one["kind"], float(one["monthly"]), one["exceeded"]) == ("model", 4, False)
    assert "budget: 4.00 USD" in ada("cost", "--model", "wine")[1]
    (zero,) = ada("cost", "budget", "--team", RISK, "--set", "0", "--json")[1]["items"]
    assert (zero["percent"], zero["exceeded"]) == (None, True)
    status, _, said = of("edsger")("cost", "budget", "--model", "wine", "--set", "1000000")
    assert (status, "may not set the budget of model wine" in said) == (1, True)
    assert f"Members of {RISK} may." in said


def test_quotas_are_shown_with_who_may_change_them(ada: Command) -> None:
    status, text, _ = ada("cost", "quota")
    assert status == 0
    rows = [line.split("  ") for line in text.splitlines()]
    assert [part.strip() for part in rows[1] if part] == [
        RISK, "staging", "cpu", "0 of 4 cores", "mlPlatform.quotas[0]", "group:default/platform"
    ]  # fmt: skip
    assert "0 of 3" in text.splitlines()[2]
    items: list[dict[str, Any]] = ada("cost", "quota", "--team", RISK, "--env", "staging", "--json")[1]["items"]
    assert [(one["resource"], float(one["limit"]), float(one["used"])) for one in items] == [
        ("cpu", 4, 0), ("models", 3, 0)
    ]  # fmt: skip
    assert ada("cost", "quota", "--env", "production")[:2] == (0, "no quota holds there, or nothing is live\n")
