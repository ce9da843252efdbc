"""The services of one app, built once by the factory and found on ``app.state.services``."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

if TYPE_CHECKING:
    from backend.access.grants import Grants
    from backend.access.reviews import Reviews
    from backend.access.service import AccessService
    from backend.attestations.service import AttestationService
    from backend.audit.sealing import Sealing
    from backend.audit.segment_removal import SegmentRemovals
    from backend.audit.service import AuditService
    from backend.batch.service import BatchService
    from backend.batch.work import BatchWork
    from backend.compliance.controls import ControlService
    from backend.compliance.waivers import WaiverService
    from backend.core.clock import Clock
    from backend.core.config import Settings
    from backend.core.database import Database
    from backend.core.http.streams import Streams
    from backend.core.metrics import Metrics
    from backend.core.workflows import WorkflowRuntime
    from backend.cost.service import CostService
    from backend.cost.work import CostWork
    from backend.dashboards.service import DashboardService
    from backend.deployments.engine import RolloutEngine
    from backend.deployments.service import DeploymentService
    from backend.drift.retraining import Retraining
    from backend.drift.service import DriftService
    from backend.evidence.service import EvidenceService
    from backend.experiments.service import ExperimentService
    from backend.identity.service import IdentityService
    from backend.notifications.service import NotificationService
    from backend.observability.incidents import IncidentService
    from backend.observability.slos import SloService
    from backend.observability.traffic import TrafficService
    from backend.observability.work import Watch
    from backend.overview.figures import Figures
    from backend.overview.service import OverviewService
    from backend.privacy.service import PrivacyService
    from backend.registry.service import RegistryService
    from backend.support.service import SupportService
    from backend.support.survey import Survey
    from catalog.datasets.service import DatasetService
    from catalog.service import CatalogService
    from scaffolder.fleet.service import FleetService
    from scaffolder.hosts.configured import Hosts
    from scaffolder.rendering import Rendering
    from scaffolder.service import ScaffoldService
    from scaffolder.templates import Templates


@dataclass
class Services:
    """Everything that routes and background work need; nothing in the backend is a module global.

    The domains with durable work are made last, from all the others: their services first, then ``RolloutEngine(services)`` and
    ``BatchWork(services)``, which add themselves to the runtime.
    """

    settings: "Settings"
    clock: "Clock"
    database: "Database"
    metrics: "Metrics"
    audit: "AuditService"
    identity: "IdentityService"
    attestations: "AttestationService"
    registry: "RegistryService"
    runtime: "WorkflowRuntime"
    streams: "Streams"
    access: "AccessService" = field(init=False)
    grants: "Grants" = field(init=False)
    reviews: "Reviews" = field(init=False)
    deployments: "DeploymentService" = field(init=False)
    engine: "RolloutEngine" = field(init=False)
    batch: "BatchService" = field(init=False)
    batch_work: "BatchWork" = field(init=False)
    hosts: "Hosts" = field(init=False)
    templates: "Templates" = field(init=False)
    rendering: "Rendering" = field(init=False)
    catalog: "CatalogService" = field(init=False)
    scaffolds: "ScaffoldService" = field(init=False)
    fleet: "FleetService" = field(init=False)
    overview: "OverviewService" = field(init=False)
    figures: "Figures" = field(init=False)
    datasets: "DatasetService" = field(init=False)
    waivers: "WaiverService" = field(init=False)
    controls: "ControlService" = field(init=False)
    notifications: "NotificationService" = field(init=False)
    slos: "SloService" = field(init=False)
    traffic: "TrafficService" = field(init=False)
    incidents: "IncidentService" = field(init=False)
    watch: "Watch" = field(init=False)
    dashboards: "DashboardService" = field(init=False)
    privacy: "PrivacyService" = field(init=False)
    evidence: "EvidenceService" = field(init=False)
    sealing: "Sealing" = field(init=False)
    removals: "SegmentRemovals" = field(init=False)
    experiments: "ExperimentService" = field(init=False)
    cost: "CostService" = field(init=False)
    cost_work: "CostWork" = field(init=False)
    drift: "DriftService" = field(init=False)
    retraining: "Retraining" = field(init=False)
    support: "SupportService" = field(init=False)
    survey: "Survey" = field(init=False)


def services_of(request: Request) -> Services:
    """Return the services of the app that answers this request."""
    return cast(Services, request.app.state.services)


async def _services(request: Request) -> Services:
    # FastAPI calls what is not async in a thread, which takes longer than this, above all while other threads are busy.
    return services_of(request)


ServicesOf = Annotated[Services, Depends(_services)]
"""Type of a route's parameter that gets the services."""
