"""What the dashboards' routes say over HTTP."""

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field

from backend.core.schemas import Schema
from backend.dashboards.panels import Kind


class Output(StrEnum):
    """Whose format."""

    GRAFANA = "grafana"
    DATADOG = "datadog"


class DashboardOut(Schema):
    """A dashboard that can be had."""

    kind: Kind
    name: str = Field(description="The model, the group as an entity ref, or `platform`.", examples=["wine"])
    uid: str = Field(description="Stays the same for as long as the name does.", examples=["wine"])


class DashboardDocument(Schema):
    """A dashboard in somebody else's format."""

    kind: Kind
    name: str
    uid: str
    title: str
    output: Output
    dashboard: dict[str, Any] = Field(
        description="As Grafana imports it, or as the body of Datadog's POST /api/v1/dashboard."
    )
    monitors: list[dict[str, Any]] = Field(
        description="For Datadog the model's alerts by burn rate, as bodies of POST /api/v1/monitor; empty for Grafana, whose "
        "alerts are the model's Prometheus rules."
    )
    metrics: list[str] = Field(description="Families of metrics that its queries read.")


class ScrapeGroupOut(Schema):
    """Targets with the labels that they share, as Prometheus' HTTP service discovery has them."""

    model_config = ConfigDict(from_attributes=True)

    targets: list[str] = Field(examples=[["127.0.0.1:7070"]])
    labels: dict[str, str] = Field(examples=[{"__metrics_path__": "/metrics", "job": "ml-platform"}])
