"""OpenSLO documents against version 1 of the specification, as its own validator reads it.

No package carries a JSON Schema of OpenSLO, so the fields and rules of the kinds that are made here are written down as
pydantic models, from the specification (https://github.com/OpenSLO/OpenSLO) and its Go validator.
"""

from typing import Annotated, Any, Literal, Self

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from mlplatform.generate.render import render
from tests.mlplatform.generate.specs import CASES, SLOS, Json, as_spec, minimal

Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Text = Annotated[str, Field(max_length=1050)]
Duration = Annotated[str, Field(pattern=r"^[0-9]+[mhdwMQY]$")]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Closed):
    name: Label
    displayName: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    labels: dict[Annotated[str, Field(pattern=r"^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$")], str | list[str]]


class Kind(Closed):
    apiVersion: Literal["openslo/v1"]
    metadata: Metadata


class ServiceSpec(Closed):
    description: Text


class Service(Kind):
    kind: Literal["Service"]
    spec: ServiceSpec


class Source(Closed):
    type: str
    spec: Annotated[dict[str, Any], Field(min_length=1)]


class Metric(Closed):
    metricSource: Source


class Ratio(Closed):
    counter: bool
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw: Metric | None = None
    rawType: Literal["success", "failure"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        assert (self.total is None) != (self.raw is None)
        assert (self.raw is None) == (self.rawType is None)
        assert self.raw is not None or (self.good is None) != (self.bad is None)
        return self


class IndicatorSpec(Closed):
    description: Text
    ratioMetric: Ratio


class Indicator(Kind):
    kind: Literal["SLI"]
    spec: IndicatorSpec


class Window(Closed):
    duration: Duration
    isRolling: Literal[True]


class Objective(Closed):
    displayName: str
    targetPercent: Annotated[float, Field(ge=0, lt=100, strict=False)]


class PolicyReference(Closed):
    alertPolicyRef: Label


class ObjectiveSpec(Closed):
    description: Text
    service: Label
    indicatorRef: Label
    timeWindow: Annotated[list[Window], Field(min_length=1, max_length=1)]
    budgetingMethod: Literal["Occurrences", "Timeslices", "RatioTimeslices"]
    objectives: Annotated[list[Objective], Field(min_length=1)]
    alertPolicies: Annotated[list[PolicyReference], Field(min_length=1)] | None = None


class ServiceLevel(Kind):
    kind: Literal["SLO"]
    spec: ObjectiveSpec


class Burn(Closed):
    kind: Literal["burnrate"]
    op: Literal["gt", "gte", "lt", "lte"]
    threshold: Annotated[float, Field(strict=False)]
    lookbackWindow: Duration


class ConditionSpec(Closed):
    description: Text
    severity: str
    condition: Burn


class Condition(Kind):
    kind: Literal["AlertCondition"]
    spec: ConditionSpec


class ConditionReference(Closed):
    conditionRef: Label


class TargetReference(Closed):
    targetRef: Label


class PolicySpec(Closed):
    description: Text
    alertWhenBreaching: bool
    conditions: Annotated[list[ConditionReference], Field(min_length=1, max_length=1)]
    notificationTargets: Annotated[list[TargetReference], Field(min_length=1)]


class Policy(Kind):
    kind: Literal["AlertPolicy"]
    spec: PolicySpec


class TargetSpec(Closed):
    description: Text
    target: Annotated[str, Field(min_length=1)]


class Target(Kind):
    kind: Literal["AlertNotificationTarget"]
    spec: TargetSpec


DOCUMENT: TypeAdapter[Kind] = TypeAdapter(
    Annotated[Service | Indicator | ServiceLevel | Condition | Policy | Target, Field(discriminator="kind")]
)


def documents_of(spec: Json) -> list[Json]:
    return list(yaml.safe_load_all(render(as_spec(spec))["observability/openslo.yaml"]))


@pytest.mark.parametrize("case", CASES)
def test_documents_are_openslo_and_refer_to_one_another(case: str) -> None:
    documents = documents_of(CASES[case])
    for document in documents:
        DOCUMENT.validate_python(document)
    by_kind: dict[str, set[str]] = {}
    for document in documents:
        names = by_kind.setdefault(document["kind"], set())
        assert document["metadata"]["name"] not in names
        names.add(document["metadata"]["name"])
    for document in documents:
        spec = document["spec"]
        if document["kind"] == "SLO":
            assert spec["service"] in by_kind["Service"]
            assert spec["indicatorRef"] in by_kind["SLI"]
            assert {policy["alertPolicyRef"] for policy in spec.get("alertPolicies", [])} <= by_kind.get(
                "AlertPolicy", set()
            )
        if document["kind"] == "AlertPolicy":
            assert {condition["conditionRef"] for condition in spec["conditions"]} <= by_kind["AlertCondition"]
            assert {target["targetRef"] for target in spec["notificationTargets"]} <= by_kind["AlertNotificationTarget"]


def test_the_models_see_a_misspelt_field() -> None:
    service = documents_of(CASES["plain"])[0]
    service["spec"]["descriptoin"] = "x"
    with pytest.raises(ValidationError, match="descriptoin"):
        DOCUMENT.validate_python(service)


@pytest.mark.parametrize("kind", ["realtime", "batch", "streaming"])
def test_queries_are_series_that_the_rules_record(kind: str) -> None:
    spec = minimal(kind, slos=SLOS[kind])
    recorded = {
        (rule["record"], rule["labels"]["slo"])
        for group in yaml.safe_load(render(as_spec(spec))["observability/rules.yaml"])["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    indicators = [document for document in documents_of(spec) if document["kind"] == "SLI"]
    assert len(indicators) == len(SLOS[kind])
    for indicator in indicators:
        slo = indicator["metadata"]["name"].removeprefix("churn-")
        for member, series in (("bad", "slo:bad_events:rate5m"), ("total", "slo:events:rate5m")):
            query = indicator["spec"]["ratioMetric"][member]["metricSource"]["spec"]["query"]
            assert query == f'{series}{{model="churn", slo="{slo}"}}'
            assert (series, slo) in recorded


def test_objectives_are_those_of_model_yaml() -> None:
    slos = [{"name": "a", "indicator": "availability", "objective": 99.95, "window": "36h"}]
    (found,) = [document for document in documents_of(minimal(slos=slos)) if document["kind"] == "SLO"]
    assert found["spec"]["objectives"] == [{"displayName": "Good", "targetPercent": 99.95}]
    assert found["spec"]["timeWindow"] == [{"duration": "36h", "isRolling": True}]
    assert len(found["spec"]["alertPolicies"]) == 4
