"""What is on record about a version, gathered for a document."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.attestations.service import StoredAttestation
from backend.compliance.controls import Standing
from backend.compliance.models import Waiver
from backend.deployments.views import Past
from backend.registry.models import ModelRow, VersionRow
from catalog.datasets.service import Inherited, inherited_class
from mlplatform.spec.model import Classification, ModelSpec

if TYPE_CHECKING:
    from backend.core.container import Services


@dataclass(frozen=True)
class Record:
    """Everything that documents about a version are made of."""

    model: ModelRow
    version: VersionRow
    spec: ModelSpec
    data: Sequence[Inherited]
    gates: Sequence[StoredAttestation]
    """The newest result of each gate."""
    deployments: Sequence[Past]
    live_in: Sequence[str]
    waivers: Sequence[Waiver]
    controls: Sequence[Standing]
    at: datetime

    @property
    def classification(self) -> Classification:
        """The class that the version inherits from what it was trained on."""
        return inherited_class(self.data)

    @property
    def author(self) -> str:
        """Who made the version; for a CI job who started it, as far as it says so."""
        return str(self.version.lineage.get("onBehalfOf") or self.version.created_by)


def gather(services: "Services", session: Session, name: str, version: int | str) -> Record:
    """Gather what is on record about a version.

    Raises:
        NotFound: there is no such model or version.
    """
    row = services.registry.get_version(session, name, version)
    model = services.registry.get_model(session, name)
    spec = ModelSpec.model_validate(row.spec)
    newest: dict[str, StoredAttestation] = {}
    for one in services.attestations.for_digest(session, row.digest):
        if one.subject is not None and one.subject.commit == row.commit:
            newest[one.gate] = one
    environments = list(services.settings.environments)
    # One that holds in several environments is one waiver.
    waivers = {each.id: each for place in environments for each in services.waivers.active(session, name, place)}
    return Record(
        model=model,
        version=row,
        spec=spec,
        data=services.datasets.inherited(session, spec),
        gates=list(newest.values()),
        deployments=services.deployments.past_of(session, name, row.version),
        live_in=[
            each for each in environments if services.deployments.live_version(session, each, name) == row.version
        ],
        waivers=list(waivers.values()),
        controls=services.controls.of_model(session, "soc2", name),
        at=services.clock.now(),
    )
