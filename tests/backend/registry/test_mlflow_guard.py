"""The guard between MLflow's server and its stores knows what this MLflow's stores can do."""

import asyncio
import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from backend.identity.principal import Principal, PrincipalKind
from backend.registry.mlflow_rules import _RULES, NotAllowed, WriteRules

pytestmark = pytest.mark.slow

ADA = Principal(PrincipalKind.USER, "user:default/ada", frozenset(), "test", datetime.now(UTC))


class Recording:
    """A store that does nothing and remembers what it was told to do."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def get_run(self, run_id: str) -> str:
        return run_id

    def drop_everything(self) -> None:
        self.told.append("drop_everything")

    async def drop_everything_later(self) -> None:
        self.told.append("drop_everything_later")


def guarded(store: Any, reads: frozenset[str], principal: Principal = ADA) -> tuple[Any, list[str]]:
    from backend.registry.mlflow_guard import GuardedStore

    refused: list[str] = []
    return GuardedStore(store, reads, WriteRules(store, principal, lambda _: False).check, refused.append), refused


def test_what_it_does_not_know_it_refuses() -> None:
    from mlflow.exceptions import MlflowException

    store = Recording()
    guard, refused = guarded(store, frozenset({"get_run"}))
    assert guard.get_run("a") == "a"
    assert not hasattr(guard, "unheard_of")
    with pytest.raises(MlflowException, match="not offered"):
        guard.drop_everything()
    with pytest.raises(MlflowException, match="not offered"):
        asyncio.run(guard.drop_everything_later())
    assert (store.told, len(refused)) == ([], 2)


def test_rules_and_reads_name_what_the_stores_have() -> None:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from backend.registry.mlflow_guard import REGISTRY_READS, TRACKING_READS

    assert TRACKING_READS.isdisjoint(_RULES)
    assert [name for name in {*TRACKING_READS, *_RULES} if not hasattr(SqlAlchemyStore, name)] == []
    assert [name for name in REGISTRY_READS if not hasattr(RegistryStore, name)] == []


def test_rules_know_the_arguments_by_their_names() -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    read = {"experiment_id", "run_id", "model_id", "trace_id", "location", "assessment", "trace_info", "name"}
    for operation in _RULES:
        parameters = set(inspect.signature(getattr(SqlAlchemyStore, operation)).parameters)
        assert parameters & read, operation
        # A tag, key or metric under another name would go past the rules.
        known = {"tag", "tags", "key", "value", "metric", "metrics", "models", "source_run_id", "trace_ids", "spans"}
        harmless = {
            "self", "artifact_location", "new_name", "user_id", "start_time", "run_name", "run_status", "end_time", "param",
            "params", "datasets", "mlflow_model", "status", "model_type", "tracking_uri", "max_timestamp_millis", "max_traces",
            "assessment_id", "expectation", "feedback", "rationale", "metadata",
        }  # fmt: skip
        assert parameters <= read | known | harmless, operation


def test_every_way_to_write_an_artefact_is_guarded() -> None:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    from backend.registry.mlflow_guard import GuardedArtefacts

    reading = ("download_", "get_", "list_", "artifact_dir", "max_workers")
    through_log_artifact = ("upload_", "flush_async_logging")
    public = [
        name for name in dir(LocalArtifactRepository) if not name.startswith(("_", *reading, *through_log_artifact))
    ]
    assert "delete_artifacts" in public
    for name in public:
        assert getattr(GuardedArtefacts, name) is not getattr(LocalArtifactRepository, name), name


def test_a_token_in_the_platforms_own_name_writes_nothing() -> None:
    impostor = Principal(PrincipalKind.SERVICE, "service:ml-platform", frozenset(), "test", datetime.now(UTC))
    with pytest.raises(NotAllowed, match="the platform itself"):
        WriteRules(Recording(), impostor, lambda _: False).check("create_run", {"experiment_id": "0"})
