"""The runbook's sections on alerts, of which every model has those that its first objectives make, and may come to others."""

import re
from typing import get_args

import pytest
from pydantic import ValidationError

from mlplatform.generate.render import render
from mlplatform.spec.model import Slo
from scaffolder import release
from tests.mlplatform.generate.specs import SLOS, alerts_of, as_spec, minimal

INDICATORS = set(get_args(Slo.model_fields["indicator"].annotation))


@pytest.mark.parametrize("type_", ["realtime", "batch", "streaming"])
def test_the_runbook_has_a_section_for_each_alert_that_there_can_be_and_no_other(type_: str) -> None:
    """Objectives are added later, and their alerts with them."""
    part = release.TEMPLATES / release.TEMPLATE / "parts" / type_ / "alerts.md"
    possible = alerts_of(render(as_spec(minimal(type_, slos=SLOS[type_])))["observability/rules.yaml"])
    written = re.findall(r"^### (\w+)$", part.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(written) == sorted({alert["alert"] for alert in possible})


@pytest.mark.parametrize("type_", ["realtime", "batch", "streaming"])
def test_every_indicator_that_makes_alerts_is_among_those_tried(type_: str) -> None:
    tried = {slo["indicator"] for slo in SLOS[type_]}
    for indicator in INDICATORS - tried:
        slo = {"name": "one-more", "indicator": indicator, "objective": 99}
        if indicator in {"latency", "freshness", "lag"}:
            slo["threshold"] = "30s"
        try:
            spec = as_spec(minimal(type_, slos=[slo]))
        except ValidationError:
            continue
        rules = alerts_of(render(spec)["observability/rules.yaml"])
        assert not [alert for alert in rules if alert["labels"].get("slo") == "one-more"], indicator
