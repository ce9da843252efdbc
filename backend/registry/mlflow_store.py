"""MLflow, as the registry uses it: one run and one model version per registration, aliases that follow traffic.

MLflow is imported when it is first needed: that takes seconds, and the backend answers its health checks meanwhile.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.audit.service import PLATFORM
from backend.core.errors import Unavailable
from backend.registry.bundle import full_disk_is_an_answer
from backend.registry.mlflow_rules import ARTEFACT_ROOT, EXPERIMENT_PREFIX, MODEL_TAG, OWNER_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ARTEFACT_PATH = "model"
_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
_EXISTS = "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True)
class MlflowVersion:
    """A model version in MLflow, and the run it came from."""

    version: int
    run_id: str


class MlflowStore:
    """The tracking server and model registry behind one tracking URI.

    Args:
        tracking_uri: any MLflow tracking URI, or ``None`` for the embedded store in ``folder``.
        folder: where the embedded store keeps its database and artefacts.
    """

    def __init__(self, tracking_uri: str | None, folder: Path) -> None:
        self.is_embedded = tracking_uri is None
        self.folder = folder
        self.tracking_uri = tracking_uri or f"sqlite:///{folder / 'mlflow.db'}"
        self.artefacts = folder / "registered"
        self.client_artefacts = folder / "artefacts"
        self.client_uploads = folder / "uploading"
        self._lock = threading.Lock()
        self._client: MlflowClient | None = None

    def client(self) -> "MlflowClient":
        """Return the MLflow client; the first call imports MLflow and prepares the embedded database."""
        with self._lock:
            if self._client is None:
                os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
                os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
                # Somebody waits for the answer: minutes of trying again help nobody.
                os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
                # Its own handlers would write past the one log format and its redaction.
                os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
                from mlflow import MlflowClient

                if self.is_embedded:
                    self._prepare()
                self._client = MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)
                with _answers():
                    self._client.search_registered_models(max_results=1)
            return self._client

    def register(
        self,
        model: str,
        folder: Path,
        *,
        description: str,
        metrics: Mapping[str, float],
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> MlflowVersion:
        """Log a run with the model in ``folder`` and make a model version of it; undo all of it if any part fails.

        Raises:
            Unavailable: MLflow does not answer or refused.
            InsufficientStorage: the disk is full.
        """
        client = self.client()
        run_id: str | None = None
        with _answers(), full_disk_is_an_answer("the version"):
            try:
                run = client.create_run(
                    self._experiment(model),
                    tags={**tags, OWNER_TAG: PLATFORM},
                    run_name=f"{model}-{tags.get('git.commit', '')[:8]}",
                )
                run_id = run.info.run_id
                for name, value in metrics.items():
                    client.log_metric(run_id, name, value)
                for name, param in params.items():
                    client.log_param(run_id, name, str(param)[:6000])
                client.log_artifacts(run_id, str(folder), _ARTEFACT_PATH)
                client.set_terminated(run_id, "FINISHED")
                with _ignoring(_EXISTS):
                    client.create_registered_model(model, description=description)
                created = client.create_model_version(
                    model, source=f"{run.info.artifact_uri}/{_ARTEFACT_PATH}", run_id=run_id, tags=dict(tags)
                )
                return MlflowVersion(int(created.version), run_id)
            except BaseException:
                if run_id is not None:
                    self.forget_run(run_id)
                raise

    def unregister(self, model: str, registered: MlflowVersion) -> None:
        """Take back what :meth:`register` made; what is gone already is no error."""
        with _answers(), _ignoring(_NOT_FOUND):
            self.client().delete_model_version(model, str(registered.version))
        self.forget_run(registered.run_id)

    def forget_run(self, run_id: str) -> None:
        """Delete a run and its artefacts, as far as MLflow does: what is left is lost space, and no version."""
        with contextlib.suppress(Exception):
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            artefacts = self.client().get_run(run_id).info.artifact_uri
            self.client().delete_run(run_id)
            get_artifact_repository(artefacts, tracking_uri=self.tracking_uri).delete_artifacts()

    def runs_before(self, time: datetime) -> list[tuple[str, str | None, datetime]]:
        """Return the runs that began before a time, oldest first: id, the model of the platform's own experiments, beginning."""
        client = self.client()
        with _answers():
            experiments = {one.experiment_id: one.tags.get(MODEL_TAG) for one in client.search_experiments()}
            limit, token = f"attributes.start_time < {int(time.timestamp() * 1000)}", None
            found: list[tuple[str, str | None, datetime]] = []
            while experiments:
                page = client.search_runs(
                    list(experiments), limit, order_by=["attributes.start_time ASC"], page_token=token
                )
                for run in page:
                    began = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
                    found.append((str(run.info.run_id), experiments.get(run.info.experiment_id), began))
                if not (token := page.token):
                    break
        return found

    def erase_run(self, run_id: str) -> None:
        """Delete a run with its artefacts; of the embedded store nothing is left, others are cleared by ``mlflow gc``.

        Raises:
            Unavailable: MLflow does not answer or refused.
        """
        client = self.client()
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with _answers(), _ignoring(_NOT_FOUND):
            run = client.get_run(run_id)
            get_artifact_repository(run.info.artifact_uri, tracking_uri=self.tracking_uri).delete_artifacts()
            if self.is_embedded:
                from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

                SqlAlchemyStore(self.tracking_uri, ARTEFACT_ROOT)._hard_delete_run(run_id)
            else:
                client.delete_run(run_id)

    def runs_with(self, tag: str, value: str) -> list[str]:
        """Return the ids of the runs of the platform's experiments that have a tag of that value."""
        client = self.client()
        with _answers():
            ours = client.search_experiments(filter_string=f"tags.`{OWNER_TAG}` = '{PLATFORM}'")
            ids = [experiment.experiment_id for experiment in ours]
            found = client.search_runs(ids, filter_string=f"tags.`{tag}` = '{value}'") if ids else []
        return [str(run.info.run_id) for run in found]

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point an alias at a version."""
        with _answers():
            self.client().set_registered_model_alias(model, alias, str(version))

    def clear_alias(self, model: str, alias: str) -> None:
        """Remove an alias; one that is not there is no error."""
        with _answers(), _ignoring(_NOT_FOUND):
            self.client().delete_registered_model_alias(model, alias)

    def _prepare(self) -> None:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for folder in (self.artefacts, self.client_artefacts):
            folder.mkdir(parents=True, exist_ok=True)
        # Whoever opens a new database makes the experiment Default, with its artefacts below the root given here.
        SqlAlchemyStore(self.tracking_uri, ARTEFACT_ROOT)

    def _experiment(self, model: str) -> str:
        """Return the platform's experiment for a model, which is made, or made again, where it is missing.

        On a server that others write to it may be deleted, or the name may be somebody else's: neither may keep a model
        from being registered.
        """
        client = self.client()
        location = (self.artefacts / model).as_uri() if self.is_embedded else None
        for number in count(1):
            if (found := self._own_experiment(model, location)) is not None:
                return found
            name = f"{EXPERIMENT_PREFIX}{model}" if number == 1 else f"{EXPERIMENT_PREFIX}{model}/{number}"
            with _ignoring(_EXISTS):
                tags = {OWNER_TAG: PLATFORM, MODEL_TAG: model}
                return str(client.create_experiment(name, artifact_location=location, tags=tags))
        raise AssertionError("there is always another number")

    def _own_experiment(self, model: str, location: str | None) -> str | None:
        from mlflow.entities import LifecycleStage, ViewType

        client = self.client()
        wanted = f"tags.`{MODEL_TAG}` = '{model}' AND tags.`{OWNER_TAG}` = '{PLATFORM}'"
        found = [
            experiment
            for experiment in client.search_experiments(view_type=ViewType.ALL, filter_string=wanted)
            if location is None or experiment.artifact_location == location
        ]
        found.sort(
            key=lambda experiment: (experiment.lifecycle_stage != LifecycleStage.ACTIVE, experiment.creation_time)
        )
        if not found:
            return None
        first = found[0]
        if first.lifecycle_stage != LifecycleStage.ACTIVE:
            client.restore_experiment(first.experiment_id)
        return str(first.experiment_id)


def _mlflow_exception() -> type[Any]:
    from mlflow.exceptions import MlflowException

    exception: type[Any] = MlflowException
    return exception


@contextlib.contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except _mlflow_exception() as error:
        raise Unavailable(
            f"MLflow refused: {error.message.splitlines()[0][:300]}", fix="see the backend's log"
        ) from error


@contextlib.contextmanager
def _ignoring(code: str) -> Iterator[None]:
    try:
        yield
    except _mlflow_exception() as error:
        if error.error_code != code:
            raise
