"""The monthly report as PDF, read by another library than the one that makes it; and what it says of incidents."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pypdf
import pytest

from backend.core.container import Services
from backend.cost.health import Health, ModelHealth, Told
from backend.cost.periods import Month
from backend.cost.report_pdf import as_pdf
from backend.observability.models import Incident, SloStanding
from tests.conftest import SetClock

pytestmark = pytest.mark.slow

FEBRUARY = Month(2028, 2)
TEAM = "group:default/risk"
HOSTILE = '#panic("no") *bold* _it_ $x$ <l> @ref #include "/etc/passwd" \\ [x] // y `z` "q" \u202egnp'


def content(**changes: Any) -> dict[str, Any]:
    rows = [["wine", Decimal("3.10"), Decimal("0.00"), 4000, "0.000775"]]
    return {
        "team": TEAM,
        "month": FEBRUARY,
        "total": Decimal("3.10"),
        "shared": Decimal("0.00"),
        "currency": "USD",
        "closed": True,
        "before": None,
        "budget": None,
        "health": Health("No incidents.", [ModelHealth("wine", 0, 0, "met", "98 %", "healthy")], []),
        "tables": [("By model", ["Model", "Cost", "Of it shared", "Predictions", "Per thousand"], rows)],
        "anomalies": [],
        "savings": [],
        "unpriced": [],
        **changes,
    }


def read(pdf: bytes) -> tuple[pypdf.PdfReader, str]:
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    return reader, " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def test_it_has_a_title_a_language_and_tags() -> None:
    reader, text = read(as_pdf(content()))
    assert reader.metadata is not None
    assert reader.metadata.title == f"{TEAM}: what its models cost in 2028-02"
    root: Any = reader.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert len(reader.pages) == 1
    for said in (f"{TEAM}, 2028-02", "3.10 USD", "wine 0 0 met 98 % healthy", "wine 3.10 0.00 4000 0.000775"):
        assert said in text
    assert "is not closed yet" not in text


def test_what_people_write_is_text_and_never_markup() -> None:
    health = Health(
        HOSTILE, [ModelHealth("wine", 1, 1, "breached", "-3 %", "—")], [Told("2028-02-03", "wine", HOSTILE, "12")]
    )
    tables = [("By model", ["Model", "Cost"], [[HOSTILE, "1"]])]
    saving = {"model": HOSTILE, "environment": HOSTILE, "change": HOSTILE, "reason": HOSTILE, "amount": "1"}
    _, text = read(as_pdf(content(team=HOSTILE, health=health, tables=tables, savings=[saving])))
    for part in ("#panic(", "*bold*", "_it_", "$x$", "<l>", "@ref", "#include", "[x]", "`z`"):
        assert text.count(part) >= 8, part
    assert text.endswith(", 2028-02 · 1 / 1"), "what nobody sees reorders nothing"


def test_many_models_make_many_pages_with_the_head_on_each() -> None:
    rows = [[f"model-{number}", "1.00", "0.00", "—", "—"] for number in range(300)]
    tables = [("By model", ["Model", "Cost", "Of it shared", "Predictions", "Per thousand"], rows)]
    reader, text = read(as_pdf(content(tables=tables)))
    assert len(reader.pages) > 4
    assert "model-0 " in text
    assert "model-299 " in text
    assert all("Per thousand" in page.extract_text() for page in reader.pages)
    assert f"{len(reader.pages)} / {len(reader.pages)}" in reader.pages[-1].extract_text()


def test_the_months_incidents_error_budget_and_drift_are_in_it(
    services: Services, use: Callable[..., None], clock: SetClock
) -> None:
    use(datetime(2028, 2, 3, 6, tzinfo=UTC), "90000")
    began = datetime(2028, 2, 7, 8, tzinfo=UTC)
    now = clock.now()
    with services.database.write() as session:
        for number, opened in enumerate((began, began - timedelta(days=20))):
            session.add(
                Incident(
                    id=f"{number:036d}", fingerprint=f"f{number}", title="too many errors", model="wine",
                    environment="production", severity="page", state="resolved", owner=TEAM, on_call={"who": None},
                    alerts={}, received=1, suspects=[], roles={}, began_at=opened, opened_at=opened, seen_at=opened,
                    recovered_at=opened + timedelta(minutes=12),
                )
            )  # fmt: skip
        session.add(
            SloStanding(
                model="wine", environment="production", slo="availability", version=1, indicator="availability",
                meaning="answers", objective=99.9, window_seconds=1, state="breached", remaining=-0.25, total=10.0, bad=1.0,
                burns=[], firing={}, source="platform", since=now, evaluated_at=now,
            )
        )  # fmt: skip
    with services.database.read() as session:
        reports = services.cost_work.reports
        page, (_, text) = reports.html(session, FEBRUARY, TEAM), read(reports.pdf(session, FEBRUARY, TEAM))
    for said in ("1 incident, 1 of which paged; error budget used up: wine; no model is known to have drifted.",):
        assert said in page
        assert said in text
    assert "wine 1 1 breached -25 % —" in text
    assert "2028-02-07, wine: too many errors, 12 min" in page
    assert "2028-02-07 wine too many errors 12" in text
    assert "2028-01" not in text, "what was opened in another month is of another report"
