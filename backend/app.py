"""The backend as one FastAPI app, made by a factory from its settings."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.routing import Mount

from backend import health
from backend.access import review_routes
from backend.access import routes as access_routes
from backend.access.grants import Grants
from backend.access.review_work import ReviewWork
from backend.access.reviews import Reviews
from backend.access.service import AccessService
from backend.access.work import GrantWork
from backend.attestations import routes as attestation_routes
from backend.attestations.service import AttestationService
from backend.audit import routes as audit_routes
from backend.audit import segment_routes
from backend.audit.segment_removal import SegmentRemovals
from backend.audit.segment_store import open_store
from backend.audit.service import AuditService
from backend.audit.work import PublicationWork, SealingWork
from backend.batch import routes as batch_routes
from backend.batch.service import BatchService
from backend.batch.work import BatchWork
from backend.compliance import routes as compliance_routes
from backend.compliance.controls import ControlService
from backend.compliance.period import ControlsOverTime
from backend.compliance.waivers import WaiverService
from backend.compliance.work import ComplianceWork
from backend.core.clock import Clock, SystemClock
from backend.core.config import API_PREFIX, Settings
from backend.core.container import Services
from backend.core.database import Database
from backend.core.http import problems
from backend.core.http.etag import EntityTags
from backend.core.http.middleware import BodyLimit, RequestContext, cors
from backend.core.http.streams import Streams
from backend.core.metrics import Metrics
from backend.core.openapi import TAGS, document
from backend.core.workflows import WorkflowRuntime
from backend.cost import budget_routes
from backend.cost import routes as cost_routes
from backend.cost.service import CostService
from backend.cost.work import CostWork
from backend.dashboards import routes as dashboard_routes
from backend.dashboards.service import DashboardService
from backend.deployments import live_routes, quota_routes, trial_routes
from backend.deployments import routes as deployment_routes
from backend.deployments.engine import RolloutEngine
from backend.deployments.service import DeploymentService
from backend.drift import routes as drift_routes
from backend.drift.retraining import Retraining
from backend.drift.service import DriftService
from backend.drift.work import DriftWork
from backend.evidence import routes as evidence_routes
from backend.evidence.service import EvidenceService
from backend.evidence.work import EvidenceWork
from backend.experiments import routes as experiment_routes
from backend.experiments.service import ExperimentService
from backend.experiments.work import ExperimentWork
from backend.identity import routes as identity_routes
from backend.identity.service import IdentityService
from backend.migrations import upgrade
from backend.notifications import routes as notification_routes
from backend.notifications.service import NotificationService
from backend.notifications.work import NotificationWork
from backend.observability import incident_routes
from backend.observability import routes as observability_routes
from backend.observability.incidents import IncidentService
from backend.observability.slos import SloService
from backend.observability.traffic import TrafficService
from backend.observability.work import Watch
from backend.overview import routes as overview_routes
from backend.overview.figures import Figures
from backend.overview.service import OverviewService
from backend.privacy import routes as privacy_routes
from backend.privacy import subject_routes
from backend.privacy.service import PrivacyService
from backend.registry import routes as registry_routes
from backend.registry.mlflow_app import EmbeddedMlflow
from backend.registry.mlflow_door import make_mlflow_door
from backend.registry.service import RegistryService
from backend.support import routes as support_routes
from backend.support.service import SupportService
from backend.support.survey import Survey
from backend.support.work import SupportWork
from catalog import routes as catalog_routes
from catalog.datasets import routes as dataset_routes
from catalog.datasets.service import DatasetService
from catalog.service import CatalogService
from catalog.work import CatalogWork
from mlplatform.telemetry.tracing import Tracing, tracing_to
from scaffolder import file_routes, pull_routes
from scaffolder import routes as scaffold_routes
from scaffolder.fleet import routes as fleet_routes
from scaffolder.fleet.campaigns import CampaignSteps
from scaffolder.fleet.clones import Clones
from scaffolder.fleet.inventory import InventorySteps
from scaffolder.fleet.service import FleetService
from scaffolder.fleet.work import CampaignWork, InventoryWork
from scaffolder.hosts.configured import Hosts
from scaffolder.rendering import Rendering
from scaffolder.sandbox import Limits, Sandbox
from scaffolder.service import ScaffoldService
from scaffolder.templates import Templates
from scaffolder.work import ScaffoldWork

MLFLOW_PATH = "/mlflow"
DOCS_PATH = "/docs"
BACKEND_SERVICE = "ml-platform-backend"
"""What the backend is called in traces and logs."""
VERSION = "0.1.0"

_log = logging.getLogger(__name__)


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """Make the app: bring the database up to date, build the services, mount the domains' routes."""
    services = build_services(settings, clock or SystemClock())
    otlp, ratio = settings.telemetry.otlp, settings.telemetry.sample_ratio
    spans = tracing_to(otlp.endpoint, BACKEND_SERVICE, ratio=ratio) if otlp is not None else None
    mlflow = make_mlflow_door(services) if settings.mlflow.embedded else None
    app = FastAPIOffline(  # FastAPI's own pages would load scripts from elsewhere
        docs_url=DOCS_PATH,
        redoc_url=None,
        static_url=f"{DOCS_PATH}-static",
        title="ML platform",
        version=VERSION,
        description="Plugin backend of the ML golden path: from an empty folder to production traffic.",
        openapi_tags=TAGS,
        openapi_url="/openapi.json",
        lifespan=_lifespan(services, mlflow, spans),
    )
    app.state.services = services
    problems.install(app)
    app.include_router(health.router)
    for domain in (
        identity_routes,
        registry_routes,
        attestation_routes,
        deployment_routes,
        live_routes,
        trial_routes,
        quota_routes,
        experiment_routes,
        batch_routes,
        access_routes,
        review_routes,
        audit_routes,
        segment_routes,
        privacy_routes,
        subject_routes,
        evidence_routes,
        overview_routes,
        scaffold_routes,
        pull_routes,
        file_routes,
        fleet_routes,
        catalog_routes,
        dataset_routes,
        compliance_routes,
        observability_routes,
        incident_routes,
        notification_routes,
        dashboard_routes,
        cost_routes,
        budget_routes,
        drift_routes,
        support_routes,
    ):
        app.include_router(domain.router, prefix=API_PREFIX)
    if mlflow is not None:
        app.router.routes.append(Mount(MLFLOW_PATH, app=mlflow, name="mlflow"))
    uploads = settings.limits.bundle_bytes + settings.limits.manifest_bytes + 65_536
    larger = [
        (re.compile(rf"^{API_PREFIX}/registry/models/[^/]+/versions/?$"), uploads),
        (re.compile(rf"^{API_PREFIX}/attestations/?$"), settings.limits.manifest_bytes),
        # An Alertmanager sends what it has grouped in one go.
        (re.compile(rf"^{API_PREFIX}/observability/alertmanager/?$"), settings.limits.manifest_bytes),
        (re.compile(rf"^{API_PREFIX}/cost/usage/?$"), settings.limits.manifest_bytes),
        (re.compile(rf"^{API_PREFIX}/drift/models/[^/]+/labels/?$"), settings.limits.manifest_bytes),
        (re.compile(rf"^{API_PREFIX}/cost/bills/[^/]+/[^/]+/?$"), settings.cost.bill_bytes),
        # MLflow streams artefacts to disk and holds everything else in memory.
        (re.compile(rf"^{MLFLOW_PATH}/(ajax-)?api/2\.0/mlflow-artifacts/"), settings.limits.bundle_bytes),
        (re.compile(rf"^{MLFLOW_PATH}/"), settings.limits.manifest_bytes),
    ]
    app.add_middleware(BodyLimit, limit=settings.limits.body_bytes, larger=larger)
    app.add_middleware(EntityTags, prefix=API_PREFIX)
    app.add_middleware(RequestContext, metrics=services.metrics, open_prefixes=(MLFLOW_PATH, DOCS_PATH), tracing=spans)
    app.add_middleware(cors, origins=settings.origins)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def build_services(settings: Settings, clock: Clock) -> Services:
    """Build all services, from the database up."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    upgrade(database, settings.home)
    metrics = Metrics()
    place = settings.audit.sealing.store
    audit = AuditService(database, clock, metrics, settings.home / "audit", open_store(place) if place else None)
    identity = IdentityService(settings, clock, audit)
    attestations = AttestationService(clock, audit, identity)
    registry = RegistryService(settings, clock, audit, attestations, metrics)
    runtime = WorkflowRuntime(settings, database)
    services = Services(
        settings, clock, database, metrics, audit, identity, attestations, registry, runtime, Streams(settings.limits)
    )
    services.overview, services.figures = OverviewService(services), Figures(services)
    registry.changed = services.overview.changed
    services.datasets, services.waivers = DatasetService(services), WaiverService(services)
    registry.declared = services.datasets.registered
    services.notifications = NotificationService(services)
    services.slos, services.incidents = SloService(services), IncidentService(services)
    services.traffic = TrafficService(services)
    _add_access(services)
    services.deployments = DeploymentService(services)
    services.batch = BatchService(services)
    services.batch_work = BatchWork(services)
    services.engine = RolloutEngine(services)
    services.privacy = PrivacyService(services)
    services.experiments = ExperimentService(services)
    ExperimentWork(services)
    services.evidence = EvidenceService(services)
    EvidenceWork(services)
    PublicationWork(services)
    services.sealing, services.removals = SealingWork(services).sealing, SegmentRemovals(services)
    _add_scaffolding(services)
    services.controls = ControlService(services)
    services.evidence.controls = ControlsOverTime(services)
    ComplianceWork(services)
    services.watch = Watch(services)
    NotificationWork(services)
    services.dashboards = DashboardService(services)
    services.cost = CostService(services)
    services.cost_work = CostWork(services)
    services.drift, services.retraining = DriftService(services), Retraining(services)
    services.watch.evaluation.judgements = services.drift.judgements
    DriftWork(services)
    services.support, services.survey = SupportService(services), Survey(services)
    SupportWork(services)
    services.access.start()
    if filled := services.overview.fill():
        _log.info("the overview was filled", extra={"models": filled})
    return services


def _add_access(services: Services) -> None:
    services.access = AccessService(services)
    services.attestations.access = services.identity.access = services.access
    services.grants = Grants(services, services.access)
    services.reviews = Reviews(services, services.access, services.grants)
    GrantWork(services)
    ReviewWork(services)


def _add_scaffolding(services: Services) -> None:
    settings = services.settings
    services.hosts = Hosts(settings.git_hosts, settings.home)
    services.templates = Templates(settings.home, settings.templates, settings.template_sources, services.hosts)
    box = Sandbox(settings.home / "sandbox", Limits(**settings.sandbox.model_dump()))
    services.rendering = Rendering(settings.home, box)
    services.catalog = CatalogService(services)
    services.scaffolds = ScaffoldService(services)
    CatalogWork(services)
    ScaffoldWork(services)
    _add_fleet(services)


def _add_fleet(services: Services) -> None:
    clones = Clones(services.settings.home / "fleet" / "clones")
    inventory = InventorySteps(services, clones)
    services.fleet = FleetService(services, clones, inventory)
    InventoryWork(services, inventory)
    CampaignWork(services, CampaignSteps(services, clones, inventory))


def _lifespan(services: Services, mlflow: EmbeddedMlflow | None, spans: Tracing | None) -> Any:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if mlflow is not None:
            mlflow.load_in_background()
        services.registry.start(services.database)
        services.runtime.start()
        _log.info("the platform is up", extra={"home": str(services.settings.home)})
        try:
            yield
        finally:
            services.runtime.stop()
            if spans is not None:
                spans.close()
            services.registry.stop()
            services.database.close()

    return lifespan
