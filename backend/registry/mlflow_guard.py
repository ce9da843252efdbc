"""Puts the write rules between MLflow's server and its stores, whatever request leads there.

MLflow's request handlers reach a tracking store, a model registry store and an artefact repository. Each of the three is
replaced by one that lets reads through, holds writes against :mod:`backend.registry.mlflow_rules`, and refuses what it
does not know. Importing this imports MLflow.
"""

import asyncio
import functools
import inspect
import tempfile
import time
from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.server import handlers
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from backend.registry.bundle import is_disk_full
from backend.registry.mlflow_rules import After, Arguments, NotAllowed, WriteRules

# fmt: off
TRACKING_READS = frozenset(
    {
        "batch_get_trace_infos", "batch_get_traces", "calculate_trace_filter_correlation",
        "filter_active_experiment_ids", "get_assessment", "get_dataset", "get_dataset_experiment_ids", "get_experiment",
        "get_experiment_by_name", "get_issue", "get_label_schema", "get_label_schema_by_name", "get_logged_model",
        "get_max_step_for_metric", "get_metric_history", "get_metric_history_bulk", "get_metric_history_bulk_interval",
        "get_metric_history_bulk_interval_from_steps", "get_online_scoring_configs", "get_review_queue",
        "get_review_queue_by_name", "get_run", "get_scorer", "get_trace", "get_trace_info", "list_label_schemas",
        "list_review_queue_items", "list_review_queues", "list_scorer_versions", "list_scorers", "query_trace_metrics",
        "search_datasets", "search_experiments", "search_issues", "search_logged_models", "search_runs",
        "search_traces", "_load_dataset_records", "_search_datasets",
    }
)
REGISTRY_READS = frozenset(
    {
        "get_latest_versions", "get_model_version", "get_model_version_by_alias", "get_model_version_download_uri",
        "get_prompt", "get_prompt_version", "get_prompt_version_by_alias", "get_registered_model",
        "search_model_versions", "search_prompt_versions", "search_prompts", "search_registered_models",
    }
)
# fmt: on
_LONGEST_PAUSE_SECONDS = 24 * 3600

Rules = Callable[[], WriteRules]
"""Returns the rules for the caller of the present request, or raises :class:`NotAllowed` when there is none."""
Refused = Callable[[str], None]
"""Told why the caller of the present request was refused."""


class GuardedStore:
    """A store of MLflow with rules in front; everything but ``reads`` is a write."""

    def __init__(
        self, store: Any, reads: frozenset[str], check: Callable[[str, Arguments], After], refused: Refused
    ) -> None:
        self._guarded, self._reads, self._check, self._refused = store, reads, check, refused

    def __getattr__(self, name: str) -> Any:
        """Return what the store has of that name, with the rules in front if it is a write."""
        member = getattr(self._guarded, name)
        if name in self._reads or not callable(member):
            return member
        if inspect.iscoroutinefunction(member):

            @functools.wraps(member)
            async def checked_async(*given: Any, **named: Any) -> Any:
                call, after = await asyncio.to_thread(self._checked, name, member, given, named)
                result = await member(*call.args, **call.kwargs)
                if after is not None:
                    await asyncio.to_thread(after)
                return result

            return checked_async

        @functools.wraps(member)
        def checked(*given: Any, **named: Any) -> Any:
            call, after = self._checked(name, member, given, named)
            result = member(*call.args, **call.kwargs)
            if after is not None:
                after()
            return result

        return checked

    def _checked(self, name: str, member: Any, given: Any, named: Any) -> tuple[inspect.BoundArguments, After]:
        call = inspect.signature(member).bind(*given, **named)
        try:
            after = self._check(name, call.arguments)
        except NotAllowed as error:
            refuse(error, self._refused)
        return call, after


class DiskFull(MlflowException):
    """An artefact could not be kept: the disk is full."""

    def __init__(self) -> None:
        super().__init__("the platform's disk is full; the artefact was not kept")

    def get_http_status_code(self) -> int:
        """Return the status of an answer that says so."""
        return 507


class GuardedArtefacts(LocalArtifactRepository):
    """The artefacts that clients send through the server.

    Each is received in the folder ``uploads``, which lies on the same file system, and moved to its place when it is
    complete: readers see no half artefact, and what a killed process left is found there.
    """

    def __init__(self, root: Path, uploads: Path, rules: Rules, refused: Refused) -> None:
        super().__init__(root.as_uri())
        self._uploads, self._rules, self._refused = uploads, rules, refused
        uploads.mkdir(parents=True, exist_ok=True)
        forget_unfinished(uploads)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Keep one file."""
        self._check(artifact_path)
        with _disk_may_be_full():
            super().log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Keep a folder."""
        self._check(artifact_path)
        with _disk_may_be_full():
            super().log_artifacts(local_dir, artifact_path)

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Keep what a stream holds."""
        self._check(artifact_path)
        with _disk_may_be_full():
            super().log_artifact_from_stream(stream, artifact_file_name, artifact_path)

    async def log_artifact_from_async_stream(
        self, chunks: AsyncIterable[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Keep what a stream holds."""
        await asyncio.to_thread(self._check, artifact_path)
        with _disk_may_be_full():
            await super().log_artifact_from_async_stream(chunks, artifact_file_name, artifact_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file or folder."""
        self._check(artifact_path)
        super().delete_artifacts(artifact_path)

    def _create_staging_artifact(
        self, artifact_file_name: str, artifact_path: str | None = None
    ) -> tuple[int, str, str]:
        _, place = self._get_destination_artifact_path(artifact_file_name, artifact_path)
        descriptor, temporary = tempfile.mkstemp(dir=self._uploads)
        return descriptor, temporary, place

    def _check(self, path: str | None) -> None:
        try:
            self._rules().may_write_artefact(path or "")
        except NotAllowed as error:
            refuse(error, self._refused)


@contextmanager
def _disk_may_be_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise DiskFull from error


def forget_unfinished(uploads: Path) -> None:
    """Delete what dead processes were receiving; others that live may be receiving too, so only what is long untouched."""
    for path in uploads.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _LONGEST_PAUSE_SECONDS:
                path.unlink()


def refuse(error: NotAllowed, refused: Refused) -> NoReturn:
    """Have a refusal recorded, and answer it the way MLflow's clients understand."""
    refused(str(error))
    raise MlflowException(str(error), error_code=PERMISSION_DENIED) from None


def guard_server(artefacts: Path, uploads: Path, rules: Callable[[Any], WriteRules], refused: Refused) -> None:
    """Replace the stores of MLflow's server in this process; ``rules`` gets the tracking store to look things up in.

    ``artefacts`` and ``uploads`` are the folders of what clients sent and of what they are sending.

    Raises:
        RuntimeError: this MLflow keeps its stores elsewhere, so nothing would be guarded.
    """
    server: Any = handlers
    tracking, registry = server._get_tracking_store(), server._get_model_registry_store()

    def check(operation: str, arguments: Arguments) -> After:
        return rules(tracking).check(operation, arguments)

    def read_only(operation: str, _arguments: Arguments) -> After:
        raise NotAllowed(f"{operation}: the model registry is written by the platform only")

    server._tracking_store = GuardedStore(tracking, TRACKING_READS, check, refused)
    server._model_registry_store = GuardedStore(registry, REGISTRY_READS, read_only, refused)
    server._artifact_repo = GuardedArtefacts(artefacts, uploads, lambda: rules(tracking), refused)
    in_use = (
        server._get_tracking_store(),
        server._get_model_registry_store(),
        server._get_artifact_repo_mlflow_artifacts(),
    )
    if not all(isinstance(store, GuardedStore | GuardedArtefacts) for store in in_use):
        raise RuntimeError("this release of MLflow does not use the stores it is given")
