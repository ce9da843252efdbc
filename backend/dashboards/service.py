"""Which dashboards there are, and what they are made from."""

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.core.errors import NotFound
from backend.dashboards import panels
from backend.dashboards.exported import Exported
from backend.dashboards.panels import Board, Kind
from backend.dashboards.schemas import Output
from mlplatform.spec.model import ModelSpec

if TYPE_CHECKING:
    from backend.core.container import Services

PLATFORM = "platform"
_KINDS = tuple(Kind)
_JOB = "ml-platform"


class DashboardService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        services.metrics.look_up(Exported(services))

    def names(self, session: Session) -> list[tuple[Kind, str, str]]:
        """Return kind, name and uid of every dashboard: models, teams and the platform, each by name."""
        rows = self._services.overview.labelled(session)
        models = [(Kind.MODEL, row.name, panels.uid_of_model(row.name)) for row in rows]
        owners = sorted({row.owner for row in rows})
        teams = [(Kind.TEAM, owner, panels.uid_of_team(owner)) for owner in owners]
        return [*models, *teams, (Kind.PLATFORM, PLATFORM, panels.PLATFORM_UID)]

    def board(self, session: Session, kind: Kind, name: str) -> Board:
        """Return a dashboard.

        Raises:
            NotFound: there is no such model, no model of such a group, or no such dashboard.
        """
        environments = list(self._services.settings.environments)
        if kind is Kind.PLATFORM and name == PLATFORM:
            return panels.of_platform(environments)
        if kind is Kind.TEAM:
            owned = [row.name for row in self._services.overview.labelled(session) if row.owner == name]
            if owned:
                return panels.of_team(name, owned, environments)
            raise NotFound(
                f"no model belongs to {name[:190]!r}", fix="Give the owner as model.yaml does: group:default/risk."
            )
        if kind is Kind.MODEL:
            return panels.of_model(self.spec(session, name), environments)
        raise NotFound(
            f"there is no dashboard {name[:190]!r} of kind {kind}", fix=f"The platform's is called {PLATFORM}."
        )

    def spec(self, session: Session, model: str) -> ModelSpec:
        """Return what the newest version of a model declares.

        Raises:
            NotFound: there is no such model, or no version of it.
        """
        return ModelSpec.model_validate(self._services.registry.get_version(session, model).spec)

    def document(self, session: Session, board: Board, output: Output) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the dashboard in a format, and the monitors that come with it."""
        if output is Output.GRAFANA:
            from backend.dashboards.grafana import grafana

            return grafana(board), []
        from backend.dashboards.datadog import datadog, monitors

        alerts = []
        if board.kind is Kind.MODEL:
            alerts = monitors(self.spec(session, board.name), self._services.settings.portal.url)
        return datadog(board), alerts

    def scrape_targets(self) -> list[dict[str, Any]]:
        """Return what a Prometheus beside the platform has to scrape, with every model server that runs on this machine."""
        settings = self._services.settings
        found = [
            _group([settings.base_url.partition("://")[2]], "/metrics", "backend"),
            _group([f"127.0.0.1:{settings.ingress.admin_port}"], "/stats/prometheus", "envoy"),
        ]
        servers = sorted(
            f"127.0.0.1:{one.port}" for one in self._services.engine.target.replicas() if one.port is not None
        )
        return [*found, *([_group(servers, "/metrics", "model-server")] if servers else [])]


def _group(targets: list[str], path: str, job: str) -> dict[str, Any]:
    return {"targets": targets, "labels": {"__metrics_path__": path, "job": f"{_JOB}-{job}"}}
